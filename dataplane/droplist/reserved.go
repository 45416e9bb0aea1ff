package droplist

import (
	"fmt"
	"net/netip"
)

// Reserved are the addresses that lists of others must not name: those of
// private networks, of this host, its link and of multicast (RFC 6890, 6598,
// 4193, 4291). Lists of what is not routed on the Internet hold them.
var Reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("224.0.0.0/3"), // multicast, and what was kept for later
	netip.MustParsePrefix("::/8"),
	netip.MustParsePrefix("fc00::/7"),
	netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("ff00::/8"),
}

// Without is list less holes, and how many of its prefixes lost something.
func Without(list, holes []netip.Prefix) (out []netip.Prefix, touched int) {
	out = make([]netip.Prefix, 0, len(list))
	for _, p := range list {
		if !overlap(p, holes) {
			out = append(out, p)
			continue
		}
		touched++
		out = subtract(out, p, holes)
	}
	return out, touched
}

// Touched is how many prefixes of list overlap some of the others, and the first.
func Touched(list, others []netip.Prefix) (n int, first netip.Prefix) {
	for _, p := range list {
		if overlap(p, others) {
			if n++; n == 1 {
				first = p
			}
		}
	}
	return n, first
}

func overlap(p netip.Prefix, others []netip.Prefix) bool {
	for _, o := range others {
		if o.Overlaps(p) {
			return true
		}
	}
	return false
}

// subtract appends what the holes leave of p, by halves.
func subtract(out []netip.Prefix, p netip.Prefix, holes []netip.Prefix) []netip.Prefix {
	for _, h := range holes {
		if h.Bits() <= p.Bits() && h.Overlaps(p) {
			return out
		}
	}
	if !overlap(p, holes) {
		return append(out, p)
	}
	low := netip.PrefixFrom(p.Addr(), p.Bits()+1)
	return subtract(subtract(out, low, holes), upper(low), holes)
}

// upper is the other half of what a lower half is one of.
func upper(low netip.Prefix) netip.Prefix {
	bit := low.Bits() - 1
	b := low.Addr().AsSlice()
	b[bit/8] |= 0x80 >> (bit % 8)
	a, _ := netip.AddrFromSlice(b)
	return netip.PrefixFrom(a, low.Bits())
}

// Widest prefixes of addresses in use that a list of others may hold: no feed of
// attackers names more, and one that names all would close the router.
const (
	Widest4 = 8
	Widest6 = 12 // what IANA gives to a registry
)

// CheckWidth refuses a list that holds a wider prefix.
func CheckWidth(list []netip.Prefix) error {
	for _, p := range list {
		if least := map[bool]int{true: Widest4, false: Widest6}[p.Addr().Is4()]; p.Bits() < least {
			return fmt.Errorf("it names %v: nothing wider than a /%d is believed", p, least)
		}
	}
	return nil
}
