package account

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/internal/fault"
)

// fixedKeys are the keys of a foreign issuer.
type fixedKeys map[string]crypto.PublicKey

func (f fixedKeys) key(_ context.Context, kid string) (crypto.PublicKey, error) {
	if k, ok := f[kid]; ok {
		return k, nil
	}
	return nil, errUnknownKey
}

// brokenKeys are those of an issuer that cannot be reached.
type brokenKeys struct{ error }

func (b brokenKeys) key(context.Context, string) (crypto.PublicKey, error) { return nil, b.error }

// TestASecondIssuer holds what makes another issuer one more entry: its keys
// count for its own tokens alone, and its parties are checked.
func TestASecondIssuer(t *testing.T) {
	b := newBed(t)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	down := errors.New("connection refused")
	b.issuers = append(b.issuers,
		issuer{name: "https://id.example", algorithms: []string{"EdDSA", "RS256"}, parties: []string{"https://app.example"}, keys: fixedKeys{"k": public},
			resolve: func(_ context.Context, c claims) (identity.Caller, error) {
				return identity.Caller{UserID: c.Subject, Plan: PlanOf(c.Plan)}, nil
			}},
		issuer{name: "https://down.example", algorithms: []string{"EdDSA"}, keys: brokenKeys{down}})
	token := func(change jwt.MapClaims) string {
		c := jwt.MapClaims{"iss": "https://id.example", "sub": "user_1", "exp": b.clock.now().Add(time.Minute).Unix(), "azp": "https://app.example", "plan": "homeplus"}
		for name, v := range change {
			c[name] = v
		}
		tok := jwt.NewWithClaims(jwt.SigningMethodEdDSA, c)
		tok.Header["kid"] = "k"
		s, err := tok.SignedString(private)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if c := b.mustCaller(t, token(nil)); c.UserID != "user_1" || c.Plan != "starter" {
		t.Errorf("%+v", c)
	}
	b.mustCaller(t, b.mustLogin(t).AccessToken) // the own ones are as good as before

	_, err = b.Authenticate(t.Context(), token(jwt.MapClaims{"azp": "https://evil.example"}))
	refused(t, err, fault.Unauthorized, "token was issued to another application")
	_, err = b.Authenticate(t.Context(), token(jwt.MapClaims{"iss": b.cfg.Issuer}))
	refused(t, err, fault.Unauthorized, "signing algorithm EdDSA is not accepted")
	b.issuers[0].algorithms = append(b.issuers[0].algorithms, "EdDSA")
	_, err = b.Authenticate(t.Context(), token(jwt.MapClaims{"iss": b.cfg.Issuer}))
	refused(t, err, fault.Unauthorized, "unknown signing key")

	// Keys that cannot be had are the service's trouble, not the caller's fault.
	_, err = b.Authenticate(t.Context(), token(jwt.MapClaims{"iss": "https://down.example"}))
	if _, isFault := fault.As(err); isFault || !errors.Is(err, down) {
		t.Error(err)
	}
}
