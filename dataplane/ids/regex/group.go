package regex

import "strings"

// group reads what begins with a parenthesis.
func (p *parser) group() *node {
	at := p.i
	p.i++
	if p.skip("*") {
		p.fail("verbs of backtracking are not supported")
		return nil
	}
	if !p.skip("?") {
		return p.capture("")
	}
	switch {
	case p.skip("#"):
		end := strings.IndexByte(p.s[p.i:], ')')
		if end < 0 {
			p.fail("a comment is not closed")
			return nil
		}
		p.i += end + 1
		return nil
	case p.skip(":"):
		return p.closed(p.alternatives())
	case p.skip(">"):
		return &node{kind: kindAtomic, subs: []*node{p.closed(p.alternatives())}}
	case p.skip("|"):
		return p.reset()
	case p.skip("="):
		return p.look(false, false, at)
	case p.skip("!"):
		return p.look(true, false, at)
	case p.skip("<="):
		return p.look(false, true, at)
	case p.skip("<!"):
		return p.look(true, true, at)
	case p.skip("P<"), p.skip("<"):
		return p.capture(p.name('>'))
	case p.skip("'"):
		return p.capture(p.name('\''))
	case p.skip("P="):
		return p.reference(p.name(')'), 0, at)
	case p.skip("("):
		return p.condition(at)
	}
	if p.more() {
		switch c := p.s[p.i]; {
		case c == 'R' || c == '&' || c == '+' || c >= '0' && c <= '9' || strings.HasPrefix(p.s[p.i:], "P>"),
			c == '-' && p.i+1 < len(p.s) && p.s[p.i+1] >= '0' && p.s[p.i+1] <= '9':
			p.fail("recursion is not supported")
			return nil
		case c == 'C':
			p.fail("callouts are not supported")
			return nil
		}
	}
	return p.inline()
}

// closed expects the end of the group.
func (p *parser) closed(n *node) *node {
	if !p.skip(")") {
		p.fail("a group is not closed")
	}
	return n
}

func (p *parser) capture(name string) *node {
	p.groups++
	n := p.groups
	if n > 500 {
		p.fail("more than 500 groups")
	}
	if name != "" {
		if p.names[name] != 0 {
			p.fail("two groups are called %s", name)
		}
		if p.names == nil {
			p.names = map[string]int{}
		}
		p.names[name] = n
	}
	return &node{kind: kindGroup, n: n, subs: []*node{p.closed(p.alternatives())}}
}

// reset reads (?|, whose alternatives count their groups from the same number.
func (p *parser) reset() *node {
	flags, first, most := p.flags, p.groups, p.groups
	alt := &node{kind: kindAlt}
	for {
		p.groups = first
		alt.subs = append(alt.subs, p.sequence())
		most = max(most, p.groups)
		if !p.more() || p.s[p.i] != '|' {
			break
		}
		p.i++
	}
	p.groups, p.flags = most, flags
	return p.closed(alt)
}

func (p *parser) name(end byte) string {
	n := strings.IndexByte(p.s[p.i:], end)
	if n <= 0 {
		p.fail("a name of a group is not closed")
		return "?"
	}
	name := p.s[p.i : p.i+n]
	for i := range len(name) {
		if !wordSet.has(name[i]) || i == 0 && digitSet.has(name[i]) {
			p.fail("%q cannot name a group", name)
			return "?"
		}
	}
	p.i += n + 1
	return name
}

func (p *parser) reference(name string, n, at int) *node {
	r := &node{kind: kindBackref, name: name, n: n, fold: p.flags&Caseless != 0, at: at}
	p.refs = append(p.refs, r)
	return r
}

func (p *parser) look(not, behind bool, at int) *node {
	n := &node{kind: kindLook, not: not, behind: behind, at: at, subs: []*node{p.closed(p.alternatives())}}
	if behind && p.err == nil {
		for _, a := range branches(n.subs[0]) {
			if _, fixed := a.width(); !fixed {
				p.i = at
				p.fail("what is looked for behind has no fixed length")
				break
			}
		}
	}
	return n
}

func branches(n *node) []*node {
	if n.kind == kindAlt {
		return n.subs
	}
	return []*node{n}
}

// condition reads (?(group)yes|no) and (?(?=look)yes|no).
func (p *parser) condition(at int) *node {
	c := &node{kind: kindCondition, at: at}
	switch {
	case p.skip("?"):
		p.i -= 2
		look := p.group()
		if look == nil || look.kind != kindLook {
			p.fail("a condition is a group or a look around")
			return nil
		}
		c.subs = append(c.subs, look)
	case p.skip("<"):
		c.name = p.name('>')
		p.closed(nil)
	case p.skip("'"):
		c.name = p.name('\'')
		p.closed(nil)
	default:
		name, _, _ := strings.Cut(p.s[p.i:], ")")
		if n, ok := decimal(name); ok {
			c.n = n
			p.i += len(name) + 1
			p.i = min(p.i, len(p.s))
		} else {
			c.name = p.name(')')
			if c.name == "R" || c.name == "DEFINE" {
				p.fail("recursion is not supported")
			}
		}
	}
	if len(c.subs) == 0 {
		p.refs = append(p.refs, c)
	}
	flags := p.flags
	yes, no := p.sequence(), &node{kind: kindEmpty}
	if p.skip("|") {
		no = p.sequence()
	}
	p.flags = flags
	c.subs = append(c.subs, yes, no)
	return p.closed(c)
}

// inline reads flags: (?i) to the end of the group around it, or (?i:...).
func (p *parser) inline() *node {
	flags, off := p.flags, false
	if p.skip("^") {
		flags &^= Caseless | Multiline | DotAll | Extended
	}
	for p.more() {
		c := p.s[p.i]
		p.i++
		var f Flags
		switch c {
		case 'i':
			f = Caseless
		case 'm':
			f = Multiline
		case 's':
			f = DotAll
		case 'x':
			f = Extended
		case 'U':
			f = Ungreedy
		case 'J', 'n':
			p.fail("the flag %c within an expression is not supported", c)
			return nil
		case '-':
			off = true
		case ')':
			p.flags = flags
			return nil
		case ':':
			before := p.flags
			p.flags = flags
			n := p.alternatives()
			p.flags = before
			return p.closed(n)
		default:
			p.fail("(?%c is no form of a group", c)
			return nil
		}
		if off {
			flags &^= f
		} else {
			flags |= f
		}
	}
	p.fail("a group is not closed")
	return nil
}
