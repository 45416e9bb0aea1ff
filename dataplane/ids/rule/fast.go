package rule

// fastPattern checks the author's choice, or chooses.
func (p *parser) fastPattern() error {
	r := p.rule
	best := -1
	for i := range r.Buffers {
		optional := r.Buffers[i].optional()
		for j, m := range r.Buffers[i].Matches {
			c, ok := m.(*Content)
			if !ok {
				continue
			}
			if c.Is(IsFastPattern) {
				if err := p.checkFast(c); err != nil {
					return err
				}
				if !c.Is(Negated) {
					r.Fast = FastPattern{Buffer: i, Match: j, Length: len(c.Pattern), Chosen: true, Only: c.Is(FastPatternOnly)}
					if c.ChopLength > 0 {
						r.Fast.Offset, r.Fast.Length = int(c.ChopOffset), int(c.ChopLength)
					}
				}
			}
			if c.Is(Negated) || r.Fast.Chosen || optional {
				continue
			}
			if s := score(r.Buffers[i].Kind, c); s > best {
				best = s
				r.Fast = FastPattern{Buffer: i, Match: j, Length: len(c.Pattern)}
			}
		}
	}
	return nil
}

func (p *parser) checkFast(c *Content) error {
	positioned := c.ContentFlags&(HasOffset|HasDepth|HasDistance|HasWithin|StartsWith|EndsWith) != 0
	switch {
	case c.Is(Negated) && positioned:
		return faultf(p.fastAt, "a negated content with a position is no fast pattern: where it is absent says nothing about the rule")
	case c.Is(FastPatternOnly) && (c.Is(Negated) || positioned):
		return faultf(p.fastAt, "fast_pattern:only is for a content that may be anywhere: it has no position and is not negated")
	}
	return nil
}

// optional says whether the rule can match without the buffer.
func (b *Buffer) optional() bool {
	for _, m := range b.Matches {
		if a, ok := m.(*Absent); ok && a.OrElse {
			return true
		}
	}
	return false
}

// score says how rare a content is likely to be: longer is better, bytes that
// occur everywhere count less, values that are alike in all traffic least.
func score(k *BufferKind, c *Content) int {
	s := 0
	var seen [256]bool
	for _, x := range c.Pattern {
		weight := 8
		switch {
		case x == 0 || x == ' ' || x == 0xff || x == '\r' || x == '\n':
			weight = 2
		case x >= 'a' && x <= 'z' || x >= 'A' && x <= 'Z':
			weight = 6
		}
		if seen[x] {
			weight /= 2
		}
		seen[x] = true
		s += weight
	}
	if k.Weak {
		s /= 8
	}
	if k.Layer != Payload {
		s += s / 4 // such buffers are shorter than a stream, and looked at once
	}
	return s
}
