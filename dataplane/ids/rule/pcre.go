package rule

import "strings"

// PCRE is a regular expression to match in a buffer, over bytes.
type PCRE struct {
	Expression string // between the slashes, as written
	PCREFlags
	// Captures name what the groups of the expression are kept as, in order.
	Captures []Capture
}

// PCREFlags are the modifiers after the closing slash.
type PCREFlags uint16

const (
	PCRENegated   PCREFlags = 1 << iota
	PCRECaseless            // i
	PCREMultiline           // m
	PCREDotAll              // s
	PCREExtended            // x
	PCREAnchored            // A
	PCREDollarEnd           // E: $ is the very end alone
	PCREUngreedy            // G
	PCRERelative            // R: from the end of the match before it
	PCRERawBytes            // B
	PCRENoLimits            // O: not bound by the limits of matching
)

const pcreLetters = "!imsxAEGRBO"

// Is says whether all these flags are set.
func (f PCREFlags) Is(flags PCREFlags) bool { return f&flags == flags }

// Capture is where a group of an expression goes: a variable of the flow, of
// the packet or of the alert.
type Capture struct{ Scope, Name string }

func (x *PCRE) match() {}

// pcreBuffers are the flags that name a buffer.
var pcreBuffers = map[byte]string{
	'U': "http.uri", 'I': "http.uri.raw", 'P': "http.request_body", 'Q': "http.response_body", 'H': "http.header",
	'D': "http.header.raw", 'M': "http.method", 'C': "http.cookie", 'S': "http.stat_code", 'Y': "http.stat_msg",
	'V': "http.user_agent", 'W': "http.host", 'Z': "http.host.raw",
}

func parsePCRE(p *parser, o *option) error {
	x := &PCRE{}
	s, at, not := negation(o.value, o.valueAt)
	if not {
		x.PCREFlags = PCRENegated
	}
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s, at = skipSpace(s[1:len(s)-1], at+1)
		s = trim(s)
	}
	if inner, innerAt, not := negation(s, at); not {
		s, at = inner, innerAt
		x.PCREFlags ^= PCRENegated
	}
	end := strings.LastIndexByte(s, '/')
	if len(s) < 2 || s[0] != '/' || end == 0 {
		return faultf(at, "an expression is written /expression/flags")
	}
	x.Expression = s[1:end]
	groups, err := checkExpression(x.Expression, at+1, strings.ContainsRune(s[end:], 'x'))
	if err != nil {
		return err
	}
	flags, captures, more := strings.Cut(s[end+1:], ",")
	var kind *BufferKind
	for i := 0; i < len(flags); i++ {
		c := flags[i]
		if c == ' ' {
			continue
		}
		if name, ok := pcreBuffers[c]; ok {
			if kind != nil && kind.Name != name {
				return faultf(at+end+1+i, "the flags of the expression name two buffers")
			}
			kind = bufferKindByName[name]
			continue
		}
		n := strings.IndexByte(pcreLetters, c)
		if n <= 0 {
			return faultf(at+end+1+i, "an expression has no flag %q", c)
		}
		x.PCREFlags |= 1 << n
	}
	if kind != nil && x.Is(PCRERawBytes) {
		return faultf(at+end+1, "the flag B is about a packet's payload, not about %s", kind.Name)
	}
	for more {
		var item string
		item, captures, more = part(captures)
		scope, name, ok := strings.Cut(item, ":")
		scope = strings.TrimSuffix(scope, "var")
		if !ok || scope != "flow" && scope != "pkt" && scope != "alert" || !isName(name) {
			return faultf(at+end+1, "%q is not flow:name, pkt:name or alert:name", item)
		}
		x.Captures = append(x.Captures, Capture{scope, name})
	}
	if len(x.Captures) > groups {
		return faultf(at+end+1, "%d groups are to be kept, the expression has %d", len(x.Captures), groups)
	}
	if kind == nil || p.active && p.pending.kind == kind {
		p.addMatch(x, x.Is(PCRERelative))
		return nil
	}
	if p.active {
		return faultf(at+end+1, "the flags of the expression name a buffer, but %s is set: pkt_data ends it", p.pending.kind.Name)
	}
	return p.addMatchIn(x, o, kind)
}

// checkExpression refuses what no engine could compile, and counts the groups
// that capture. It is no complete check: whoever compiles it does that.
func checkExpression(s string, at int, extended bool) (groups int, err error) {
	if s == "" {
		return 0, faultf(at, "the expression is empty")
	}
	depth, last, atom := 0, 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			if i++; i == len(s) {
				return 0, faultf(at+i-1, "a backslash ends the expression")
			}
			if s[i] == 'Q' {
				end := strings.Index(s[i:], `\E`)
				if end < 0 {
					return groups, nil
				}
				i += end + 1
			}
			atom = true
		case c == '[':
			n := classEnd(s[i:])
			if n < 0 {
				return 0, faultf(at+i, "[ is not closed in the expression")
			}
			i += n
			atom = true
		case c == '(':
			if depth++; depth > 200 {
				return 0, faultf(at+i, "groups of the expression are nested deeper than 200")
			}
			last, atom = i, false
			if !strings.HasPrefix(s[i:], "(?") && !strings.HasPrefix(s[i:], "(*") {
				groups++
				continue
			}
			if rest := s[i+1:]; strings.HasPrefix(rest, "?#") {
				end := strings.IndexByte(rest, ')')
				if end < 0 {
					return 0, faultf(at+i, "a comment of the expression is not closed")
				}
				i += end
				continue
			} else if strings.HasPrefix(rest, "?P<") || strings.HasPrefix(rest, "?'") ||
				strings.HasPrefix(rest, "?<") && !strings.HasPrefix(rest, "?<=") && !strings.HasPrefix(rest, "?<!") {
				groups++
			}
			i++ // the ? is no quantifier
		case c == ')':
			if depth--; depth < 0 {
				return 0, faultf(at+i, ") closes no group of the expression")
			}
			atom = true
		case c == '|':
			atom = false
		case c == '*' || c == '+' || c == '?':
			if !atom {
				return 0, faultf(at+i, "%c repeats nothing", c)
			}
			if i+1 < len(s) && (s[i+1] == '?' || s[i+1] == '+') {
				i++
			}
			atom = true
		case c == '#' && extended:
			end := strings.IndexByte(s[i:], '\n')
			if end < 0 {
				return groups, nil
			}
			i += end
		default:
			atom = true
		}
	}
	if depth > 0 {
		return 0, faultf(at+last, "( is not closed in the expression")
	}
	return groups, nil
}

// classEnd is where a character class that begins s ends, or -1.
func classEnd(s string) int {
	i := 1
	if i < len(s) && s[i] == '^' {
		i++
	}
	if i < len(s) && s[i] == ']' {
		i++ // the first is one of the class
	}
	for ; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '[':
			if i+1 < len(s) && s[i+1] == ':' {
				// The longest name of a class is xdigit.
				if end := strings.Index(s[i:min(len(s), i+12)], ":]"); end > 0 {
					i += end + 1
				}
			}
		case ']':
			return i
		}
	}
	return -1
}

func (x *PCRE) print(b []byte, _ *Rule) []byte {
	b = append(b, "pcre:"...)
	if x.Is(PCRENegated) {
		b = append(b, '!')
	}
	b = append(append(append(b, `"/`...), x.Expression...), '/')
	for i := 1; i < len(pcreLetters); i++ {
		if x.PCREFlags&(1<<i) != 0 {
			b = append(b, pcreLetters[i])
		}
	}
	for _, c := range x.Captures {
		b = append(append(append(append(b, ", "...), c.Scope...), ':'), c.Name...)
	}
	return append(b, `"; `...)
}
