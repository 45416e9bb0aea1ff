// Package regex owns regular expressions as rules use them: the language of PCRE
// over bytes, with lookaround, backreferences, atomic groups and captures.
//
// A Regex is compiled once and shared; a Matcher holds what a match needs to
// remember, is for one goroutine, and allocates nothing once it has grown.
// Matching backtracks, as the language demands, but within Limits: whatever the
// expression and the subject, a match ends after a number of steps that depends on
// the subject's length alone. A match that meets a limit counts as none.
//
// Bytes are bytes: there is no Unicode, \x80 is the byte 0x80, and letters are those
// of ASCII. What is not supported (recursion, callouts, verbs, \p, \X, \C) is refused by
// name.
package regex

import (
	"errors"
	"fmt"
)

// Flags are the modifiers of an expression.
type Flags uint8

const (
	Caseless  Flags = 1 << iota // i
	Multiline                   // m
	DotAll                      // s
	Extended                    // x
	Anchored                    // A: matches where the search begins alone
	DollarEnd                   // E: $ is the very end alone
	Ungreedy                    // G
)

// Regex is a compiled expression. It is immutable.
type Regex struct {
	code      []inst
	groups    int // that capture, without the whole
	registers int
	names     map[string]int

	anchor  anchor
	first   *set // bytes that a match can begin with; nil: any, or an empty match
	need    literal
	needMin int // how many bytes before need in a match, at least
	needMax int // at most; -1: unknown
	// wild: the expression begins with a repeated dot, so that where a match fails it
	// fails at all places up to the next newline (wildAll: to the end) too.
	wild, wildAll bool
	suffix        bool
}

type anchor uint8

const (
	anywhere anchor = iota
	atStart         // of the subject
	atSearch        // where the search begins
	atLine          // at the beginning of a line
)

// maxCode bounds an expression once repeats are unrolled.
const maxCode = 60000

// errTooLarge refuses expressions that no rule needs.
var errTooLarge = errors.New("the expression is too large")

// Compile compiles an expression.
func Compile(expression string, flags Flags) (*Regex, error) {
	p := &parser{s: expression, flags: flags}
	root, err := p.parse()
	if err != nil {
		return nil, err
	}
	re := &Regex{groups: p.groups, names: p.names}
	c := &compiler{re: re, registers: 2 * (p.groups + 1)}
	if err := c.compile(root); err != nil {
		return nil, err
	}
	re.registers = c.registers
	re.analyse(root, flags)
	return re, nil
}

// Suffix says that where there is no match in a subject, there is none in what it ends with either: nothing
// depends on where the subject begins.
func (re *Regex) Suffix() bool { return re.suffix }

// Groups is how many groups capture.
func (re *Regex) Groups() int { return re.groups }

// Group finds the number of a named group, 0 if there is none.
func (re *Regex) Group(name string) int { return re.names[name] }

// Error is what is wrong with an expression, and where.
type Error struct {
	At     int // byte of the expression
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("at byte %d: %s", e.At, e.Reason) }
