package account

import (
	"context"
	"crypto"
	"errors"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/internal/fault"
)

const (
	leeway   = 30 * time.Second // between the clocks of issuer and verifier
	maxToken = 8 << 10          // bytes of a JWT
)

var errUnknownKey = errors.New("unknown signing key")

// claims of an access token.
type claims struct {
	jwt.RegisteredClaims
	OrgID   string `json:"org_id,omitempty"`
	Plan    string `json:"plan,omitempty"`
	Scope   string `json:"scope,omitempty"`
	Session string `json:"sid,omitempty"`
	Party   string `json:"azp,omitempty"`
}

// keySource finds the public keys of an issuer: the own ring, or the JWKS of a
// foreign one. It answers errUnknownKey for a key that the issuer does not have.
type keySource interface {
	key(ctx context.Context, kid string) (crypto.PublicKey, error)
}

// issuer is one whose tokens are accepted. Its keys verify its tokens alone.
type issuer struct {
	name       string   // claim "iss"
	algorithms []string // asymmetric ones only
	parties    []string // accepted "azp" where the token has one; empty: any
	keys       keySource
	// resolve turns verified claims into the caller they speak for.
	resolve func(context.Context, claims) (identity.Caller, error)
}

func unauthorized(text string) *fault.Error { return fault.New(fault.Unauthorized, "%s", text) }

// verify checks a JWT: issuer, algorithm, key, signature, times, party. The
// error is a fault unless the keys could not be read.
func (s *Service) verify(ctx context.Context, raw string) (claims, issuer, error) {
	var c claims
	if len(raw) > maxToken {
		return c, issuer{}, unauthorized("token too long")
	}
	// Only to choose whose keys to check it with: nothing else of it is believed.
	head, _, err := jwt.NewParser().ParseUnverified(raw, &c)
	if err != nil {
		return c, issuer{}, unauthorized("malformed token").Because(err)
	}
	i := slices.IndexFunc(s.issuers, func(i issuer) bool { return i.name == c.Issuer })
	if i < 0 {
		return c, issuer{}, unauthorized("unknown token issuer")
	}
	is := s.issuers[i]
	if alg := head.Method.Alg(); !slices.Contains(is.algorithms, alg) {
		return c, is, unauthorized("signing algorithm " + alg + " is not accepted")
	}
	c = claims{}
	parser := jwt.NewParser(jwt.WithValidMethods(is.algorithms), jwt.WithIssuer(is.name), jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(), jwt.WithLeeway(leeway), jwt.WithTimeFunc(s.now), jwt.WithStrictDecoding())
	_, err = parser.ParseWithClaims(raw, &c, func(t *jwt.Token) (any, error) {
		if _, has := t.Header["crit"]; has { // RFC 7515, section 4.1.11
			return nil, unauthorized("token needs an extension that is not understood")
		}
		kid, _ := t.Header["kid"].(string)
		if kid == "" {
			return nil, errUnknownKey
		}
		return is.keys.key(ctx, kid)
	})
	if err != nil {
		return c, is, explain(err)
	}
	switch {
	case c.Subject == "":
		return c, is, unauthorized("token names no user")
	case len(is.parties) > 0 && c.Party != "" && !slices.Contains(is.parties, c.Party):
		return c, is, unauthorized("token was issued to another application")
	}
	return c, is, nil
}

// explain turns the JWT library's error into one for the caller. An error that
// is about neither the token nor its key stays what it is.
func explain(err error) error {
	if f, ok := fault.As(err); ok {
		return f
	}
	say := func(text string) error { return unauthorized(text).Because(err) }
	for _, m := range []struct {
		is   error
		text string
	}{
		{errUnknownKey, "unknown signing key"},
		{jwt.ErrTokenExpired, "token expired"},
		{jwt.ErrTokenNotValidYet, "token not valid yet"},
		{jwt.ErrTokenUsedBeforeIssued, "token not valid yet"},
		{jwt.ErrTokenSignatureInvalid, "invalid token signature"},
		{jwt.ErrTokenMalformed, "malformed token"},
		{jwt.ErrTokenInvalidClaims, "invalid token claims"},
	} {
		if errors.Is(err, m.is) {
			return say(m.text)
		}
	}
	return err
}
