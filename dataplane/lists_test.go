package dataplane

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"ngfw.sh/dataplane/droplist"
)

// drawer draws addresses near one another, so that lists nest and meet.
type drawer struct{ *rand.Rand }

func (d drawer) address(v4 bool) netip.Addr {
	if v4 {
		return netip.AddrFrom4([4]byte{byte(100 + d.IntN(3)), byte(d.IntN(4)), byte(d.IntN(256)), byte(d.IntN(256))})
	}
	b := [16]byte{0x2a, byte(d.IntN(3)), byte(d.IntN(256)), byte(d.IntN(256)), byte(d.IntN(3)), 0, 0, byte(d.IntN(4))}
	b[15], b[8] = byte(d.IntN(256)), byte(d.IntN(2))
	return netip.AddrFrom16(b)
}

func (d drawer) prefixes(n int) (out []netip.Prefix) {
	for range n {
		v4 := d.IntN(2) == 0
		a := d.address(v4)
		least := map[bool]int{true: 18, false: 30}[v4]
		out = append(out, netip.PrefixFrom(a, least+d.IntN(a.BitLen()-least+1)).Masked())
	}
	return out
}

// setLists compiles and loads.
func (k *kernel) setLists(lists ...droplist.List) *droplist.Table {
	k.t.Helper()
	table, err := droplist.Compile(lists)
	if err != nil {
		k.t.Fatal(err)
	}
	if err := k.SetLists(table); err != nil {
		k.t.Fatal(err)
	}
	return table
}

// The programs find what the table's own search finds.
func TestListsAgreeWithTheirTable(t *testing.T) {
	k := newKernel(t, 64)
	k.apply(1, "", usual)
	d := drawer{rand.New(rand.NewPCG(3, 4))}
	table := k.setLists(
		droplist.List{Name: "few", Prefixes: d.prefixes(10)},
		droplist.List{Name: "sources", Match: droplist.Source, Prefixes: d.prefixes(3000)},
		droplist.List{Name: "destinations", Match: droplist.Destination, Prefixes: d.prefixes(3000)})
	want := map[string]uint64{}
	dropped := 0
	for i := range 6000 {
		v4 := i%2 == 0
		src, dst := d.address(v4), d.address(v4)
		label := table.Lookup(src, droplist.Source4)
		if label == 0 {
			label = table.Lookup(dst, droplist.Destination4)
		}
		got := k.early(packet{src: src.String(), dst: dst.String(), proto: udp, sport: 1, dport: 2}.frame(t))
		expected := outcome{Verdict: "pass"}
		if label != 0 {
			expected = outcome{Verdict: "drop", Reason: "drop_list"}
			want[table.Names[label-1]]++
			dropped++
		}
		if got != expected {
			t.Fatalf("%v to %v: %+v, want %+v", src, dst, got, expected)
		}
	}
	if dropped < 1000 || dropped > 5500 {
		t.Errorf("%d of 6000 are listed: too one-sided to say much", dropped)
	}
	counts, err := k.Lists()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for name, c := range counts {
		got[name] = c.Packets
	}
	equal(t, "counts", got, want)
}

var listedPacket = packet{src: inet4, dst: lan4, proto: udp, sport: 1, dport: 2}

func prefixes(text ...string) (out []netip.Prefix) {
	for _, s := range text {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// TC looks where XDP has not; fragments and tagged frames are not exempt.
func TestListsEverywhere(t *testing.T) {
	k := newKernel(t, 64)
	k.apply(1, "", usual)
	k.setLists(droplist.List{Name: "x", Prefixes: prefixes("203.0.113.0/24", "2001:db8:f00::/48")})
	drop := outcome{Verdict: "drop", Reason: "drop_list"}
	v6 := packet{src: inet6, dst: lan6, proto: tcp, sport: 1, dport: 2, flags: "S"}
	fragment := listedPacket
	fragment.fragment = 100
	for name, frame := range map[string][]byte{
		"v4": listedPacket.frame(t), "v6": v6.frame(t), "to it": listedPacket.reply().frame(t), "fragment": fragment.frame(t),
	} {
		equal(t, name+" xdp", k.early(frame), drop)
		equal(t, name+" xdp, tagged", k.early(tagged(frame, 0x8100)), drop)
		equal(t, name+" tc", k.arrive(k.wan, frame), drop)
	}
	// Behind XDP, TC does not look again.
	k.ports[int(k.wan)] = attachedPort{name: "wan", xdp: XDPNative}
	k.apply(2, "", usual)
	if got := k.arrive(k.wan, listedPacket.frame(t)); got.Reason == "drop_list" {
		t.Errorf("looked twice: %+v", got)
	}
}

// Who keeps its name keeps its count; what is replaced is gone at once.
func TestListsAreReplaced(t *testing.T) {
	k := newKernel(t, 64)
	k.apply(1, "", usual)
	frame := listedPacket.frame(t)
	pass, drop := outcome{Verdict: "pass"}, outcome{Verdict: "drop", Reason: "drop_list"}
	equal(t, "no list", k.early(frame), pass)
	k.setLists(droplist.List{Name: "kept", Prefixes: prefixes("203.0.113.0/24")})
	equal(t, "listed", k.early(frame), drop)
	k.setLists(droplist.List{Name: "other", Prefixes: prefixes("192.0.2.0/24")}, droplist.List{Name: "kept", Prefixes: prefixes("203.0.113.7/32")})
	equal(t, "still listed", k.early(frame), drop)
	counts, err := k.Lists()
	if err != nil || counts["kept"].Packets != 2 || counts["other"].Packets != 0 || len(counts) != 2 {
		t.Errorf("%+v %v", counts, err)
	}
	k.setLists(droplist.List{Name: "kept"})
	equal(t, "emptied", k.early(frame), pass)
	k.setLists()
	equal(t, "removed", k.early(frame), pass)
	// As many names as one likes, one after the other.
	for i := range 3 * maxLists {
		k.setLists(droplist.List{Name: fmt.Sprint("n", i), Prefixes: prefixes("203.0.113.7/32")})
		k.early(frame)
		if counts, err := k.Lists(); err != nil || counts[fmt.Sprint("n", i)].Packets != 1 {
			t.Fatalf("%d: %+v %v", i, counts, err)
		}
	}
}

// A flow of the fast path is not exempt from a list that comes later.
func TestListsEndFastFlows(t *testing.T) {
	k := newKernel(t, 64)
	k.apply(1, "", usual)
	k.allowFast()
	k.way(masqueraded, fastXDP, nil)
	if redirected, _ := k.runXDP(masqueraded.arrives(t)); !redirected {
		t.Fatal("it is not fast")
	}
	k.setLists(droplist.List{Name: "x", Prefixes: prefixes(inet4 + "/32")})
	equal(t, "listed", k.early(masqueraded.arrives(t)), outcome{Verdict: "drop", Reason: "drop_list"})
}

// The agent's connection is mended from its other end.
func TestListsSpareTheCloud(t *testing.T) {
	k := newKernel(t, 64)
	k.apply(1, "", usual)
	if err := k.SetCloud(netip.MustParseAddrPort("203.0.113.7:443")); err != nil {
		t.Fatal(err)
	}
	k.setLists(droplist.List{Name: "x", Prefixes: prefixes("0.0.0.0/0")})
	answer := packet{src: inet4, dst: rtrWAN4, proto: tcp, sport: 443, dport: 9999, flags: "A"}
	equal(t, "cloud", k.early(answer.frame(t)), outcome{Verdict: "pass"})
	answer.sport = 444
	equal(t, "another", k.early(answer.frame(t)), outcome{Verdict: "drop", Reason: "drop_list"})
}

// onPort runs the XDP program over a frame of an interface.
func (k *kernel) onPort(port uint32, frame []byte) outcome {
	k.t.Helper()
	// struct xdp_md of linux/bpf.h.
	type xdpMD struct{ Data, End, Meta, Ingress, Queue, Egress uint32 }
	before := k.dropped()
	var rc uint32
	var err error
	k.in(func() {
		rc, err = k.xdp.Program.Run(&ebpf.RunOptions{Data: frame, Context: xdpMD{End: uint32(len(frame)), Ingress: port}, ContextOut: new(xdpMD)})
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return outcome{Verdict: map[uint32]string{1: "drop", 2: "pass"}[rc], Reason: k.droppedSince(before)}
}

// A list that is bound to zones holds for what comes from them, in XDP and TC,
// also under the next policy and after a restart.
func TestListsOfZones(t *testing.T) {
	k := newKernel(t, 64)
	k.apply(1, "", usual)
	lists := []droplist.List{
		{Name: "outside", Prefixes: prefixes("203.0.113.0/24"), Zones: []string{"WAN"}},
		{Name: "all", Prefixes: prefixes("203.0.113.8/32", "2001:db8:f00::/48")},
		{Name: "things", Prefixes: prefixes("203.0.113.0/24"), Zones: []string{"IOT", "nowhere"}, Match: droplist.Destination},
	}
	load := func(d *Dataplane) {
		t.Helper()
		table, err := droplist.Compile(lists)
		if err == nil {
			err = d.SetLists(table)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	load(k.Dataplane)
	in := listedPacket.frame(t)
	out := packet{src: "10.0.3.9", dst: inet4, proto: udp, sport: 5, dport: 6}.frame(t)
	everywhere := packet{src: inet6, dst: lan6, proto: udp, sport: 1, dport: 2}.frame(t)
	drop, counts := "drop_list", map[string]uint64{}
	check := func(when string) {
		t.Helper()
		for _, c := range []struct {
			what  string
			port  uint32
			frame []byte
			want  string
			list  string
		}{
			{"from outside at WAN", k.wan, in, drop, "outside"},
			{"from outside at IOT", k.iot, in, "", ""},
			{"from outside at LAN", k.lan, in, "", ""},
			{"to it at IOT", k.iot, out, drop, "things"},
			{"to it at LAN", k.lan, out, "", ""},
			{"unbound at WAN", k.wan, everywhere, drop, "all"},
			{"unbound at LAN", k.lan, everywhere, drop, "all"},
			{"tagged, at WAN", k.wan, tagged(in, 0x8100), "", ""}, // its VLAN's zone is another
			{"tagged and unbound, at WAN", k.wan, tagged(everywhere, 0x8100), drop, "all"},
		} {
			if got := k.onPort(c.port, c.frame); got.Reason != c.want {
				t.Errorf("%s: %s, XDP: %+v, want %q", when, c.what, got, c.want)
			}
			counts[c.list]++
			if c.what[:6] == "tagged" {
				continue
			}
			if got := k.arrive(c.port, c.frame); (got.Reason == drop) != (c.want == drop) {
				t.Errorf("%s: %s, TC: %+v, want %q", when, c.what, got, c.want)
			}
			counts[c.list]++
		}
		have, err := k.Lists()
		if err != nil {
			t.Fatal(err)
		}
		for name, n := range have {
			if n.Packets != counts[name] {
				t.Errorf("%s: list %s has counted %d, want %d", when, name, n.Packets, counts[name])
			}
		}
	}
	check("at first")
	k.apply(2, "", usual)
	check("under another policy")
	// Numbers are kept: what runs on while the agent starts again means the same.
	lists[0].Zones, lists[2].Zones = []string{"WAN", "added"}, []string{"A", "IOT"}
	load(openAt(t, k.pins, 64))
	check("before the first policy of the next process")
	// What is bound anew holds with the ports' next writing.
	lists[1].Zones = []string{"LAN"}
	load(k.Dataplane)
	if got := k.arrive(k.lan, everywhere); got.Reason != drop {
		t.Errorf("bound to LAN, at LAN: %+v", got)
	}
	if got := k.arrive(k.wan, everywhere); got.Reason == drop {
		t.Errorf("bound to LAN, at WAN: %+v", got)
	}
	for i := range 40 { // as many names as one likes, one after the other
		lists[1].Zones = []string{fmt.Sprint("z", i)}
		load(k.Dataplane)
	}
	if got := k.arrive(k.wan, in); got.Reason != drop {
		t.Errorf("at last: %+v", got)
	}
	table, err := droplist.Compile([]droplist.List{{Name: "x", Zones: strings.Fields("a b c d e f g h i j k l m n o p")}})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.SetLists(table); err == nil || !strings.Contains(err.Error(), "16 zones, at most 15") {
		t.Error(err)
	}
}

// A million prefixes are there in a fraction of what other tables take.
func BenchmarkSetLists(b *testing.B) {
	k := newKernel(b, 64)
	d := drawer{rand.New(rand.NewPCG(5, 6))}
	l := droplist.List{Name: "x"}
	for range 1_000_000 {
		v := d.Uint32()
		l.Prefixes = append(l.Prefixes, netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}), 32))
	}
	for b.Loop() {
		k.setLists(l)
	}
}

// BenchmarkListed is the XDP program over one frame of a listed address.
func BenchmarkListed(b *testing.B) {
	k := newKernel(b, 64)
	d := drawer{rand.New(rand.NewPCG(5, 6))}
	k.setLists(droplist.List{Name: "x", Prefixes: append(d.prefixes(100_000), prefixes("203.0.113.0/24")...)})
	o := ebpf.RunOptions{Data: listedPacket.frame(b), Repeat: 1_000_000}
	for b.Loop() {
		if _, err := k.xdp.Program.Run(&o); err != nil {
			b.Fatal(err)
		}
	}
	_, each, err := k.xdp.Program.Benchmark(o.Data, int(o.Repeat), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(each.Nanoseconds()), "ns/packet")
}
