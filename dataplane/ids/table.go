package ids

import (
	"net/netip"

	"ngfw.sh/dataplane/ids/packet"
)

// table holds a worker's flows. Flows of a class and state share a timeout, so that each
// such list is in the order in which they expire.
type table struct {
	cfg   FlowConfig
	flows map[key]*Flow
	lists [classes][flowStates]lru
	next  uint64
	// retired flows have ended while a packet was looked at, whose verdict may name them; spare
	// ones are for the next flows.
	retired, spare []*Flow
}

// spareFlows bounds those that are kept for the next ones.
const spareFlows = 8192

// lru is a list of flows, the one that was silent longest first.
type lru struct{ first, last *Flow }

func (l *lru) push(f *Flow) {
	f.list, f.prev, f.next = l, l.last, nil
	if l.last != nil {
		l.last.next = f
	} else {
		l.first = f
	}
	l.last = f
}

func (f *Flow) unlink() {
	l := f.list
	if l == nil {
		return
	}
	if f.prev != nil {
		f.prev.next = f.next
	} else {
		l.first = f.next
	}
	if f.next != nil {
		f.next.prev = f.prev
	} else {
		l.last = f.prev
	}
	f.list, f.prev, f.next = nil, nil, nil
}

func newTable(cfg FlowConfig) *table {
	return &table{cfg: cfg, flows: map[key]*Flow{}}
}

// timeout of a flow in its state.
func (t *table) timeout(c Class, s flowState) int64 {
	x := t.cfg.Timeouts[c]
	switch s {
	case flowEstablished:
		return x.Established
	case flowClosed:
		return x.Closed
	case flowBypassed:
		return x.Bypassed
	}
	return x.New
}

// expired gives a flow that was silent too long, or nil.
func (t *table) expired(now int64) *Flow {
	for c := range t.lists {
		for s := range t.lists[c] {
			if f := t.lists[c][s].first; f != nil && now-f.Last > t.timeout(Class(c), flowState(s)) {
				return f
			}
		}
	}
	return nil
}

// oldest is the flow to go first when there are too many: a new one before an
// established one, since a flood makes the former.
func (t *table) oldest() *Flow {
	for _, s := range [...]flowState{flowClosed, flowNew, flowBypassed, flowEstablished} {
		var found *Flow
		for c := range t.lists {
			if f := t.lists[c][s].first; f != nil && (found == nil || f.Last < found.Last) {
				found = f
			}
		}
		if found != nil {
			return found
		}
	}
	return nil
}

// create makes a flow whose client sent p.
func (t *table) create(k key, p *packet.Packet) *Flow {
	t.next++
	var f *Flow
	if n := len(t.spare); n > 0 {
		f, t.spare = t.spare[n-1], t.spare[:n-1]
		f.Detect.Renew()
		f.rates[0].reset()
		f.rates[1].reset()
	} else {
		f = &Flow{}
	}
	*f = Flow{
		Detect: f.Detect, rates: f.rates,
		key: k, ID: t.next, Protocol: p.Protocol, VLANs: p.VLANs, VLANCount: p.VLANCount,
		Client: netip.AddrPortFrom(p.Src, p.SrcPort), Server: netip.AddrPortFrom(p.Dst, p.DstPort),
		class: classOf(p.Protocol), ICMPType: p.ICMP.Type, ICMPCode: p.ICMP.Code,
	}
	f.Detect.Start = p.Time
	t.flows[k] = f
	t.lists[f.class][flowNew].push(f)
	return f
}

// touch says that the flow is alive.
func (t *table) touch(f *Flow, now int64) {
	f.Last = max(f.Last, now) // clocks of captures go back at times
	f.unlink()
	t.lists[f.class][f.state].push(f)
}

func (t *table) remove(f *Flow) {
	f.unlink()
	if t.flows[f.key] == f {
		delete(t.flows, f.key)
	}
}

// forget gives a flow back that nobody knows any more: another will be kept in it.
func (t *table) forget(f *Flow) {
	if len(t.retired) < spareFlows {
		t.retired = append(t.retired, f)
	}
}

// settle lets flows that have ended be used again: the next packet begins.
func (t *table) settle() {
	if len(t.retired) > 0 {
		n := min(len(t.retired), spareFlows-len(t.spare))
		t.spare = append(t.spare, t.retired[:n]...)
		clear(t.retired)
		t.retired = t.retired[:0]
	}
}

// first is the flow with the lowest number, or nil.
func (t *table) first() *Flow {
	var found *Flow
	for c := range t.lists {
		for s := range t.lists[c] {
			if f := t.lists[c][s].first; f != nil && (found == nil || f.Last < found.Last || f.Last == found.Last && f.ID < found.ID) {
				found = f
			}
		}
	}
	return found
}
