package account

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"strings"

	"github.com/oklog/ulid/v2"
)

// The prefixes let people and secret scanners see what a string is.
const (
	tokenPrefix   = "ngfw_pat_"
	refreshPrefix = "ngfw_ref_"
)

// secretBytes of randomness make a plain SHA-256 enough for the stored form:
// there is nothing to guess.
const secretBytes = 32

func newSecret(prefix string) string {
	b := make([]byte, secretBytes)
	rand.Read(b)
	return prefix + hex.EncodeToString(b)
}

// isSecret says whether s has the form that newSecret gives.
func isSecret(prefix, s string) bool {
	rest, ok := strings.CutPrefix(s, prefix)
	b, err := hex.DecodeString(rest)
	return ok && err == nil && len(b) == secretBytes
}

// digest is what the store keeps of a secret.
func digest(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// newID is unique and sorts by time; the prefix says what it names.
func newID(prefix string) string { return prefix + "_" + strings.ToLower(ulid.Make().String()) }

// NewPassword makes one with 120 random bits that can be typed.
func NewPassword() string {
	b := make([]byte, 15)
	rand.Read(b)
	return strings.ToLower(base32.StdEncoding.EncodeToString(b))
}
