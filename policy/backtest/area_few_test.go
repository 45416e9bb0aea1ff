package backtest

import (
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"ngfw.sh/policy"
)

// TestFewerHoldTheSame: putting areas together loses no packet of them.
func TestFewerHoldTheSame(t *testing.T) {
	address := rapid.Map(rapid.IntRange(0, 40), func(n int) netip.Addr {
		if n > 30 {
			return netip.AddrFrom16([16]byte{0: 0x20, 15: byte(n)})
		}
		return netip.AddrFrom4([4]byte{10, 0, 0, byte(n)})
	})
	addresses := rapid.Custom(func(t *rapid.T) Range {
		a := address.Draw(t, "first")
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			return Range{}
		case 1:
			return Range{a, a}
		case 2:
			p, _ := a.Prefix(0)
			return Range{p.Addr(), lastOf(p)}
		}
		b := address.Filter(func(b netip.Addr) bool { return b.Is4() == a.Is4() }).Draw(t, "last")
		if b.Less(a) {
			a, b = b, a
		}
		return Range{a, b}
	})
	links := rapid.SliceOfN(rapid.SampledFrom([]string{"lan0", "lan1", "wan0"}), 0, 2)
	area := rapid.Custom(func(t *rapid.T) Area {
		a := Area{In: links.Draw(t, "in"), Out: links.Draw(t, "out"), Source: addresses.Draw(t, "source"), Destination: addresses.Draw(t, "destination"), Protocol: -1, PortHi: 65535}
		if rapid.IntRange(0, 4).Draw(t, "anywhere") == 0 {
			a.AnyInterface, a.In, a.Out = true, nil, nil
		}
		if rapid.Bool().Draw(t, "service") {
			a.Protocol, a.PortLo = rapid.SampledFrom([]int{6, 17}).Draw(t, "protocol"), rapid.Uint16Range(0, 9).Draw(t, "lo")
			a.PortHi = rapid.Uint16Range(a.PortLo, 10).Draw(t, "hi")
		}
		return a
	})
	packet := rapid.Custom(func(t *rapid.T) policy.Packet {
		p := policy.Packet{In: rapid.SampledFrom([]string{"lan0", "lan1", "wan0"}).Draw(t, "in"), Out: rapid.SampledFrom([]string{"lan0", "lan1", "wan0"}).Draw(t, "out"),
			Src: address.Draw(t, "src"), Protocol: rapid.SampledFrom([]uint8{1, 6, 17}).Draw(t, "protocol"), DstPort: rapid.Uint16Range(0, 12).Draw(t, "port")}
		p.Dst = address.Filter(func(a netip.Addr) bool { return a.Is4() == p.Src.Is4() }).Draw(t, "dst")
		return p
	})
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(area, 1, 12).Draw(t, "areas")
		most := rapid.IntRange(1, 12).Draw(t, "most")
		few, ok := fewer(slices.Clone(list), most)
		if !ok {
			return
		}
		if len(few) > most {
			t.Fatalf("%d of %d", len(few), most)
		}
		for range 20 {
			p := packet.Draw(t, "packet")
			holds := func(a Area) bool { return a.Holds(p) }
			if slices.ContainsFunc(list, holds) && !slices.ContainsFunc(few, holds) {
				t.Fatalf("%+v is in %+v and not in %+v", p, list, few)
			}
		}
	})
}
