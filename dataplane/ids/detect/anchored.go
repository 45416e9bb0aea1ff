package detect

import (
	"bytes"

	"ngfw.sh/dataplane/ids/regex"
	"ngfw.sh/dataplane/ids/rule"
)

// anchored is a fast pattern so short that searching for it everywhere costs more than it saves,
// but which must be near the beginning of the buffer: it is looked for there.
type anchored struct {
	pattern  []byte // in lower case if fold
	fold     bool
	from, to int // places between which it lies
	rules    []int32
}

// Patterns of up to shortPattern bytes are anchored if they lie within anchorDepth.
const (
	shortPattern = 2
	anchorDepth  = 64
)

// startDepth is how far into a payload patterns may be that are searched for in its beginning alone.
const startDepth = 256

// nearStart says whether a content is in the first startDepth bytes.
func nearStart(c *rule.Content) bool {
	if c.Is(rule.StartsWith) {
		return len(c.Pattern) <= startDepth
	}
	return c.Is(rule.HasDepth) && !c.Depth.IsVariable() && !c.Offset.IsVariable() && c.Offset.Value+c.Depth.Value <= startDepth
}

// anchor makes an anchored pattern of a content, if it is short and has a place.
func anchor(c *rule.Content, pattern []byte) (a anchored, ok bool) {
	if len(pattern) > shortPattern || len(pattern) != len(c.Pattern) {
		return a, false
	}
	switch {
	case c.Is(rule.StartsWith):
		a.to = len(pattern)
	case c.Is(rule.HasDepth) && !c.Depth.IsVariable() && !c.Offset.IsVariable() && c.Offset.Value+c.Depth.Value <= anchorDepth:
		a.from, a.to = int(c.Offset.Value), int(c.Offset.Value+c.Depth.Value)
	default:
		return a, false
	}
	a.pattern, a.fold = pattern, c.Is(rule.NoCase)
	if a.fold {
		a.pattern = make([]byte, len(pattern))
		for i, x := range pattern {
			a.pattern[i] = regex.Fold(x)
		}
	}
	return a, true
}

// in says whether the pattern is in data, which begins at the place base of the buffer.
func (a *anchored) in(data []byte, base uint64) bool {
	from, to := a.from, min(a.to, int(min(base, anchorDepth))+len(data))
	if base > uint64(a.to) {
		return false
	}
	from, to = max(from-int(base), 0), to-int(base)
	if to-from < len(a.pattern) {
		return false
	}
	if a.fold {
		return regex.IndexFold(data[from:to], a.pattern) >= 0
	}
	return bytes.Contains(data[from:to], a.pattern)
}

// searchAnchored adds the rules whose anchored pattern is in data.
func (w *Worker) searchAnchored(s *search, data []byte, base uint64) {
	if base > anchorDepth {
		return
	}
	for i := range s.anchored {
		if a := &s.anchored[i]; a.in(data, base) {
			w.addAll(a.rules)
		}
	}
}
