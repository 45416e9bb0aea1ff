package dataplane

import (
	"encoding/binary"
	"fmt"
	"time"

	"ngfw.sh/dataplane/flow"
	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

// TracePacket is one packet's way through the programs.
type TracePacket struct {
	Number    int            `json:"number"` // in the trace, from 1
	Time      time.Time      `json:"time"`
	Packet    policy.Packet  `json:"packet"`           // as it arrived; of the router's own, as it left
	Leaves    *policy.Packet `json:"leaves,omitempty"` // as it left, if it was seen to
	FlowID    uint64         `json:"flow_id,omitempty,string"`
	Direction string         `json:"direction,omitempty"` // original, reply
	Bytes     uint32         `json:"bytes"`               // IP length
	Packets   uint32         `json:"packets"`             // on the wire: segments of a large one
	Mark      string         `json:"mark,omitempty"`      // the upper half is ours

	Action         policy.Action `json:"action"`
	RuleID         *int64        `json:"rule_id"` // null: no rule decided
	Reason         string        `json:"reason"`  // as simulation names it, or why it was dropped
	PolicyRevision int64         `json:"policy_revision"`
	Programs       []TraceStages `json:"programs"`
	Note           string        `json:"note,omitempty"` // why its end was not seen
}

// TraceStages are the steps of one program.
type TraceStages struct {
	Program policy.Program `json:"program"`
	Stages  []policy.Stage `json:"stages"`
}

// How long the next program is waited for. The matcher may take its time.
const (
	traceWait  = 300 * time.Millisecond
	traceQueue = 2 * time.Second
)

// assembler joins the records of a packet. It is used by one goroutine.
type assembler struct {
	d      *Dataplane
	since  uint64 // boot clock
	tell   func(TracePacket) error
	images map[int64]*policy.Image // that packets may have met
	number int
	early  []*pendingPacket // XDP has let them pass, in order
	open   map[uint64]*pendingPacket
}

type pendingPacket struct {
	TracePacket
	record bpfobj.TcTraceRecord
	until  time.Time
}

func newAssembler(d *Dataplane, since uint64, tell func(TracePacket) error) *assembler {
	return &assembler{d: d, since: since, tell: tell, images: map[int64]*policy.Image{}, open: map[uint64]*pendingPacket{}}
}

// take adds a record and tells of its packet if that was the last.
func (a *assembler) take(raw []byte) error {
	var r bpfobj.TcTraceRecord
	if _, err := binary.Decode(raw, binary.NativeEndian, &r); err != nil {
		return fmt.Errorf("read a trace record: %w", err)
	}
	if r.Time < a.since {
		return nil // of a trace before, which nobody has read to its end
	}
	s := sighting(&r, a.d.PortName)
	p := a.find(&r)
	a.tag(&s, &r)
	last := p == nil
	if p == nil {
		p = &pendingPacket{TracePacket: TracePacket{Time: flow.WallClock(r.Time), Packet: s.Packet, Bytes: r.Bytes, Packets: r.Packets}}
	}
	p.add(a.image(int64(r.Revision)), &r, s, last)
	switch {
	case r.Hook == traceXDP && s.Outcome == policy.Passed:
		p.until = time.Now().Add(traceWait)
		a.early = append(a.early, p)
		return nil
	case r.Hook == traceIngress && s.Outcome == policy.Passed && !p.ends(s):
		p.until = time.Now().Add(traceWait)
		if s.Queued {
			p.until = time.Now().Add(traceQueue)
		}
		if before := a.open[r.Packet]; before != nil { // its address is used again
			if err := a.end(before, true); err != nil {
				return err
			}
		}
		a.open[r.Packet] = p
		return nil
	}
	return a.end(p, false)
}

// find is the packet whose record before r is waiting.
func (a *assembler) find(r *bpfobj.TcTraceRecord) *pendingPacket {
	switch r.Hook {
	case traceXDP:
		return nil
	case traceIngress:
		return a.joined(r)
	}
	p := a.open[r.Packet]
	delete(a.open, r.Packet)
	return p
}

// joined takes the packet that XDP has seen as this one out of those waiting, or
// its segments: between the two the kernel makes large packets of them (GRO).
func (a *assembler) joined(r *bpfobj.TcTraceRecord) (first *pendingPacket) {
	left, n := a.early[:0], uint32(0)
	for _, p := range a.early {
		if n == max(r.Packets, 1) || p.record.Tuple != r.Tuple || p.record.IfindexIn != r.IfindexIn && !a.below(r.IfindexIn, p.record.IfindexIn) {
			left = append(left, p)
			continue
		}
		if n++; first == nil {
			first = p
			first.Bytes, first.Packets = r.Bytes, r.Packets
		}
	}
	a.early = left
	return first
}

// below says whether a VLAN's interface takes its frames from another, also
// through one between.
func (a *assembler) below(index, from uint32) bool {
	for range maxTags {
		if _, index = a.d.tagged(index); index == 0 {
			return false
		}
		if index == from {
			return true
		}
	}
	return false
}

const maxTags = 2 // MAX_TAGS of bpf/lib/parse.h

// tag gives a packet the tags of the VLANs by whose interfaces it comes and goes:
// at TC the kernel has taken the first off and has yet to put the other on.
func (a *assembler) tag(s *policy.Sighting, r *bpfobj.TcTraceRecord) {
	if r.Hook != traceXDP {
		s.Packet.VLAN, _ = a.d.tagged(r.IfindexIn)
	}
	s.Leaves.VLAN, _ = a.d.tagged(r.IfindexOut)
	if r.Hook == traceEgress && r.IfindexIn == 0 {
		s.Packet.VLAN = s.Leaves.VLAN
	}
}

// ends says that no further program sees the packet.
func (p *pendingPacket) ends(s policy.Sighting) bool {
	return s.Path == policy.PathFragment || s.Packet.Out == policy.InterfaceSelf
}

// add takes in what a program did.
func (p *pendingPacket) add(im *policy.Image, r *bpfobj.TcTraceRecord, s policy.Sighting, first bool) {
	p.record = *r
	stages := im.Sighted(s)
	switch {
	case s.Program == policy.ProgramEgress && s.Outcome == policy.Passed:
		leaves := s.Packet
		leaves.VLAN = s.Leaves.VLAN
		p.Leaves = &leaves
		v := s.Verdict
		v.NAT.SourceRule = int64(r.Nat[1])
		if stage, ok := im.Translated(p.Packet, leaves, v.NAT); ok && !first {
			stages = append(stages, stage)
		}
	case s.Outcome == policy.Redirected:
		leaves := s.Leaves
		p.Leaves = &leaves
	}
	p.Programs = append(p.Programs, TraceStages{s.Program, stages})
	if s.Program == policy.ProgramIngress && s.Packet.In != p.Packet.In { // XDP has seen it on the VLAN's port
		p.Packet.In, p.Packet.VLAN = s.Packet.In, s.Packet.VLAN
	}
	if p.Packet.Out == "" || s.Program != policy.ProgramXDP && first {
		p.Packet.Out = s.Packet.Out
	}
	if r.Flow != 0 && p.FlowID == 0 {
		p.FlowID = r.Flow
		p.Direction = "original"
		if s.Reply {
			p.Direction = "reply"
		}
	}
	if r.Mark != 0 {
		p.Mark = fmt.Sprintf("0x%08x", r.Mark)
	}
	if s.Program == policy.ProgramEgress && !first && s.Outcome == policy.Passed {
		return // the verdict is ingress's
	}
	p.decide(r, s)
}

// decide is the packet's verdict so far.
func (p *pendingPacket) decide(r *bpfobj.TcTraceRecord, s policy.Sighting) {
	result := s.Verdict.Result()
	p.Action, p.Reason, p.PolicyRevision, p.RuleID = policy.Accept, result.Reason, int64(r.Revision), nil
	switch s.Outcome {
	case policy.Dropped:
		p.Action = policy.Drop
	case policy.Rejected:
		p.Action = policy.Reject
	}
	if s.Drop != "" && (s.Drop != "policy" || result.Reason == "none") {
		p.Reason = s.Drop
		return
	}
	if result.RuleID != 0 {
		p.RuleID = &result.RuleID
	}
}

// flush tells of what has waited long enough; of everything at the end.
func (a *assembler) flush(all bool) error {
	now := time.Now()
	for len(a.early) > 0 && (all || now.After(a.early[0].until)) {
		p := a.early[0]
		a.early = a.early[1:]
		if err := a.end(p, true); err != nil {
			return err
		}
	}
	for id, p := range a.open {
		if all || now.After(p.until) {
			delete(a.open, id)
			if err := a.end(p, true); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *assembler) end(p *pendingPacket, unseen bool) error {
	if unseen {
		p.Note = p.lost(a.d)
	}
	a.number++
	p.Number = a.number
	return a.tell(p.TracePacket)
}

// lost is what may have become of a packet that the next program has not seen.
func (p *pendingPacket) lost(d *Dataplane) string {
	switch {
	case p.record.Hook == traceXDP && p.record.Vlan != 0:
		if taker := d.ofVLAN(p.record.IfindexIn, p.record.Vlan); taker != "" {
			return "not seen at " + taker + ": joined with others (GRO), not for this router's address, or the trace's rate was exceeded"
		}
		return fmt.Sprintf("VLAN %d has no interface on %s here", p.record.Vlan, p.Packet.In)
	case p.record.Hook == traceXDP:
		return "not seen at TC: joined with others (GRO), or the trace's rate was exceeded"
	case p.record.Mark&markInspectBit != 0:
		return "not seen to leave: still in the matcher's queue, or dropped there"
	case p.record.Packets > 1 || p.record.Bytes > 1500:
		return "not seen to leave: fragmented, or dropped between (nftables, conntrack, no neighbour)"
	}
	return "not seen to leave: dropped between (nftables, conntrack, no neighbour), or the trace's rate was exceeded"
}

// image is the one of a revision, or the newest for its names.
func (a *assembler) image(revision int64) *policy.Image {
	if im := a.d.enforced(); im != nil {
		a.images[im.Revision] = im
	}
	if im := a.images[revision]; im != nil {
		return im
	}
	if im := a.d.enforced(); im != nil {
		return im
	}
	return &policy.Image{Zones: []string{"", policy.ZoneSelf}}
}
