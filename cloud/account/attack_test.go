package account

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ngfw.sh/internal/fault"
)

// TestForgedTokens lists what an attacker or a careless client may send
// instead of a token that was issued.
func TestForgedTokens(t *testing.T) {
	b := newBed(t)
	good := b.mustLogin(t).AccessToken
	caller := b.mustCaller(t, good)
	key := b.keys.signing()
	now := b.clock.now()

	der, err := x509.MarshalPKIXPublicKey(&key.private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	point, _ := key.private.PublicKey.Bytes()
	otherEC, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	otherRSA, _ := rsa.GenerateKey(rand.Reader, 2048)
	_, otherEd, _ := ed25519.GenerateKey(rand.Reader)

	valid := func() jwt.MapClaims {
		return jwt.MapClaims{"iss": b.cfg.Issuer, "sub": caller.UserID, "sid": caller.Session, "org_id": caller.OrgID, "plan": "business_plus",
			"scope": "read write admin", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	}
	sign := func(m jwt.SigningMethod, with any, kid any, change func(jwt.MapClaims, map[string]any)) string {
		c := valid()
		tok := jwt.NewWithClaims(m, c)
		if kid != nil {
			tok.Header["kid"] = kid
		}
		if change != nil {
			change(c, tok.Header)
		}
		s, err := tok.SignedString(with)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	own := func(change func(jwt.MapClaims, map[string]any)) string {
		return sign(jwt.SigningMethodES256, key.private, key.KID, change)
	}
	claim := func(name string, value any) string {
		return own(func(c jwt.MapClaims, _ map[string]any) {
			if value == nil {
				delete(c, name)
			} else {
				c[name] = value
			}
		})
	}
	segment := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	parts := strings.Split(good, ".")
	foreignUser, _ := b.mustUser(t, "other@example.org", Member)

	// The instrument itself: an untouched token of this test's making is good.
	b.mustCaller(t, own(nil))
	b.mustCaller(t, claim("exp", now.Add(-29*time.Second).Unix()))
	b.mustCaller(t, claim("iat", now.Add(29*time.Second).Unix()))

	for _, tc := range []struct{ name, token, want string }{
		{"empty", "", "missing token"},
		{"no JWT", "hello", "malformed token"},
		{"two segments", parts[0] + "." + parts[1], "malformed token"},
		{"four segments", good + ".x", "malformed token"},
		{"not base64", "ä." + parts[1] + "." + parts[2], "malformed token"},
		{"header is null", segment("null") + "." + parts[1] + "." + parts[2], "malformed token"},
		{"header is a list", segment("[]") + "." + parts[1] + "." + parts[2], "malformed token"},
		{"payload is null", parts[0] + "." + segment("null") + "." + parts[2], "unknown token issuer"},
		{"payload is a number", parts[0] + "." + segment("7") + "." + parts[2], "malformed token"},
		{"subject is a number", claim("sub", 7), "malformed token"},
		{"huge", good + strings.Repeat("A", maxToken), "token too long"},

		{"alg none", sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, key.KID, nil), "signing algorithm none is not accepted"},
		{"alg none with the real signature", segment(`{"alg":"none","kid":"`+key.KID+`"}`) + "." + parts[1] + "." + parts[2], "signing algorithm none is not accepted"},
		{"alg None", segment(`{"alg":"None","kid":"`+key.KID+`"}`) + "." + parts[1] + ".", "malformed token"},
		{"alg missing", segment(`{"kid":"`+key.KID+`"}`) + "." + parts[1] + "." + parts[2], "malformed token"},
		{"HS256 with the public key as PEM", sign(jwt.SigningMethodHS256, publicPEM, key.KID, nil), "signing algorithm HS256 is not accepted"},
		{"HS256 with the public key as DER", sign(jwt.SigningMethodHS256, der, key.KID, nil), "signing algorithm HS256 is not accepted"},
		{"HS256 with the public point", sign(jwt.SigningMethodHS256, point, key.KID, nil), "signing algorithm HS256 is not accepted"},
		{"HS256 with the empty key", sign(jwt.SigningMethodHS256, []byte{}, key.KID, nil), "signing algorithm HS256 is not accepted"},
		{"RS256", sign(jwt.SigningMethodRS256, otherRSA, key.KID, nil), "signing algorithm RS256 is not accepted"},
		{"EdDSA", sign(jwt.SigningMethodEdDSA, otherEd, key.KID, nil), "signing algorithm EdDSA is not accepted"},

		{"foreign key under our kid", sign(jwt.SigningMethodES256, otherEC, key.KID, nil), "invalid token signature"},
		{"wrong kid", sign(jwt.SigningMethodES256, key.private, "other", nil), "unknown signing key"},
		{"foreign key, own kid", sign(jwt.SigningMethodES256, otherEC, "mine", nil), "unknown signing key"},
		{"no kid", sign(jwt.SigningMethodES256, key.private, nil, nil), "unknown signing key"},
		{"kid is a number", sign(jwt.SigningMethodES256, key.private, 1, nil), "unknown signing key"},
		{"kid is a path", sign(jwt.SigningMethodES256, key.private, "../../dev/null", nil), "unknown signing key"},
		{"key in the header", sign(jwt.SigningMethodES256, otherEC, nil, func(_ jwt.MapClaims, h map[string]any) {
			j, _ := publicJWK(&otherEC.PublicKey)
			h["jwk"], h["kid"] = j, j.KID
		}), "unknown signing key"},
		{"critical extension", own(func(_ jwt.MapClaims, h map[string]any) { h["crit"] = []string{"b64"} }), "token needs an extension that is not understood"},

		{"payload changed", parts[0] + "." + tamper(t, parts[1]) + "." + parts[2], "invalid token signature"},
		{"signature changed", parts[0] + "." + parts[1] + "." + flip(parts[2]), "invalid token signature"},
		{"signature cut", parts[0] + "." + parts[1] + "." + parts[2][:40], "invalid token signature"},
		{"signature zero", parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)), "invalid token signature"},
		{"no signature", parts[0] + "." + parts[1] + ".", "invalid token signature"},

		{"expired", claim("exp", now.Add(-31*time.Second).Unix()), "token expired"},
		{"no expiry", claim("exp", nil), "invalid token claims"},
		{"expiry is text", claim("exp", "never"), "malformed token"},
		{"not yet valid", claim("nbf", now.Add(time.Minute).Unix()), "token not valid yet"},
		{"issued in the future", claim("iat", now.Add(time.Minute).Unix()), "token not valid yet"},
		{"foreign issuer", claim("iss", "https://evil.example"), "unknown token issuer"},
		{"no issuer", claim("iss", nil), "unknown token issuer"},
		{"no subject", claim("sub", nil), "token names no user"},
		{"no session", claim("sid", nil), "session unknown or ended"},
		{"unknown session", claim("sid", "ses_1"), "session unknown or ended"},
		{"session of another user", claim("sub", foreignUser.ID), "token and session belong to different users"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := b.Authenticate(t.Context(), tc.token)
			if err == nil {
				t.Fatalf("accepted as %+v", c)
			}
			refused(t, err, fault.Unauthorized, tc.want)
		})
	}
}

// tamper raises the rights in a payload.
func tamper(t *testing.T, payload string) string {
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(raw, &c); err != nil {
		t.Fatal(err)
	}
	c["org_id"] = "org_other"
	raw, _ = json.Marshal(c)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// flip changes the first character of base64 text.
func flip(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

func FuzzAuthenticate(f *testing.F) {
	s := newBed(f).Service
	f.Add("eyJhbGciOiJFUzI1NiIsImtpZCI6IngifQ.eyJpc3MiOiJ1cm46bmdmdzpjbG91ZCJ9.AAAA")
	f.Add("ngfw_pat_00")
	f.Add("..")
	f.Fuzz(func(t *testing.T, bearer string) {
		if c, err := s.Authenticate(t.Context(), bearer); !fault.Is(err, fault.Unauthorized) {
			t.Fatalf("%+v, %v", c, err)
		}
	})
}
