package detect

import (
	"sync/atomic"
	"time"

	"ngfw.sh/dataplane/ids/rule"
)

// ruleProfile counts the work on a rule.
type ruleProfile struct {
	tried, matched atomic.Uint64
	nanos, most    atomic.Uint64
}

// RuleProfile is what a rule has cost.
type RuleProfile struct {
	Rule           *rule.Rule
	Tried, Matched uint64
	Total, Most    time.Duration
}

// Profile lists what the rules have cost that were evaluated. It is empty unless
// Config.Profile was set.
func (s *Set) Profile() []RuleProfile {
	var all []RuleProfile
	for i := range s.profile {
		p := &s.profile[i]
		if n := p.tried.Load(); n > 0 {
			all = append(all, RuleProfile{s.rules[i].rule, n, p.matched.Load(), time.Duration(p.nanos.Load()), time.Duration(p.most.Load())})
		}
	}
	return all
}

func (w *Worker) profiled(n int32, f func() bool) {
	p := &w.set.profile[n]
	start := time.Now()
	ok := f()
	d := uint64(time.Since(start))
	p.tried.Add(1)
	if ok {
		p.matched.Add(1)
	}
	p.nanos.Add(d)
	for most := p.most.Load(); d > most && !p.most.CompareAndSwap(most, d); most = p.most.Load() {
	}
}
