package regex

import "strings"

// escape reads what begins with a backslash, outside of classes.
func (p *parser) escape() *node {
	at := p.i
	if p.i+1 >= len(p.s) {
		p.fail("a backslash ends the expression")
		return nil
	}
	c := p.s[p.i+1]
	if s := escapedSets[c]; s != nil {
		p.i += 2
		return setNode(s)
	}
	if c == 'N' {
		p.i += 2
		return setNode(escapedSets['N'])
	}
	p.i += 2
	switch c {
	case 'b':
		return assertNode(wordBoundary)
	case 'B':
		return assertNode(notWordBoundary)
	case 'A':
		return assertNode(beginSubject)
	case 'G':
		return assertNode(beginSearch)
	case 'z':
		return assertNode(endSubject)
	case 'Z':
		return assertNode(endText)
	case 'K':
		return &node{kind: kindKeep}
	case 'R':
		crlf := &node{kind: kindCat, subs: []*node{setNode(one('\r')), setNode(one('\n'))}}
		return &node{kind: kindAtomic, subs: []*node{{kind: kindAlt, subs: []*node{crlf, setNode(verticalSet)}}}}
	case 'Q':
		return p.quoted()
	case 'E':
		return nil
	case 'k':
		for _, pair := range []string{"<>", "''", "{}"} {
			if p.skip(pair[:1]) {
				return p.reference(p.name(pair[1]), 0, at)
			}
		}
		p.fail(`\k needs a name`)
		return nil
	case 'g':
		return p.gReference(at)
	case 'p', 'P', 'X', 'C':
		p.fail(`\%c is not supported`, c)
		return nil
	}
	if c >= '1' && c <= '9' {
		// A reference if there may be that many groups, else an octal number.
		end := p.i
		for end < len(p.s) && digitSet.has(p.s[end]) {
			end++
		}
		if n, ok := decimal(p.s[p.i-1 : end]); ok && (n < 10 || n <= strings.Count(p.s, "(")) {
			p.i = end
			return p.reference("", n, at)
		}
	}
	p.i = at
	b := p.escapedByte()
	return p.byteNode(b)
}

// quoted reads what is literal up to \E. All but the last byte are put together, so that a
// quantifier is about that one alone: the caller gets them one at a time.
func (p *parser) quoted() *node {
	end := strings.Index(p.s[p.i:], `\E`)
	text := p.s[p.i:]
	if end >= 0 {
		text = text[:end]
	}
	p.i += len(text)
	if end >= 0 {
		p.i += 2
	}
	if text == "" {
		return nil
	}
	cat := &node{kind: kindCat}
	for i := range len(text) {
		n := p.byteNode(text[i])
		if i == len(text)-1 {
			n = p.quantified(n)
		}
		cat.subs = append(cat.subs, n)
	}
	return cat
}

func (p *parser) gReference(at int) *node {
	braces := p.skip("{")
	end := p.i
	for end < len(p.s) && (wordSet.has(p.s[end]) || p.s[end] == '-' || p.s[end] == '+') {
		if !braces && !digitSet.has(p.s[end]) && p.s[end] != '-' {
			break
		}
		end++
	}
	text := p.s[p.i:end]
	p.i = end
	if braces && !p.skip("}") {
		p.fail(`\g is not closed`)
		return nil
	}
	if back, ok := strings.CutPrefix(text, "-"); ok {
		n, ok := decimal(back)
		if !ok || n == 0 || n > p.groups {
			p.fail(`there is no group \g{%s}`, text)
			return nil
		}
		return p.reference("", p.groups+1-n, at)
	}
	if n, ok := decimal(text); ok {
		return p.reference("", n, at)
	}
	if text == "" || !braces {
		p.fail(`\g needs a number or a name in braces; recursion is not supported`)
		return nil
	}
	return p.reference(text, 0, at)
}

// escapedByte reads an escape that stands for one byte.
func (p *parser) escapedByte() byte {
	p.i++
	if !p.more() {
		p.fail("a backslash ends the expression")
		return 0
	}
	c := p.s[p.i]
	p.i++
	switch c {
	case 'a':
		return 7
	case 'e':
		return 27
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'x':
		if p.skip("{") {
			end := strings.IndexByte(p.s[p.i:], '}')
			if end < 0 {
				p.fail(`\x{ is not closed`)
				return 0
			}
			v := p.digits(p.s[p.i:p.i+end], 16)
			p.i += end + 1
			return v
		}
		n := 0
		for n < 2 && p.i+n < len(p.s) && namedSets["xdigit"].has(p.s[p.i+n]) {
			n++
		}
		v := p.digits("0"+p.s[p.i:p.i+n], 16)
		p.i += n
		return v
	case 'o':
		if p.skip("{") {
			end := max(strings.IndexByte(p.s[p.i:], '}'), 0)
			v := p.digits(p.s[p.i:p.i+end], 8)
			p.i += end + 1
			return v
		}
		p.fail(`\o needs braces`)
		return 0
	case 'c':
		if !p.more() {
			p.fail(`\c ends the expression`)
			return 0
		}
		c = p.s[p.i]
		p.i++
		if c >= 'a' && c <= 'z' {
			c -= 32
		}
		return c ^ 64
	}
	if c >= '0' && c <= '7' {
		n := 0
		for n < 2 && p.i+n < len(p.s) && p.s[p.i+n] >= '0' && p.s[p.i+n] <= '7' {
			n++
		}
		v := p.digits(p.s[p.i-1:p.i+n], 8)
		p.i += n
		return v
	}
	if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '8' || c == '9' {
		p.fail(`\%c means nothing`, c)
	}
	return c
}

func (p *parser) digits(s string, base int) byte {
	v := 0
	for i := range len(s) {
		c := s[i] | 32
		d := int(c) - '0'
		if c >= 'a' {
			d = int(c) - 'a' + 10
		}
		if d < 0 || d >= base || v > 255 {
			v = 256
			break
		}
		v = v*base + d
	}
	if v > 255 || s == "" {
		p.fail("%q is no byte", s)
		return 0
	}
	return byte(v)
}

// class reads [...].
func (p *parser) class() *node {
	open := p.i
	p.i++
	not := p.skip("^")
	var s set
	for first := true; ; first = false {
		if !p.more() {
			if p.err == nil {
				p.i = open
				p.fail("[ is not closed")
			}
			return nil
		}
		c := p.s[p.i]
		if c == ']' && !first {
			p.i++
			break
		}
		if c == '[' && p.posix(&s) {
			continue
		}
		if p.skip(`\Q`) {
			end := strings.Index(p.s[p.i:], `\E`)
			if end < 0 {
				p.fail(`\Q is not closed in a class`)
				return nil
			}
			for _, b := range []byte(p.s[p.i : p.i+end]) {
				s.add(b)
			}
			p.i += end + 2
			continue
		}
		if p.skip(`\E`) {
			continue
		}
		low, single := p.member(&s)
		if !single || !strings.HasPrefix(p.s[p.i:], "-") || p.i+1 >= len(p.s) || p.s[p.i+1] == ']' {
			if single {
				s.add(low)
			}
			continue
		}
		p.i++
		mark := p.i
		if p.s[p.i] == '[' && p.posix(&s) {
			s.add(low)
			s.add('-')
			continue
		}
		high, single := p.member(&s)
		switch {
		case !single:
			s.add(low)
			s.add('-')
		case high < low:
			p.i = mark
			p.fail("a range of a class is in the wrong order")
			return nil
		default:
			s.addRange(low, high)
		}
	}
	if p.flags&Caseless != 0 {
		s.fold()
	}
	if not {
		s.complement()
	}
	return setNode(&s)
}

// member reads one of a class: a byte, or an escape that adds a set.
func (p *parser) member(s *set) (c byte, single bool) {
	c = p.s[p.i]
	if c != '\\' {
		p.i++
		return c, true
	}
	if p.i+1 < len(p.s) {
		e := p.s[p.i+1]
		if add := escapedSets[e]; add != nil && e != 'N' {
			p.i += 2
			s.union(add)
			return 0, false
		}
		switch e {
		case 'b':
			p.i += 2
			return 8, true
		case 'p', 'P', 'N', 'R', 'X', 'B':
			p.fail(`\%c is not supported in a class`, e)
			return 0, false
		}
	}
	return p.escapedByte(), true
}

// posix reads [:name:] in a class.
func (p *parser) posix(s *set) bool {
	rest := p.s[p.i:]
	if !strings.HasPrefix(rest, "[:") {
		return false
	}
	end := strings.Index(rest, ":]")
	if end < 0 {
		return false
	}
	name, not := strings.CutPrefix(rest[2:end], "^")
	for i := range len(name) {
		if name[i] < 'a' || name[i] > 'z' {
			return false
		}
	}
	add := namedSets[name]
	if add == nil {
		p.fail("%q is no class", name)
		return true
	}
	if not {
		add = inverse(add)
	}
	t := *add
	if p.flags&Caseless != 0 && !not {
		t.fold()
	}
	s.union(&t)
	p.i += end + 2
	return true
}
