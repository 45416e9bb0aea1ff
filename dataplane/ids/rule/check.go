package rule

import "bytes"

// finish resolves and checks what needs the whole rule.
func (p *parser) finish() error {
	r := p.rule
	if err := p.stickyUsed(); err != nil {
		return err
	}
	if r.SID == 0 {
		return faultf(0, "the rule has no sid")
	}
	if r.GID == 0 {
		r.GID = 1
	}
	p.settle()
	err := p.contents()
	if err == nil {
		err = p.directions()
	}
	if err == nil {
		err = p.layers()
	}
	if err == nil {
		err = p.fastPattern()
	}
	return err
}

// at finds where a keyword of the rule stands, for errors.
func (p *parser) at(names ...string) int {
	for i := range p.options {
		for _, name := range names {
			if o := &p.options[i]; o.keyword != nil && o.keyword.name == name {
				return o.at
			}
		}
	}
	return 0
}

// contents checks patterns against what is known of their buffers.
func (p *parser) contents() error {
	r := p.rule
	maxPayload, sized := uint64(0), false
	for _, c := range r.Conditions {
		if i, ok := c.(*Integer); ok && i.Name == "dsize" {
			maxPayload, sized = i.Max()
		}
	}
	for i := range r.Buffers {
		b := &r.Buffers[i]
		most, bounded := maxPayload, sized && b.Kind.Layer == Payload && len(b.Transforms) == 0
		absent := false
		for _, m := range b.Matches {
			switch m := m.(type) {
			case *Size:
				if n, ok := m.Max(); ok && (!bounded || n < most) {
					most, bounded = n, true
				}
			case *Absent:
				absent = true
				if !m.OrElse && len(b.Matches) > 1 {
					return faultf(p.at("absent"), "absent without or_else stands alone in its buffer %s", b.Kind.Name)
				}
				if m.OrElse && len(b.Matches) == 1 {
					return faultf(p.at("absent"), "absent:or_else needs another match in its buffer %s", b.Kind.Name)
				}
			}
		}
		for _, m := range b.Matches {
			c, ok := m.(*Content)
			if !ok {
				continue
			}
			if err := p.letters(b, c); err != nil {
				return err
			}
			if bounded && !c.Is(Negated) && !absent {
				if need := c.least(); need > most {
					return faultf(p.at("bsize", "urilen", "dsize"), "the content %s needs %d bytes of %s, which has at most %d",
						clip(string(printPattern(nil, c.Pattern))), need, b.Kind.Name, most)
				}
			}
		}
	}
	return nil
}

// least is how many bytes a buffer needs for the content to match.
func (c *Content) least() uint64 {
	n := uint64(len(c.Pattern))
	if c.Is(HasOffset) && !c.Offset.IsVariable() {
		n += uint64(c.Offset.Value)
	}
	return n
}

// letters adapts a pattern to the letters that a buffer can have.
func (p *parser) letters(b *Buffer, c *Content) error {
	if len(b.Transforms) > 0 || bytes.IndexFunc(c.Pattern, func(r rune) bool { return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' }) < 0 {
		return nil
	}
	switch b.Kind.Case {
	case LowerCase:
		c.Pattern = lowerASCII(c.Pattern)
	case UpperCase:
		for i, x := range c.Pattern {
			if x >= 'a' && x <= 'z' {
				c.Pattern[i] = x - 'a' + 'A'
			}
		}
	case OnlyLower:
		if !c.Is(NoCase) && !bytes.Equal(c.Pattern, lowerASCII(bytes.Clone(c.Pattern))) {
			return faultf(p.at(b.Kind.Name), "%s is in lower case, so that a content with capital letters never matches", b.Kind.Name)
		}
	}
	return nil
}

func lowerASCII(b []byte) []byte {
	for i, x := range b {
		if x >= 'A' && x <= 'Z' {
			b[i] = x - 'A' + 'a'
		}
	}
	return b
}

// directions finds those in which the rule can match.
func (p *parser) directions() error {
	r := p.rule
	onlyServer, onlyClient := "", ""
	for i := range r.Buffers {
		switch b := &r.Buffers[i]; {
		case !b.ToClient:
			onlyServer = b.Kind.Name
		case !b.ToServer:
			onlyClient = b.Kind.Name
		}
	}
	if r.Direction == Transaction {
		if !r.Protocol.IsApp() && r.Apps == 0 && r.Protocol != TCP && r.Protocol != UDP {
			return faultf(0, "=> needs a protocol that has transactions, not %s", r.Protocol)
		}
		if p.flow&(FlowToServer|FlowToClient) != 0 {
			return faultf(p.at("flow"), "=> matches both directions: flow names neither to_server nor to_client")
		}
		r.ToServer, r.ToClient = true, true
		return nil
	}
	if onlyServer != "" && onlyClient != "" {
		return faultf(p.at(onlyClient), "%s is sent to the server and %s to the client: a rule with -> matches in one direction", onlyServer, onlyClient)
	}
	server, client := onlyClient == "", onlyServer == ""
	if p.flow&FlowToServer != 0 {
		client = false
	}
	if p.flow&FlowToClient != 0 {
		server = false
	}
	if !server && !client {
		return faultf(p.at("flow"), "%s is not in the direction that flow asks for", onlyServer+onlyClient)
	}
	r.ToServer, r.ToClient = server, client
	return nil
}

// layers refuses rules that are about single packets and about transactions.
func (p *parser) layers() error {
	r := p.rule
	for i := range r.Buffers {
		k := r.Buffers[i].Kind
		if k.Layer != InnerApp && k.Layer != FileData {
			continue
		}
		for _, c := range r.Conditions {
			if c, ok := c.(*Integer); ok && c.Name == "dsize" {
				return faultf(p.at("dsize"), "dsize is of single packets, %s of transactions: no rule can be about both", k.Name)
			}
		}
		if p.flow&FlowNoStream != 0 && r.Protocol.Transports() == OverTCP && r.Protocol == TCPPacket {
			return faultf(p.at(k.Name), "%s is of reassembled data, the rule of single packets", k.Name)
		}
	}
	if r.Protocol == TCPPacket && p.flow&FlowOnlyStream != 0 || r.Protocol == TCPStream && p.flow&FlowNoStream != 0 {
		return faultf(p.at("flow"), "the rule is of %s, flow of the opposite", r.Protocol)
	}
	return nil
}
