package regex

import (
	"fmt"
	"strings"
)

// parser reads an expression.
type parser struct {
	s      string
	i      int
	flags  Flags
	groups int
	names  map[string]int
	refs   []*node // whose groups are checked at the end
	depth  int
	err    error
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = &Error{p.i, fmt.Sprintf(format, args...)}
	}
	p.i = len(p.s)
}

func (p *parser) more() bool { return p.i < len(p.s) }

func (p *parser) skip(prefix string) bool {
	if strings.HasPrefix(p.s[p.i:], prefix) {
		p.i += len(prefix)
		return true
	}
	return false
}

func (p *parser) parse() (*node, error) {
	if strings.HasPrefix(p.s, "(*") {
		p.fail("verbs such as (*UTF8) are not supported")
	}
	n := p.alternatives()
	if p.more() {
		p.fail(") closes no group")
	}
	for _, r := range p.refs {
		if r.name != "" {
			r.n = p.names[r.name]
		}
		if p.err == nil && (r.n <= 0 || r.n > p.groups) {
			p.err = &Error{r.at, "there is no such group to refer to"}
		}
	}
	return n, p.err
}

// alternatives reads up to the end of the group. Flags set within hold to its end.
func (p *parser) alternatives() *node {
	if p.depth++; p.depth > 250 {
		p.fail("groups are nested too deep")
	}
	flags := p.flags
	alt := &node{kind: kindAlt, subs: []*node{p.sequence()}}
	for p.more() && p.s[p.i] == '|' {
		p.i++
		alt.subs = append(alt.subs, p.sequence())
	}
	p.flags = flags
	p.depth--
	if len(alt.subs) == 1 {
		return alt.subs[0]
	}
	return alt
}

func (p *parser) sequence() *node {
	cat := &node{kind: kindCat}
	for p.more() {
		switch p.s[p.i] {
		case '|', ')':
			return cat
		}
		if p.flags&Extended != 0 && p.blank() {
			continue
		}
		n := p.atom()
		if n == nil {
			continue
		}
		if n = p.quantified(n); n.kind == kindCat {
			cat.subs = append(cat.subs, n.subs...)
			continue
		}
		cat.subs = append(cat.subs, n)
	}
	return cat
}

// blank skips what the flag x makes no part of the expression.
func (p *parser) blank() bool {
	c := p.s[p.i]
	if spaceSet.has(c) {
		p.i++
		return true
	}
	if c != '#' {
		return false
	}
	end := strings.IndexByte(p.s[p.i:], '\n')
	if end < 0 {
		end = len(p.s) - p.i - 1
	}
	p.i += end + 1
	return true
}

func (p *parser) quantified(n *node) *node {
	for p.more() {
		if p.flags&Extended != 0 && p.blank() {
			continue
		}
		low, high := 0, -1
		switch p.s[p.i] {
		case '*':
			p.i++
		case '+':
			low = 1
			p.i++
		case '?':
			high = 1
			p.i++
		case '{':
			var ok bool
			if low, high, ok = p.counts(); !ok {
				return n
			}
		default:
			return n
		}
		r := &node{kind: kindRepeat, subs: []*node{n}, min: low, max: high}
		if p.flags&Ungreedy != 0 {
			r.mode = lazy
		}
		if p.skip("?") {
			r.mode ^= lazy
		} else if p.skip("+") {
			r.mode = possessive
		}
		if high >= 0 && high < low {
			p.fail("a repeat whose numbers are in the wrong order")
		}
		n = r
	}
	return n
}

// counts reads {n}, {n,} or {n,m}; anything else is literal.
func (p *parser) counts() (low, high int, ok bool) {
	end := strings.IndexByte(p.s[p.i:], '}')
	if end < 0 {
		return 0, 0, false
	}
	a, b, comma := strings.Cut(p.s[p.i+1:p.i+end], ",")
	low, ok = decimal(a)
	if !ok {
		return 0, 0, false
	}
	high = low
	if comma && b == "" {
		high = -1
	} else if comma {
		if high, ok = decimal(b); !ok {
			return 0, 0, false
		}
	}
	if low > 65535 || high > 65535 {
		p.fail("a repeat of more than 65535")
	}
	p.i += end + 1
	return low, high, true
}

func decimal(s string) (int, bool) {
	if s == "" || len(s) > 6 {
		return 0, false
	}
	v := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		v = v*10 + int(s[i]-'0')
	}
	return v, true
}

func (p *parser) byteNode(c byte) *node {
	s := one(c)
	if p.flags&Caseless != 0 {
		s.fold()
	}
	return &node{kind: kindSet, set: s}
}

func setNode(s *set) *node { return &node{kind: kindSet, set: s} }

func assertNode(a assertion) *node { return &node{kind: kindAssert, assert: a} }

// atom reads one; nil: there was nothing to match, such as a comment.
func (p *parser) atom() *node {
	c := p.s[p.i]
	switch c {
	case '.':
		p.i++
		if p.flags&DotAll != 0 {
			return setNode(allSet)
		}
		return setNode(escapedSets['N'])
	case '^':
		p.i++
		if p.flags&Multiline != 0 {
			return assertNode(beginLine)
		}
		return assertNode(beginSubject)
	case '$':
		p.i++
		switch {
		case p.flags&Multiline != 0:
			return assertNode(endLine)
		case p.flags&DollarEnd != 0:
			return assertNode(endSubject)
		}
		return assertNode(endText)
	case '[':
		return p.class()
	case '(':
		return p.group()
	case '\\':
		return p.escape()
	case '*', '+', '?':
		p.fail("%c repeats nothing", c)
		return nil
	}
	p.i++
	return p.byteNode(c)
}
