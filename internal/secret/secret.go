// Package secret owns texts that must not be shown: keys and passwords.
package secret

import (
	"fmt"
	"log/slog"
)

// Text is one that no way of printing shows. Expose is the one way out, so that
// every use can be found.
type Text string

const hidden = "<secret>"

// Expose is the text itself.
func (s Text) Expose() string { return string(s) }

// String hides the text; an empty secret is shown as empty, which tells that
// none is set.
func (s Text) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the text from %#v.
func (s Text) GoString() string { return fmt.Sprintf("secret.Text(%q)", s.String()) }

// Format hides the text from every verb: %x and %d would look past String.
func (s Text) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		fmt.Fprint(f, s.GoString())
		return
	}
	fmt.Fprint(f, s.String())
}

// MarshalText hides the text from JSON, YAML and XML.
func (s Text) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON hides the text.
func (s Text) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "%q", s.String()), nil }

// LogValue hides the text from slog.
func (s Text) LogValue() slog.Value { return slog.StringValue(s.String()) }
