package detect

import (
	"bytes"

	"ngfw.sh/dataplane/ids/regex"
	"ngfw.sh/dataplane/ids/rule"
)

// outcome of the matches from one on.
type outcome uint8

const (
	failed outcome = iota // another place of an earlier match may help
	matched
	hopeless // no other place will help
)

// buffer is what a program runs on.
type buffer struct {
	data []byte
	base uint64 // place of data[0] in the whole
	// whole: data will not grow. Of packets and streams it says nothing, and is set.
	whole bool
}

// match runs a program. The variables of the rule are kept in w.vars.
func (w *Worker) match(p *program, b buffer) bool {
	w.budget = w.set.cfg.Recursion
	w.furthest = 0
	return w.from(p, 0, 0, &b) == matched
}

// from evaluates the steps of a program from i on; prev is where the match before ended.
func (w *Worker) from(p *program, i, prev int, b *buffer) outcome {
	for ; i < len(p.steps); i++ {
		if w.budget--; w.budget < 0 {
			return hopeless
		}
		s := &p.steps[i]
		ok := false
		switch s.kind {
		case stepContent:
			if s.negated {
				if at, _ := w.find(s, prev, 0, b); at >= 0 {
					if s.relative {
						return failed
					}
					return hopeless
				}
				continue
			}
			if !s.next {
				at, _ := w.find(s, prev, 0, b)
				if at < 0 {
					if s.relative && !s.final() {
						return failed
					}
					return hopeless
				}
				w.replace(s, at)
				prev = at + len(s.pattern)
				w.furthest = max(w.furthest, prev)
				continue
			}
			return w.retry(p, i, prev, b)
		case stepPCRE:
			return w.pcre(p, i, prev, b)
		case stepByteTest:
			ok = w.byteTest(s.test, prev, b)
		case stepByteJump:
			var to int
			if to, ok = w.byteJump(s.jump, prev, b); ok {
				prev = to
				w.furthest = max(w.furthest, to)
			}
		case stepByteExtract:
			prev, ok = w.byteExtract(s.extract, prev, b)
		case stepByteMath:
			prev, ok = w.byteMath(s.math, prev, b)
		case stepDataAt:
			ok = w.isDataAt(s, prev, b)
		case stepSize:
			ok = s.size.Match(b.base + uint64(len(b.data)))
		case stepEntropy:
			ok = entropyMatches(s.entropy, b.data)
		case stepBase64:
			ok = w.base64(s, prev, b)
		case stepDataset:
			ok = w.dataset(s.data, b.data)
		case stepDataRep:
			ok = w.dataRep(s.data, b.data)
		case stepASN1:
			ok = s.asn1.match(b.data, prev)
		}
		if !ok {
			return failed
		}
	}
	return matched
}

// retry looks for a content, and for what follows it at each place where it is.
func (w *Worker) retry(p *program, i, prev int, b *buffer) outcome {
	s := &p.steps[i]
	for from := 0; ; {
		at, limit := w.find(s, prev, from, b)
		if at < 0 {
			if from > 0 || s.relative && !s.final() {
				return failed
			}
			return hopeless
		}
		end := at + len(s.pattern)
		w.furthest = max(w.furthest, end)
		kept := len(w.replacing)
		w.replace(s, at)
		if r := w.from(p, i+1, end, b); r != failed {
			return r
		}
		w.replacing = w.replacing[:kept]
		if w.budget--; w.budget < 0 || limit {
			return failed
		}
		from = at + 1
	}
}

// final says that where a relative content is not found, it will not be found from further on either.
func (s *step) final() bool {
	return s.chain && !s.content.Is(rule.HasWithin) && !s.content.Distance.IsVariable()
}

// limitCost is what an expression that met a limit costs of the budget of a buffer.
const limitCost = 200

// find looks for a content from a place on; only says that there is no other place.
func (w *Worker) find(s *step, prev, from int, b *buffer) (at int, only bool) {
	c := s.content
	data := b.data
	n := len(s.pattern)
	low, high := int64(0), int64(len(data)) // the pattern is between
	if c.ContentFlags&(rule.HasDistance|rule.HasWithin) != 0 {
		distance := w.operand(c.Distance)
		low = int64(prev) + distance
		if c.Is(rule.HasWithin) {
			high = min(high, int64(prev)+distance+w.operand(c.Within))
		}
	} else {
		base := int64(b.base)
		if c.Is(rule.HasOffset) {
			low = w.operand(c.Offset) - base
		}
		switch {
		case c.Is(rule.HasDepth):
			high = min(high, w.operand(c.Offset)+w.operand(c.Depth)-base)
		case c.Is(rule.StartsWith):
			if base > 0 {
				return -1, true
			}
			high = min(high, int64(n))
		}
	}
	low = max(low, 0, int64(from))
	if high-low < int64(n) {
		return -1, true
	}
	if c.Is(rule.EndsWith) {
		at = len(data) - n
		if int64(at) < low || high < int64(len(data)) || !b.whole {
			return -1, true
		}
		if s.fold && regex.EqualFold(data[at:], s.pattern) || !s.fold && bytes.Equal(data[at:], s.pattern) {
			return at, true
		}
		return -1, true
	}
	if s.fold {
		at = regex.IndexFold(data[low:high], s.pattern)
	} else {
		at = bytes.Index(data[low:high], s.pattern)
	}
	if at < 0 {
		return -1, true
	}
	return at + int(low), high-low == int64(n)
}

// operand is the value of a number or a variable.
func (w *Worker) operand(o rule.Operand) int64 {
	if o.Variable != 0 {
		return int64(w.vars[o.Variable-1])
	}
	return o.Value
}

// pcre evaluates an expression and what follows it. A relative one sees nothing of what
// is before the place where it begins.
func (w *Worker) pcre(p *program, i, prev int, b *buffer) outcome {
	s := &p.steps[i]
	begin := 0
	if s.relative {
		begin = min(prev, len(b.data))
	}
	subject := b.data[begin:]
	w.matcher.NoLimits = s.noLimits
	for from := 0; ; {
		if w.work < 0 {
			w.state.Counters.Limited.Add(1)
			w.budget = 0 // nor will what is further on have its turn
			return failed
		}
		found := w.matcher.Match(s.regex, subject, from)
		w.work -= w.matcher.Steps()
		if s.negated {
			if found || w.matcher.Limited() {
				return failed
			}
			return w.from(p, i+1, prev, b)
		}
		if !found {
			switch {
			case w.matcher.Limited():
				w.state.Counters.Limited.Add(1)
				w.budget -= limitCost
			case s.chain && from == 0 && s.regex.Suffix():
				return hopeless // nor is it in what is left further on
			}
			return failed
		}
		at, end := w.matcher.Group(0)
		for n, to := range s.captures {
			if x, y := w.matcher.Group(n + 1); x >= 0 {
				w.capture(to, subject[x:y])
			}
		}
		w.furthest = max(w.furthest, begin+end)
		if r := w.from(p, i+1, begin+end, b); r != failed || !s.next {
			return r
		}
		if w.budget--; w.budget < 0 || at >= len(subject) {
			return failed
		}
		from = at + 1
	}
}

func (w *Worker) isDataAt(s *step, prev int, b *buffer) bool {
	at := w.operand(s.dataAt.Offset)
	n := int64(len(b.data))
	if s.relative {
		return (at+int64(prev) <= n) != s.negated
	}
	return (at < n+int64(b.base)) != s.negated
}
