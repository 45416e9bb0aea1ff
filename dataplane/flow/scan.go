package flow

import (
	"errors"
	"time"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

// idle is how long a flow without packets stays open: conntrack's defaults
// (nf_conntrack-sysctl), except that an established TCP connection is told
// closed after two hours. If it speaks again, it is taken over from conntrack.
//
// Under pressure a flow that nobody has answered ends soon: a flood of first
// packets must not keep others out for minutes (conntrack has its early_drop
// for that).
func idle(f *bpfobj.TcFlow, pressure bool) time.Duration {
	replied := f.Flags&flagSeenReply != 0
	if pressure && !replied {
		return unanswered
	}
	switch f.Orig.Proto {
	case policy.ProtocolTCP:
		switch {
		case f.Flags&flagClosed != 0:
			return 0
		case replied:
			return 2 * time.Hour
		}
		return 120 * time.Second
	case policy.ProtocolUDP:
		if replied {
			return 120 * time.Second
		}
		return 30 * time.Second
	case policy.ProtocolICMP, policy.ProtocolICMPv6:
		return 30 * time.Second
	}
	return 600 * time.Second
}

// unanswered is how long a flow may wait for its first answer while the table
// is nearly full: longer than TCP's first retransmissions (RFC 6298) take.
const unanswered = 5 * time.Second

// scan reads the whole table: flows that counted are told, idle ones end.
func (r *Reader) scan() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settle()
	now := uint64(bootNanos())
	seen := 0
	err := r.maps.Flows.Scan(func(flows []bpfobj.TcFlow) error {
		seen += len(flows)
		var events []Event
		var ended []bpfobj.TcFlow
		for i := range flows {
			f := &flows[i]
			quiet := time.Duration(0)
			if now > f.Seen {
				quiet = time.Duration(now - f.Seen)
			}
			if quiet >= max(idle(f, r.pressure), r.cfg.Linger) {
				ended = append(ended, *f)
				continue
			}
			// A flow that has just begun is the ring's to tell.
			if now-min(f.Opened, now) < uint64(2*time.Second) {
				continue
			}
			if e, ok := r.progress(f, now); ok {
				events = append(events, e)
			}
		}
		if !r.hand(events) || !r.end(ended, now) {
			return errors.New("the sink takes nothing")
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.size = seen
	r.pressure = seen > r.maps.Flows.Size()/4*3
	return nil
}

// progress is the event of a running flow: an open where none was told.
func (r *Reader) progress(f *bpfobj.TcFlow, now uint64) (Event, bool) {
	told, known := r.told(f.Id)
	if known && told == endTold {
		return Event{}, false
	}
	e := event(f, Update, min(now, f.Seen)) // so that no update follows a flow's end
	if !known {
		e.Kind = Open
		e.Time = WallClock(f.Opened)
		e.Delta = e.Total
		return e, true
	}
	e.Delta = e.Total.minus(counts64(told))
	return e, !e.Delta.isZero()
}

// finish ends the flows whose linger is over.
func (r *Reader) finish(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ended []bpfobj.TcFlow
	settled := false
	for id, due := range r.closing {
		if now.Before(due) {
			continue
		}
		if !settled {
			r.settle()
			settled = true
		}
		delete(r.closing, id)
		if f, ok := r.maps.Flows.Flow(id); ok {
			ended = append(ended, f)
		}
	}
	r.end(ended, uint64(bootNanos()))
}

// end tells the last of flows and removes them once it is settled. If the sink
// does not take it they stay, and the next scan tries again. mu is held.
func (r *Reader) end(ended []bpfobj.TcFlow, now uint64) bool {
	if len(ended) == 0 {
		return true
	}
	var events []Event
	for i := range ended {
		events = append(events, r.last(&ended[i], now)...)
	}
	if !r.hand(events) {
		return false
	}
	if err := r.deps.Settle(); err != nil {
		// The sink has taken them and answers for them; holding flows back would
		// fill the kernel's table while a disk is full.
		r.deps.Log.Debug("the last records of flows are not on disk yet", "flows", len(ended), "err", err)
	}
	for i := range ended {
		r.remove(ended[i].Id)
	}
	return true
}

// last are the final events of a flow; none where its end was told already.
func (r *Reader) last(f *bpfobj.TcFlow, now uint64) []Event {
	told, known := r.told(f.Id)
	if known && told == endTold {
		return nil
	}
	var events []Event
	if !known {
		open := event(f, Open, f.Opened)
		open.Total, open.Duration = Counts{}, 0
		events = append(events, open)
	}
	e := event(f, Close, min(now, f.Seen))
	e.Delta = e.Total.minus(counts64(told))
	return append(events, e)
}

func (r *Reader) remove(id uint64) {
	if err := r.maps.Flows.Forget(id); err != nil { // the next scan finds it again
		r.deps.Log.Warn("a flow that is over keeps its place", "flow", id, "err", err)
		return
	}
	r.maps.Told.Delete(id) // absent already is as good
}
