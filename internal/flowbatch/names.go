package flowbatch

import (
	"hash/maphash"
	"unicode/utf8"
)

// Names makes strings of bytes, the same one of the same bytes as a rule: rows
// have few names among them. It keeps a bounded number; a name that meets another
// in its place takes it. The zero value is ready.
type Names struct {
	seed  maphash.Seed
	known *[1 << 12]string
}

// keptName is how long a name may be to be kept.
const keptName = 128

// Of is the string of bytes; false if they are no text.
func (n *Names) Of(b []byte) (string, bool) {
	if len(b) == 0 {
		return "", true
	}
	if len(b) > keptName {
		return string(b), utf8.Valid(b)
	}
	if n.known == nil {
		n.seed, n.known = maphash.MakeSeed(), new([1 << 12]string)
	}
	at := &n.known[maphash.Bytes(n.seed, b)%uint64(len(n.known))]
	if *at != string(b) { // compared without making one
		if !utf8.Valid(b) {
			return "", false
		}
		*at = string(b)
	}
	return *at, true
}
