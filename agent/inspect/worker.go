package inspect

import (
	"net/netip"
	"slices"
	"time"

	"ngfw.sh/agent/flowlog"
	"ngfw.sh/config/ids"
	"ngfw.sh/dataplane"
	"ngfw.sh/dataplane/flow"
	matcher "ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/ids/eve"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/netfilter"
	"ngfw.sh/dataplane/nfqueue"
)

// worker is a queue's handler: it leads each packet through the matcher.
type worker struct {
	*matcher.Worker
	deps     Deps
	excluded []netip.Prefix
	told     tellings
	resets   *resetter
	totals
}

func newWorker(w *matcher.Worker, deps Deps, doc ids.Document) *worker {
	return &worker{Worker: w, deps: deps, excluded: prefixes(doc.ExcludedNetworks), resets: newResetter(deps.Log)}
}

// Packet implements nfqueue.Handler.
func (w *worker) Packet(p *nfqueue.Packet) nfqueue.Verdict {
	pass := nfqueue.Verdict{Mark: p.Mark}
	if len(w.excluded) > 0 && w.isExcluded(p.Data) {
		return pass
	}
	w.tell(w.Worker, false)
	v := w.Worker.Packet(packet.LinkRaw, p.Data, p.Length, time.Now().UnixNano())
	if v.Flow != nil {
		w.follow(v.Flow, v.Leave)
	}
	if v.Reject != 0 {
		w.resets.answer(p.Data, v.Reject)
	}
	if v.Drop {
		return nfqueue.Verdict{Drop: true, Mark: p.Mark}
	}
	if mask := v.MarkMask & netfilter.FreeMark; mask != 0 {
		pass.Mark = p.Mark&^mask | v.Mark&mask
	}
	if v.Changed {
		pass.Data = p.Data
	}
	return pass
}

// Rest implements nfqueue.Handler.
func (w *worker) Rest() { w.tell(w.Worker, true) }

// follow tells what is learnt of a flow: its application to the log of flows, and
// that it needs us no more to the programs.
func (w *worker) follow(f *matcher.Flow, leave matcher.Leave) {
	if f.Detect.ProtocolKnown && w.told.once(f.ID, toldApp) {
		app := eve.AppName(f.Detect.Protocol)
		w.deps.Facts.Learn(tupleOf(f), flowlog.Fact{App: app})
		if w.deps.Found != nil {
			w.deps.Found(f.Client, f.Server, f.Protocol, app)
		}
	}
	if leave == matcher.Stay || !w.told.once(f.ID, toldLeave) {
		return
	}
	word := dataplane.Bypass
	if leave == matcher.LeaveDrop {
		word = dataplane.Block
		w.deps.Facts.Learn(tupleOf(f), flowlog.Fact{Blocked: true})
	}
	if _, err := w.deps.Kernel.Tell(f.Client, f.Server, f.Protocol, word); err != nil {
		w.deps.Log.Warn("a flow cannot leave the matcher", "err", err)
	}
}

func tupleOf(f *matcher.Flow) flow.Tuple {
	return flow.Tuple{Source: f.Client, Destination: f.Server, Protocol: f.Protocol}
}

// isExcluded looks at the addresses of a packet.
func (w *worker) isExcluded(data []byte) bool {
	src, dst, ok := addresses(data)
	return ok && slices.ContainsFunc(w.excluded, func(p netip.Prefix) bool { return p.Contains(src) || p.Contains(dst) })
}

// addresses reads those of an IP header.
func addresses(data []byte) (src, dst netip.Addr, ok bool) {
	switch {
	case len(data) >= 20 && data[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(data[12:16])), netip.AddrFrom4([4]byte(data[16:20])), true
	case len(data) >= 40 && data[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(data[8:24])), netip.AddrFrom16([16]byte(data[24:40])), true
	}
	return src, dst, false
}

const (
	toldApp uint8 = 1 << iota
	toldLeave
)

// tellings remembers what has been told of flows, of the newest ones: what is forgotten is
// told once more.
type tellings struct{ fresh, stale map[uint64]uint8 }

const maxTellings = 1 << 15

// once says whether it is the first time.
func (t *tellings) once(id uint64, what uint8) bool {
	have := t.fresh[id] | t.stale[id]
	if have&what != 0 {
		return false
	}
	if t.fresh == nil || len(t.fresh) >= maxTellings {
		t.stale, t.fresh = t.fresh, map[uint64]uint8{}
	}
	t.fresh[id] = have | what
	return true
}
