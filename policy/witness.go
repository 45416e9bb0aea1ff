package policy

import (
	"net/netip"
	"slices"
)

// Ports that witnesses have where any will do: what people know best.
var (
	familiarServices = []uint128{
		serviceNumber(ProtocolTCP, 443), serviceNumber(ProtocolTCP, 80), serviceNumber(ProtocolTCP, 22), serviceNumber(ProtocolUDP, 53),
		serviceNumber(ProtocolICMPv6, 128<<8), serviceNumber(ProtocolICMP, 8<<8), serviceNumber(ProtocolTCP, 0), serviceNumber(ProtocolUDP, 0),
	}
	familiarAddresses = [families][2]netip.Addr{ // RFC 5737, RFC 3849
		{netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("198.51.100.20")},
		{netip.MustParseAddr("2001:db8:1::10"), netip.MustParseAddr("2001:db8:2::20")},
	}
	ephemeralPort = uint128{0, 40000}
)

// packetOf gives a packet of a region, between two interfaces.
func packetOf(r region, family int, in, out string) Packet {
	p := Packet{
		In: in, Out: out,
		Src: addressIn(r[atSource], family, familiarAddresses[family][0]),
		Dst: addressIn(r[atDestination], family, familiarAddresses[family][1]),
	}
	service := r[atService].first
	for _, known := range familiarServices {
		if r[atService].has(known) && (family == family4) != (known == serviceNumber(ProtocolICMPv6, 128<<8)) {
			service = known
			break
		}
	}
	var port uint16
	p.Protocol, port = serviceOf(service)
	switch {
	case HasPorts(p.Protocol):
		from := r[atSourcePort].first
		if r[atSourcePort].has(ephemeralPort) {
			from = ephemeralPort
		}
		p.SrcPort, p.DstPort = uint16(from.lo), port
	case protocolSize(p.Protocol) > 1:
		p.ICMPType, p.ICMPCode = uint8(port>>8), uint8(port)
	}
	return p
}

// addressIn picks the familiar address, else the second of the span, since the
// first often names a network.
func addressIn(s span, family int, familiar netip.Addr) netip.Addr {
	n := s.first
	switch second := n.next(); {
	case s.has(numberOf(familiar)):
		n = numberOf(familiar)
	case s.first != s.last && !(family == family6 && second.compare(mappedFirst) >= 0 && second.compare(mappedLast) <= 0):
		n = second
	}
	if family == family4 {
		return n.addr().Unmap()
	}
	return n.addr()
}

// regionOf is the region of one packet; false where its addresses are of
// different families.
func regionOf(p Packet) (r region, family int, ok bool) {
	if !p.Src.IsValid() || !p.Dst.IsValid() || p.Src.Is4() != p.Dst.Is4() {
		return r, 0, false
	}
	if p.Src.Is6() {
		family = family6
	}
	var port uint16
	from := p.SrcPort
	switch {
	case HasPorts(p.Protocol):
		port = p.DstPort
	case protocolSize(p.Protocol) > 1:
		port, from = uint16(p.ICMPType)<<8|uint16(p.ICMPCode), 0
	default:
		from = 0
	}
	source, destination, service := numberOf(p.Src), numberOf(p.Dst), serviceNumber(p.Protocol, port)
	return region{{source, source}, {destination, destination}, {service, service}, portSpan(from, from)}, family, true
}

func inAny(r *region, steps []step) bool {
	return slices.ContainsFunc(steps, func(s step) bool { return s.region.covers(r) })
}

// interfacesOf lists what a packet may come from or leave by.
func (p *Policy) interfacesOf(zone string) []string {
	if zone == ZoneSelf {
		return []string{InterfaceSelf}
	}
	for _, z := range p.Zones {
		if z.Name == zone {
			return z.Interfaces
		}
	}
	return nil
}

// ends names the interfaces of a packet between two sets of them, different ones
// if there are; "" where there is none.
func ends(from, to []string) (in, out string) {
	if len(from) > 0 {
		in = from[0]
	}
	if len(to) > 0 {
		out = to[0]
		if i := slices.IndexFunc(to, func(name string) bool { return name != in }); i >= 0 {
			out = to[i]
		}
	}
	return in, out
}
