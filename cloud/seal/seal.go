// Package seal owns the installation's key, with which secrets are encrypted
// before the store sees them: a copy of the database alone gives none away.
//
// The key is a file beside the database, made at the first start and never
// changed. Without it the sealed secrets are lost, so a backup holds both.
// A Key is safe for concurrent use. This package decides neither what is secret
// nor where it is kept.
package seal

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// format is the first byte of what Seal makes: XChaCha20-Poly1305, nonce first.
const format = 1

// Key seals and opens.
type Key struct {
	aead cipher.AEAD
}

// Load reads the key at path, making it if there is none. A key file that
// others may read is refused.
func Load(path string) (*Key, error) {
	text, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, fmt.Errorf("make the key %s: %w", path, err)
		}
		text, err = read(path)
	}
	if err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil || len(raw) != chacha20poly1305.KeySize {
		return nil, fmt.Errorf("%s does not hold a key of %d hexadecimal bytes: restore it from a backup", path, chacha20poly1305.KeySize)
	}
	aead, err := chacha20poly1305.NewX(raw)
	if err != nil {
		return nil, err
	}
	return &Key{aead: aead}, nil
}

func read(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s may be read by others (mode %04o): chmod 600 it", path, info.Mode().Perm())
	}
	b, err := os.ReadFile(path)
	return string(b), err
}

// create writes a new key. The link fails where another process was first, so
// that nobody ever seals with a key that is then replaced.
func create(path string) error {
	raw := make([]byte, chacha20poly1305.KeySize)
	rand.Read(raw)
	tmp, err := os.CreateTemp(filepath.Dir(path), ".key-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(hex.EncodeToString(raw) + "\n")
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// What is sealed next is committed durably; the key must not be less so.
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// Seal encrypts a secret for the place that the label names; it opens only
// with the same label, so a row cannot be moved to another place.
func (k *Key) Seal(secret []byte, label string) []byte {
	out := make([]byte, 1+k.aead.NonceSize(), 1+k.aead.NonceSize()+len(secret)+k.aead.Overhead())
	out[0] = format
	rand.Read(out[1:])
	return k.aead.Seal(out, out[1:], secret, []byte(label))
}

// Open decrypts what Seal made with the same key and label.
func (k *Key) Open(sealed []byte, label string) ([]byte, error) {
	if len(sealed) < 1+k.aead.NonceSize() || sealed[0] != format {
		return nil, fmt.Errorf("sealed %s has an unknown form", label)
	}
	nonce, body := sealed[1:1+k.aead.NonceSize()], sealed[1+k.aead.NonceSize():]
	secret, err := k.aead.Open(nil, nonce, body, []byte(label))
	if err != nil {
		return nil, fmt.Errorf("sealed %s was not made with this installation's key: restore the key file that belongs to the database", label)
	}
	return secret, nil
}
