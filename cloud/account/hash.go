package account

import (
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// hash is an argon2id hash with its parameters.
type hash struct {
	memory, passes uint32
	lanes          uint8
	salt, sum      []byte
}

func (h hash) compute(password string) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.lanes, uint32(len(h.sum)))
}

// String is the PHC form: $argon2id$v=19$m=12288,t=3,p=1$salt$sum.
func (h hash) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.lanes, b64(h.salt), b64(h.sum))
}

// parseHash reads the PHC form. The bounds keep a damaged row from taking all
// memory or panicking.
func parseHash(s string) (hash, error) {
	bad := fmt.Errorf("stored password hash has an unknown form")
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return hash{}, bad
	}
	var h hash
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.passes, &h.lanes); err != nil {
		return hash{}, bad
	}
	var err error
	if h.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return hash{}, bad
	}
	if h.sum, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil {
		return hash{}, bad
	}
	if h.memory > 1<<20 || h.passes < 1 || h.passes > 64 || h.lanes < 1 || len(h.salt) < 8 || len(h.sum) < 16 || len(h.sum) > 64 ||
		h.String() != s {
		return hash{}, bad
	}
	return h, nil
}
