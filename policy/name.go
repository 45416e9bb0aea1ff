package policy

import (
	"errors"
	"strings"
	"unicode"
)

const (
	maxNameLength      = 64  // of zones and groups
	maxTitleLength     = 255 // of rules
	maxInterfaceLength = 15  // IFNAMSIZ less the terminator
)

// checkName judges the name of a zone or group, which other fields refer to
// inside lists. The errors continue the words "the name".
func checkName(s string) error {
	if s == "" {
		return errors.New("is empty")
	}
	if len(s) > maxNameLength {
		return errors.New("is longer than 64 bytes")
	}
	for _, c := range s {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("_-.", c) {
			return errors.New("may hold letters, digits, _, - and . only")
		}
	}
	return nil
}

// checkTitle judges a name that people read and nothing refers to.
func checkTitle(s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return errors.New("is empty: give a name")
	case len(s) > maxTitleLength:
		return errors.New("is longer than 255 bytes")
	case strings.ContainsFunc(s, unicode.IsControl):
		return errors.New("holds a control character")
	}
	return nil
}

// checkInterface judges an interface name as the kernel does; the interface
// need not exist.
func checkInterface(s string) error {
	switch {
	case s == "":
		return errors.New("is empty: name an interface")
	case s == "lo":
		return errors.New("lo is the loopback interface, which is not judged: leave it out")
	case s == "self":
		return errors.New(`"self" stands for the router and cannot name an interface`)
	case len(s) > maxInterfaceLength:
		return errors.New("is no interface name: the kernel allows 15 bytes")
	case s == "." || s == ".." || strings.ContainsFunc(s, func(c rune) bool {
		return c == '/' || c == ':' || unicode.IsSpace(c) || unicode.IsControl(c)
	}):
		return errors.New("is no interface name: it may hold no slash, colon or space")
	case strings.Contains(s, "*"): // legal, but whoever writes it means nftables' pattern
		return errors.New("is no pattern: name each interface; one that is not there yet joins when it appears")
	}
	return nil
}
