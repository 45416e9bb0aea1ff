package policy

import "iter"

// Dimensions of a region.
const (
	atSource = iota
	atDestination
	atService    // see serviceNumber
	atSourcePort // only a system rule looks at it
	dimensions
)

// region is a box of packets of one family between two zones: a span in each
// dimension. Analysis works on regions, which are what rules compile to before
// any table is laid out.
type region [dimensions]span

// Families; a region of one is never compared with one of the other.
const (
	family4 = iota
	family6
	families
)

// Services are numbered without gaps, so that each region is one span of them: a
// protocol has a number for every port or ICMP type and code, or one for all.
var serviceBase = func() (base [257]uint64) {
	for p := range 256 {
		base[p+1] = base[p] + protocolSize(uint8(p))
	}
	return base
}()

func protocolSize(p uint8) uint64 {
	if HasPorts(p) || p == ProtocolICMP || p == ProtocolICMPv6 {
		return 1 << 16
	}
	return 1
}

func serviceNumber(protocol uint8, port uint16) uint128 {
	if protocolSize(protocol) == 1 {
		port = 0
	}
	return uint128{0, serviceBase[protocol] + uint64(port)}
}

// serviceOf is the inverse of serviceNumber.
func serviceOf(n uint128) (protocol uint8, port uint16) {
	for p := range 256 {
		if n.lo < serviceBase[p+1] {
			return uint8(p), uint16(n.lo - serviceBase[p])
		}
	}
	return 255, 0
}

var (
	allServices    = span{lowest, uint128{0, serviceBase[256] - 1}}
	allSourcePorts = span{lowest, uint128{0, 65535}}
	allAddresses   = [families]span{{mappedFirst, mappedLast}, {lowest, highest}}
	allPackets     = [families]region{
		{allAddresses[family4], allAddresses[family4], allServices, allSourcePorts},
		{allAddresses[family6], allAddresses[family6], allServices, allSourcePorts},
	}
)

func portSpan(first, last uint16) span {
	return span{uint128{0, uint64(first)}, uint128{0, uint64(last)}}
}

func (s service) span() span {
	if s.anyProtocol {
		return allServices
	}
	return span{serviceNumber(s.protocol, s.ports.first), serviceNumber(s.protocol, s.ports.last)}
}

// ofFamily gives the part of an address set that lies in a family. In IPv6 the
// mapped addresses, which no packet has, count to the address before them: so
// they never tear a span apart.
func ofFamily(set []span, family int) []span {
	var out []span
	for _, s := range set {
		if family == family4 {
			s.first, s.last = most(s.first, mappedFirst), least(s.last, mappedLast)
		} else {
			if mappedFirst.compare(s.first) <= 0 && s.first.compare(mappedLast) <= 0 {
				s.first = mappedLast.next()
			}
			if mappedFirst.prev().compare(s.last) <= 0 && s.last.compare(mappedLast) <= 0 {
				s.last = mappedLast
			}
		}
		switch n := len(out); {
		case s.first.compare(s.last) > 0:
		case n > 0 && s.first.compare(out[n-1].last.next()) <= 0:
			out[n-1].last = s.last
		default:
			out = append(out, s)
		}
	}
	return out
}

func (s span) has(n uint128) bool { return !n.less(s.first) && !s.last.less(n) }

func (s span) meets(o span) bool { return !o.last.less(s.first) && !s.last.less(o.first) }

func (s span) common(o span) span { return span{most(s.first, o.first), least(s.last, o.last)} }

func (r *region) meets(o *region) bool {
	for d := range r {
		if !r[d].meets(o[d]) {
			return false
		}
	}
	return true
}

func (r *region) covers(o *region) bool {
	for d := range r {
		if !r[d].covers(o[d]) {
			return false
		}
	}
	return true
}

// common is what two regions share; they must meet.
func (r *region) common(o *region) region {
	var c region
	for d := range r {
		c[d] = r[d].common(o[d])
	}
	return c
}

// outside cuts what lies outside of c off r, which it meets: disjoint pieces, two
// a dimension at most.
func (r region) outside(c *region) iter.Seq[region] {
	return func(yield func(region) bool) {
		for d := range r {
			if r[d].first.compare(c[d].first) < 0 {
				piece := r
				piece[d].last = c[d].first.prev()
				r[d].first = c[d].first
				if !yield(piece) {
					return
				}
			}
			if r[d].last.compare(c[d].last) > 0 {
				piece := r
				piece[d].first = c[d].last.next()
				r[d].last = c[d].last
				if !yield(piece) {
					return
				}
			}
		}
	}
}

// hull is the smallest region around some.
func hull(regions []region) region {
	h := regions[0]
	for _, r := range regions[1:] {
		for d := range h {
			h[d] = span{least(h[d].first, r[d].first), most(h[d].last, r[d].last)}
		}
	}
	return h
}
