package backtest

import (
	"net/netip"
	"strings"
)

// Range is addresses of one family, bounds included; zero: any.
type Range struct{ First, Last netip.Addr }

// rangeOf reads an address, a CIDR or a range; anything else is any.
func rangeOf(s string) Range {
	if first, last, ok := strings.Cut(s, "-"); ok {
		a, errA := netip.ParseAddr(first)
		b, errB := netip.ParseAddr(last)
		if errA == nil && errB == nil {
			return Range{a, b}
		}
		return Range{}
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return Range{p.Masked().Addr(), lastOf(p)}
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return Range{a, a}
	}
	return Range{}
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func (r Range) holds(a netip.Addr) bool {
	return !r.First.IsValid() || a.Is4() == r.First.Is4() && r.First.Compare(a) <= 0 && a.Compare(r.Last) <= 0
}

func (r Range) any() bool { return !r.First.IsValid() }

// and is what both hold; false: nothing.
func (r Range) and(o Range) (Range, bool) {
	switch {
	case r.any():
		return o, true
	case o.any():
		return r, true
	case r.First.Is4() != o.First.Is4():
		return Range{}, false
	}
	if o.First.Compare(r.First) > 0 {
		r.First = o.First
	}
	if o.Last.Compare(r.Last) < 0 {
		r.Last = o.Last
	}
	return r, r.First.Compare(r.Last) <= 0
}

// hull is the smallest range that holds both.
func (r Range) hull(o Range) Range {
	if r.any() || o.any() || r.First.Is4() != o.First.Is4() {
		return Range{}
	}
	if o.First.Compare(r.First) < 0 {
		r.First = o.First
	}
	if o.Last.Compare(r.Last) > 0 {
		r.Last = o.Last
	}
	return r
}

// family is 4, 6, or 0 for any address.
func (r Range) family() int {
	switch {
	case r.any():
		return 0
	case r.First.Is4():
		return 4
	}
	return 6
}

// everyOfFamily: it leaves out no address of its family.
func (r Range) everyOfFamily() bool {
	return !r.any() && r.First.IsUnspecified() && r.Last == lastOf(netip.PrefixFrom(r.First, 0))
}
