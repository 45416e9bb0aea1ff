package detect

import (
	"net/netip"

	"ngfw.sh/dataplane/ids/rule"
)

// limiter is a threshold or a detection filter.
type limiter struct {
	typ        rule.ThresholdType
	filter     bool // a detection_filter
	track      rule.Track
	count      uint32
	window     int64 // nanoseconds
	multiplier uint32
	unique     rule.UniqueOn
	id         uint64 // of the rule, and which of its limiters
	which      uint8
}

// rateFilter gives a rule another action.
type rateFilter struct {
	limiter
	action  rule.Action
	timeout int64
}

type suppression struct {
	track rule.Track
	set   *rule.AddressSet // nil: all
}

type limitKey struct {
	id    uint64
	which uint8
	a, b  netip.Addr
}

type limitValue struct {
	first  int64 // when the window began
	until  int64 // when it ends
	count  uint32
	next   uint32
	active int64 // a rate filter acts until then
	ports  [4]uint64
}

// flowLimit is a limiter's count that is kept for a flow.
type flowLimit struct {
	id    uint64
	which uint8
	value limitValue
}

// told is what limits make of a match.
type told uint8

const (
	unheard told = iota // as if it had not matched
	silent              // its action counts, without an alert
	aloud
)

// ask counts a match and says what becomes of it.
func (l *limiter) ask(w *Worker) told {
	answer := unheard
	f := func(v limitValue, found bool) (limitValue, bool) {
		v, answer = l.next(w, v, found)
		return v, true
	}
	if l.track == rule.ByFlow {
		if w.flow == nil {
			return aloud
		}
		for i := range w.flow.limits {
			if x := &w.flow.limits[i]; x.id == l.id && x.which == l.which {
				x.value, _ = f(x.value, true)
				return answer
			}
		}
		v, _ := f(limitValue{}, false)
		if len(w.flow.limits) < 64 {
			w.flow.limits = append(w.flow.limits, flowLimit{l.id, l.which, v})
		}
		return answer
	}
	key := limitKey{id: l.id, which: l.which}
	if l.track != rule.ByRule {
		key.a, key.b = w.addressOf(l.track)
	}
	w.state.thresholds.update(key, w.now, f)
	return answer
}

// next counts one match (manual, "Thresholding Keywords").
func (l *limiter) next(w *Worker, v limitValue, found bool) (limitValue, told) {
	if !found || l.typ != rule.Backoff && w.now > v.first+l.window {
		v = limitValue{first: w.now, until: w.now + l.window, next: l.count, active: v.active}
		if l.typ == rule.Backoff {
			v.until = 1<<63 - 1
		}
	}
	if l.unique != rule.CountMatches {
		port := w.packet.SrcPort
		if l.unique == rule.CountDestinationPorts {
			port = w.packet.DstPort
		}
		// A few bits for each port: what is counted are those that differ.
		h := uint32(port) * 0x9e3779b1 >> 24
		bit := uint64(1) << (h & 63)
		if v.ports[h>>6]&bit == 0 {
			v.ports[h>>6] |= bit
			v.count++
		}
	} else {
		v.count++
	}
	if l.filter {
		if v.count > l.count {
			return v, aloud
		}
		return v, unheard
	}
	switch l.typ {
	case rule.Limit:
		if v.count <= l.count {
			return v, aloud
		}
		return v, silent
	case rule.EveryCount:
		if v.count >= l.count {
			v.count = 0
			return v, aloud
		}
		return v, unheard
	case rule.LimitAfterMany:
		switch {
		case v.count < l.count:
			return v, unheard
		case v.count == l.count:
			return v, aloud
		}
		return v, silent
	default: // Backoff
		if v.count >= v.next {
			if v.next > 1<<31/max(l.multiplier, 1) {
				v.next = 1<<32 - 1
			} else {
				v.next *= l.multiplier
			}
			return v, aloud
		}
		return v, silent
	}
}

// active counts a match and says whether the filter's action is in force.
func (r *rateFilter) active(w *Worker) bool {
	key := limitKey{id: r.id, which: r.which}
	if r.track != rule.ByRule {
		key.a, key.b = w.addressOf(r.track)
	}
	on := false
	w.state.thresholds.update(key, w.now, func(v limitValue, found bool) (limitValue, bool) {
		if found && v.active > w.now {
			on = true
			return v, true
		}
		if !found || w.now > v.first+r.window {
			v = limitValue{first: w.now, until: w.now + r.window}
		}
		if v.count++; v.count > r.count {
			on = true
			v.active = w.now + r.timeout
			if r.timeout == 0 {
				v.active = 1<<63 - 1
			}
			v.until = v.active
		}
		return v, true
	})
	return on
}

// limiters compiles what limits a rule: of threshold.config what names the rule comes
// before what the rule says, which comes before what is for all rules.
func (c *compiler) limiters(s *signature) {
	r := s.rule
	id := uint64(r.GID)<<32 | uint64(r.SID)
	if f := r.Filter; f != nil {
		s.filter = &limiter{filter: true, track: f.Track, count: f.Count, window: int64(f.Seconds) * 1e9, unique: f.UniqueOn, id: id}
	}
	if t := r.Threshold; t != nil {
		s.limit = newLimiter(t, id, 1)
	}
	var all *limiter
	named := false
	for i := range c.cfg.Thresholds {
		e := &c.cfg.Thresholds[i]
		if e.GID != 0 && e.GID != r.GID || e.SID != 0 && e.SID != r.SID {
			continue
		}
		which := uint8(2 + i%250)
		switch {
		case e.Suppress != nil:
			x := suppression{track: e.Suppress.Track}
			if e.Suppress.Addresses != nil {
				set, err := c.resolver.Addresses(e.Suppress.Addresses)
				if err != nil {
					continue
				}
				x.set = set
			}
			s.mute = append(s.mute, x)
		case e.Rate != nil:
			f := &rateFilter{action: e.Rate.Action, timeout: int64(e.Rate.Timeout) * 1e9}
			f.limiter = limiter{track: e.Rate.Track, count: e.Rate.Count, window: int64(e.Rate.Seconds) * 1e9, id: id, which: which}
			s.rates = append(s.rates, f)
		case e.SID != 0:
			s.limit, named = newLimiter(e.Limit, id, which), true
		default:
			all = newLimiter(e.Limit, id, which)
		}
	}
	if s.limit == nil && s.filter == nil && !named {
		s.limit = all
	}
}

func newLimiter(t *rule.Threshold, id uint64, which uint8) *limiter {
	return &limiter{typ: t.Type, track: t.Track, count: t.Count, window: int64(t.Seconds) * 1e9, multiplier: t.Multiplier, id: id, which: which}
}

// muted says whether a suppression is about the packet.
func (s *signature) muted(w *Worker) bool {
	for i := range s.mute {
		x := &s.mute[i]
		switch {
		case x.set == nil:
			return true
		case x.track != rule.ByDestination && x.set.Contains(w.src), x.track != rule.BySource && x.set.Contains(w.dst):
			return true
		}
	}
	return false
}
