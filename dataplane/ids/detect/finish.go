package detect

import (
	"slices"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/rule"
)

// matched notes a match; what it sets is set before other rules are tried.
func (w *Worker) matched(s *signature, tx app.Transaction, onStream bool) {
	w.found = append(w.found, found{s, tx, w.txDir, onStream, w.enrichments})
	for _, f := range s.effects {
		f(w)
	}
}

// finish puts matches in order and through thresholds.
func (w *Worker) finish(to []Match) []Match {
	if len(w.found) == 0 {
		return to
	}
	slices.SortStableFunc(w.found, func(a, b found) int { return int(a.rule.order - b.rule.order) })
	p := w.packet
	w.src, w.dst = p.Src, p.Dst
	alerts, blocked := 0, false
	for i := range w.found {
		f := &w.found[i]
		s := f.rule
		m := Match{Rule: s.rule, Action: s.rule.Action, Tell: s.tell, Transaction: f.tx, TxDirection: f.txDir, OnStream: f.onStream, Context: f.context}
		m.OnFlow = w.flow != nil && (s.onFlow || f.tx != nil || f.onStream)
		if s.filter != nil && s.filter.ask(w) == unheard {
			continue
		}
		if s.limit != nil {
			switch s.limit.ask(w) {
			case unheard:
				continue
			case silent:
				m.Tell = false
			}
		}
		if s.muted(w) {
			m.Tell = false
		}
		for _, r := range s.rates {
			if r.active(w) {
				if m.Action = r.action; m.Action == rule.ActionPass {
					m.Tell = s.rule.Alert == rule.AlertAlways
				}
			}
		}
		if m.Action == rule.ActionPass && blocked {
			// What came before it in the order holds; what comes after it does not count.
			if m.Tell {
				m.OnFlow = false
				to = append(to, m)
			}
			break
		}
		if m.Action.Blocks() {
			blocked = true
			if m.OnFlow {
				w.flow.dropped = true
			}
		}
		if m.Tell {
			if alerts++; alerts > w.set.cfg.AlertMax {
				w.state.Counters.Dropped.Add(1)
				m.Tell = false
			} else {
				w.state.Counters.Alerts.Add(1)
			}
		}
		if m.Tell || m.Action != rule.ActionAlert || len(s.rule.Effects) > 0 {
			to = append(to, m)
		}
		blocked = blocked || m.Action.Blocks()
		if m.Action == rule.ActionPass {
			if m.OnFlow && !blocked {
				w.flow.passed = true
			}
			break
		}
	}
	return to
}
