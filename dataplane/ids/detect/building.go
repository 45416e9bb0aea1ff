package detect

import (
	"ngfw.sh/dataplane/ids/mpm"
	"ngfw.sh/dataplane/ids/regex"
	"ngfw.sh/dataplane/ids/rule"
)

// building is a search under construction: equal patterns are one.
type building struct {
	slot     int32
	numbers  map[string]int
	patterns []mpm.Pattern
	rules    [][]int32
	anchored []anchored
}

func (b *building) add(c *rule.Content, pattern []byte, n int32) {
	if a, ok := anchor(c, pattern); ok {
		a.rules = []int32{n}
		b.anchored = append(b.anchored, a)
		return
	}
	if b.numbers == nil {
		b.numbers = map[string]int{}
	}
	key := string(pattern)
	if c.Is(rule.NoCase) {
		low := make([]byte, len(pattern))
		for i, x := range pattern {
			low[i] = regex.Fold(x)
		}
		key = "\x00i" + string(low)
	}
	i, ok := b.numbers[key]
	if !ok {
		i = len(b.patterns)
		b.numbers[key] = i
		b.patterns = append(b.patterns, mpm.Pattern{Bytes: pattern, NoCase: c.Is(rule.NoCase)})
		b.rules = append(b.rules, nil)
	}
	b.rules[i] = append(b.rules[i], n)
}

// merge takes over the patterns of another.
func (b *building) merge(o *building) {
	for key, i := range o.numbers {
		j, ok := b.numbers[key]
		if !ok {
			j = len(b.patterns)
			if b.numbers == nil {
				b.numbers = map[string]int{}
			}
			b.numbers[key] = j
			b.patterns = append(b.patterns, o.patterns[i])
			b.rules = append(b.rules, nil)
		}
		b.rules[j] = append(b.rules[j], o.rules[i]...)
	}
	b.anchored = append(b.anchored, o.anchored...)
}

func (b *building) done(seed uint64) *search {
	if b == nil || len(b.patterns)+len(b.anchored) == 0 {
		return nil
	}
	return &search{slot: b.slot, set: mpm.Build(b.patterns, seed), rules: b.rules, anchored: b.anchored, twin: -1}
}

// payloadFast is the content that a rule of packets is searched by, or nil.
func (c *compiler) payloadFast(s *signature) (*rule.Content, []byte) {
	r := s.rule
	content, pattern := r.FastContent()
	if content == nil {
		return nil, nil
	}
	if len(pattern) <= shortPattern && (fewPorts(s.dport) || fewPorts(s.sport)) && !s.either && !s.both {
		return nil, nil // by port it is found at less cost
	}
	if b := &r.Buffers[r.Fast.Buffer]; b.Kind.Layer != rule.Payload || len(b.Transforms) > 0 {
		return c.bestContent(s, func(b *rule.Buffer) bool { return b.Kind.Layer == rule.Payload && len(b.Transforms) == 0 })
	}
	return content, pattern
}

// txFast is the content that a rule of transactions is searched by, and its slot.
func (c *compiler) txFast(s *signature) (*rule.Content, []byte, int32) {
	r := s.rule
	inner := func(b *rule.Buffer) bool { return b.Kind.Layer == rule.InnerApp || b.Kind.Layer == rule.FileData }
	content, pattern := r.FastContent()
	at := r.Fast.Buffer
	if content == nil {
		return nil, nil, 0
	}
	if !inner(&r.Buffers[at]) {
		if content, pattern = c.bestContent(s, inner); content == nil {
			return nil, nil, 0
		}
		for i := range r.Buffers {
			for _, m := range r.Buffers[i].Matches {
				if m == rule.Match(content) {
					at = i
				}
			}
		}
	}
	slot, err := c.slot(&r.Buffers[at])
	if err != nil {
		return nil, nil, 0
	}
	return content, pattern, slot
}

// bestContent is the longest content that a match must have in some buffers, or nil.
func (c *compiler) bestContent(s *signature, in func(*rule.Buffer) bool) (best *rule.Content, pattern []byte) {
	for i := range s.rule.Buffers {
		b := &s.rule.Buffers[i]
		if !in(b) {
			continue
		}
		for _, m := range b.Matches {
			if a, ok := m.(*rule.Absent); ok && a.OrElse {
				break
			}
			if x, ok := m.(*rule.Content); ok && !x.Is(rule.Negated) && len(x.Pattern) > len(pattern) {
				best, pattern = x, x.Pattern
			}
		}
	}
	return best, pattern
}
