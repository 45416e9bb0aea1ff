package wirejson

import (
	"fmt"
	"unicode/utf8"
)

// MaxDepth bounds how deep arrays and objects may nest in an input, MaxNested how many
// there may be: two characters write an empty one, which takes hundreds of bytes once
// it is read.
const (
	MaxDepth  = 64
	MaxNested = 1 << 16
)

// scanner reads JSON (RFC 8259) token by token out of one document. It is
// stricter than encoding/json: bad UTF-8 and lone surrogates are errors, so is
// U+0000, which no database column takes.
type scanner struct {
	src    []byte
	pos    int
	depth  int
	nested int // arrays and objects so far
}

// syntaxError ends the decoding: nothing after it can be trusted.
type syntaxError struct {
	pos int
	msg string
}

func (e *syntaxError) Error() string { return e.msg }

func (s *scanner) fail(format string, args ...any) error {
	return &syntaxError{s.pos, fmt.Sprintf(format, args...)}
}

// where turns an offset into a line and column, both from 1.
func (s *scanner) where(pos int) (line, column int) {
	line, column = 1, 1
	for _, c := range s.src[:min(pos, len(s.src))] {
		if column++; c == '\n' {
			line, column = line+1, 1
		}
	}
	return line, column
}

// next skips white space and returns the byte that starts the next token, 0 at
// the end.
func (s *scanner) next() byte {
	for ; s.pos < len(s.src); s.pos++ {
		switch c := s.src[s.pos]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) expect(c byte) error {
	if s.next() != c {
		return s.unexpected(fmt.Sprintf("%q", string(c)))
	}
	s.pos++
	return nil
}

func (s *scanner) unexpected(wanted string) error {
	if s.pos >= len(s.src) {
		return s.fail("the text ends where %s is expected", wanted)
	}
	r, _ := utf8.DecodeRune(s.src[s.pos:])
	return s.fail("%q where %s is expected", r, wanted)
}

func (s *scanner) enter() error {
	if s.depth++; s.depth > MaxDepth {
		return s.fail("nested deeper than %d levels", MaxDepth)
	}
	if s.nested++; s.nested > MaxNested {
		return s.fail("more than %d arrays and objects", MaxNested)
	}
	s.pos++
	return nil
}

func (s *scanner) leave() { s.depth--; s.pos++ }

// kind names the value that starts here, for messages.
func (s *scanner) kind() string {
	switch c := s.next(); {
	case c == '{':
		return "an object"
	case c == '[':
		return "an array"
	case c == '"':
		return "a string"
	case c == 't' || c == 'f':
		return "a boolean"
	case c == 'n':
		return "null"
	case c == '-' || c >= '0' && c <= '9':
		return "a number"
	}
	return "something else"
}

// elements calls each for every element of the array that starts here.
func (s *scanner) elements(each func(i int) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	if s.next() == ']' {
		s.leave()
		return nil
	}
	for i := 0; ; i++ {
		if err := each(i); err != nil {
			return err
		}
		switch s.next() {
		case ',':
			s.pos++
		case ']':
			s.leave()
			return nil
		default:
			return s.unexpected(`"," or "]"`)
		}
	}
}

// members calls each with the name of every member of the object that starts
// here; each reads the value.
func (s *scanner) members(each func(name string) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	if s.next() == '}' {
		s.leave()
		return nil
	}
	for {
		if s.next() != '"' {
			return s.unexpected("a member name in quotes")
		}
		name, err := s.text()
		if err != nil {
			return err
		}
		if err := s.expect(':'); err != nil {
			return err
		}
		if err := each(name); err != nil {
			return err
		}
		switch s.next() {
		case ',':
			s.pos++
		case '}':
			s.leave()
			return nil
		default:
			return s.unexpected(`"," or "}"`)
		}
	}
}

// skip reads over one value of any kind.
func (s *scanner) skip() error {
	switch c := s.next(); {
	case c == '{':
		return s.members(func(string) error { return s.skip() })
	case c == '[':
		return s.elements(func(int) error { return s.skip() })
	case c == '"':
		_, err := s.text()
		return err
	case c == 't' || c == 'f' || c == 'n':
		_, err := s.word()
		return err
	default:
		_, err := s.number()
		return err
	}
}

// word reads true, false or null.
func (s *scanner) word() (string, error) {
	for _, w := range []string{"true", "false", "null"} {
		if rest := s.src[s.pos:]; len(rest) >= len(w) && string(rest[:len(w)]) == w {
			s.pos += len(w)
			return w, nil
		}
	}
	return "", s.unexpected("a value")
}

// number reads the text of a number.
func (s *scanner) number() (string, error) {
	start := s.pos
	digits := func() bool {
		from := s.pos
		for s.pos < len(s.src) && s.src[s.pos] >= '0' && s.src[s.pos] <= '9' {
			s.pos++
		}
		return s.pos > from
	}
	at := func(set string) bool {
		for i := range len(set) {
			if s.pos < len(s.src) && s.src[s.pos] == set[i] {
				s.pos++
				return true
			}
		}
		return false
	}
	at("-")
	if !at("0") && !digits() {
		s.pos = start
		return "", s.unexpected("a value")
	}
	if at(".") && !digits() {
		return "", s.unexpected("a digit")
	}
	if at("eE") {
		at("+-")
		if !digits() {
			return "", s.unexpected("a digit")
		}
	}
	return string(s.src[start:s.pos]), nil
}
