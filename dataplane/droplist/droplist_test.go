package droplist

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// naive asks every prefix.
func naive(lists []List, allow []netip.Prefix, zone string, a netip.Addr, skip Match) uint8 {
	for _, p := range allow {
		if p.Contains(a) {
			return 0
		}
	}
	for i, l := range lists {
		if l.Match == skip || len(l.Zones) > 0 && !slices.Contains(l.Zones, zone) {
			continue
		}
		for _, p := range l.Prefixes {
			if p.Addr().Is4In6() && p.Bits() >= 96 {
				p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
			}
			if p.Contains(a) {
				return uint8(i + 1)
			}
		}
	}
	return 0
}

// address draws clustered ones, so that prefixes nest and meet.
func address(rt *rapid.T, name string) netip.Addr {
	if rapid.Bool().Draw(rt, name+" is 4") {
		b := [4]byte(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 10, 127, 128, 254, 255}), 4, 4).Draw(rt, name))
		return netip.AddrFrom4(b)
	}
	b := [16]byte(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 0, 0, 1, 32, 128, 255}), 16, 16).Draw(rt, name))
	if netip.AddrFrom16(b).Is4In6() {
		b[0] = 32
	}
	return netip.AddrFrom16(b)
}

func prefix(rt *rapid.T) netip.Prefix {
	a := address(rt, "prefix")
	return netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(rt, "length"))
}

func TestTableAgreesWithEveryPrefix(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var lists []List
		for i := range rapid.IntRange(0, 4).Draw(rt, "lists") {
			l := List{Name: string(rune('a' + i)), Match: rapid.SampledFrom([]Match{"", Either, Source, Destination}).Draw(rt, "match")}
			for range rapid.IntRange(0, 80).Draw(rt, "prefixes") {
				l.Prefixes = append(l.Prefixes, prefix(rt))
			}
			l.Zones = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"WAN", "LAN", "IOT"}), 0, 2, rapid.ID).Draw(rt, "zones")
			lists = append(lists, l)
		}
		var allow []netip.Prefix
		for range rapid.IntRange(0, 3).Draw(rt, "allowed") {
			allow = append(allow, prefix(rt))
		}
		table, err := Compile(lists, allow...)
		if err != nil {
			rt.Fatal(err)
		}
		check := func(a netip.Addr) {
			if !a.IsValid() {
				return
			}
			for _, zone := range []string{"", "WAN", "LAN", "IOT"} {
				if got, want := table.LookupFrom(zone, a, Source4), naive(lists, allow, zone, a, Destination); got != want {
					rt.Fatalf("source %v from %q: %d, want %d", a, zone, got, want)
				}
				if got, want := table.LookupFrom(zone, a, Destination4), naive(lists, allow, zone, a, Source); got != want {
					rt.Fatalf("destination %v from %q: %d, want %d", a, zone, got, want)
				}
			}
		}
		for range 20 {
			check(address(rt, "asked"))
		}
		for _, l := range append(lists, List{Prefixes: allow}) { // both sides of each edge
			for _, p := range l.Prefixes {
				first := p.Masked().Addr()
				check(first)
				check(first.Prev())
				end, ok := span{numberOf(first), uint8(p.Bits()), 1}.end()
				if !ok {
					continue
				}
				next := addressOf(end, first.Is4())
				check(next)
				check(next.Prev())
			}
		}
	})
}

func addressOf(n number, v4 bool) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], n.hi)
	binary.BigEndian.PutUint64(b[8:], n.lo)
	if v4 {
		return netip.AddrFrom4([4]byte(b[:4]))
	}
	return netip.AddrFrom16(b)
}

// Many prefixes, so that there are nodes over nodes, evenly spread and not.
func TestLargeTables(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	spread4 := func() netip.Prefix {
		return netip.PrefixFrom(addressOf(number{hi: rnd.Uint64()}, true), 16+rnd.IntN(17)).Masked()
	}
	spread6 := func() netip.Prefix {
		return netip.PrefixFrom(addressOf(number{0x2000<<48 | rnd.Uint64()>>3, rnd.Uint64()}, false), 29+rnd.IntN(100)).Masked()
	}
	// Halving distances: what an evenly divided table is worst at.
	halved := func() netip.Prefix {
		n := number{rnd.Uint64() >> rnd.IntN(64), rnd.Uint64() >> rnd.IntN(64)}
		return netip.PrefixFrom(addressOf(n, false), 64+rnd.IntN(65)).Masked()
	}
	site := func() netip.Prefix { // all in one /64
		return netip.PrefixFrom(addressOf(number{0x20010db8 << 32, rnd.Uint64()}, false), 100+rnd.IntN(29)).Masked()
	}
	for name, draw := range map[string]func() netip.Prefix{"v4": spread4, "v6": spread6, "halved": halved, "one site": site} {
		t.Run(name, func(t *testing.T) {
			l := List{Name: name}
			for range 20_000 {
				l.Prefixes = append(l.Prefixes, draw())
			}
			table, err := Compile([]List{l})
			if err != nil {
				t.Fatal(err)
			}
			set := map[netip.Prefix]bool{}
			for _, p := range l.Prefixes {
				set[p] = true
			}
			has := func(a netip.Addr) uint8 {
				for n := range a.BitLen() + 1 {
					if p, _ := a.Prefix(n); set[p] {
						return 1
					}
				}
				return 0
			}
			hits := 0
			for i := range 6000 {
				a := draw().Addr()
				if i%2 == 0 {
					a = l.Prefixes[rnd.IntN(len(l.Prefixes))].Addr()
					if i%4 == 0 && a.Prev().IsValid() {
						a = a.Prev()
					}
				}
				got, want := table.Lookup(a, Source4), has(a)
				if got != want {
					t.Fatalf("%v: %d, want %d", a, got, want)
				}
				hits += int(got)
			}
			if hits < 1000 {
				t.Errorf("only %d hits", hits)
			}
			t.Logf("%d boundaries, %d bytes", table.Stats.Boundaries, table.Bytes())
			if table.Bytes() > 20_000*400 {
				t.Errorf("%d bytes for 20,000 prefixes", table.Bytes())
			}
		})
	}
}

func TestRefusedLists(t *testing.T) {
	for want, lists := range map[string][]List{
		"a list without a name":                                         {{}},
		`two drop lists are called "x"`:                                 {{Name: "x"}, {Name: "x"}},
		`list "x": match "both" is none of either, source, destination`: {{Name: "x", Match: "both"}},
		`list "x" holds an invalid prefix`:                              {{Name: "x", Prefixes: make([]netip.Prefix, 1)}},
		"64 drop lists, at most 63":                                     make([]List, 64),
	} {
		if _, err := Compile(lists); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	l := List{Name: "x"}
	for range 1_000_000 {
		l.Prefixes = append(l.Prefixes, netip.PrefixFrom(addressOf(number{hi: rnd.Uint64()}, true), 32))
	}
	for b.Loop() {
		table, err := Compile([]List{l})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(table.Bytes())/1e6, "MB")
	}
}
