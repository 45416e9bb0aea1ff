package detect

import (
	"net/netip"

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
	// What sets in JSON said of members that the rule being tried has found.
	enrichments []Enrichment

	// Candidates, each once.
	candidates []int32
	seen       []uint32
	epoch      uint32

	hits    mpm.Hits
	matcher *regex.Matcher
	vars    [64]uint64
	budget  int
	work    int // steps that expressions may yet take in this Inspect
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

	// What rules want replaced: of the one being tried, while it looks at a packet, and of those that matched.
	inPacket                bool
	replacing, replacements []Replacement

	bypass         bool
	mark, markMask uint32
}

// found is a match that has not been through thresholds.
type found struct {
	rule     *signature
	tx       app.Transaction
	txDir    app.Direction
	onStream bool
	context  []Enrichment
}

type cached struct {
	turn     uint32
	from, to int
}

// NewWorker makes a worker that shares a state with others.
func (s *Set) NewWorker(state *State) *Worker {
	return &Worker{
		set: s, state: state, sets: state.attach(s.data), matcher: regex.NewMatcher(s.cfg.Regex),
		seen: make([]uint32, len(s.rules)), cache: make([]cached, 2*len(s.slots)), work: workFixed,
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
	w.replacements, w.inPacket = w.replacements[:0], false
	w.found, w.tagging, w.enrichments = w.found[:0], w.tagging[:0], nil
	w.tx = nil
	if w.flow != nil && (w.flow.passed || w.flow.dropped) {
		return to
	}
	w.arena = w.arena[:0]
	p := in.Packet
	w.work = allowance(w.flow, len(p.Payload)+len(in.Stream))
	if w.flow != nil {
		w.flow.adopt(w.set)
	}
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
		if len(in.Frames) > 0 && w.set.frames != nil {
			w.evaluateFrames(in.Frames)
		}
	}
	w.weigh()
	to = w.finish(to)
	w.keepTags()
	w.in, w.packet, w.flow, w.tx = nil, nil, nil, nil
	return to
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
	w.enrichments = nil
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
	w.replacing = w.replacing[:0]
	onStream, ok := w.payload(s)
	if !ok {
		return false
	}
	w.replacements = append(w.replacements, w.replacing...)
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
