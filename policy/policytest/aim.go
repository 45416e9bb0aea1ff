package policytest

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"ngfw.sh/policy"
)

// Aim draws a packet, from LAN to WAN of RuleSet's policy, that an entry
// matches: anywhere in it, or with beside at or just outside of one of its
// corners. Earlier entries may match it too.
func Aim(r *rand.Rand, e *policy.Entry, v6, beside bool) policy.ImagePacket {
	p := policy.ImagePacket{From: 2, To: 3, IPv6: v6, Protocol: e.Protocol, SourcePort: uint16(1024 + r.IntN(60000))}
	p.Source = between(r, e.SourceLo, e.SourceHi, v6, beside)
	p.Destination = between(r, e.DestinationLo, e.DestinationHi, v6, beside)
	if e.AnyProtocol {
		p.Protocol = []uint8{policy.ProtocolTCP, policy.ProtocolUDP, 47, uint8(59 + r.IntN(190))}[r.IntN(4)]
	}
	p.Port = e.PortLo + uint16(r.IntN(int(e.PortHi-e.PortLo)+1))
	if beside {
		p.Port = []uint16{e.PortLo, e.PortHi, e.PortLo - 1, e.PortHi + 1}[r.IntN(4)]
	}
	switch {
	case p.Protocol == policy.ProtocolICMP || p.Protocol == policy.ProtocolICMPv6:
		p.SourcePort, p.Port = 0, 128<<8|p.Port&0xff // no error, which is not judged by entries
	case !policy.HasPorts(p.Protocol):
		p.SourcePort, p.Port = 0, 0
	}
	return p
}

func between(r *rand.Rand, first, last netip.Addr, v6, beside bool) [16]byte {
	// What packets can have: elsewhere no entry is asked.
	least, most := netip.MustParseAddr("::ffff:1.0.0.0"), netip.MustParseAddr("::ffff:126.255.255.255")
	if v6 {
		least, most = netip.MustParseAddr("2000::"), netip.MustParseAddr("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
	}
	if beside && r.IntN(2) == 0 {
		if r.IntN(2) == 0 {
			first = first.Prev()
		}
		last = first
	} else if beside {
		if r.IntN(2) == 0 {
			last = last.Next()
		}
		first = last
	}
	clamp := func(a netip.Addr) netip.Addr {
		if !a.IsValid() || a.Less(least) {
			return least
		}
		if most.Less(a) {
			return most
		}
		return a
	}
	a, b := clamp(first).As16(), clamp(last).As16()
	return draw128(r, a, b)
}

// draw128 draws first … last: exactly even where they agree in the upper 64
// bits, nearly else.
func draw128(r *rand.Rand, first, last [16]byte) [16]byte {
	hi, hiLast := binary.BigEndian.Uint64(first[:8]), binary.BigEndian.Uint64(last[:8])
	lo, loLast := binary.BigEndian.Uint64(first[8:]), binary.BigEndian.Uint64(last[8:])
	at := hi
	if hiLast > hi {
		at += r.Uint64N(hiLast - hi + 1)
	}
	if at > hi {
		lo = 0
	}
	if at < hiLast {
		loLast = ^uint64(0)
	}
	below := r.Uint64()
	if width := loLast - lo + 1; width != 0 {
		below = lo + r.Uint64N(width)
	}
	var out [16]byte
	binary.BigEndian.PutUint64(out[:8], at)
	binary.BigEndian.PutUint64(out[8:], below)
	return out
}
