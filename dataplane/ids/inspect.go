package ids

import (
	"net/netip"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/detect"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
)

func addr4(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b)) }

// inspect evaluates the rules and does what those that match ask for.
func (w *Worker) inspect(p *packet.Packet, f *Flow, dir app.Direction, v *Verdict, in detect.Input) {
	if w.detect == nil || f != nil && (f.broken || f.Action != Inspect) {
		return
	}
	w.input = in
	i := &w.input
	i.Packet, i.Direction = p, dir
	if i.StreamEvents == nil {
		i.StreamEvents = &w.events
	}
	if f != nil {
		i.Flow = &f.Detect
		if f.dirty[0] || f.dirty[1] {
			i.Transactions = f.app.transactions()
			if w.set.WantsFrames() && f.app.session != nil {
				i.Frames = f.app.session.Frames()
			}
			f.dirty = [2]bool{}
		}
	}
	if log := w.engine.deps.Log; log != nil && !p.Made && w.detect.Tagged(i) {
		log.Tagged(p, f, dir)
	}
	w.matches = w.matches[:0]
	w.guard(f, func() { w.matches = w.detect.Inspect(i, w.matches) })
	if r := w.detect.Replacements(); len(r) > 0 && w.engine.cfg.Inline && !p.Made {
		w.replace(p, r, v)
	}
	if mark, mask := w.detect.Mark(); mask != 0 {
		v.Mark, v.MarkMask = v.Mark&^mask|mark, v.MarkMask|mask
	}
	if f != nil && w.detect.Bypass() && f.Action == Inspect {
		f.Action, f.Reason = FlowBypassed, "bypass"
	}
	w.apply(p, f, dir, v, w.matches, in.Stream)
}

// apply does what matches ask for.
func (w *Worker) apply(p *packet.Packet, f *Flow, dir app.Direction, v *Verdict, matches []detect.Match, stream []byte) {
	passed, dropped := false, v.Drop
	for n := range matches {
		m := &matches[n]
		blocks := m.Action.Blocks() && !passed
		switch {
		case m.Action == rule.ActionPass:
			if dropped {
				break
			}
			passed = true
			if m.OnFlow && f != nil && f.Action == Inspect {
				f.Action, f.Reason = FlowPassed, "rules"
			}
		case blocks:
			dropped = true
			if w.engine.cfg.Inline {
				v.drop("rules")
			}
			if m.Action >= rule.ActionReject && v.Reject == 0 {
				v.Reject = m.Action
				w.Counters.Rejected++
			}
			if m.OnFlow && f != nil && f.Action == Inspect {
				f.Action, f.Reason = FlowDropped, "flow drop"
			}
		}
		if m.Tell {
			w.Counters.Alerts++
			if f != nil {
				f.Alerted = true
			}
			if w.engine.deps.Log != nil {
				w.engine.deps.Log.Alert(&Alert{Packet: p, Flow: f, Direction: dir, Match: m, Blocked: v.Drop && m.Action.Blocks(), Stream: onStream(m, stream), Transaction: w.transactionOf(m, f)})
			}
		}
	}
}

// transactionOf is the one that was matched on, or, if guessing is wanted, the only one that
// is open (detect.guess-applayer-tx), or nil.
func (w *Worker) transactionOf(m *detect.Match, f *Flow) app.Transaction {
	if m.Transaction != nil || f == nil || !w.engine.cfg.GuessTransactions {
		return m.Transaction
	}
	if open := f.app.transactions(); len(open) == 1 {
		return open[0]
	}
	return nil
}

func onStream(m *detect.Match, stream []byte) []byte {
	if m.OnStream {
		return stream
	}
	return nil
}

// free forgets transactions that are over.
func (w *Worker) free(f *Flow) {
	if f.app.session == nil || f.broken {
		return
	}
	w.guard(f, func() {
		f.app.session.FreeDone(func(t app.Transaction) bool {
			w.logTransaction(f, t)
			return true
		})
	})
}

func (w *Worker) logTransaction(f *Flow, t app.Transaction) {
	log := w.engine.deps.Log
	if log == nil {
		return
	}
	log.Transaction(f, t)
	w.appAnomalies(f, t, t.Events())
	for _, d := range [...]app.Direction{app.ToServer, app.ToClient} {
		for _, file := range t.Files(d) {
			log.File(f, t, d, file)
		}
	}
}

// leave says when a flow needs us no more.
func (w *Worker) leave(f *Flow, v *Verdict) {
	switch f.Action {
	case FlowDropped:
		if w.engine.cfg.Inline {
			v.Leave = LeaveDrop
		}
		return
	case FlowPassed, FlowBypassed:
		v.Leave = LeavePass
		return
	}
	if f.TCP == nil {
		return
	}
	if w.engine.cfg.EncryptionBypass && f.app.done == app.Encrypted && !f.TCP.RawPending(app.ToServer) && !f.TCP.RawPending(app.ToClient) ||
		w.engine.cfg.StreamBypass && f.TCP.DepthReached(app.ToServer) && f.TCP.DepthReached(app.ToClient) {
		v.Leave = LeavePass
		f.Action, f.Reason = FlowBypassed, "bypass"
		f.state = flowBypassed
	}
}

func (w *Worker) logDrop(p *packet.Packet, f *Flow, dir app.Direction, v *Verdict) {
	if v.Drop && w.engine.deps.Log != nil {
		w.engine.deps.Log.Drop(&Drop{Packet: p, Flow: f, Direction: dir, Reason: v.Reason})
	}
}
