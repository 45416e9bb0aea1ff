package packet

import "net/netip"

// Protocols of IP (IANA).
const (
	protoHopByHop = 0
	protoICMP     = 1
	protoIGMP     = 2
	protoIPv4     = 4
	protoTCP      = 6
	protoUDP      = 17
	protoIPv6     = 41
	protoRouting  = 43
	protoFragment = 44
	protoGRE      = 47
	protoESP      = 50
	protoAH       = 51
	protoICMPv6   = 58
	protoNone     = 59
	protoDestOpts = 60
	protoSCTP     = 132
	protoMobility = 135
	protoHIP      = 139
	protoShim6    = 140
)

func (d *Decoder) ip4(p *Packet, b []byte) {
	if !d.deeper(p) {
		return
	}
	if len(b) < 20 {
		p.broken(IPv4PktTooSmall)
		return
	}
	if b[0]>>4 != 4 {
		p.broken(IPv4WrongIpVersion)
		return
	}
	head, total := int(b[0]&0xf)*4, int(be16(b[2:]))
	switch {
	case head < 20:
		p.broken(IPv4HlenTooSmall)
		return
	case total < head:
		p.broken(IPv4IplenSmallerThanHlen)
		return
	case total > len(b):
		p.broken(IPv4TruncPkt)
		return
	}
	b = b[:total]
	p.Version, p.IP, p.Network = 4, b, b[:head]
	p.Src, p.Dst = netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	p.Protocol = b[9]
	if head > 20 {
		p.ip4Options(b[20:head])
	}
	if d.cfg.Checksums {
		p.BadNetworkChecksum = checksum(b[:head], 0) != 0
	}
	const more = 0x2000
	if f := be16(b[6:]); f&(more|0x1fff) != 0 {
		p.Fragment = true
		p.Part = Part{ID: uint32(be16(b[4:])), Offset: int(f&0x1fff) * 8, More: f&more != 0, Head: head, Data: b[head:], Next: b[9]}
		d.fragment(p, (*Decoder).ip4)
		return
	}
	d.transport(p, b[9], b[head:])
}

// fragment hands a fragment to defragmentation, and decodes what came of it.
func (d *Decoder) fragment(p *Packet, decode func(*Decoder, *Packet, []byte)) {
	if d.defrag == nil || p.Invalid {
		return
	}
	whole := d.defrag.Add(p)
	if whole == nil || !d.deeper(p) {
		return
	}
	r := d.packet(whole, p.Outer)
	r.Ethernet, r.EtherType, r.VLANs, r.VLANCount = p.Ethernet, p.EtherType, p.VLANs, p.VLANCount
	r.Reassembled, r.Length = true, len(whole)
	decode(d, r, whole)
	d.out = append(d.out, r)
}

// ip4Options checks RFC 791's options and those known since.
func (p *Packet) ip4Options(b []byte) {
	var seen [4]uint64
	for len(b) > 0 {
		kind := b[0]
		switch kind {
		case 0:
			return
		case 1:
			b = b[1:]
			continue
		}
		if len(b) < 2 {
			p.Events.Add(IPv4OptInvalidLen)
			return
		}
		n := int(b[1])
		if n < 2 || n > len(b) {
			p.Events.Add(IPv4OptInvalidLen)
			return
		}
		if seen[kind>>6]&(1<<(kind&63)) != 0 {
			p.Events.Add(IPv4OptDuplicate)
		}
		seen[kind>>6] |= 1 << (kind & 63)
		p.ip4Option(kind, b[:n])
		b = b[n:]
	}
}

func (p *Packet) ip4Option(kind byte, b []byte) {
	n := len(b)
	switch kind {
	case 7, 131, 137: // record route, loose and strict source route
		// A pointer, from 4 on, and addresses.
		switch {
		case n < 3 || (n-3)%4 != 0 && kind == 7:
			p.Events.Add(IPv4OptInvalidLen)
		case b[2] < 4 || b[2]%4 != 0 || int(b[2]) > n+1:
			p.Events.Add(IPv4OptMalformed)
		}
	case 68: // time stamps
		switch {
		case n < 5:
			p.Events.Add(IPv4OptInvalidLen)
		case b[2] < 5 || int(b[2]) > n+1:
			p.Events.Add(IPv4OptMalformed)
		}
	case 25: // quick start, RFC 4782
		if n < 8 {
			p.Events.Add(IPv4OptInvalidLen)
		}
	case 130: // security
		if n != 11 {
			p.Events.Add(IPv4OptInvalidLen)
		}
	case 133: // extended security
		if n < 3 {
			p.Events.Add(IPv4OptInvalidLen)
		}
	case 134: // CIPSO
		p.cipso(b)
	case 136: // stream identifier
		if n != 4 {
			p.Events.Add(IPv4OptInvalidLen)
		}
	case 148: // router alert, RFC 2113
		if n != 4 {
			p.Events.Add(IPv4OptInvalidLen)
		}
	default:
		p.Events.Add(IPv4OptUnknown)
	}
}

// cipso walks the tags of FIPS 188.
func (p *Packet) cipso(b []byte) {
	if len(b) < 6 {
		p.Events.Add(IPv4OptMalformed)
		return
	}
	for tags := b[6:]; len(tags) > 0; {
		if len(tags) < 2 || int(tags[1]) < 2 || int(tags[1]) > len(tags) || tags[1] < 4 {
			p.Events.Add(IPv4OptMalformed)
			return
		}
		switch tags[0] {
		case 1, 2, 5, 6, 7:
			tags = tags[tags[1]:]
		default:
			p.Events.Add(IPv4OptMalformed)
			return
		}
	}
}
