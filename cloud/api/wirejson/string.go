package wirejson

import (
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

var errNUL = errors.New("U+0000 is not allowed in a text")

// text reads a string; the scanner stands at its opening quote.
func (s *scanner) text() (string, error) {
	s.pos++
	var out []byte
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		switch {
		case c == '"':
			s.pos++
			return string(out), nil
		case c == '\\':
			r, err := s.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
		case c < 0x20:
			return "", s.fail("a control character in a string: write it as \\u%04x", c)
		case c < utf8.RuneSelf:
			out = append(out, c)
			s.pos++
		default:
			r, n := utf8.DecodeRune(s.src[s.pos:])
			if r == utf8.RuneError && n == 1 {
				return "", s.fail("a string that is not UTF-8")
			}
			out = append(out, s.src[s.pos:s.pos+n]...)
			s.pos += n
		}
	}
	return "", s.fail("a string without its closing quote")
}

func (s *scanner) escape() (rune, error) {
	if s.pos+1 >= len(s.src) {
		return 0, s.fail("a string without its closing quote")
	}
	c := s.src[s.pos+1]
	if c != 'u' {
		i := indexByte(`"\/bfnrt`, c)
		if i < 0 {
			return 0, s.fail("an unknown escape in a string")
		}
		s.pos += 2
		return rune("\"\\/\b\f\n\r\t"[i]), nil
	}
	r, err := s.hex4()
	if err != nil {
		return 0, err
	}
	if utf16.IsSurrogate(r) {
		if s.pos+1 >= len(s.src) || s.src[s.pos] != '\\' || s.src[s.pos+1] != 'u' {
			return 0, s.fail("half of a surrogate pair in a string")
		}
		low, err := s.hex4()
		if err != nil {
			return 0, err
		}
		if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
			return 0, s.fail("half of a surrogate pair in a string")
		}
	}
	if r == 0 {
		return 0, s.fail("%v", errNUL)
	}
	return r, nil
}

// hex4 reads \uXXXX.
func (s *scanner) hex4() (rune, error) {
	if s.pos+6 > len(s.src) {
		return 0, s.fail("an unknown escape in a string")
	}
	v, err := strconv.ParseUint(string(s.src[s.pos+2:s.pos+6]), 16, 16)
	if err != nil {
		return 0, s.fail("an unknown escape in a string")
	}
	s.pos += 6
	return rune(v), nil
}

func indexByte(set string, c byte) int {
	for i := range len(set) {
		if set[i] == c {
			return i
		}
	}
	return -1
}
