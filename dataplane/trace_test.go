package dataplane

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/layers"
	"pgregory.net/rapid"

	"ngfw.sh/dataplane/flow"
	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

// trace is one that the test reads itself.
type trace struct {
	k    *kernel
	ring *ringbuf.Reader
	seen []TracePacket
	a    *assembler
}

func (k *kernel) trace(f TraceFilter) *trace {
	k.t.Helper()
	var asked bpfobj.TcTrace
	var err error
	k.in(func() { asked, err = f.kernel() })
	if err != nil {
		k.t.Fatal(err)
	}
	asked.Until, asked.Interval = flow.BootClock()+uint64(time.Hour), 0
	if err := k.tc.Traces.Put(uint32(0), &asked); err != nil {
		k.t.Fatal(err)
	}
	t := &trace{k: k}
	if t.ring, err = ringbuf.NewReader(k.tc.TraceRecords); err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { t.ring.Close() })
	t.a = newAssembler(k.Dataplane, 0, func(p TracePacket) error { t.seen = append(t.seen, p); return nil })
	return t
}

// packets are those that were told of since it was asked last.
func (t *trace) packets() (seen []TracePacket) {
	t.k.t.Helper()
	t.ring.SetDeadline(time.Now()) // what there is, is there
	for {
		rec, err := t.ring.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			t.k.t.Fatal(err)
		}
		if err := t.a.take(rec.RawSample); err != nil {
			t.k.t.Fatal(err)
		}
	}
	if err := t.a.flush(true); err != nil {
		t.k.t.Fatal(err)
	}
	seen, t.seen = t.seen, nil
	return seen
}

// What a trace tells of a first packet is what simulation says of it: the same
// verdict, the same steps in the same words.
func TestTraceAgreesWithSimulation(t *testing.T) {
	k := newKernel(t, 1<<14)
	tr := k.trace(TraceFilter{})
	homes := map[string][]string{"lan": {lan4, lan6}, "iot": {iot4, "2001:db8:3::9"}, "wan": {inet4, inet6}, policy.InterfaceSelf: {rtrWAN4, rtr4}}
	index := map[string]uint32{"lan": k.lan, "iot": k.iot, "wan": k.wan}
	revision, sport := int64(0), uint16(1024)
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom([]string{"LAN", "IOT", "WAN", "SELF", "any"})
		action := rapid.SampledFrom([]string{"accept", "drop", "reject"})
		var rules, defaults []string
		for id := range rapid.IntRange(0, 6).Draw(t, "rules") {
			from := zone.Draw(t, "from")
			to := zone.Filter(func(to string) bool { return from != "SELF" || to != "SELF" }).Draw(t, "to")
			rules = append(rules, fmt.Sprintf(`{"id":%d,"name":"r%d","zone_from":%q,"zone_to":%q,"protocol":%q,"source":%q,"destination":%q,"action":%q}`, id+1, id+1,
				from, to, rapid.SampledFrom([]string{"all", "tcp", "udp", "icmp", "tcp+udp"}).Draw(t, "protocol"),
				rapid.SampledFrom([]string{"any", "10.0.0.0/8", lan4, "!" + iot4, "2001:db8::/32"}).Draw(t, "source"),
				rapid.SampledFrom([]string{"any", "203.0.113.0/24", iot4, "!10.0.0.0/8"}).Draw(t, "destination"), action.Draw(t, "action")))
		}
		for _, pair := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"LAN WAN", "LAN any", "any any", "IOT WAN", "WAN SELF", "SELF any"}), 0, 4, rapid.ID).Draw(t, "pairs") {
			from, to, _ := strings.Cut(pair, " ")
			defaults = append(defaults, fmt.Sprintf(`{"from":%q,"to":%q,"action":%q}`, from, to, rapid.SampledFrom([]string{"accept", "drop"}).Draw(t, "default")))
		}
		revision++
		k.apply(revision, strings.Join(rules, ","), strings.Join(defaults, ","))
		for range 12 {
			in := rapid.SampledFrom([]string{"lan", "iot", "wan", policy.InterfaceSelf}).Draw(t, "in")
			out := rapid.SampledFrom([]string{"lan", "iot", "wan", policy.InterfaceSelf}).Filter(func(s string) bool { return s != in }).Draw(t, "out")
			family := rapid.IntRange(0, 1).Draw(t, "family")
			if in == policy.InterfaceSelf || out == policy.InterfaceSelf {
				family = 0 // the router's second address is IPv4 too
			}
			p := packet{src: homes[in][family], dst: homes[out][family], proto: rapid.SampledFrom([]layers.IPProtocol{tcp, udp, icmp, layers.IPProtocolGRE}).Draw(t, "proto"),
				dport: rapid.SampledFrom([]uint16{22, 80, 443}).Draw(t, "dport"), payload: make([]byte, 8)}
			if family == 1 && p.proto == icmp {
				p.proto = udp
			}
			asked := policy.Packet{In: in, Out: out, Src: netip.MustParseAddr(p.src), Dst: netip.MustParseAddr(p.dst), Protocol: uint8(p.proto), Time: time.Now(), SrcMAC: policy.MAC(hostMAC)}
			switch p.proto {
			case icmp:
				p.kind, p.dport, asked.ICMPType = 8, 0, 8
			case tcp, udp:
				sport++
				p.sport, asked.SrcPort, asked.DstPort = sport, sport, p.dport
				if p.proto == tcp {
					p.flags = "S"
				}
			}
			k.forget() // each is the first of its flow
			var o outcome
			if in == policy.InterfaceSelf {
				o = k.leave(index[out], p.frame(k.t))
			} else {
				o = k.arrive(index[in], p.frame(k.t))
			}
			told := tr.packets()
			if len(told) != 1 {
				t.Fatalf("%+v: %d packets were told of: %+v", p, len(told), told)
			}
			want, err := k.Explain(asked)
			if err != nil {
				t.Fatal(err)
			}
			got := told[0]
			if want.Action == policy.Reject && in == policy.InterfaceSelf { // docs/policy.md: from SELF it is a drop
				want.Action = policy.Drop
			}
			if got.Action != want.Action || got.Reason != want.Reason || cmp.Diff(got.RuleID, want.RuleID) != "" || got.PolicyRevision != want.PolicyRevision {
				t.Fatalf("%+v, outcome %+v\ntrace      %s %s %v\nsimulation %+v", asked, o, got.Action, got.Reason, got.RuleID, want)
			}
			steps := want.Stages
			if n := len(steps); steps[n-1].Result == "masquerade" { // egress tells of that
				steps = steps[:n-1]
			}
			if d := cmp.Diff(steps, got.Programs[0].Stages); d != "" {
				t.Fatalf("%+v: steps (-simulation +trace):\n%s", asked, d)
			}
			seen[string(got.Action)]++
			seen[got.Reason]++
		}
	})
	for _, what := range []string{"accept", "drop", "reject", "rule", "policy", "default"} {
		if seen[what] == 0 {
			t.Errorf("never seen: %s", what)
		}
	}
	t.Logf("seen: %v", seen)
}

func TestTraceFilters(t *testing.T) {
	k := newKernel(t, 1024)
	k.apply(1, "", usual)
	syn := packet{src: lan4, dst: inet4, proto: tcp, sport: 40000, dport: 443, flags: "S"}
	six := packet{src: lan6, dst: inet6, proto: udp, sport: 40000, dport: 53}
	backwards := packet{src: inet4, dst: lan4, proto: tcp, sport: 443, dport: 40000, flags: "S"}
	at := netip.MustParsePrefix
	for name, tc := range map[string]struct {
		filter TraceFilter
		want   [3]bool // syn, six, backwards
	}{
		"anything":              {TraceFilter{}, [3]bool{true, true, true}},
		"an end":                {TraceFilter{Host: at(lan4 + "/32")}, [3]bool{true, false, true}},
		"a prefix":              {TraceFilter{Host: at("10.0.0.0/15")}, [3]bool{true, false, true}},
		"another":               {TraceFilter{Host: at("10.2.0.0/15")}, [3]bool{}},
		"an IPv6 prefix":        {TraceFilter{Host: at("2001:db8:1::/48")}, [3]bool{false, true, false}},
		"all of IPv4":           {TraceFilter{Host: at("0.0.0.0/0")}, [3]bool{true, false, true}},
		"a source":              {TraceFilter{Source: at(lan4 + "/32")}, [3]bool{true, false, true}},
		"a source, one way":     {TraceFilter{Source: at(lan4 + "/32"), OneWay: true}, [3]bool{true, false, false}},
		"a destination":         {TraceFilter{Destination: at(lan4 + "/32"), OneWay: true}, [3]bool{false, false, true}},
		"a protocol":            {TraceFilter{Protocol: policy.ProtocolUDP}, [3]bool{false, true, false}},
		"a port":                {TraceFilter{Port: 443}, [3]bool{true, false, true}},
		"a destination port":    {TraceFilter{DestinationPort: 443, OneWay: true}, [3]bool{true, false, false}},
		"a source port":         {TraceFilter{SourcePort: 443, OneWay: true}, [3]bool{false, false, true}},
		"both ends":             {TraceFilter{Source: at(lan4 + "/32"), DestinationPort: 443}, [3]bool{true, false, true}},
		"ends that do not meet": {TraceFilter{Source: at(lan4 + "/32"), SourcePort: 443}, [3]bool{}},
		"where it arrives":      {TraceFilter{Interface: "lan"}, [3]bool{true, true, true}},
		"where it leaves":       {TraceFilter{Interface: "wan", Protocol: policy.ProtocolTCP, OneWay: true}, [3]bool{true, false, true}},
		"another interface":     {TraceFilter{Interface: "iot"}, [3]bool{}},
	} {
		tr := k.trace(tc.filter)
		for i, p := range []packet{syn, six, backwards} {
			k.forget()
			port := k.lan
			if i == 2 {
				port = k.wan
			}
			k.arrive(port, p.frame(t))
			if got := tr.packets(); (len(got) == 1) != tc.want[i] || len(got) > 1 {
				t.Errorf("%s: packet %d was told of %d times", name, i, len(got))
			}
		}
		tr.ring.Close()
	}
	if _, err := (TraceFilter{Interface: "nosuch"}).kernel(); err == nil {
		t.Error("an interface that is not there was taken")
	}
}

// Frames with tags are told of with the outer one, also of a VLAN that nobody here
// has; its interface's packet is the one that XDP has seen on the port.
func TestTraceTellsTags(t *testing.T) {
	k := newKernel(t, 64)
	k.ports[1] = attachedPort{name: "lan"} // where test runs arrive
	k.apply(1, "", usual)
	tr := k.trace(TraceFilter{Protocol: policy.ProtocolUDP})
	inner := packet{src: lan4, dst: inet4, proto: udp, sport: 1, dport: 2}.frame(t)
	outer := tagged(inner, 0x8100)
	for what, tc := range map[string]struct {
		frame []byte
		vlan  uint16
	}{
		"none": {inner, 0}, "one": {outer, 100}, "two": {tagged(inner, 0x88a8, 0x8100), 100},
		"a priority alone": {set(outer, 14, 0xe0, 0), 0},
	} {
		k.early(tc.frame)
		got := tr.packets()
		if len(got) != 1 || got[0].Packet.VLAN != tc.vlan || got[0].Packet.In != "lan" || got[0].Packet.Src.String() != lan4 || got[0].Action != policy.Accept {
			t.Errorf("%s: %+v", what, got)
			continue
		}
		if lacks := strings.Contains(got[0].Note, "VLAN 100 has no interface on lan"); lacks != (tc.vlan != 0) {
			t.Errorf("%s: %q", what, got[0].Note)
		}
	}
	// More tags than two, and a cut one, are nobody's packet here.
	for _, frame := range [][]byte{tagged(inner, 0x8100, 0x8100, 0x8100), outer[:16]} {
		k.early(frame)
		if got := tr.packets(); len(got) != 0 {
			t.Errorf("told of %+v", got)
		}
	}

	k.ports[int(k.lan)] = attachedPort{name: "lan.100", vlan: 100, over: 1}
	k.apply(2, "", usual)
	k.early(outer)
	k.arrive(k.lan, inner) // without its tag, as the kernel hands it on
	got := tr.packets()
	if len(got) != 1 || got[0].Packet.VLAN != 100 || got[0].Packet.In != "lan.100" || len(got[0].Programs) != 2 {
		t.Errorf("%+v", got)
	}
	k.early(outer)
	if got := tr.packets(); len(got) != 1 || !strings.Contains(got[0].Note, "not seen at lan.100") {
		t.Errorf("%+v", got)
	}
	// One that leaves by it.
	k.ports[int(k.wan)] = attachedPort{name: "wan.7", vlan: 7, over: 1}
	k.forget()
	k.leave(k.wan, packet{src: rtrWAN4, dst: inet4, proto: udp, sport: 1, dport: 2}.frame(t))
	if got := tr.packets(); len(got) != 1 || got[0].Packet.VLAN != 7 || got[0].Packet.In != policy.InterfaceSelf {
		t.Errorf("%+v", got)
	}
}

// Whatever becomes of who asked, the kernel ends it.
func TestTraceEndsByItself(t *testing.T) {
	k := newKernel(t, 64)
	k.apply(1, "", usual)
	tr := k.trace(TraceFilter{})
	frame := packet{src: lan4, dst: inet4, proto: udp, sport: 1, dport: 2}.frame(t)
	k.arrive(k.lan, frame)
	if n := len(tr.packets()); n != 1 {
		t.Fatalf("%d packets before its end", n)
	}
	var asked bpfobj.TcTrace
	if err := k.tc.Traces.Lookup(uint32(0), &asked); err != nil {
		t.Fatal(err)
	}
	asked.Until = flow.BootClock()
	if err := k.tc.Traces.Put(uint32(0), &asked); err != nil {
		t.Fatal(err)
	}
	k.arrive(k.lan, frame)
	if n := len(tr.packets()); n != 0 {
		t.Errorf("%d packets after its end", n)
	}
	if err := k.tc.Traces.Lookup(uint32(0), &asked); err != nil || asked.Until != 0 {
		t.Errorf("its end was not noted: %v %d", err, asked.Until)
	}
	// A take-over begins without one.
	asked.Until = flow.BootClock() + uint64(time.Hour)
	if err := k.tc.Traces.Put(uint32(0), &asked); err != nil {
		t.Fatal(err)
	}
	k.Close()
	d := openAt(t, k.pins, 64)
	if err := d.tc.Traces.Lookup(uint32(0), &asked); err != nil || asked.Until != 0 {
		t.Errorf("after a take-over: %v, until %d", err, asked.Until)
	}
}

// BenchmarkTrace is what the programs cost: without a trace, with one that asks
// for other packets, and with one that tells of each (its ring is not read).
func BenchmarkTrace(b *testing.B) {
	for _, asked := range []string{"none", "others", "each"} {
		b.Run(asked, func(b *testing.B) {
			k := newKernel(b, 64)
			k.ports[1] = attachedPort{name: "lan"} // where test runs arrive
			k.apply(1, "", usual)
			k.allowFast()
			switch asked {
			case "others":
				k.trace(TraceFilter{Host: netip.MustParsePrefix("198.51.100.1/32")})
			case "each":
				k.trace(TraceFilter{})
			}
			benchmarkPrograms(b, k)
		})
	}
}

// benchmarkPrograms reports the median of some runs each, as the kernel measures
// them: packets that both forms of the fast path send on, and an established
// flow's long way. What is sent on has a hop less each time, so a run is short.
func benchmarkPrograms(b *testing.B, k *kernel) {
	for b.Loop() { // the kernel counts
	}
	same := packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 53, payload: []byte("question")}
	fast := journey{in: same, out: same, hops: 255}
	k.way(fast, fastXDP|fastTC, func(e *bpfobj.TcFast) {
		copy(e.Way.Macs[:6], routerMAC)
		e.Way.IfindexIn = 1
		e.Way.Until, e.Due = e.Way.Until+1<<24, e.Due+1<<24
	})
	long := packet{src: lan4, dst: rtr4, proto: udp, sport: 1, dport: 2}.frame(b)
	k.arrive(k.lan, long)
	for name, run := range map[string]struct {
		program *ebpf.Program
		frame   []byte
		answer  uint32
	}{
		"xdp-fast": {k.xdp.Program, fast.arrives(b), 4}, "tc-fast": {k.tc.NgfwIngress, fast.arrives(b), 7},
		"tc-long": {k.tc.NgfwIngress, long, 0xffffffff},
	} {
		var each []time.Duration
		k.in(func() {
			for range 60 {
				rc, took, err := run.program.Benchmark(run.frame, 240, nil)
				if err != nil || rc != run.answer {
					b.Errorf("%s: after %d rounds it answered %d: %v", name, len(each), rc, err)
					return
				}
				each = append(each, took)
			}
		})
		if b.Failed() {
			return
		}
		slices.Sort(each)
		b.ReportMetric(float64(each[len(each)/2].Nanoseconds()), "ns/"+name)
	}
}
