package policy

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
)

// uint128 is an address as a number, IPv4 as ::ffff:a.b.c.d.
type uint128 struct{ hi, lo uint64 }

var (
	lowest  = uint128{}
	highest = uint128{^uint64(0), ^uint64(0)}

	// The addresses that IPv4 is mapped to (RFC 4291, 2.5.5.2), which no IPv6
	// packet may carry.
	mappedFirst = uint128{0, 0xffff_0000_0000}
	mappedLast  = uint128{0, 0xffff_ffff_ffff}
)

func numberOf(a netip.Addr) uint128 {
	b := a.As16()
	return uint128{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (n uint128) addr() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], n.hi)
	binary.BigEndian.PutUint64(b[8:], n.lo)
	return netip.AddrFrom16(b)
}

func (n uint128) less(m uint128) bool { return n.hi < m.hi || n.hi == m.hi && n.lo < m.lo }

func (n uint128) compare(m uint128) int {
	switch {
	case n == m:
		return 0
	case n.hi < m.hi || n.hi == m.hi && n.lo < m.lo:
		return -1
	}
	return 1
}

func (n uint128) next() uint128 {
	lo, carry := bits.Add64(n.lo, 1, 0)
	return uint128{n.hi + carry, lo}
}

func (n uint128) prev() uint128 {
	lo, borrow := bits.Sub64(n.lo, 1, 0)
	return uint128{n.hi - borrow, lo}
}

// span is first … last, both included.
type span struct{ first, last uint128 }

var everything = []span{{lowest, highest}}

// union sorts spans and joins those that overlap or touch.
func union(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return a.first.compare(b.first) })
	joined := spans[:0]
	for _, s := range spans {
		if n := len(joined); n > 0 {
			last := &joined[n-1].last
			if *last == highest || s.first.compare(last.next()) <= 0 {
				if s.last.compare(*last) > 0 {
					*last = s.last
				}
				continue
			}
		}
		joined = append(joined, s)
	}
	return joined
}

// complement gives what a joined set leaves of the whole space: of both
// families, so that outside of an IPv4 set lies all of IPv6.
func complement(spans []span) []span {
	rest := make([]span, 0, len(spans)+1)
	from := lowest
	for _, s := range spans {
		if s.first.compare(from) > 0 {
			rest = append(rest, span{from, s.first.prev()})
		}
		if s.last == highest {
			return rest
		}
		from = s.last.next()
	}
	return append(rest, span{from, highest})
}

// spansOf gives first … last, of one family, without the mapped addresses that
// lie inside a wide IPv6 range: ::/0 is no IPv4.
func spansOf(first, last netip.Addr) []span {
	s := span{numberOf(first), numberOf(last)}
	if first.Is4() {
		return []span{s}
	}
	var out []span
	if s.first.compare(mappedFirst) < 0 {
		out = append(out, span{s.first, least(s.last, mappedFirst.prev())})
	}
	if s.last.compare(mappedLast) > 0 {
		out = append(out, span{most(s.first, mappedLast.next()), s.last})
	}
	return out
}

func least(a, b uint128) uint128 {
	if a.less(b) {
		return a
	}
	return b
}

func most(a, b uint128) uint128 {
	if b.less(a) {
		return a
	}
	return b
}

// lastOf is the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}
