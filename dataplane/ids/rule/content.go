package rule

// Content is a run of bytes to find in a buffer.
type Content struct {
	Pattern []byte // never empty
	ContentFlags
	// Offset and Depth bound where the pattern is found from the buffer's
	// beginning: it lies within Depth bytes from Offset on. Distance and Within
	// do so from the end of the match before it, or from the beginning if there
	// is none. The flags say which of them are given.
	Offset, Depth, Distance, Within Operand
	// ChopOffset and ChopLength are the part of the pattern that fast_pattern
	// names; ChopLength 0: all.
	ChopOffset, ChopLength uint16
	Replace                []byte // bytes that take the pattern's place, as many
}

// ContentFlags say what is given of a Content.
type ContentFlags uint32

const (
	Negated ContentFlags = 1 << iota
	NoCase
	StartsWith // the pattern is at the buffer's beginning; Offset and Depth are not given
	EndsWith   // the pattern is at the buffer's end
	RawBytes
	HasOffset
	HasDepth
	HasDistance
	HasWithin
	IsFastPattern   // the author's choice
	FastPatternOnly // and he says it need not be found again where it was found
	HasReplace
)

// Is says whether all these flags are set.
func (f ContentFlags) Is(flags ContentFlags) bool { return f&flags == flags }

// Relative says whether the match before it matters.
func (c *Content) Relative() bool { return c.ContentFlags&(HasDistance|HasWithin) != 0 }

func (c *Content) match() {}

// Operand is a number, or a variable of the rule.
type Operand struct {
	Value    int64
	Variable uint16 // 1 + index into Rule.Variables; 0: Value counts
}

// IsVariable says whether the operand is known only while matching.
func (v Operand) IsVariable() bool { return v.Variable != 0 }

func (v Operand) print(b []byte, r *Rule) []byte {
	if v.Variable != 0 {
		return append(b, r.Variables[v.Variable-1]...)
	}
	return appendInt(b, v.Value)
}

// operand reads a number from low to high or the name of a variable.
func (p *parser) operand(s string, at int, low, high int64) (Operand, error) {
	s = trim(s)
	if v, ok := signed(s); ok {
		if v < low || v > high {
			return Operand{}, faultf(at, "%d is not from %d to %d", v, low, high)
		}
		return Operand{Value: v}, nil
	}
	for i, name := range p.rule.Variables {
		if name == s {
			return Operand{Variable: uint16(i + 1)}, nil
		}
	}
	if !isVariable(s) {
		return Operand{}, faultf(at, "%q is neither a number nor a variable", s)
	}
	return Operand{}, faultf(at, "nothing before it in the rule sets the variable %s", s)
}

// isVariable says whether s can name one: no number, no punctuation.
func isVariable(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '.' || c == '-')) {
			return false
		}
	}
	return s != ""
}

func parseContent(p *parser, o *option) error {
	c, err := readContent(o.value, o.valueAt)
	if err != nil {
		return err
	}
	p.addMatch(c, false)
	p.last, p.lastAt = c, len(p.placed)-1
	return nil
}

func parseURIContent(p *parser, o *option) error {
	if p.active {
		return faultf(o.at, "uricontent is no keyword of the buffer %s: use http.uri and content", p.pending.kind.Name)
	}
	c, err := readContent(o.value, o.valueAt)
	if err != nil {
		return err
	}
	if err := p.addMatchIn(c, o, bufferKindByName["http.uri"]); err != nil {
		return err
	}
	p.last, p.lastAt = c, len(p.placed)-1
	return nil
}

// negation cuts a leading ! off.
func negation(s string, at int) (string, int, bool) {
	if len(s) > 0 && s[0] == '!' {
		s, at = skipSpace(s[1:], at+1)
		return s, at, true
	}
	return s, at, false
}

func readContent(s string, at int) (*Content, error) {
	s, at, not := negation(s, at)
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return nil, faultf(at, "the content is not in quotes")
	}
	pattern, err := readPattern(s[1:len(s)-1], at+1)
	if err != nil {
		return nil, err
	}
	c := &Content{Pattern: pattern}
	if not {
		c.ContentFlags = Negated
	}
	return c, nil
}

// readPattern resolves escapes and hexadecimal between pipes.
func readPattern(s string, at int) ([]byte, error) {
	b := make([]byte, 0, len(s))
	hex, half, digits := false, byte(0), 0
	pipe := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '|':
			if hex && digits%2 != 0 {
				return nil, faultf(at+i, "half a byte in hexadecimal")
			}
			if hex && digits == 0 {
				return nil, faultf(at+i, "nothing between two pipes: a pipe itself is |7C|")
			}
			hex, digits, pipe = !hex, 0, i
		case hex:
			if isSpace(c) {
				continue
			}
			d, ok := hexDigit(c)
			if !ok {
				return nil, faultf(at+i, "%q between pipes is not hexadecimal", c)
			}
			if digits++; digits%2 == 0 {
				b = append(b, half<<4|d)
			}
			half = d
		case c == '\\':
			if i++; i == len(s) {
				return nil, faultf(at+i-1, "a backslash escapes nothing")
			}
			switch s[i] {
			case ';', ':', '"', '\\', '|':
				b = append(b, s[i])
			default:
				return nil, faultf(at+i-1, `a backslash escapes ; : " | or \, not %q: a backslash itself is |5C|`, s[i])
			}
		case c == '"':
			return nil, faultf(at+i, `a quote within the content: write |22|`)
		default:
			b = append(b, c)
		}
	}
	switch {
	case hex:
		return nil, faultf(at+pipe, "hexadecimal is not closed by a pipe")
	case len(b) == 0:
		return nil, faultf(at, "the content is empty")
	case len(b) > 65535:
		return nil, faultf(at, "the content is longer than 65535 bytes")
	}
	return b, nil
}

const hexDigits = "0123456789ABCDEF"

func printPattern(b []byte, pattern []byte) []byte {
	hex := false
	for i, c := range pattern {
		plain := c >= 0x20 && c < 0x7f && c != '|' && c != '"' && c != ';' && c != ':' && c != '\\'
		if plain == hex {
			b = append(b, '|')
			hex = !plain
		} else if hex && i > 0 {
			b = append(b, ' ')
		}
		if plain {
			b = append(b, c)
		} else {
			b = append(b, hexDigits[c>>4], hexDigits[c&15])
		}
	}
	if hex {
		b = append(b, '|')
	}
	return b
}

func (c *Content) print(b []byte, r *Rule) []byte {
	b = append(b, "content:"...)
	if c.Is(Negated) {
		b = append(b, '!')
	}
	b = append(printPattern(append(b, '"'), c.Pattern), `"; `...)
	for _, m := range [...]struct {
		flag ContentFlags
		name string
		v    Operand
	}{{HasOffset, "offset", c.Offset}, {HasDepth, "depth", c.Depth}, {HasDistance, "distance", c.Distance}, {HasWithin, "within", c.Within}} {
		if c.Is(m.flag) {
			b = append(m.v.print(append(append(b, m.name...), ':'), r), "; "...)
		}
	}
	for _, m := range [...]struct {
		flag ContentFlags
		text string
	}{{NoCase, "nocase; "}, {StartsWith, "startswith; "}, {EndsWith, "endswith; "}, {RawBytes, "rawbytes; "}} {
		if c.Is(m.flag) {
			b = append(b, m.text...)
		}
	}
	if c.Is(HasReplace) {
		b = append(printPattern(append(b, `replace:"`...), c.Replace), `"; `...)
	}
	switch {
	case c.Is(FastPatternOnly):
		b = append(b, "fast_pattern:only; "...)
	case c.Is(IsFastPattern) && c.ChopLength > 0:
		b = appendUint(append(b, "fast_pattern:"...), uint64(c.ChopOffset))
		b = append(appendUint(append(b, ','), uint64(c.ChopLength)), "; "...)
	case c.Is(IsFastPattern):
		b = append(b, "fast_pattern; "...)
	}
	return b
}
