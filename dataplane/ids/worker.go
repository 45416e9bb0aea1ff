package ids

import (
	"fmt"
	"runtime/debug"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/defrag"
	"ngfw.sh/dataplane/ids/detect"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
	"ngfw.sh/dataplane/ids/stream"
)

const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoESP    = 50
	protoICMPv6 = 58
	protoSCTP   = 132
)

// expireEvery is how often they are, in nanoseconds of the packets' time.
const expireEvery = 100e6

// Worker takes packets. It is for one goroutine.
type Worker struct {
	engine   *Engine
	decoder  *packet.Decoder
	defrag   *defrag.Table
	flows    *table
	budget   stream.Budget
	detect   *detect.Worker
	set      *detect.Set
	input    detect.Input
	matches  []detect.Match
	events   packet.Events
	none     packet.Events // always empty
	now      int64
	expireAt int64 // when flows are looked at next that may be silent too long
	pseudo   [2]packet.Packet
	headers  [2][60]byte
	expected map[announced]expectation
	apps     app.Pool
	// flow is the packet's, ending one that is being ended: who is to blame for a panic.
	flow, ending *Flow
	// Counters count what the worker did.
	Counters Counters
}

// Counters count what a worker did.
type Counters struct {
	Packets, Bytes, Invalid, Flows, Alerts, Dropped, Rejected uint64
	Panics, Evicted, BadChecksums, Elephants                  uint64
	Refused                                                   uint64 // packets that found no room for their flow
	GaveUp                                                    uint64 // parsers, at what is broken or beyond their limits
}

// Worker makes a worker.
func (e *Engine) Worker() *Worker {
	w := &Worker{engine: e, defrag: defrag.New(e.cfg.Defrag), flows: newTable(e.cfg.Flows), expected: map[announced]expectation{}}
	w.decoder = packet.NewDecoder(e.cfg.Packet, w.defrag)
	return w
}

// Decoder is the worker's, for who wants to change its settings.
func (w *Worker) Decoder() *packet.Decoder { return w.decoder }

// Stream is what the worker's connections have been through.
func (w *Worker) Stream() stream.Counters { return w.budget.Counters }

// Fragments is what defragmentation did.
func (w *Worker) Fragments() defrag.Counters { return w.defrag.Counters }

// Packet takes a frame, of a length on the wire, seen at a time in nanoseconds since 1970.
func (w *Worker) Packet(link packet.Link, frame []byte, length int, time int64) (v Verdict) {
	w.flow, w.ending = nil, nil
	defer func() {
		if r := recover(); r != nil {
			w.caught(r, &v)
		}
	}()
	w.use()
	w.flows.settle()
	w.now = max(w.now, time)
	w.expire()
	w.Counters.Packets++
	w.Counters.Bytes += uint64(len(frame))
	evicted := w.defrag.Counters.Evicted
	packets := w.decoder.Decode(link, frame, length, time)
	if w.defrag.Counters.Evicted != evicted {
		w.exceptPacket(w.engine.cfg.Exceptions.Fragments, "defrag memcap", &v)
	}
	for _, p := range packets {
		x := w.packet(p)
		// A frame passes only if all that it carries may.
		if x.Drop && !v.Drop {
			v.Drop, v.Reason = true, x.Reason
		}
		if x.Reject != 0 {
			v.Reject = x.Reject
		}
		v.Changed = v.Changed || x.Changed
		v.Mark, v.MarkMask = v.Mark&^x.MarkMask|x.Mark, v.MarkMask|x.MarkMask
		if p.Outer == nil && !p.Reassembled || v.Flow == nil {
			v.Flow = x.Flow
			v.Leave = x.Leave
		}
	}
	if v.Drop {
		w.Counters.Dropped++
	}
	return v
}

// use takes the rules in force.
func (w *Worker) use() {
	if set := w.engine.Set(); set != w.set {
		w.set = set
		w.detect = nil
		if set != nil {
			w.detect = set.NewWorker(w.engine.state)
		}
	}
}

// packet leads one packet along its way.
func (w *Worker) packet(p *packet.Packet) (v Verdict) {
	w.events.Reset()
	if p.Invalid {
		w.Counters.Invalid++
	}
	f, dir, full := w.flowOf(p)
	v.Flow, w.flow = f, f
	defer w.anomalies(p, f)
	if full && w.exceptPacket(w.engine.cfg.Exceptions.FlowMemory, "flow memcap", &v) {
		w.logDrop(p, nil, dir, &v)
		return v
	}
	if f != nil {
		f.Detect.Packets[dir]++
		f.Detect.Bytes[dir] += uint64(p.Length)
		w.weigh(f, dir, p.Length)
	}
	if p.Invalid || f == nil {
		w.inspect(p, f, dir, &v, detect.Input{})
		w.logDrop(p, f, dir, &v)
		return v
	}
	if f.Action == FlowDropped {
		if w.engine.cfg.Inline {
			v.drop(f.Reason)
			v.Leave = LeaveDrop
		}
		if f.TCP != nil && p.Protocol == protoTCP && !p.BadChecksum {
			w.guard(f, func() { f.TCP.Packet(p, dir, p.Src, p.Dst, &w.events) })
		}
		w.logDrop(p, f, dir, &v)
		return v
	}
	switch {
	case p.Protocol == protoTCP && p.Transport != nil:
		w.tcp(p, f, dir, &v)
	case p.Protocol == protoUDP && p.Transport != nil:
		w.udp(p, f, dir, &v)
	default:
		w.inspect(p, f, dir, &v, detect.Input{})
	}
	if f.broken && f.Action == FlowDropped && w.engine.cfg.Inline {
		v.drop(f.Reason) // the packet itself that a panic came of
	}
	w.leave(f, &v)
	w.logDrop(p, f, dir, &v)
	return v
}

// guard runs what looks at a flow's bytes. A panic costs the flow its
// inspection.
func (w *Worker) guard(f *Flow, do func()) {
	defer func() {
		if r := recover(); r != nil {
			w.panicked(f, r)
		}
	}()
	do()
}

// caught is a panic outside of what is guarded: the packet is treated as one whose inspection
// has failed, and so is its flow. A flow that was ending is over.
func (w *Worker) caught(what any, v *Verdict) {
	f := w.flow
	if w.ending != nil {
		w.ending.broken = true
		w.flows.remove(w.ending)
		f = nil // the packet itself has not had its turn
	}
	w.panicked(f, what)
	if f != nil {
		if v.Flow = f; f.Action == FlowDropped {
			v.drop(f.Reason)
		}
		w.leave(f, v)
		return
	}
	w.exceptPacket(w.engine.cfg.Exceptions.AppError, "app-layer error", v)
}

func (w *Worker) panicked(f *Flow, what any) {
	w.Counters.Panics++
	if w.engine.deps.Panicked != nil {
		w.engine.deps.Panicked(fmt.Sprintf("%v\n%s", what, debug.Stack()))
	}
	if f == nil {
		return
	}
	f.broken = true
	if f.TCP != nil {
		f.TCP.AppOff(app.ToServer)
		f.TCP.AppOff(app.ToClient)
	}
	w.except(f, w.engine.cfg.Exceptions.AppError, "app-layer error", nil)
}

// except applies a policy to a flow.
func (w *Worker) except(f *Flow, policy Policy, reason string, v *Verdict) {
	if f == nil {
		return
	}
	switch policy {
	case DropFlow, Reject:
		if w.engine.cfg.Inline {
			f.Action, f.Reason = FlowDropped, reason
			if v != nil {
				v.drop(reason)
				if policy == Reject {
					v.Reject = rule.ActionReject
				}
			}
		}
	case DropPacket:
		if w.engine.cfg.Inline && v != nil {
			v.drop(reason)
		}
	case PassFlow:
		f.Action, f.Reason = FlowPassed, reason
	case Bypass:
		f.Action, f.Reason = FlowBypassed, reason
	}
}

// exceptPacket applies a policy to a packet that has no flow to apply it to: what is
// about flows is about the packet then. Done says that it needs no inspection.
func (w *Worker) exceptPacket(policy Policy, reason string, v *Verdict) (done bool) {
	switch policy {
	case DropFlow, DropPacket, Reject:
		if !w.engine.cfg.Inline {
			return false
		}
		v.drop(reason)
		if policy == Reject {
			v.Reject = rule.ActionReject
		}
		return true
	case PassFlow, PassPacket, Bypass:
		return true
	}
	return false
}

// flowOf finds or makes a packet's flow. Fragments and what is not decoded have none, nor has
// what would begin a flow while the table is full of established ones.
func (w *Worker) flowOf(p *packet.Packet) (_ *Flow, _ app.Direction, full bool) {
	if p.Invalid || p.Version == 0 || p.Fragment {
		return nil, 0, false
	}
	switch p.Protocol {
	case protoTCP, protoUDP, protoSCTP, protoICMP, protoICMPv6:
		if p.Transport == nil {
			return nil, 0, false
		}
	case protoESP:
	default:
		return nil, 0, false // of what has no ports or kinds of messages each packet stands alone, such as GRE
	}
	k, _ := keyOf(p, w.engine.cfg.VLANTracking)
	if e, ok := w.quoted(p, k); ok {
		k = e
	}
	f := w.flows.flows[k]
	if f != nil && f.TCP != nil && p.TCP.Flags&(packet.SYN|packet.ACK|packet.RST) == packet.SYN && w.reused(f, p) {
		w.end(f, "timeout")
		f = nil
	}
	if f == nil {
		if len(w.flows.flows) >= w.engine.cfg.Flows.Max {
			old := w.flows.oldest()
			if old.state == flowEstablished && w.engine.cfg.Exceptions.FlowMemory != Ignore {
				w.Counters.Refused++
				return nil, 0, true
			}
			w.Counters.Evicted++
			w.end(old, "forced")
		}
		f = w.flows.create(k, p)
		w.Counters.Flows++
	}
	dir := f.direction(p)
	if k.protocol != p.Protocol || f.Protocol != p.Protocol {
		dir = app.ToServer
		if p.Src == f.Server.Addr() {
			dir = app.ToClient
		}
	}
	f.seen[dir] = true
	f.Detect.Established = f.state == flowEstablished
	if p.Protocol != protoTCP && f.seen[0] && f.seen[1] && f.state == flowNew {
		f.state = flowEstablished
		f.Detect.Established = true
	}
	w.flows.touch(f, p.Time)
	return f, dir, false
}

// reused says whether a SYN begins another connection between the same ports.
func (w *Worker) reused(f *Flow, p *packet.Packet) bool {
	switch f.TCP.State() {
	case stream.Closed, stream.TimeWait, stream.LastAck:
		return true
	}
	return false
}

// quoted gives the key of the flow that an ICMP error is about.
func (w *Worker) quoted(p *packet.Packet, k key) (key, bool) {
	in := p.ICMP.Inner
	if len(in) < 28 || p.Version != 4 || p.Protocol != protoICMP || in[0]>>4 != 4 || p.ICMP.Type != 3 {
		return k, false
	}
	n := int(in[0]&15) * 4
	if n < 20 || len(in) < n+4 {
		return k, false
	}
	q := packet.Packet{Version: 4, Protocol: in[9], VLANs: p.VLANs, VLANCount: p.VLANCount, Outer: p.Outer}
	q.Src, q.Dst = addr4(in[12:]), addr4(in[16:])
	switch q.Protocol {
	case protoTCP, protoUDP, protoSCTP:
		q.SrcPort, q.DstPort = uint16(in[n])<<8|uint16(in[n+1]), uint16(in[n+2])<<8|uint16(in[n+3])
	case protoICMP:
		q.ICMP.Type = in[n]
	default:
		return k, false
	}
	inner, _ := keyOf(&q, w.engine.cfg.VLANTracking)
	if w.flows.flows[inner] == nil {
		return k, false
	}
	return inner, true
}

// expire ends flows that were silent too long.
func (w *Worker) expire() {
	if w.now < w.expireAt {
		return
	}
	// A few at a time, so that no packet waits for many.
	for range 64 {
		f := w.flows.expired(w.now)
		if f == nil {
			w.expireAt = w.now + expireEvery
			return
		}
		w.end(f, "timeout")
	}
}

// Finish ends all flows, the oldest first: no more packets come.
func (w *Worker) Finish() {
	w.use()
	for {
		f := w.flows.first()
		if f == nil {
			return
		}
		w.end(f, "shutdown")
	}
}
