package rule

// Keywords that modify the content before them.

// content is the one that a modifier is about.
func (p *parser) content(o *option) (*Content, error) {
	if p.last == nil {
		return nil, faultf(o.at, "%s needs a content before it", o.keyword.name)
	}
	return p.last, nil
}

// set sets a flag once; it clashes with others.
func (c *Content) set(o *option, flag, clashes ContentFlags, with string) error {
	if c.Is(flag) {
		return faultf(o.at, "%s is given twice for the same content", o.keyword.name)
	}
	if c.ContentFlags&clashes != 0 {
		return faultf(o.at, "%s cannot be combined with %s for the same content", o.keyword.name, with)
	}
	c.ContentFlags |= flag
	return nil
}

func parseNoCase(p *parser, o *option) error {
	c, err := p.content(o)
	if err == nil {
		err = c.set(o, NoCase, 0, "")
	}
	return err
}

func parseStartsWith(p *parser, o *option) error {
	c, err := p.content(o)
	if err == nil {
		err = c.set(o, StartsWith, HasOffset|HasDepth|HasDistance|HasWithin, "offset, depth, distance or within")
	}
	return err
}

func parseEndsWith(p *parser, o *option) error {
	c, err := p.content(o)
	if err == nil {
		err = c.set(o, EndsWith, 0, "")
	}
	return err
}

func parseRawBytes(p *parser, o *option) error {
	c, err := p.content(o)
	if err != nil {
		return err
	}
	if kind := p.slots[p.placed[p.lastAt].slot].kind; kind.Layer != Payload {
		return faultf(o.at, "rawbytes is about a packet's payload, not about %s", kind.Name)
	}
	return c.set(o, RawBytes, 0, "")
}

func parseOffset(p *parser, o *option) error {
	c, err := p.content(o)
	if err != nil {
		return err
	}
	if err = c.set(o, HasOffset, HasDistance|HasWithin|StartsWith, "distance, within or startswith"); err == nil {
		c.Offset, err = p.operand(o.value, o.valueAt, 0, 65535)
	}
	return err
}

func parseDepth(p *parser, o *option) error {
	c, err := p.content(o)
	if err != nil {
		return err
	}
	if err = c.set(o, HasDepth, HasDistance|HasWithin|StartsWith, "distance, within or startswith"); err != nil {
		return err
	}
	if c.Depth, err = p.operand(o.value, o.valueAt, 0, 65535); err != nil {
		return err
	}
	return c.roomy(o, c.Depth)
}

func parseDistance(p *parser, o *option) error {
	c, err := p.content(o)
	if err != nil {
		return err
	}
	if err = c.set(o, HasDistance, HasOffset|HasDepth|StartsWith, "offset, depth or startswith"); err == nil {
		c.Distance, err = p.operand(o.value, o.valueAt, -1048576, 1048576)
	}
	return err
}

func parseWithin(p *parser, o *option) error {
	c, err := p.content(o)
	if err != nil {
		return err
	}
	if err = c.set(o, HasWithin, HasOffset|HasDepth|StartsWith, "offset, depth or startswith"); err != nil {
		return err
	}
	if c.Within, err = p.operand(o.value, o.valueAt, -1048576, 1048576); err != nil {
		return err
	}
	return c.roomy(o, c.Within)
}

// roomy refuses bounds that the pattern does not fit in.
func (c *Content) roomy(o *option, v Operand) error {
	if !v.IsVariable() && v.Value < int64(len(c.Pattern)) {
		return faultf(o.valueAt, "%s %d is less than the %d bytes of the content", o.keyword.name, v.Value, len(c.Pattern))
	}
	return nil
}

func parseReplace(p *parser, o *option) error {
	c, err := p.content(o)
	if err != nil {
		return err
	}
	if kind := p.slots[p.placed[p.lastAt].slot].kind; kind.Layer != Payload {
		return faultf(o.at, "replace is about a packet's payload, not about %s", kind.Name)
	}
	if c.Is(Negated) {
		return faultf(o.at, "replace needs a content that is not negated")
	}
	if err = c.set(o, HasReplace, 0, ""); err != nil {
		return err
	}
	by, err := readContent(o.value, o.valueAt)
	if err != nil {
		return err
	}
	if by.Is(Negated) || len(by.Pattern) != len(c.Pattern) {
		return faultf(o.valueAt, "replace has as many bytes as the content, %d", len(c.Pattern))
	}
	c.Replace = by.Pattern
	return nil
}

func parseFastPattern(p *parser, o *option) error {
	c, err := p.content(o)
	if err != nil {
		return err
	}
	if p.fast != nil {
		return faultf(o.at, "a rule has only one fast_pattern")
	}
	if err := c.set(o, IsFastPattern, 0, ""); err != nil {
		return err
	}
	p.fast, p.fastAt = c, o.at
	switch {
	case o.value == "":
	case o.value == "only":
		c.ContentFlags |= FastPatternOnly
	default:
		offset, length, ok := part(o.value)
		from, ok1 := number(offset)
		n, ok2 := number(trim(length))
		if !ok || !ok1 || !ok2 {
			return faultf(o.valueAt, "fast_pattern takes only, or an offset and a length")
		}
		if n == 0 || from > uint64(len(c.Pattern)) || n > uint64(len(c.Pattern))-from {
			return faultf(o.valueAt, "the content has no %d bytes from %d on: it has %d", n, from, len(c.Pattern))
		}
		c.ChopOffset, c.ChopLength = uint16(from), uint16(n)
	}
	return nil
}

// parseContentModifier moves the content before it to the buffer that the
// keyword is named after.
func parseContentModifier(p *parser, o *option) error {
	c, err := p.content(o)
	if err != nil {
		return err
	}
	if p.active {
		return faultf(o.at, "%s modifies a content of the payload, but the buffer %s is set: pkt_data ends it", o.keyword.name, p.pending.kind.Name)
	}
	if c.Is(RawBytes) || c.Is(HasReplace) {
		return faultf(o.at, "%s cannot be combined with rawbytes or replace", o.keyword.name)
	}
	at := &p.placed[p.lastAt]
	if kind := p.slots[at.slot].kind; kind != payloadKind {
		return faultf(o.at, "the content before %s is already one of %s", o.keyword.name, kind.Name)
	}
	kind := bufferKindByName[contentModifiers[o.keyword.name]]
	at.slot = p.slotOf(slot{kind: kind}, false)
	return p.restrict(o.at, kind.Apps, o.keyword.name)
}
