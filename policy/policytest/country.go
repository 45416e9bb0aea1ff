package policytest

import (
	"iter"
	"net/netip"

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

var _ policy.Countries = Atlas{}
