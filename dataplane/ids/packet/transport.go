package packet

import "encoding/binary"

// transport decodes what an IP packet carries.
func (d *Decoder) transport(p *Packet, protocol uint8, b []byte) {
	switch protocol {
	case protoTCP:
		d.tcp(p, b)
	case protoUDP:
		d.udp(p, b)
	case protoICMP:
		if p.Version == 6 {
			p.Events.Add(IPv6ICMPv4)
			p.Payload = b
			return
		}
		d.icmp4(p, b)
	case protoICMPv6:
		if p.Version == 4 {
			p.Events.Add(IPv4ICMPv6)
			p.Payload = b
			return
		}
		d.icmp6(p, b)
	case protoSCTP:
		if len(b) < 12 {
			p.broken(SCTPPktTooSmall)
			return
		}
		p.Transport, p.Payload = b[:12], b[12:]
		p.SrcPort, p.DstPort = be16(b), be16(b[2:])
	case protoGRE:
		p.Payload = b
		d.gre(p, b)
	case protoESP:
		if len(b) < 8 {
			p.broken(ESPPktTooSmall)
			return
		}
		p.Payload = b[8:]
	case protoIGMP:
		if len(b) < 8 {
			p.broken(IGMPPktTooSmall)
			return
		}
		p.Payload = b
	case protoIPv4:
		p.Payload = b
		if p.Version == 6 {
			switch {
			case len(b) < 20:
				p.broken(IPv6IPv4InIPv6TooSmall)
				return
			case b[0]>>4 != 4:
				p.broken(IPv6IPv4InIPv6WrongVersion)
				return
			}
		}
		d.inner(p, b, (*Decoder).ip4)
	case protoIPv6:
		p.Payload = b
		if p.Version == 6 {
			switch {
			case len(b) < 40:
				p.broken(IPv6IPv6InIPv6TooSmall)
				return
			case b[0]>>4 != 6:
				p.broken(IPv6IPv6InIPv6WrongVersion)
				return
			}
		}
		d.inner(p, b, (*Decoder).ip6)
	default:
		p.Payload = b
		if p.Version == 6 {
			p.Events.Add(IPv6UnknownNextHeader)
		}
	}
}

func (d *Decoder) udp(p *Packet, b []byte) {
	if len(b) < 8 {
		p.broken(UDPPktTooSmall)
		return
	}
	n := int(be16(b[4:]))
	switch {
	case n > len(b):
		p.broken(UDPPktTooSmall)
		return
	case n < 8:
		p.broken(UDPLenInvalid)
		return
	case n != len(b):
		p.Events.Add(UDPLenInvalid)
	}
	p.Transport, p.Payload = b[:8], b[8:n]
	p.SrcPort, p.DstPort = be16(b), be16(b[2:])
	if d.cfg.Checksums && be16(b[6:]) != 0 {
		p.BadChecksum = p.pseudo(b[:n]) != 0
	}
	d.tunnelInUDP(p, p.Payload)
}

func (d *Decoder) tcp(p *Packet, b []byte) {
	if len(b) < 20 {
		p.broken(TCPPktTooSmall)
		return
	}
	head := int(b[12]>>4) * 4
	if head < 20 || head > len(b) {
		p.broken(TCPHlenTooSmall)
		return
	}
	p.Transport, p.Payload = b[:head], b[head:]
	p.SrcPort, p.DstPort = be16(b), be16(b[2:])
	p.TCP = TCP{
		Seq: be32(b[4:]), Ack: be32(b[8:]), Flags: b[13], Window: be16(b[14:]), Urgent: be16(b[18:]),
		Options: b[20:head], WScale: -1,
	}
	if head > 20 {
		p.tcpOptions(b[20:head])
	}
	if d.cfg.Checksums {
		p.BadChecksum = p.pseudo(b) != 0
	}
}

func (p *Packet) tcpOptions(b []byte) {
	t := &p.TCP
	for len(b) > 0 {
		switch b[0] {
		case 0:
			return
		case 1:
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			p.Events.Add(TCPOptInvalidLen)
			return
		}
		n := int(b[1])
		bad, again := false, false
		switch b[0] {
		case 2:
			if bad = n != 4; !bad {
				again, t.MSS = t.MSS != 0, be16(b[2:])
			}
		case 3:
			if bad = n != 3; !bad {
				again = t.WScale >= 0
				t.WScale = int8(min(b[2], 14)) // RFC 7323, section 2.3
			}
		case 4:
			if bad = n != 2; !bad {
				again, t.SACKOK = t.SACKOK, true
			}
		case 5:
			bad = n < 10 || (n-2)%8 != 0
		case 8:
			if bad = n != 10; !bad {
				again = t.HasTimestamp
				t.HasTimestamp, t.TSVal, t.TSEcr = true, be32(b[2:]), be32(b[6:])
			}
		case 34:
			t.FastOpen = true
		case 253, 254:
			t.FastOpen = t.FastOpen || n >= 4 && be16(b[2:]) == 0xf989 // before RFC 7413 had a number
		}
		if bad {
			p.Events.Add(TCPOptInvalidLen)
		}
		if again {
			p.Events.Add(TCPOptDuplicate)
		}
		b = b[n:]
	}
}

// pseudo is the checksum of a transport's bytes with the pseudo header; 0 is right.
func (p *Packet) pseudo(b []byte) uint16 {
	sum := uint64(p.Protocol) + uint64(len(b))
	if p.Version == 4 {
		sum += uint64(be32(p.Network[12:])) + uint64(be32(p.Network[16:]))
	} else {
		for i := 8; i < 40; i += 4 {
			sum += uint64(be32(p.Network[i:]))
		}
	}
	return checksum(b, sum)
}

// TransportChecksum is the checksum that belongs into a transport's bytes, in
// which it must be 0.
func TransportChecksum(p *Packet, b []byte) uint16 { return p.pseudo(b) }

// checksum is RFC 1071's, begun with a sum.
func checksum(b []byte, sum uint64) uint16 {
	for len(b) >= 8 {
		v := binary.BigEndian.Uint64(b)
		sum += v>>32 + v&0xffffffff
		b = b[8:]
	}
	for len(b) >= 2 {
		sum += uint64(be16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
