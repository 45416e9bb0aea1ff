package settings

import (
	"fmt"
	"log/slog"
)

// Secret is a text that no way of printing shows. Expose is the one way out, so
// that every use can be found.
type Secret string

const hidden = "<secret>"

// Expose is the text itself.
func (s Secret) Expose() string { return string(s) }

// String hides the text; an empty secret is shown as empty, which tells that
// none is set.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the text from %#v.
func (s Secret) GoString() string { return fmt.Sprintf("settings.Secret(%q)", s.String()) }

// Format hides the text from every verb: %x and %d would look past String.
func (s Secret) Format(f fmt.State, verb rune) {
	if verb == 'v' && f.Flag('#') {
		fmt.Fprint(f, s.GoString())
		return
	}
	fmt.Fprint(f, s.String())
}

// MarshalText hides the text from JSON, YAML and XML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON hides the text.
func (s Secret) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "%q", s.String()), nil }

// LogValue hides the text from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
