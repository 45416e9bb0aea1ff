package regex

import "bytes"

func index(s, sub []byte) int { return bytes.Index(s, sub) }

// Fold is a byte in lower case.
func Fold(c byte) byte { return foldTable[c] }

var foldTable = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
		if i >= 'A' && i <= 'Z' {
			t[i] += 32
		}
	}
	return t
}()

// rarity ranks bytes by how seldom traffic has them, from 0.
var rarity = func() (t [256]uint8) {
	for i := range t {
		t[i] = 12
	}
	for i, s := range []string{"e\x00 tao", "inrs/-", "lhdcu\r\n.:=", "mpfgwy012\xff", "bvk,;()\"&3456789_%?", "xjqz"} {
		for _, c := range []byte(s) {
			t[c] = uint8(i)
			if c >= 'a' && c <= 'z' {
				t[c-32] = uint8(i + 1)
			}
		}
	}
	return t
}()

// IndexFold finds sub, which is in lower case, in s, whatever case s is of; -1 if it
// is not there.
func IndexFold(s, sub []byte) int {
	n := len(sub)
	if n == 0 {
		return 0
	}
	// The search goes by the rarest byte; one that has no case is worth two.
	k, best := 0, -1
	for i, c := range sub {
		r := int(rarity[c])
		if c < 'a' || c > 'z' {
			r += 3
		}
		if r > best {
			k, best = i, r
		}
	}
	if len(s) < n {
		return -1
	}
	c := sub[k]
	last := len(s) - n + k // of the byte's places
	if c < 'a' || c > 'z' {
		for i := k; i <= last; {
			j := bytes.IndexByte(s[i:last+1], c)
			if j < 0 {
				return -1
			}
			i += j
			if EqualFold(s[i-k:i-k+n], sub) {
				return i - k
			}
			i++
		}
		return -1
	}
	lower, upper := next(s, k, last, c), next(s, k, last, c-32)
	for {
		i := min(lower, upper)
		if i > last {
			return -1
		}
		if EqualFold(s[i-k:i-k+n], sub) {
			return i - k
		}
		if i == lower {
			lower = next(s, i+1, last, c)
		} else {
			upper = next(s, i+1, last, c-32)
		}
	}
}

// next is the next place of c in s from i to last, or one beyond.
func next(s []byte, i, last int, c byte) int {
	if i > last {
		return last + 1
	}
	j := bytes.IndexByte(s[i:last+1], c)
	if j < 0 {
		return last + 1
	}
	return i + j
}

// EqualFold says whether s, of any case, is sub, which is in lower case and as long.
func EqualFold(s, sub []byte) bool {
	for i, c := range sub {
		if foldTable[s[i]] != c {
			return false
		}
	}
	return true
}
