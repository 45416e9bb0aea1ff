package account

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"ngfw.sh/cloud/store"
)

// algorithm of own tokens: every JWT library and every browser verifies it.
const algorithm = "ES256"

// reloadEvery bounds how often unknown key ids make the ring ask the store.
const reloadEvery = 5 * time.Second

// signingKey is an opened key of the own issuer.
type signingKey struct {
	store.SigningKey
	private *ecdsa.PrivateKey
}

// keyring holds the own issuer's keys: one signs, retiring ones still verify.
type keyring struct {
	store Store
	seal  Seal
	now   func() time.Time

	asking sync.Mutex // held while the store is asked for an unknown key

	mu     sync.Mutex // guards what follows
	keys   []signingKey
	loaded time.Time
}

func newKeyring(s Store, seal Seal, now func() time.Time) *keyring {
	return &keyring{store: s, seal: seal, now: now}
}

// load reads the keys and makes the first.
func (r *keyring) load(ctx context.Context) error {
	if err := r.read(ctx); err != nil {
		return err
	}
	if r.signing() != nil {
		return nil
	}
	return r.rotate(ctx, 0)
}

// read replaces the keys by the stored ones.
func (r *keyring) read(ctx context.Context) error {
	rows, err := r.store.SigningKeys(ctx, r.now().Unix())
	if err != nil {
		return err
	}
	keys := make([]signingKey, 0, len(rows))
	for _, row := range rows {
		k, err := r.open(row)
		if err != nil {
			return fmt.Errorf("open signing key %s: %w", row.KID, err)
		}
		keys = append(keys, k)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.loaded = keys, r.now()
	return nil
}

func (r *keyring) open(row store.SigningKey) (signingKey, error) {
	if row.Algorithm != algorithm {
		return signingKey{}, fmt.Errorf("algorithm %s is not known to this binary", row.Algorithm)
	}
	der, err := r.seal.Open(row.Sealed, keyLabel(row.KID))
	if err != nil {
		return signingKey{}, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return signingKey{}, err
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return signingKey{}, fmt.Errorf("not a P-256 key")
	}
	return signingKey{SigningKey: row, private: private}, nil
}

func keyLabel(kid string) string { return "signing key " + kid }

// rotate puts a new key in use and keeps the present one for verification
// during keep. Another process that rotated first has done the work.
func (r *keyring) rotate(ctx context.Context, keep time.Duration) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	jwk, err := publicJWK(&private.PublicKey)
	if err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	previous := ""
	if k := r.signing(); k != nil {
		previous = k.KID
	}
	now := r.now()
	row := store.SigningKey{KID: jwk.KID, Algorithm: algorithm, Sealed: r.seal.Seal(der, keyLabel(jwk.KID)), CreatedAt: now.Unix()}
	if err := r.store.AddSigningKey(ctx, row, previous, now.Add(keep).Unix()); err != nil && !errors.Is(err, store.ErrExists) {
		return err
	}
	return r.read(ctx)
}

// signing is the key in use; nil before load.
func (r *keyring) signing() *signingKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.keys {
		if r.keys[i].RetiresAt == 0 {
			return &r.keys[i]
		}
	}
	return nil
}

// due says whether the key in use is older than its lifetime.
func (r *keyring) due(lifetime time.Duration) bool {
	k := r.signing()
	return k != nil && r.now().Sub(time.Unix(k.CreatedAt, 0)) > lifetime
}

// key finds a public key by id, asking the store now and then for one that
// another process may have made.
func (r *keyring) key(ctx context.Context, kid string) (crypto.PublicKey, error) {
	if public, _ := r.find(kid); public != nil {
		return public, nil
	}
	r.asking.Lock() // who comes second finds what the first has read
	defer r.asking.Unlock()
	public, read := r.find(kid)
	if public == nil && r.now().Sub(read) >= reloadEvery {
		if err := r.read(ctx); err != nil {
			return nil, err
		}
		public, _ = r.find(kid)
	}
	if public == nil {
		return nil, errUnknownKey
	}
	return public, nil
}

// find looks among the keys as they were last read.
func (r *keyring) find(kid string) (public crypto.PublicKey, read time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.published() {
		if k.KID == kid {
			return &k.private.PublicKey, r.loaded
		}
	}
	return nil, r.loaded
}

// published are the keys that verify now. The caller holds mu.
func (r *keyring) published() []signingKey {
	var live []signingKey
	for _, k := range r.keys {
		if k.RetiresAt == 0 || r.now().Unix() < k.RetiresAt {
			live = append(live, k)
		}
	}
	return live
}

// document is the set of published keys.
func (r *keyring) document() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	set := struct {
		Keys []jwk `json:"keys"`
	}{Keys: []jwk{}}
	for _, k := range r.published() {
		if j, err := publicJWK(&k.private.PublicKey); err == nil { // it was checked when opened
			set.Keys = append(set.Keys, j)
		}
	}
	b, _ := json.Marshal(set) // strings only
	return b
}
