package policytest

import (
	"encoding/binary"
	"iter"
	"math/rand/v2"
	"net/netip"
	"strings"

	"pgregory.net/rapid"

	"ngfw.sh/policy"
)

// Atlas is a database of countries in memory: disjoint prefixes.
type Atlas map[netip.Prefix]string

var countries = []string{"AA", "BB", "CC"}

// Atlases draws one that parts the blocks of Addresses, and leaves gaps.
func Atlases() *rapid.Generator[Atlas] {
	return rapid.Custom(func(t *rapid.T) Atlas {
		atlas := Atlas{}
		for _, block := range append(blocks4[:len(blocks4):len(blocks4)], blocks6...) {
			bits := min(block.Bits()+rapid.IntRange(0, 3).Draw(t, "longer"), block.Addr().BitLen())
			for n := range 1 << (bits - block.Bits()) {
				code := rapid.SampledFrom(append([]string{""}, countries...)).Draw(t, "country")
				if code != "" {
					host := n << (block.Addr().BitLen() - bits)
					atlas[netip.PrefixFrom(within(block, host), bits)] = code
				}
			}
		}
		return atlas
	})
}

func (a Atlas) Country(addr netip.Addr) string {
	for prefix, code := range a {
		if prefix.Contains(addr) {
			return code
		}
	}
	return ""
}

func (a Atlas) Prefixes(codes map[string]bool) iter.Seq2[netip.Prefix, string] {
	return func(yield func(netip.Prefix, string) bool) {
		for prefix, code := range a {
			if codes[code] && !yield(prefix, code) {
				return
			}
		}
	}
}

var _, _ policy.Countries = Atlas{}, Scattered(0)

// Scattered is a database of 256 countries that have this many networks of each family,
// no more than 255, none of which touches another.
type Scattered int

func (s Scattered) Country(a netip.Addr) string {
	b := a.As16()
	country, n := int(binary.BigEndian.Uint16(b[4:])), int(binary.BigEndian.Uint16(b[6:]))
	if a.Is4() {
		country, n = int(b[14]), int(b[13])
		return s.code(country, n, b[12] == 20 && b[15] < 128)
	}
	return s.code(country, n, binary.BigEndian.Uint32(b[:]) == 0x24000000)
}

func (s Scattered) code(country, n int, in bool) string {
	if !in || n >= int(s) || country > 255 {
		return ""
	}
	return string([]byte{'A' + byte(country/26), 'A' + byte(country%26)})
}

func (s Scattered) Prefixes(codes map[string]bool) iter.Seq2[netip.Prefix, string] {
	return func(yield func(netip.Prefix, string) bool) {
		for country := range 256 {
			code := s.code(country, 0, true)
			if !codes[code] {
				continue
			}
			for n := range int(s) {
				six := [16]byte{0: 0x24}
				binary.BigEndian.PutUint16(six[4:], uint16(country))
				binary.BigEndian.PutUint16(six[6:], uint16(n))
				if !yield(netip.PrefixFrom(netip.AddrFrom4([4]byte{20, byte(n), byte(country), 0}), 25), code) || !yield(netip.PrefixFrom(netip.AddrFrom16(six), 64), code) {
					return
				}
			}
		}
	}
}

// All names all of its countries.
func (s Scattered) All() string {
	names := make([]string, 256)
	for i := range names {
		names[i] = "geo:" + s.code(i, 0, true)
	}
	return strings.Join(names, ",")
}

// Edge draws an address at or just beyond an end of a network, or beyond the last one;
// half of them of the first country.
func (s Scattered) Edge(r *rand.Rand) netip.Addr {
	n, country, host := r.IntN(int(s)+1), r.IntN(256)*r.IntN(2), []byte{0, 127, 128, 255}[r.IntN(4)]
	if r.IntN(2) == 0 {
		return netip.AddrFrom4([4]byte{20, byte(n), byte(country), host})
	}
	six := [16]byte{0: 0x24}
	binary.BigEndian.PutUint16(six[4:], uint16(country))
	binary.BigEndian.PutUint16(six[6:], uint16(n))
	a := netip.AddrFrom16(six)
	switch host {
	case 127:
		return last(netip.PrefixFrom(a, 64))
	case 128:
		return a.Prev()
	case 255:
		return last(netip.PrefixFrom(a, 64)).Next()
	}
	return a
}
