package rule

import (
	"strconv"
	"strings"
)

// What every keyword's value is read with. Whitespace around values and between
// their parts never matters.

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func trim(s string) string {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// part cuts the text before the first comma off.
func part(s string) (head, rest string, more bool) {
	head, rest, more = strings.Cut(s, ",")
	return trim(head), rest, more
}

// word cuts the text before the first space off.
func word(s string) (head, rest string) {
	s = trim(s)
	for i := 0; i < len(s); i++ {
		if isSpace(s[i]) {
			return s[:i], trim(s[i:])
		}
	}
	return s, ""
}

// number reads an unsigned number in decimal, or in hexadecimal after 0x.
func number(s string) (uint64, bool) {
	if len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		for i := 2; i < len(s); i++ {
			if _, ok := hexDigit(s[i]); !ok {
				return 0, false // signs and underscores are none of ours
			}
		}
		v, err := strconv.ParseUint(s[2:], 16, 64)
		return v, err == nil
	}
	if s == "" {
		return 0, false
	}
	var v uint64
	for i := 0; i < len(s); i++ {
		c := s[i] - '0'
		if c > 9 || v > (1<<64-1)/10 {
			return 0, false
		}
		next := v*10 + uint64(c)
		if next < v*10 {
			return 0, false
		}
		v = next
	}
	return v, true
}

// signed reads a number that may be negative.
func signed(s string) (int64, bool) {
	negative := len(s) > 0 && s[0] == '-'
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		s = s[1:]
	}
	v, ok := number(s)
	if !ok || v > 1<<62 {
		return 0, false
	}
	if negative {
		return -int64(v), true
	}
	return int64(v), true
}

// size reads a number with an optional unit: kb, mb and gb are powers of 1024.
func size(s string) (uint64, bool) {
	s = trim(s)
	shift := 0
	lower := strings.ToLower(s)
	for _, u := range [...]struct {
		suffix string
		shift  int
	}{{"kib", 10}, {"mib", 20}, {"gib", 30}, {"kb", 10}, {"mb", 20}, {"gb", 30}} {
		if strings.HasSuffix(lower, u.suffix) {
			s, shift = trim(s[:len(s)-len(u.suffix)]), u.shift
			break
		}
	}
	v, ok := number(s)
	if !ok || v<<shift>>shift != v {
		return 0, false
	}
	return v << shift, true
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// isName says whether s can name a flow bit, a variable or a set.
func isName(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c <= ' ', c == ',', c == ';', c == '"', c == '|', c == '\\', c >= 0x7f:
			return false
		}
	}
	return s != ""
}

// unquote takes the quotes off a value and resolves the escapes of ; " and \.
// Other backslashes stay.
func unquote(s string) (string, bool) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", false
	}
	s = s[1 : len(s)-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s, strings.IndexByte(s, '"') < 0
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '"' {
			return "", false
		}
		if c == '\\' {
			if i+1 == len(s) {
				return "", false
			}
			if next := s[i+1]; next == ';' || next == '"' || next == '\\' || next == ':' {
				c = next
				i++
			}
		}
		b = append(b, c)
	}
	return string(b), true
}

// quote is the inverse of unquote.
func quote(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		if c := s[i]; c == ';' || c == '"' || c == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

func appendUint(b []byte, v uint64) []byte { return strconv.AppendUint(b, v, 10) }
func appendInt(b []byte, v int64) []byte   { return strconv.AppendInt(b, v, 10) }
