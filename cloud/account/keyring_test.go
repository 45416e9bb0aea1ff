package account

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ngfw.sh/cloud/seal"
	"ngfw.sh/internal/fault"
)

func (b *bed) kids(t *testing.T, s *Service) []string {
	t.Helper()
	var set struct{ Keys []jwk }
	if err := json.Unmarshal(s.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	var kids []string
	for _, k := range set.Keys {
		kids = append(kids, k.KID)
	}
	return kids
}

// TestOthersVerifyWithTheDocument takes the way of a foreign verifier: it
// knows the document and RFC 7518, and nothing of this package.
func TestOthersVerifyWithTheDocument(t *testing.T) {
	b := newBed(t)
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(b.JWKS(), &set); err != nil || len(set.Keys) != 1 {
		t.Fatal(err, set)
	}
	key := set.Keys[0]
	if key["kty"] != "EC" || key["crv"] != "P-256" || key["alg"] != "ES256" || key["use"] != "sig" || len(key) != 7 {
		t.Errorf("%v", key)
	}
	point := []byte{4} // uncompressed, SEC 1 2.3.3
	for _, name := range []string{"x", "y"} {
		raw, err := base64.RawURLEncoding.DecodeString(key[name])
		if err != nil || len(raw) != 32 {
			t.Fatalf("%s: %d bytes, %v", name, len(raw), err)
		}
		point = append(point, raw...)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := jwt.Parse(b.mustLogin(t).AccessToken, func(tok *jwt.Token) (any, error) {
		if tok.Header["kid"] != key["kid"] || tok.Header["alg"] != "ES256" {
			t.Errorf("header %v", tok.Header)
		}
		return public, nil
	}, jwt.WithTimeFunc(b.clock.now), jwt.WithIssuer(b.cfg.Issuer), jwt.WithExpirationRequired())
	if err != nil {
		t.Fatal(err)
	}
	c := tok.Claims.(jwt.MapClaims)
	for _, name := range []string{"sub", "org_id", "plan", "scope", "sid", "iss", "iat", "exp"} {
		if c[name] == nil {
			t.Errorf("claim %s is missing in %v", name, c)
		}
	}
	if c["exp"].(float64)-c["iat"].(float64) != 3600 || c["scope"] != "read write admin" {
		t.Error(c)
	}
}

func TestKeysOutliveTheProcess(t *testing.T) {
	b := newBed(t)
	token := b.mustLogin(t).AccessToken
	again := b.process(t, testConfig())
	if _, err := again.Authenticate(t.Context(), token); err != nil {
		t.Error(err)
	}
	if n := len(b.kids(t, again)); n != 1 {
		t.Errorf("%d keys", n)
	}
}

func TestRotationKeepsOldTokensAlive(t *testing.T) {
	b := newBed(t)
	before := b.mustLogin(t).AccessToken
	other := b.process(t, testConfig())
	b.clock.add(time.Minute)
	if err := b.RotateKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := b.mustLogin(t).AccessToken
	for _, s := range []*Service{b.Service, other} { // the other has to look for the new key
		for _, token := range []string{before, after} {
			if _, err := s.Authenticate(t.Context(), token); err != nil {
				t.Error(err)
			}
		}
		if n := len(b.kids(t, s)); n != 2 {
			t.Errorf("%d keys published", n)
		}
	}
	// A process that missed the rotation still signs with the old key for a while.
	b.clock.add(b.cfg.AccessLifetime + 10*time.Minute)
	if n := len(b.kids(t, b.Service)); n != 1 {
		t.Errorf("%d keys published after the old one's end", n)
	}
	_, err := b.Authenticate(t.Context(), before)
	refused(t, err, fault.Unauthorized, "unknown signing key")
}

func TestLoadRotatesADueKey(t *testing.T) {
	b := newBed(t)
	first := b.keys.signing().KID
	b.clock.add(b.cfg.KeyLifetime)
	if err := b.Load(t.Context()); err != nil || b.keys.signing().KID != first {
		t.Errorf("rotated on the day: %v", err)
	}
	b.clock.add(time.Second)
	if err := b.Load(t.Context()); err != nil || b.keys.signing().KID == first {
		t.Errorf("not rotated: %v", err)
	}
}

func TestConcurrentRotationsMakeOneKey(t *testing.T) {
	b := newBed(t)
	first := b.keys.signing().KID
	services := make([]*Service, 6)
	for i := range services {
		services[i] = b.process(t, testConfig())
	}
	var wg sync.WaitGroup
	for _, s := range services {
		wg.Go(func() {
			if err := s.RotateKey(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	rows, err := b.store.SigningKeys(t.Context(), b.clock.now().Unix())
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d keys, %v", len(rows), err)
	}
	for _, s := range services {
		if kid := s.keys.signing().KID; kid == first {
			t.Error("a process still signs with the retired key")
		}
	}
}

func TestUnknownKeysDoNotFloodTheStore(t *testing.T) {
	b := newBed(t)
	read := func() time.Time { _, at := b.keys.find(""); return at }
	b.clock.add(time.Hour)
	if _, err := b.keys.key(t.Context(), "x"); err != errUnknownKey {
		t.Fatal(err)
	}
	at := read()
	if !at.Equal(b.clock.now()) {
		t.Error("the store was not asked")
	}
	b.clock.add(reloadEvery - time.Second)
	if _, err := b.keys.key(t.Context(), "x"); err != errUnknownKey {
		t.Fatal(err)
	}
	if !read().Equal(at) {
		t.Error("the store was asked again at once")
	}
}

func TestAnotherInstallationsKeyIsRefused(t *testing.T) {
	b := newBed(t)
	key, err := seal.Load(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	s := New(testConfig(), Deps{Store: b.store, Seal: key, Log: slog.New(slog.DiscardHandler)})
	if err := s.Load(t.Context()); err == nil {
		t.Fatal("loaded with a foreign key")
	}
	if s.keys.signing() != nil {
		t.Error("made a key beside those it cannot open")
	}
}
