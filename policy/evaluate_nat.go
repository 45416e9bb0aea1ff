package policy

import (
	"net/netip"
	"slices"
	"strings"
)

// translateDestination gives the packet the destination that the first NAT rule
// makes of it, and notes the rule. What the router sends, and what keeps a link
// going, is left alone.
func (e *evaluation) translateDestination() error {
	if e.from == ZoneSelf || e.untranslatable() {
		return nil
	}
	for i := range e.policy.NAT {
		n := &e.policy.NAT[i]
		if !n.Enabled {
			continue
		}
		to, port, ok, err := e.destinationBy(n)
		if err != nil {
			return err
		}
		if ok {
			e.nat, e.packet.Dst = n, to
			if HasPorts(e.packet.Protocol) {
				e.packet.DstPort = port
			}
			return nil
		}
	}
	return nil
}

// untranslatable: multicast and broadcast, addresses of the link, what IPv6
// needs on a link (RFC 4861, 2710, 3810), and answers to DHCP clients.
func (e *evaluation) untranslatable() bool {
	p := e.packet
	if p.Dst.IsMulticast() || p.Dst.IsUnspecified() || p.Dst.Is6() && p.Dst.IsLinkLocalUnicast() ||
		p.Dst == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return true
	}
	if p.Dst.Is6() && p.Protocol == ProtocolICMPv6 {
		return slices.Contains([]uint8{130, 131, 132, 133, 134, 135, 136, 137, 143}, p.ICMPType)
	}
	return p.Protocol == ProtocolUDP && (p.Dst.Is4() && p.SrcPort == 67 && p.DstPort == 68 || p.Dst.Is6() && p.SrcPort == 547 && p.DstPort == 546)
}

// destinationBy is what one rule makes of the destination.
func (e *evaluation) destinationBy(n *NATRule) (to netip.Addr, port uint16, ok bool, err error) {
	p := e.packet
	m, err := mappingOf(*n)
	if err != nil {
		return to, 0, false, err
	}
	to, port = p.Dst, p.DstPort
	switch n.Type {
	case NATDestination:
		if m.first.Is4() != p.Dst.Is4() {
			return to, 0, false, nil
		}
		if ok, err = e.natConcerns(n, n.Source, n.Destination); !ok || err != nil {
			return to, 0, false, err
		}
		to = m.first
		switch m.ports {
		case NATOne:
			port = m.to.first
		case NATShift:
			port = m.to.first + (p.DstPort - m.from.first)
		}
	case NATOneToOne, NATNetmap:
		peers := n.Source
		if m.bySource {
			peers = n.Destination
		}
		if !m.outside.Contains(p.Dst) {
			return to, 0, false, nil
		}
		if ok, err = e.natConcerns(n, peers, "any"); !ok || err != nil {
			return to, 0, false, err
		}
		to = moved(p.Dst, m.inside)
	default:
		return to, 0, false, nil
	}
	// By the rule's interface, or without one by any. What would leave for the
	// zone it came from needs hairpin, unless it came by the interface; and came it
	// by another one, a rule for any destination means the router's addresses.
	turns := e.from == e.to
	switch {
	case n.Interface == "":
		ok = !turns || n.Hairpin
	case p.In == n.Interface:
		ok = true
	default:
		ok = turns && n.Hairpin
		if n.Type == NATDestination && namesNothing(n.Destination) && !slices.Contains(e.self, p.Dst) {
			ok = false
		}
	}
	return to, port, ok, nil
}

// namesNothing: the list is open, any or negated.
func namesNothing(list string) bool {
	list = strings.TrimSpace(list)
	if strings.HasPrefix(list, "!") {
		return true
	}
	for item := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(item) == "any" {
			return true
		}
	}
	return false
}

// moved puts an address into another network of the same size.
func moved(a netip.Addr, to netip.Prefix) netip.Addr {
	b, network := a.AsSlice(), to.Addr().AsSlice()
	for bit := range to.Bits() {
		mask := byte(0x80) >> (bit % 8)
		b[bit/8] = b[bit/8]&^mask | network[bit/8]&mask
	}
	out, _ := netip.AddrFromSlice(b)
	return out
}

// natConcerns: protocol, ports and addresses are the rule's.
func (e *evaluation) natConcerns(n *NATRule, source, destination string) (bool, error) {
	r := Rule{Protocol: n.Protocol, Port: n.DestinationPort}
	if r.Port == "" {
		r.Port = "*"
	}
	for _, condition := range []func() (bool, error){
		func() (bool, error) { return e.hasProtocol(r) },
		func() (bool, error) { return e.hasPort(r) },
		func() (bool, error) { return e.fromPort(n.SourcePort) },
		func() (bool, error) { return e.inAddresses(source, e.packet.Src) },
		func() (bool, error) { return e.inAddresses(destination, e.packet.Dst) },
	} {
		if ok, err := condition(); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

func (e *evaluation) fromPort(list string) (bool, error) {
	if list == "" {
		return true, nil
	}
	asked := evaluation{policy: e.policy, packet: Packet{DstPort: e.packet.SrcPort}}
	return asked.inPorts(list, map[string]bool{})
}

// translated says what NAT does to a packet with this answer.
func (e *evaluation) translated(r Result) (Result, error) {
	t := &r.NAT
	if e.nat != nil {
		t.Rule, t.Destination, t.Port = e.nat.ID, e.packet.Dst, e.portKey()
	}
	if r.Action != Accept || e.to == ZoneSelf {
		return r, nil
	}
	if e.from != ZoneSelf {
		if e.nat != nil && e.nat.Hairpin && e.from == e.to {
			t.SourceRule, t.Masquerade = e.nat.ID, true
			return r, nil
		}
		for i := range e.policy.NAT {
			n := &e.policy.NAT[i]
			if !n.Enabled {
				continue
			}
			ok, err := e.sourceBy(n)
			if err != nil {
				return r, err
			}
			if ok {
				t.SourceRule, t.Masquerade = n.ID, n.Type == NATMasquerade
				return r, nil
			}
		}
	}
	for _, z := range e.policy.Zones {
		if z.Name == e.to {
			t.Masquerade = z.Masquerade && e.packet.Src.Is4()
		}
	}
	return r, nil
}

// portKey is the port of a packet, or its ICMP type and code.
func (e *evaluation) portKey() uint16 {
	switch p := e.packet; {
	case HasPorts(p.Protocol):
		return p.DstPort
	case p.Protocol == ProtocolICMP || p.Protocol == ProtocolICMPv6:
		return uint16(p.ICMPType)<<8 | uint16(p.ICMPCode)
	}
	return 0
}

// sourceBy: does the rule translate the source of what leaves?
func (e *evaluation) sourceBy(n *NATRule) (bool, error) {
	p := e.packet
	if n.Type == NATDestination || n.Interface != "" && n.Interface != p.Out {
		return false, nil
	}
	m, err := mappingOf(*n)
	if err != nil {
		return false, err
	}
	source, destination := n.Source, n.Destination
	switch n.Type {
	case NATSource:
		if m.first.Is4() != p.Src.Is4() {
			return false, nil
		}
	case NATMasquerade:
		if p.Src.Is6() && !e.namesIPv6(source) && !e.namesIPv6(destination) {
			return false, nil
		}
	default:
		if !m.inside.Contains(p.Src) {
			return false, nil
		}
		if !m.bySource {
			destination = n.Source
		}
		// A peer that is written to has no frame.
		asked := *e
		asked.packet.SrcMAC = MAC{}
		return asked.natConcerns(n, "any", destination)
	}
	return e.natConcerns(n, source, destination)
}

// namesIPv6: the list, which is not open, has an address of IPv6.
func (e *evaluation) namesIPv6(list string) bool {
	if namesNothing(list) {
		return false
	}
	var names func(item string, depth int) bool
	names = func(text string, depth int) bool {
		item, err := parseAddressItem(strings.TrimSpace(text))
		if err != nil || depth > len(e.policy.Groups)+1 {
			return false
		}
		switch item.kind {
		case addressAny:
			return true
		case addressSelf:
			return slices.ContainsFunc(e.self, netip.Addr.Is6)
		case addressPrefix:
			return item.prefix.Addr().Is6()
		case addressGroup:
			g, _ := e.policy.groupNamed(item.name)
			return slices.ContainsFunc(g.Members, func(m string) bool { return names(m, depth+1) })
		}
		return item.first.Is6()
	}
	return slices.ContainsFunc(strings.Split(list, ","), func(item string) bool { return names(item, 0) })
}
