package dataplane

import (
	"fmt"
	"testing"
	"time"
)

// What a source may begin is bounded; what it has begun is not.
func TestGuards(t *testing.T) {
	k := newKernel(t, 256)
	k.apply(1, "", usual)
	if err := k.SetGuards(Guards{GuardRates: GuardRates{Source: Rate{PerSecond: 1, Burst: 5}}}); err != nil {
		t.Fatal(err)
	}
	fresh := packet{src: lan4, dst: inet4, proto: udp, sport: 1, dport: 53}
	try := func(p packet, n int) (passed int) {
		for range n {
			p.sport++
			switch got := k.early(p.frame(t)); got {
			case outcome{Verdict: "pass"}:
				passed++
			case outcome{Verdict: "drop", Reason: "source_flood"}:
			default:
				t.Fatalf("%+v", got)
			}
		}
		return passed
	}
	began := time.Now()
	atMost := func(what string, got int) {
		t.Helper()
		if limit := 6 + int(time.Since(began).Seconds()); got < 5 || got > limit {
			t.Errorf("%s: %d passed, at most %d", what, got, limit)
		}
	}
	atMost("udp", try(fresh, 100))
	other := fresh
	other.src = "10.0.1.10"
	other.proto, other.flags = tcp, "S"
	atMost("another's connections", try(other, 100))
	// All of a /64 is one.
	v6 := packet{src: "2001:db8:1::9", dst: inet6, proto: udp, sport: 1, dport: 2}
	passed := try(v6, 50)
	v6.src = "2001:db8:1::8:0:77"
	atMost("a /64", passed+try(v6, 50))

	// What is known goes on, however much.
	known := fresh
	known.sport = 9
	k.arrive(k.lan, known.frame(t)) // TC lets the first second's pass
	if len(k.flows()) == 0 {
		other := known
		other.src = "10.0.1.11"
		known = other
		k.arrive(k.lan, known.frame(t))
	}
	for range 50 {
		equal(t, "known", k.early(known.frame(t)), outcome{Verdict: "pass"})
	}
	// Segments without state are the policy's to refuse.
	equal(t, "no syn", k.early(packet{src: lan4, dst: inet4, proto: tcp, sport: 1, dport: 2, flags: "A"}.frame(t)), outcome{Verdict: "pass"})

	if err := k.SetGuards(Guards{GuardRates: GuardRates{SYN: Rate{PerSecond: 1, Burst: 3}}}); err != nil {
		t.Fatal(err)
	}
	syn := packet{src: lan4, dst: inet4, proto: tcp, dport: 80, flags: "S"}
	flood := 0
	began = time.Now()
	for i := range 100 {
		syn.src, syn.sport = fmt.Sprintf("10.0.1.%d", 2+i), uint16(1+i)
		if k.early(syn.frame(t)).Reason == "syn_flood" {
			flood++
		}
	}
	if passed := 100 - flood; passed < 3 || passed > 4+int(time.Since(began).Seconds()) {
		t.Errorf("%d connections began", passed)
	}
	equal(t, "udp", k.early(fresh.frame(t)), outcome{Verdict: "pass"})
	if err := k.SetGuards(Guards{}); err != nil {
		t.Fatal(err)
	}
	equal(t, "off", k.early(syn.frame(t)), outcome{Verdict: "pass"})
}

// A zone that has guards of its own has no others, and each counts its own.
func TestGuardsOfZones(t *testing.T) {
	k := newKernel(t, 256)
	k.apply(1, "", usual)
	if err := k.SetGuards(Guards{
		GuardRates: GuardRates{Source: Rate{PerSecond: 1, Burst: 5}},
		Zones:      map[string]GuardRates{"WAN": {SYN: Rate{PerSecond: 1, Burst: 9}}, "IOT": {Source: Rate{PerSecond: 1, Burst: 1}}},
	}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	run := func(v6 bool, run func(uint32, []byte) outcome, port uint32) map[string]int {
		reasons := map[string]int{}
		for i := range 40 {
			p := packet{src: "198.51.100.9", dst: inet4, proto: tcp, sport: uint16(1000 + i), dport: 80, flags: "S"}
			if v6 {
				p.src, p.dst = fmt.Sprintf("2001:db8:7::%x", i+1), inet6
			}
			reasons[run(port, p.frame(t)).Reason]++
		}
		return reasons
	}
	want := map[uint32]struct {
		reason string
		burst  int
	}{k.lan: {"source_flood", 5}, k.iot: {"source_flood", 1}, k.wan: {"syn_flood", 9}}
	dropped := map[uint32]uint64{}
	for port, w := range want {
		for _, v6 := range []bool{false, true} {
			got := run(v6, k.onPort, port)
			passed := 40 - got[w.reason]
			least, most := w.burst, w.burst+1+int(time.Since(began).Seconds())
			if port == k.wan && v6 {
				least, most = 0, most-w.burst // one allowance for the interface, whatever the family
			}
			if passed < least || passed > most {
				t.Errorf("port %d, IPv6 %v: %d passed, want %d to %d: %v", port, v6, passed, least, most, got)
			}
			dropped[port] += uint64(got[w.reason])
			// TC is the same where XDP is not.
			got = run(v6, k.arrive, port)
			if n := got[w.reason]; n < 40-1-int(time.Since(began).Seconds()) {
				t.Errorf("port %d, IPv6 %v, TC: %v", port, v6, got)
			}
			dropped[port] += uint64(got[w.reason])
		}
	}
	counts, err := k.GuardDrops()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for guard, zones := range counts {
		for zone, n := range zones {
			got[guard+" "+zone] = n.Packets
		}
	}
	equal(t, "counts", got, map[string]uint64{
		"source ": dropped[k.lan], "source WAN": 0, "source IOT": dropped[k.iot], "syn ": 0, "syn WAN": dropped[k.wan], "syn IOT": 0,
	})
	// A tagged frame is counted at its VLAN's interface alone.
	for i := range 40 {
		p := packet{src: "198.51.100.10", dst: inet4, proto: tcp, sport: uint16(1000 + i), dport: 80, flags: "S"}
		if got := k.onPort(k.iot, tagged(p.frame(t), 0x8100)); got.Verdict != "pass" {
			t.Fatalf("tagged: %+v", got)
		}
	}
}
