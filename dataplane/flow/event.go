package flow

import (
	"encoding/binary"
	"net/netip"
	"time"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

// Kind of an Event.
type Kind uint8

const (
	Open    Kind = 1
	Update  Kind = 2
	Close   Kind = 3
	Refused Kind = 4
)

// Tuple is a five-tuple. For ICMP the source port is the identifier and the
// destination port type<<8|code.
type Tuple struct {
	Source, Destination netip.AddrPort
	Protocol            uint8
}

// Counts of a flow: wire packets and IP lengths, from the source and to it.
type Counts struct {
	PacketsSent, PacketsReceived, BytesSent, BytesReceived uint64
}

func (c Counts) minus(o Counts) Counts {
	return Counts{c.PacketsSent - o.PacketsSent, c.PacketsReceived - o.PacketsReceived, c.BytesSent - o.BytesSent, c.BytesReceived - o.BytesReceived}
}

func (c Counts) isZero() bool { return c == Counts{} }

// Event is one thing that happened to a flow. Delta counts since the flow's
// event before, so deltas of one flow add up to Total.
type Event struct {
	FlowID          uint64
	Kind            Kind
	Time            time.Time
	Action          policy.Action
	Tuple           Tuple
	Translated      *Tuple // as it leaves the router, where NAT changed it
	SourceMAC       []byte // nil: none
	PortIn, PortOut uint32 // interface indexes, 0: the router
	ZoneIn, ZoneOut uint8  // zone indexes of the revision
	Decider         policy.Decider
	Revision        int64
	Log             bool
	Delta, Total    Counts
	Duration        time.Duration
	Count           uint32 // flows it stands for, at least 1
}

func tuple(t bpfobj.TcTuple) Tuple {
	port := func(p uint16) uint16 {
		var b [2]byte
		binary.NativeEndian.PutUint16(b[:], p)
		return binary.BigEndian.Uint16(b[:])
	}
	return Tuple{
		Source:      netip.AddrPortFrom(netip.AddrFrom16(t.Saddr).Unmap(), port(t.Sport)),
		Destination: netip.AddrPortFrom(netip.AddrFrom16(t.Daddr).Unmap(), port(t.Dport)),
		Protocol:    t.Proto,
	}
}

// reversed is the tuple of packets the other way. ICMP keeps its identifier
// and is given the original's type, since only its addresses are translated.
func reversed(t, orig Tuple) Tuple {
	r := Tuple{Source: t.Destination, Destination: t.Source, Protocol: t.Protocol}
	if t.Protocol == policy.ProtocolICMP || t.Protocol == policy.ProtocolICMPv6 {
		r.Source = netip.AddrPortFrom(t.Destination.Addr(), t.Source.Port())
		r.Destination = netip.AddrPortFrom(t.Source.Addr(), orig.Destination.Port())
	}
	return r
}

func mac(b [6]uint8) []byte {
	if b == ([6]uint8{}) {
		return nil
	}
	return b[:]
}

func counts(f *bpfobj.TcFlow) Counts {
	return Counts{f.Packets[0], f.Packets[1], f.Bytes[0], f.Bytes[1]}
}

// As in enum action of bpf/abi/abi.h.
var actions = map[uint32]policy.Action{1: policy.Accept, 2: policy.Drop, 3: policy.Reject}

// event describes a flow record; deltas and totals are the caller's.
func event(f *bpfobj.TcFlow, kind Kind, boot uint64) Event {
	e := Event{
		FlowID: f.Id, Kind: kind, Time: WallClock(boot), Action: policy.Accept, Tuple: tuple(f.Orig),
		SourceMAC: mac(f.Smac), PortIn: f.IfindexIn, PortOut: f.IfindexOut, ZoneIn: f.ZoneIn, ZoneOut: f.ZoneOut,
		Decider: policy.Decider(f.Decider), Revision: int64(f.Revision), Log: f.Flags&flagLog != 0,
		Total: counts(f), Duration: time.Duration(f.Seen - f.Opened), Count: 1,
	}
	if f.Flags&flagNAT != 0 {
		t := reversed(tuple(f.Reply), e.Tuple)
		e.Translated = &t
	}
	return e
}
