package policy

import "net/netip"

// destinationOf gives the box that translates the packet's destination, as the
// programs do it; nil: none.
func (im *Image) destinationOf(p *ImagePacket) *NATBox {
	if p.From == ZoneIndexSelf || p.settled() {
		return nil
	}
	return im.boxOf(im.NAT.Destination, natDestination, p, p.PortIn)
}

// sourceOf gives the box that translates the source of a packet, whose
// destination is translated.
func (im *Image) sourceOf(p *ImagePacket) *NATBox {
	return im.boxOf(im.NAT.Source, natSource, p, p.PortOut)
}

func (im *Image) boxOf(boxes []NATBox, trees int, p *ImagePacket, port uint8) *NATBox {
	if p.IPv6 {
		trees++
	}
	order, at := im.find(im.NAT.Trees[trees], *p)
	if order == lineOpen {
		return nil
	}
	for i := int(at); i < len(boxes); i++ {
		if b := &boxes[i]; b.holds(p, port) && im.listed(b, p) && (b.Turn == NATEither || (b.Turn == NATTurning) == (p.From == p.To)) {
			return b
		}
	}
	return nil
}

func (b *NATBox) holds(p *ImagePacket, port uint8) bool {
	source, destination := netip.AddrFrom16(p.Source), netip.AddrFrom16(p.Destination)
	return b.SourceLo.Is4In6() != p.IPv6 && (b.Port == 0 || b.Port == port) && (b.AnyProtocol || b.Protocol == p.Protocol) &&
		b.PortLo <= p.Port && p.Port <= b.PortHi && b.SourcePortLo <= p.SourcePort && p.SourcePort <= b.SourcePortHi &&
		source.Compare(b.SourceLo) >= 0 && source.Compare(b.SourceHi) <= 0 &&
		destination.Compare(b.DestinationLo) >= 0 && destination.Compare(b.DestinationHi) <= 0
}

// listed says whether the packet, which lies within the box, is in its lists.
func (im *Image) listed(b *NATBox, p *ImagePacket) bool {
	f := family(p.IPv6)
	return (b.SourceSet.Count == 0 || im.inList(b.SourceSet, f, netip.AddrFrom16(p.Source))) &&
		(b.DestinationSet.Count == 0 || im.inList(b.DestinationSet, f, netip.AddrFrom16(p.Destination))) &&
		(b.MACs.Count == 0 || im.hasMAC(b.MACs.First, b.MACs.Count, p.SourceMAC) != b.NotMACs)
}

// translate gives the packet its new destination.
func (b *NATBox) translate(p *ImagePacket) {
	t := &b.Target
	old, host, to := numberOf(netip.AddrFrom16(p.Destination)), numberOf(t.Host), numberOf(t.To)
	p.Destination = uint128{to.hi | old.hi&host.hi, to.lo | old.lo&host.lo}.addr().As16()
	if !HasPorts(p.Protocol) {
		return
	}
	switch t.Ports {
	case NATOne:
		p.Port = t.ToPort
	case NATShift:
		p.Port += t.ToPort - t.FromPort
	}
}

// settled are packets that NAT leaves alone: to many, within a link, and what
// keeps a link going: neighbour discovery, listener reports, leases.
func (p *ImagePacket) settled() bool {
	d := p.Destination
	if p.IPv6 {
		kind := p.Port >> 8
		return d[0] == 0xff || d[0] == 0xfe && d[1]&0xc0 == 0x80 || d == [16]byte{} ||
			p.Protocol == ProtocolICMPv6 && (kind >= 130 && kind <= 137 || kind == 143) ||
			p.Protocol == ProtocolUDP && p.SourcePort == 547 && p.Port == 546
	}
	four := [4]byte(d[12:])
	return four[0]&0xf0 == 0xe0 || four == [4]byte{255, 255, 255, 255} || four == [4]byte{} ||
		p.Protocol == ProtocolUDP && p.SourcePort == 67 && p.Port == 68
}

// translation says what NAT does: box is of the destination, p has its new one.
func (im *Image) translation(p *ImagePacket, box *NATBox, accepted bool) Translation {
	var t Translation
	if box != nil {
		t.Rule, t.Destination, t.Port = int64(box.Rule), netip.AddrFrom16(p.Destination).Unmap(), p.Port
	}
	if !accepted || p.To == ZoneIndexSelf {
		return t
	}
	if p.From != ZoneIndexSelf {
		if box != nil && box.Hairpin && p.From == p.To {
			t.SourceRule, t.Masquerade = int64(box.Rule), true
			return t
		}
		if s := im.sourceOf(p); s != nil {
			t.SourceRule, t.Masquerade = int64(s.Rule), s.Target.Masquerade
			return t
		}
	}
	t.Masquerade = !p.IPv6 && im.Masquerade[p.To]
	return t
}
