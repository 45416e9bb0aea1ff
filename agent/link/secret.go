package link

import (
	"fmt"
	"log/slog"
)

// Secret holds a key that cannot print itself by accident: every way to format,
// log or encode it shows a placeholder.
type Secret struct{ value string }

const hidden = "<secret>"

// NewSecret wraps a value.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal is the only way to the value.
func (s Secret) Reveal() string { return s.value }

// IsZero says that there is none.
func (s Secret) IsZero() bool { return s.value == "" }

func (s Secret) String() string               { return hidden }
func (s Secret) GoString() string             { return hidden }
func (s Secret) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte(hidden)) }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(hidden) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
