package dataplane

import (
	"encoding/binary"
	"net/netip"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

// As in bpf/abi/nat.h and abi.h.
const (
	natAnyProtocol = 0x01
	natHairpin     = 0x02
	natAccept      = 0x04
	natLog         = 0x08
	natMasquerade  = 0x10
	natV6          = 0x20
	natNotMACs     = 0x40

	portNATShift = 16
)

// natBoxes are both steps' boxes, the destination's first; at least one, since a
// map has an element.
func natBoxes(t *policy.NATTable) []bpfobj.TcNatBox {
	boxes := make([]bpfobj.TcNatBox, 0, len(t.Destination)+len(t.Source)+1)
	for _, list := range [][]policy.NATBox{t.Destination, t.Source} {
		for i := range list {
			boxes = append(boxes, natBox(&list[i]))
		}
	}
	if len(boxes) == 0 {
		boxes = append(boxes, bpfobj.TcNatBox{})
	}
	return boxes
}

func natBox(b *policy.NATBox) bpfobj.TcNatBox {
	out := bpfobj.TcNatBox{
		SrcLo: address(b.SourceLo), SrcHi: address(b.SourceHi), DstLo: address(b.DestinationLo), DstHi: address(b.DestinationHi),
		SportLo: b.SourcePortLo, SportHi: b.SourcePortHi, PortLo: b.PortLo, PortHi: b.PortHi,
		Rule: b.Rule, Proto: b.Protocol, Port: b.Port, Turn: uint8(b.Turn), Number: b.Target.Number,
		To: optional(b.Target.To), Last: optional(b.Target.Last), Host: optional(b.Target.Host),
		ToPort: b.Target.ToPort, LastPort: b.Target.LastPort, FromPort: b.Target.FromPort, Ports: uint8(b.Target.Ports),
		Told: uint32(b.Told), Sources: natList(b.SourceSet), Destinations: natList(b.DestinationSet), Macs: natList(b.MACs),
	}
	for flag, set := range map[uint32]bool{
		natAnyProtocol: b.AnyProtocol, natHairpin: b.Hairpin, natAccept: b.Accept, natLog: b.Log, natMasquerade: b.Target.Masquerade,
		natV6: !b.SourceLo.Is4In6(), natNotMACs: b.NotMACs,
	} {
		if set {
			out.Flags |= flag
		}
	}
	return out
}

func natList(l policy.NATList) bpfobj.TcNatList {
	return bpfobj.TcNatList{First: l.First, Count: l.Count}
}

func optional(a netip.Addr) bpfobj.TcAddress {
	if !a.IsValid() {
		return bpfobj.TcAddress{}
	}
	return address(a)
}

func natMeta(im *policy.Image) bpfobj.TcNatMeta {
	m := bpfobj.TcNatMeta{
		Destinations: uint32(len(im.NAT.Destination)), Sources: uint32(len(im.NAT.Source)), Trees: im.NAT.Trees, Generation: uint32(im.NAT.Generation),
		Tells: uint32(len(im.NAT.Told)),
	}
	for zone, on := range im.Masquerade {
		if on {
			m.Masquerade |= 1 << zone
		}
	}
	return m
}

// translation reads the program's answer about NAT.
func translation(q *bpfobj.TcQuestion) policy.Translation {
	t := policy.Translation{Rule: int64(q.Nat.Rule), SourceRule: int64(q.Nat.SourceRule), Masquerade: q.Nat.Flags&natMasquerade != 0}
	if t.Rule != 0 {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:8], q.Dst.Hi)
		binary.BigEndian.PutUint64(b[8:], q.Dst.Lo)
		t.Destination, t.Port = netip.AddrFrom16(b).Unmap(), q.Port
	}
	return t
}

// natDeciders are what counts the packets of NAT rules, and what they accept.
func natDeciders(t *policy.NATTable, add func(policy.Decider)) {
	for _, list := range [][]policy.NATBox{t.Destination, t.Source} {
		for i := range list {
			add(policy.NewDecider(policy.DeciderNAT, list[i].Rule))
			add(policy.NewDecider(policy.DeciderTranslation, list[i].Rule))
		}
	}
}
