package packet

import "net/netip"

func (d *Decoder) ip6(p *Packet, b []byte) {
	if !d.deeper(p) {
		return
	}
	if len(b) < 40 {
		p.broken(IPv6PktTooSmall)
		return
	}
	if b[0]>>4 != 6 {
		p.broken(IPv6WrongIpVersion)
		return
	}
	n := 40 + int(be16(b[4:]))
	if n > len(b) {
		p.broken(IPv6TruncPkt)
		return
	}
	b = b[:n]
	p.Version, p.IP, p.Network = 6, b, b[:40]
	p.Src, p.Dst = netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
	p.Protocol = b[6]
	d.ip6Chain(p, b)
}

// ip6Chain walks the extension headers (RFC 8200, section 4).
func (d *Decoder) ip6Chain(p *Packet, whole []byte) {
	var hopByHop, routing, auth, fragment bool
	destOpts := 0
	next, nextAt, at := whole[6], 6, 40
	for {
		b := whole[at:]
		p.Protocol = next
		switch next {
		case protoHopByHop, protoDestOpts, protoRouting, protoAH, protoFragment, protoMobility, protoHIP, protoShim6:
		case protoNone:
			if len(b) > 0 {
				p.Events.Add(IPv6DataAfterNoneHeader)
			}
			return
		default:
			if len(b) < 2 {
				p.broken(IPv6TruncExthdr)
				return
			}
			d.transport(p, next, b)
			return
		}
		if len(b) < 2 {
			p.broken(IPv6TruncExthdr)
			return
		}
		n := 8 + int(b[1])*8
		switch next {
		case protoFragment:
			n = 8
		case protoAH:
			n = 12
			if b[1] > 0 {
				n += (int(b[1]) - 1) * 4
			}
		}
		if n > len(b) {
			p.broken(IPv6TruncExthdr)
			return
		}
		switch next {
		case protoHopByHop:
			if hopByHop {
				p.Events.Add(IPv6ExthdrDuplHH)
				break
			}
			hopByHop = true
			p.ip6Options(b[2:n], IPv6HopoptsUnknownOpt, IPv6HopoptsOnlyPadding)
		case protoDestOpts:
			// Before a routing header and before the last one: two are fine.
			if destOpts == 2 {
				p.Events.Add(IPv6ExthdrDuplDH)
				break
			}
			destOpts++
			p.ip6Options(b[2:n], IPv6DstoptsUnknownOpt, IPv6DstoptsOnlyPadding)
		case protoRouting:
			if routing {
				p.Events.Add(IPv6ExthdrDuplRH)
				break
			}
			routing = true
			if b[2] == 0 {
				p.Events.Add(IPv6RHType0)
			}
		case protoAH:
			if be16(b[2:]) != 0 {
				p.Events.Add(IPv6ExthdrAHResNotNull)
			}
			if auth {
				p.Events.Add(IPv6ExthdrDuplAH)
			}
			auth = true
		case protoFragment:
			if b[1] != 0 {
				p.Events.Add(IPv6FHNonZeroReservedField)
			}
			if fragment {
				p.Events.Add(IPv6ExthdrDuplFH)
				break
			}
			fragment = true
			part := Part{ID: be32(b[4:]), Offset: int(be16(b[2:]) &^ 7), More: b[3]&1 != 0, Head: at, Data: b[8:], Next: b[0], NextAt: nextAt}
			if part.Offset == 0 && !part.More {
				p.Events.Add(IPv6ExthdrUselessFH)
				break
			}
			if part.More && len(b)%8 != 0 {
				p.Events.Add(IPv6FragInvalidLength)
			}
			p.Fragment, p.Part = true, part
			d.fragment(p, (*Decoder).ip6)
			return
		}
		next, nextAt, at = b[0], at, at+n
	}
}

// ip6Options checks options of hop-by-hop and destination headers.
func (p *Packet) ip6Options(b []byte, unknown, onlyPadding Event) {
	padding, others := 0, 0
loop:
	for len(b) > 0 {
		if b[0] == 0 { // Pad1
			padding++
			b = b[1:]
			continue
		}
		if len(b) < 2 || 2+int(b[1]) > len(b) {
			p.broken(IPv6ExthdrInvalidOptlen)
			break
		}
		need := 0
		switch b[0] {
		case 1: // PadN
			padding++
			if b[1] == 0 {
				p.Events.Add(IPv6ZeroLenPadn)
			}
		case 5: // router alert
			need = 2
			others++
		case 0xc2: // jumbo payload
			need = 4
		case 0xc9: // home address
			need = 16
			others++
		default:
			p.Events.Add(unknown)
			others++
		}
		if int(b[1]) < need {
			p.broken(IPv6ExthdrInvalidOptlen)
			break loop
		}
		b = b[2+int(b[1]):]
	}
	if padding > 0 && others == 0 {
		p.Events.Add(onlyPadding)
	}
}
