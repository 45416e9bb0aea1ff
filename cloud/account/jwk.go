package account

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// jwk is a JSON Web Key (RFC 7517, RFC 7518 section 6.2).
type jwk struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y"`
	KID       string `json:"kid"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
}

func publicJWK(p *ecdsa.PublicKey) (jwk, error) {
	point, err := p.Bytes() // 4, X, Y (SEC 1, section 2.3.3)
	if err != nil {
		return jwk{}, err
	}
	b64 := base64.RawURLEncoding.EncodeToString
	k := jwk{KeyType: "EC", Curve: "P-256", X: b64(point[1:33]), Y: b64(point[33:]), Use: "sig", Algorithm: algorithm}
	// RFC 7638: the required members in lexical order, without white space.
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":%q,"kty":%q,"x":%q,"y":%q}`, k.Curve, k.KeyType, k.X, k.Y))
	k.KID = b64(sum[:])
	return k, nil
}
