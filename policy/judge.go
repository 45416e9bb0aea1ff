package policy

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// ImagePacket is a packet as the packet programs see it after parsing: zones by
// index, addresses in 16 bytes, one key for ports and ICMP types.
type ImagePacket struct {
	From, To    uint8 // zone indexes
	IPv6        bool  // what the packet's header says
	Source      [16]byte
	Destination [16]byte
	Protocol    uint8
	SourcePort  uint16 // TCP, UDP, SCTP, else 0
	Port        uint16 // destination port; type<<8|code for ICMP and ICMPv6, else 0

	PortIn, PortOut uint8 // NAT ports of the interfaces, see NATTable.Ports
}

// Packet puts a packet into the image's numbers; false where its addresses are
// of different families, or missing, which no real packet can be.
func (im *Image) Packet(p Packet) (ImagePacket, bool) {
	ip := ImagePacket{
		From: im.zoneOf(p.In), To: im.zoneOf(p.Out), IPv6: p.Src.Is6(),
		Source: p.Src.As16(), Destination: p.Dst.As16(), Protocol: p.Protocol,
		PortIn: im.NAT.Ports[p.In], PortOut: im.NAT.Ports[p.Out],
	}
	switch {
	case HasPorts(p.Protocol):
		ip.SourcePort, ip.Port = p.SrcPort, p.DstPort
	case p.Protocol == ProtocolICMP || p.Protocol == ProtocolICMPv6:
		ip.Port = uint16(p.ICMPType)<<8 | uint16(p.ICMPCode)
	}
	return ip, p.Src.IsValid() && p.Dst.IsValid() && p.Src.Is4() == p.Dst.Is4()
}

func (im *Image) zoneOf(name string) uint8 {
	if name == InterfaceSelf {
		return ZoneIndexSelf
	}
	return im.Interfaces[name] // ZoneIndexNone where unknown
}

// JudgePacket judges the first packet of a flow by the image's tables.
func (im *Image) JudgePacket(p Packet) Verdict {
	ip, ok := im.Packet(p)
	if !ok {
		return dropped(DropMalformed)
	}
	return im.Judge(ip)
}

// Judge walks the tables as the packet programs do.
func (im *Image) Judge(p ImagePacket) Verdict {
	switch {
	case p.malformed():
		return dropped(DropMalformed)
	case p.From == ZoneIndexNone:
		return dropped(DropNoZone)
	case p.icmpError():
		return dropped(DropNoState)
	case p.To == ZoneIndexNone:
		return dropped(DropNoZone)
	}
	box := im.destinationOf(&p)
	if box != nil {
		box.translate(&p)
	}
	v := im.judge(p, box)
	v.NAT = im.translation(&p, box, v.Action == Accept)
	return v
}

// judge asks system rules and the pair's entries about a packet with its new
// destination.
func (im *Image) judge(p ImagePacket, box *NATBox) Verdict {
	if rule, ok := im.systemRule(p); ok {
		return Verdict{Action: Accept, Decider: NewDecider(DeciderSystem, uint32(rule))}
	}
	pair := im.Pairs[int(p.From)*len(im.Zones)+int(p.To)]
	root, key := pair.Tree4, p.key()
	if p.IPv6 {
		root = pair.Tree6
	}
	order, decider := im.find(root, &key, p.IPv6)
	if order == lineOpen {
		if box != nil && box.Accept {
			return Verdict{Action: Accept, Log: box.Log, Decider: NewDecider(DeciderNAT, box.Rule)}
		}
		return pair.Default
	}
	return Verdict{Action: orderActions[order&orderAction], Log: order&orderLog != 0, Decider: Decider(decider)}
}

var mappedPrefix = [12]byte{10: 0xff, 11: 0xff}

// malformed finds addresses that a packet cannot have.
func (p ImagePacket) malformed() bool {
	s, d := p.Source, p.Destination
	if p.IPv6 {
		return [12]byte(s[:12]) == mappedPrefix || [12]byte(d[:12]) == mappedPrefix ||
			s[0] == 0xff || s == [16]byte{15: 1} || d == [16]byte{15: 1}
	}
	return s[12]&0xf0 == 0xe0 || binary.BigEndian.Uint32(s[12:]) == 0xffffffff || s[12] == 127 || d[12] == 127
}

// icmpError finds what belongs to a flow that conntrack would know.
func (p ImagePacket) icmpError() bool {
	kind := p.Port >> 8
	if p.IPv6 {
		return p.Protocol == ProtocolICMPv6 && kind >= 1 && kind < 128
	}
	return p.Protocol == ProtocolICMP && (kind >= 3 && kind <= 5 || kind == 11 || kind == 12)
}

func (im *Image) systemRule(p ImagePacket) (SystemRule, bool) {
	fromSelf, toSelf := p.From == ZoneIndexSelf, p.To == ZoneIndexSelf
	if p.IPv6 && p.Protocol == ProtocolICMPv6 && (fromSelf || toSelf) {
		switch kind := p.Port >> 8; {
		case kind >= 133 && kind <= 136 && im.System.Has(SystemNeighbourDiscovery):
			return SystemNeighbourDiscovery, true
		case (kind >= 130 && kind <= 132 || kind == 143) && im.System.Has(SystemMLD):
			return SystemMLD, true
		}
	}
	if im.System.Has(SystemDHCPClient) && toSelf && p.Protocol == ProtocolUDP &&
		(!p.IPv6 && p.SourcePort == 67 && p.Port == 68 || p.IPv6 && p.SourcePort == 547 && p.Port == 546) {
		return SystemDHCPClient, true
	}
	if im.System.Has(SystemCloud) && fromSelf && p.Protocol == ProtocolTCP &&
		slices.Contains(im.Cloud, netip.AddrPortFrom(netip.AddrFrom16(p.Destination), p.Port)) {
		return SystemCloud, true
	}
	return 0, false
}
