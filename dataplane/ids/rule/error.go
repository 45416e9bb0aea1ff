package rule

import (
	"fmt"
	"strings"
)

// Error says why a rule, or a line of a configuration file, was refused.
type Error struct {
	File   string // as the caller named it; empty if it did not
	Line   int    // 1 is the first
	Column int    // in bytes, 1 is the first
	SID    uint32 // 0: the rule did not get as far
	Reason string
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		b.WriteByte(':')
	}
	fmt.Fprintf(&b, "%d:%d: ", e.Line, e.Column)
	if e.SID != 0 {
		fmt.Fprintf(&b, "sid %d: ", e.SID)
	}
	b.WriteString(e.Reason)
	return b.String()
}

// fault is an error at a byte of the text being parsed. The place becomes a
// line and a column where the text's lines are known.
type fault struct {
	at     int
	reason string
}

func (f *fault) Error() string { return f.reason }

func faultf(at int, format string, args ...any) error {
	return &fault{at, fmt.Sprintf(format, args...)}
}
