package detect

import (
	"bytes"
	"net/netip"
	"slices"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/mpm"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/regex"
	"ngfw.sh/dataplane/ids/rule"
)

// Worker evaluates a Set. It is for one goroutine.
type Worker struct {
	set   *Set
	state *State
	sets  []*dataset

	// What is being inspected.
	in     *Input
	packet *packet.Packet
	flow   *Flow
	now    int64
	dir    app.Direction
	// The sender and the receiver of what is being inspected: of a packet, or in a
	// transaction of the side that a rule looks at.
	src, dst     netip.Addr
	sport, dport uint16
	tx           app.Transaction
	txDir        app.Direction
	file         int // of the transaction, that a rule is being tried on

	found   []found
	tagging []tagged
	// What sets in JSON said of members that were found.
	enrichments []Enrichment

	// Candidates, each once.
	candidates []int32
	seen       []uint32
	epoch      uint32

	hits    mpm.Hits
	matcher *regex.Matcher
	vars    [64]uint64
	budget  int
	// furthest is how far into the buffer the last match looked, last where it ended.
	furthest int
	decoded  []byte
	numbers  []uint64
	address  []byte
	key      [16]byte
	single   [1]int32

	// Buffers of the transaction, by slot and direction.
	cache   []cached
	turn    uint32
	buffers []app.Buffer
	fileOf  [1]app.Buffer
	arena   []byte
	free    []*txState // for the next transactions

	bypass         bool
	mark, markMask uint32
}

// found is a match that has not been through thresholds.
type found struct {
	rule     *signature
	tx       app.Transaction
	txDir    app.Direction
	onStream bool
}

type cached struct {
	turn     uint32
	from, to int
}

// NewWorker makes a worker that shares a state with others.
func (s *Set) NewWorker(state *State) *Worker {
	return &Worker{
		set: s, state: state, sets: state.attach(s.data), matcher: regex.NewMatcher(s.cfg.Regex),
		seen: make([]uint32, len(s.rules)), cache: make([]cached, 2*len(s.slots)),
	}
}

// Bypass says whether a rule that matched in the last Inspect wants the rest of the flow to pass
// without inspection.
func (w *Worker) Bypass() bool { return w.bypass }

// Mark is what rules that matched in the last Inspect want the packet's mark to be.
func (w *Worker) Mark() (mark, mask uint32) { return w.mark, w.markMask }

// Inspect evaluates the rules and appends those that match.
func (w *Worker) Inspect(in *Input, to []Match) []Match {
	w.in, w.packet, w.flow, w.now, w.dir = in, in.Packet, in.Flow, in.Packet.Time, in.Direction
	w.bypass, w.mark, w.markMask = false, 0, 0
	w.found, w.tagging, w.enrichments = w.found[:0], w.tagging[:0], w.enrichments[:0]
	w.tx = nil
	if w.flow != nil && (w.flow.passed || w.flow.dropped) {
		return to
	}
	w.arena = w.arena[:0]
	if w.flow != nil {
		w.flow.adopt(w.set)
	}
	p := in.Packet
	w.src, w.dst, w.sport, w.dport = p.Src, p.Dst, p.SrcPort, p.DstPort
	if w.flow == nil || !w.flow.addressesDone[w.dir] && !p.Made {
		w.evaluate(w.set.addresses)
		if w.flow != nil {
			w.flow.addressesDone[w.dir] = true
		}
	}
	if w.flow != nil && !w.flow.protocolDone[w.dir] && (w.flow.ProtocolOf[w.dir] != 0 || w.flow.Failed[w.dir]) {
		w.evaluate(w.set.protocols)
		w.flow.protocolDone[w.dir] = true
	}
	w.gather()
	w.evaluate(w.candidates)
	if w.flow != nil {
		for _, tx := range in.Transactions {
			w.transaction(tx)
		}
	}
	to = w.finish(to)
	for i := range w.tagging {
		t := &w.tagging[i]
		w.state.tags.update(t.key, w.now, func(tagValue, bool) (tagValue, bool) { return t.value, true })
	}
	w.in, w.packet, w.flow, w.tx = nil, nil, nil, nil
	return to
}

// gather finds the rules of packets that are worth evaluating.
func (w *Worker) gather() {
	w.candidates = w.candidates[:0]
	if w.epoch++; w.epoch == 0 {
		clear(w.seen)
		w.epoch = 1
	}
	t := transportOf(w.packet.Protocol)
	one, last := int(w.dir), int(w.dir)
	if w.flow == nil {
		one, last = 0, 1
	}
	for dir := one; dir <= last; dir++ {
		s := w.set
		others := &s.others[t][dir]
		w.addAll(others.any)
		if others.ports != nil {
			w.addAll(others.ports[w.dport])
		}
		if others.from != nil {
			w.addAll(others.from[w.sport])
		}
		payload, stream := w.packet.Payload, w.in.Stream
		switch {
		case t != overTCP:
			w.search(s.packets[t][dir], payload)
		case len(stream) > w.in.Old:
			if w.in.InStream && bytes.HasSuffix(stream, payload) {
				w.searchStream(s.whole[dir], dir)
				break
			}
			w.searchStream(s.streams[dir], dir)
			fallthrough
		default:
			if w.in.InStream {
				w.search(s.segments[dir], payload)
			} else {
				w.search(s.packets[t][dir], payload)
			}
		}
	}
	slices.Sort(w.candidates)
}

func (w *Worker) addAll(rules []int32) {
	for _, n := range rules {
		if w.seen[n] != w.epoch {
			w.seen[n] = w.epoch
			w.candidates = append(w.candidates, n)
		}
	}
}

// search adds the rules whose fast pattern is in data.
func (w *Worker) search(s *search, data []byte) {
	if s == nil || len(data) == 0 {
		return
	}
	w.searchAnchored(s, data, 0)
	w.hits.Reset(s.set)
	s.set.Scan(data, &w.hits)
	for _, n := range w.hits.Numbers {
		w.addAll(s.rules[n])
	}
}

// searchStream searches what is new of the stream, and adds the rules that were found in what
// is old and still kept.
func (w *Worker) searchStream(s *search, dir int) {
	in := w.in
	if s == nil || w.flow == nil {
		if s != nil {
			w.search(s, in.Stream)
		}
		return
	}
	w.searchAnchored(s, in.Stream, in.StreamOffset)
	w.searchAnchored(s, w.packet.Payload, 0)
	// A pattern may begin in what is old.
	from := max(in.Old-s.set.Longest()+1, 0)
	end := in.StreamOffset + uint64(len(in.Stream))
	inStream := &w.flow.inStream[dir]
	if in.StreamOffset+uint64(in.Old) != inStream.end {
		// Not where the last search ended: all of it is new.
		from, inStream.rules = 0, inStream.rules[:0]
	}
	inStream.end = end
	kept := inStream.rules[:0]
	for _, x := range inStream.rules {
		if x.at > in.StreamOffset {
			kept = append(kept, x)
			w.addAll(w.one(x.rule))
		}
	}
	inStream.rules = kept
	w.hits.Reset(s.set)
	s.set.Scan(in.Stream[from:], &w.hits)
	for _, n := range w.hits.Numbers {
		for _, r := range s.rules[n] {
			inStream.add(r, end)
		}
		w.addAll(s.rules[n])
	}
}

func (w *Worker) one(n int32) []int32 {
	w.single[0] = n
	return w.single[:]
}

// evaluate tries rules that need no transaction.
func (w *Worker) evaluate(rules []int32) {
	for _, n := range rules {
		s := w.set.rules[n]
		if w.set.profile != nil {
			w.profiled(n, func() bool { return w.tryPacket(s) })
			continue
		}
		w.tryPacket(s)
	}
}

func (w *Worker) tryPacket(s *signature) bool {
	if s.class == ofTransactions {
		w.tryStream(s)
		return false
	}
	if p := w.packet; p.Invalid && !s.events && (p.Version == 0 || s.transport != rule.IP && s.transport != rule.IPv4 && s.transport != rule.IPv6) {
		return false // nothing is known of what it carries
	}
	if w.packet.Made && !s.onceFlow && (!s.onStream || len(s.payload) == 0) {
		return false
	}
	if !s.header(w) || !w.checks(s.checks) || !w.checks(s.state) {
		return false
	}
	for i := range s.headers {
		h := &s.headers[i]
		data := w.headerBytes(h.kind)
		if data == nil {
			return false
		}
		if h.slot >= 0 {
			var ok bool
			if data, ok = w.transformed(h.slot, data); !ok {
				return false
			}
		}
		if !w.match(h.program, buffer{data: data, whole: true}) {
			return false
		}
	}
	onStream, ok := w.payload(s)
	if !ok {
		return false
	}
	if s.onceFlow && w.once(s) {
		return false
	}
	w.matched(s, nil, onStream)
	return true
}

// once says whether a rule that matches once a flow has matched already.
func (w *Worker) once(s *signature) bool {
	bit := uint32(s.rule.SID)&^onceBit | onceBit
	if w.flow.hasBit(bit) {
		return true
	}
	w.flow.setBit(bit)
	return false
}

// onceBit marks rules among the bits of a flow.
const onceBit = 3 << 30

func (w *Worker) checks(all []check) bool {
	for _, f := range all {
		if !f(w) {
			return false
		}
	}
	return true
}

// payload matches in the stream, and where there was nothing or the rule looks at packets too, in
// the packet.
func (w *Worker) payload(s *signature) (onStream, ok bool) {
	if len(s.payload) == 0 {
		return false, s.asn1 == nil || s.asn1.match(w.packet.Payload, 0)
	}
	in := w.in
	if s.onStream && w.packet.Protocol == protoTCP && w.flow != nil {
		if len(in.Stream) > in.Old && w.programs(s, in.Stream, in.StreamOffset, in.Old) {
			return true, true
		}
		if !s.onPacket && in.InStream || s.onlyStream() {
			return false, false
		}
	} else if s.onlyStream() {
		return false, false
	}
	if len(w.packet.Payload) == 0 {
		return false, false
	}
	return false, w.programs(s, w.packet.Payload, 0, 0)
}

// programs matches in the payload. What was found before the byte old is no news.
func (w *Worker) programs(s *signature, data []byte, base uint64, old int) bool {
	furthest, positive := 0, false
	for i, p := range s.payload {
		d := data
		if slot := s.payloadSlots[i]; slot >= 0 {
			var ok bool
			if d, ok = w.transformed(slot, data); !ok || !w.match(p, buffer{data: d, whole: true}) {
				return false
			}
			furthest = len(data)
			continue
		}
		if !w.match(p, buffer{data: d, base: base, whole: true}) {
			return false
		}
		furthest = max(furthest, w.furthest)
		positive = positive || !p.negative
		if s.asn1 != nil && !s.asn1.match(d, w.furthest) {
			return false
		}
	}
	return furthest > old || !positive || old == 0
}

// transformed is what becomes of data in a slot.
func (w *Worker) transformed(slot int32, data []byte) ([]byte, bool) {
	for _, t := range w.set.slots[slot].transforms {
		n := len(w.arena)
		out, ok := t(w, w.arena[n:n:cap(w.arena)], data)
		if !ok {
			return nil, false
		}
		// What was appended stays until the end of this Inspect.
		if len(out) > 0 && n+len(out) <= cap(w.arena) && cap(w.arena) > n && &out[0] == &w.arena[:n+1][n] {
			w.arena = w.arena[:n+len(out)]
		} else if len(out) > cap(w.arena) {
			w.arena = make([]byte, 0, 2*len(out)+4096)
		}
		data = out
	}
	return data, true
}

// header compares the packet's header with the rule's.
func (s *signature) header(w *Worker) bool {
	p := w.packet
	switch s.transport {
	case rule.TCP, rule.TCPPacket, rule.TCPStream:
		if p.Protocol != protoTCP || p.Version == 0 {
			return false
		}
	case rule.UDP:
		if p.Protocol != protoUDP || p.Version == 0 {
			return false
		}
	case rule.IP:
		if p.Version == 0 {
			return false
		}
	case rule.ICMP:
		if p.Protocol != protoICMP && p.Protocol != protoICMPv6 || p.Version == 0 {
			return false
		}
	case rule.ICMPv4:
		if p.Protocol != protoICMP || p.Version != 4 {
			return false
		}
	case rule.ICMPv6:
		if p.Protocol != protoICMPv6 || p.Version != 6 {
			return false
		}
	case rule.IPv4:
		if p.Version != 4 {
			return false
		}
	case rule.IPv6:
		if p.Version != 6 {
			return false
		}
	case rule.SCTP:
		if p.Protocol != protoSCTP || p.Version == 0 {
			return false
		}
	case rule.ARP:
		if p.EtherType != 0x0806 {
			return false
		}
	case rule.Ethernet:
		if len(p.Ethernet) == 0 {
			return false
		}
	}
	if s.apps != 0 {
		f := w.flow
		if f == nil || !f.ProtocolKnown || !s.apps.Has(f.Protocol) && !s.apps.Has(f.ProtocolOf[w.dir]) {
			return false
		}
	}
	if w.flow != nil && !s.both && w.tx == nil && (w.dir == app.ToServer && !s.toServer || w.dir == app.ToClient && !s.toClient) {
		return false
	}
	if p.Version == 0 {
		return s.src == nil && s.dst == nil && s.sport == nil && s.dport == nil
	}
	if s.both && w.flow != nil {
		// The client is the source, whoever sent this.
		side := w.dir
		if w.tx != nil {
			side = w.txDir
		}
		if side == app.ToClient {
			return s.ends(w, w.dst, w.src, w.dport, w.sport)
		}
	}
	return s.ends(w, w.src, w.dst, w.sport, w.dport) || s.either && s.ends(w, w.dst, w.src, w.dport, w.sport)
}

func (s *signature) ends(w *Worker, src, dst netip.Addr, sport, dport uint16) bool {
	if s.sport != nil || s.dport != nil {
		switch w.packet.Protocol {
		case protoTCP, protoUDP, protoSCTP:
		default:
			return false
		}
		if w.packet.Fragment {
			return false
		}
	}
	return (s.dport == nil || s.dport.Contains(dport)) && (s.sport == nil || s.sport.Contains(sport)) &&
		(s.dst == nil || s.dst.Contains(dst)) && (s.src == nil || s.src.Contains(src))
}

// matched notes a match; what it sets is set before other rules are tried.
func (w *Worker) matched(s *signature, tx app.Transaction, onStream bool) {
	w.found = append(w.found, found{s, tx, w.txDir, onStream})
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
		m := Match{Rule: s.rule, Action: s.rule.Action, Tell: s.tell, Transaction: f.tx, TxDirection: f.txDir, OnStream: f.onStream}
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
