package rule

import (
	"net/netip"
	"strings"
)

// Addresses is an address expression as a header has it: any, an address, a
// prefix, a range, a $VARIABLE, a [group], each possibly negated.
type Addresses struct{ root node[span[netip.Addr]] }

// ParseAddresses reads an expression. The error is an *Error of line 1.
func ParseAddresses(s string) (*Addresses, error) {
	a, err := parseAddresses(s, 0)
	if err != nil {
		return nil, located(err)
	}
	return a, nil
}

func parseAddresses(s string, at int) (*Addresses, error) {
	root, err := parseNode(s, at, 0, addressLeaf)
	if err != nil {
		return nil, err
	}
	return &Addresses{root}, nil
}

// Any says whether the expression is the word any.
func (a *Addresses) Any() bool { return a.root.any }

func (a *Addresses) String() string { return string(a.root.print(nil, printAddressLeaf)) }

func addressLeaf(s string, at int) (span[netip.Addr], error) {
	var none span[netip.Addr]
	if from, to, ok := strings.Cut(s, "-"); ok {
		f, err1 := netip.ParseAddr(trim(from))
		t, err2 := netip.ParseAddr(trim(to))
		switch {
		case err1 != nil || err2 != nil || f.Zone() != "" || t.Zone() != "" || f.Is4() != t.Is4():
			return none, faultf(at, "%q is no range of addresses", s)
		case t.Less(f):
			return none, faultf(at, "the range %q ends before it begins", s)
		}
		return span[netip.Addr]{f, t}, nil
	}
	addr, mask, cut := strings.Cut(s, "/")
	a, err := netip.ParseAddr(trim(addr))
	if !cut {
		a = a.Unmap()
	}
	if err != nil || a.Zone() != "" {
		return none, faultf(at, "%q is no address", s)
	}
	bits := a.BitLen()
	if cut {
		if bits, err = maskBits(trim(mask), a); err != nil {
			return none, faultf(at, "%q has no valid mask", s)
		}
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return none, faultf(at, "%q has no valid mask", s)
	}
	return span[netip.Addr]{p.Addr(), lastOf(p)}, nil
}

// maskBits reads a prefix length, or a netmask as IPv4 writes it.
func maskBits(s string, a netip.Addr) (int, error) {
	if n, ok := number(s); ok && n <= uint64(a.BitLen()) {
		return int(n), nil
	}
	m, err := netip.ParseAddr(s)
	if err != nil || !m.Is4() || !a.Is4() {
		return 0, faultf(0, "no mask")
	}
	v, bits := m.As4(), 0
	word := uint32(v[0])<<24 | uint32(v[1])<<16 | uint32(v[2])<<8 | uint32(v[3])
	for ; word&(1<<31) != 0; word <<= 1 {
		bits++
	}
	if word != 0 {
		return 0, faultf(0, "a mask with holes")
	}
	return bits, nil
}

func printAddressLeaf(b []byte, s span[netip.Addr]) []byte {
	if s.from == s.to {
		return s.from.AppendTo(b)
	}
	for bits := range s.from.BitLen() {
		if p, _ := s.from.Prefix(bits); p.Addr() == s.from && lastOf(p) == s.to {
			return p.AppendTo(b)
		}
	}
	return s.to.AppendTo(append(s.from.AppendTo(b), '-'))
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

var (
	firstV4 = netip.IPv4Unspecified()
	lastV4  = netip.AddrFrom4([4]byte{255, 255, 255, 255})
	firstV6 = netip.IPv6Unspecified()
	lastV6  = lastOf(netip.PrefixFrom(firstV6, 0))
)

// addressSpace is IPv4 followed by IPv6, which is how addresses compare.
var addressSpace = &space[netip.Addr]{
	min: firstV4, max: lastV6, compare: netip.Addr.Compare,
	next: func(a netip.Addr) netip.Addr {
		if a == lastV4 {
			return firstV6
		}
		return a.Next()
	},
	prev: func(a netip.Addr) netip.Addr {
		if a == firstV6 {
			return lastV4
		}
		return a.Prev()
	},
}

// AddressRange is a closed interval of addresses of one family.
type AddressRange struct{ From, To netip.Addr }

// AddressSet is what an expression means once its variables have values:
// ranges that are sorted and do not touch.
type AddressSet struct {
	V4, V6 []AddressRange
	spans  []span[netip.Addr]
}

// All says whether every address is in the set.
func (s *AddressSet) All() bool {
	return len(s.spans) == 1 && s.spans[0] == span[netip.Addr]{addressSpace.min, addressSpace.max}
}

// Contains looks an address up, in logarithmic time.
func (s *AddressSet) Contains(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	low, high := 0, len(s.spans)
	for low < high {
		mid := (low + high) / 2
		switch sp := s.spans[mid]; {
		case a.Less(sp.from):
			high = mid
		case sp.to.Less(a):
			low = mid + 1
		default:
			return true
		}
	}
	return false
}

func newAddressSet(spans []span[netip.Addr]) *AddressSet {
	s := &AddressSet{spans: spans}
	for _, sp := range spans {
		switch {
		case sp.to.Is4():
			s.V4 = append(s.V4, AddressRange{sp.from, sp.to})
		case sp.from.Is6():
			s.V6 = append(s.V6, AddressRange{sp.from, sp.to})
		default:
			s.V4 = append(s.V4, AddressRange{sp.from, lastV4})
			s.V6 = append(s.V6, AddressRange{firstV6, sp.to})
		}
	}
	return s
}
