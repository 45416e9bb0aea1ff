package tlsca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
)

// The files of the authority in the data directory.
const (
	CertificateFile = "ca.pem"
	KeyFile         = "ca-key.pem"
)

const (
	authorityLife = 20 * 365 * 24 * time.Hour
	serverLife    = 90 * 24 * time.Hour
	// skew is how far behind a router's clock may be.
	skew = 24 * time.Hour
)

// authority signs server certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// openAuthority reads the authority in dir, making it if there is none.
func openAuthority(dir string, now time.Time) (*authority, error) {
	certPath, keyPath := filepath.Join(dir, CertificateFile), filepath.Join(dir, KeyFile)
	keyPEM, keyErr := os.ReadFile(keyPath)
	certPEM, certErr := os.ReadFile(certPath)
	if err := errors.Join(notMissing(keyErr), notMissing(certErr)); err != nil {
		return nil, fmt.Errorf("read the certification authority: %w", err)
	}
	if keyErr != nil && certErr == nil {
		return nil, fmt.Errorf("%s is there but %s is missing: restore it, or remove %s to have a new authority made that every router must be given", certPath, keyPath, certPath)
	}
	// The key is written first: a crash in between leaves a key without a
	// certificate, which is made up for here.
	key, err := decodeKey(keyPEM, keyPath)
	if keyErr != nil {
		key, err = writeKey(keyPath)
	}
	if err != nil {
		return nil, err
	}
	if certErr != nil {
		return writeAuthority(certPath, key, now)
	}
	a := &authority{key: key}
	if a.cert, err = decodeCertificate(certPEM, certPath); err != nil {
		return nil, err
	}
	switch {
	case !a.cert.IsCA || !key.PublicKey.Equal(a.cert.PublicKey):
		return nil, fmt.Errorf("%s does not belong to %s: restore the pair", keyPath, certPath)
	case !now.Before(a.cert.NotAfter):
		return nil, fmt.Errorf("the certification authority %s expired on %s: remove it and %s to have a new one made that every router must be given", certPath, a.cert.NotAfter.Format(time.DateOnly), keyPath)
	}
	return a, nil
}

func notMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func decodeKey(text []byte, path string) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM key: restore it", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds no ECDSA key", path)
	}
	return key, nil
}

func decodeCertificate(text []byte, path string) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM certificate: restore it", path)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return cert, nil
}

func writeKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the authority's key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make the authority's key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := renameio.WriteFile(path, text, 0o600, renameio.IgnoreUmask()); err != nil {
		return nil, fmt.Errorf("write the authority's key: %w", err)
	}
	return key, nil
}

func writeAuthority(path string, key *ecdsa.PrivateKey, now time.Time) (*authority, error) {
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: "ngfw-cloud routers " + now.UTC().Format(time.DateOnly)},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true, // it signs servers, no further authorities
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make the certification authority: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := renameio.WriteFile(path, text, 0o644, renameio.IgnoreUmask()); err != nil {
		return nil, fmt.Errorf("write the certification authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key}, nil
}

// serial is random as the CA/Browser baseline wants it (section 7.1): 127 bits.
func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] &= 0x7f
	b[15] |= 1 // never zero
	return new(big.Int).SetBytes(b)
}
