package rule

import (
	"math/big"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// TestPrintParses puts options of the tests together to rules; those that are
// accepted must come back from their canonical text.
func TestPrintParses(t *testing.T) {
	parser := NewParser(DefaultConfig())
	kept, all := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		header := rapid.SampledFrom([]string{
			"alert http any any -> any any", "drop tcp $HOME_NET [80,!81] -> [10.0.0.0/8,!10.0.0.1] any", "pass tls any any => any any",
			"reject ip any any <> ![1.2.3.4,::1] 1:", "alert dns any any -> any any",
		}).Draw(t, "header")
		text := header + " ("
		n := rapid.IntRange(1, 6).Draw(t, "n")
		for range n {
			if rapid.Bool().Draw(t, "known") {
				text += accepted[rapid.IntRange(0, len(accepted)-1).Draw(t, "options")].options + " "
			} else {
				c := &Content{Pattern: rapid.SliceOfN(rapid.Byte(), 1, 12).Draw(t, "pattern")}
				text += string(c.print(nil, nil)) + rapid.SampledFrom([]string{"", "nocase; ", "http_uri; ", "distance:3; ", "pkt_data; ", "http.uri; "}).Draw(t, "after")
			}
		}
		all++
		r, err := parser.Parse(text + "sid:1;)")
		if err != nil {
			return
		}
		kept++
		mustRoundTrip(t, r)
	})
	if kept*20 < all {
		t.Errorf("only %d of %d rules were accepted: the property says little", kept, all)
	}
}

// TestSpaceAgainstModel compares the algebra of sets with bits of a number.
func TestSpaceAgainstModel(t *testing.T) {
	const size = 24
	sp := &space[uint16]{
		max: size - 1, compare: portSpace.compare, next: portSpace.next, prev: portSpace.prev,
	}
	var draw func(t *rapid.T, depth int) (node[span[uint16]], *big.Int)
	full := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), size), big.NewInt(1))
	draw = func(t *rapid.T, depth int) (node[span[uint16]], *big.Int) {
		n := node[span[uint16]]{}
		bits := new(big.Int)
		if depth < 3 && rapid.Bool().Draw(t, "list") {
			with, without, positive := new(big.Int), new(big.Int), false
			for range rapid.IntRange(1, 4).Draw(t, "members") {
				m, set := draw(t, depth+1)
				n.list = append(n.list, m)
				if m.not {
					without.Or(without, new(big.Int).AndNot(full, set))
				} else {
					positive = true
					with.Or(with, set)
				}
			}
			if !positive {
				with = full
			}
			bits.AndNot(with, without)
		} else {
			from := rapid.Uint16Range(0, size-1).Draw(t, "from")
			to := rapid.Uint16Range(from, size-1).Draw(t, "to")
			n.leaf = span[uint16]{from, to}
			for i := from; i <= to; i++ {
				bits.SetBit(bits, int(i), 1)
			}
		}
		if n.not = rapid.Bool().Draw(t, "not"); n.not {
			bits = new(big.Int).AndNot(full, bits)
		}
		return n, bits
	}
	rapid.Check(t, func(t *rapid.T) {
		n, want := draw(t, 0)
		spans, err := sp.eval(&n, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		got := new(big.Int)
		for i, s := range spans {
			if i > 0 && s.from <= spans[i-1].to+1 {
				t.Fatalf("%v is not in order, or touches", spans)
			}
			for v := s.from; v <= s.to; v++ {
				got.SetBit(got, int(v), 1)
			}
		}
		if got.Cmp(want) != 0 {
			t.Fatalf("%+v is %v, want %b", n, spans, want)
		}
	})
}

// TestCompareAgainstText reads back what is printed, and means the same.
func TestCompareAgainstText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Compare{Op: Op(rapid.IntRange(0, int(MaskNotEqual)).Draw(t, "op")), A: rapid.Uint64Range(0, 300).Draw(t, "a")}
		if c.Op >= Inside {
			c.B = rapid.Uint64Range(0, 300).Draw(t, "b")
		}
		got, err := parseCompare(string(c.print(nil)), 0, 16, nil, false)
		if err != nil {
			for v := range uint64(65536) {
				if c.Match(v) && c.Op != Outside && c.Op != MaskNotEqual {
					t.Fatalf("%s is refused, but matches %d: %v", c.print(nil), v, err)
				}
			}
			return
		}
		if got != c {
			t.Fatalf("%+v became %+v", c, got)
		}
	})
}

// TestAddressesPrint reads back what is printed.
func TestAddressesPrint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func() netip.Addr {
			if rapid.Bool().Draw(t, "v4") {
				return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "a4")))
			}
			return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "a16"))).Unmap()
		}
		a, b := draw(), draw()
		text := a.String()
		switch {
		case rapid.Bool().Draw(t, "prefix"):
			p, _ := a.Prefix(rapid.IntRange(0, a.BitLen()).Draw(t, "bits"))
			text = p.String()
		case a.BitLen() == b.BitLen() && a.Less(b):
			text += "-" + b.String()
		}
		x, err := ParseAddresses("![" + text + ",!$HOME_NET]")
		if err != nil {
			t.Fatal(err)
		}
		y, err := ParseAddresses(x.String())
		if err != nil || y.String() != x.String() || y.root.list[0].leaf != x.root.list[0].leaf {
			t.Fatalf("%s became %s and %v, %v", text, x, y, err)
		}
	})
}
