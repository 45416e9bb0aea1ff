package flow

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

func raw(source, destination string, proto uint8) bpfobj.TcTuple {
	s, d := netip.MustParseAddrPort(source), netip.MustParseAddrPort(destination)
	swap := func(p uint16) uint16 { return p>>8 | p<<8 }
	return bpfobj.TcTuple{Saddr: s.Addr().As16(), Daddr: d.Addr().As16(), Sport: swap(s.Port()), Dport: swap(d.Port()), Proto: proto}
}

func plain(source, destination string, proto uint8) *Tuple {
	return &Tuple{Source: netip.MustParseAddrPort(source), Destination: netip.MustParseAddrPort(destination), Protocol: proto}
}

func TestEventDescribesAFlow(t *testing.T) {
	for name, tc := range map[string]struct {
		orig, reply bpfobj.TcTuple
		flags       uint32
		tuple       *Tuple
		translated  *Tuple
	}{
		"plain": {raw("10.0.1.9:40000", "203.0.113.7:80", 6), raw("203.0.113.7:80", "10.0.1.9:40000", 6), 0,
			plain("10.0.1.9:40000", "203.0.113.7:80", 6), nil},
		"masqueraded": {raw("10.0.1.9:40000", "203.0.113.7:80", 6), raw("203.0.113.7:80", "192.0.2.1:1024", 6), flagNAT,
			plain("10.0.1.9:40000", "203.0.113.7:80", 6), plain("192.0.2.1:1024", "203.0.113.7:80", 6)},
		"redirected": {raw("203.0.113.7:4", "192.0.2.1:443", 17), raw("10.0.1.9:8443", "203.0.113.7:4", 17), flagNAT,
			plain("203.0.113.7:4", "192.0.2.1:443", 17), plain("203.0.113.7:4", "10.0.1.9:8443", 17)},
		"ping, masqueraded": {raw("10.0.1.9:77", "203.0.113.7:2048", 1), raw("203.0.113.7:78", "192.0.2.1:0", 1), flagNAT,
			plain("10.0.1.9:77", "203.0.113.7:2048", 1), plain("192.0.2.1:78", "203.0.113.7:2048", 1)},
		"IPv6": {raw("[2001:db8::1]:7", "[2001:db8::2]:32768", 58), raw("[2001:db8::2]:7", "[2001:db8::1]:33024", 58), 0,
			plain("[2001:db8::1]:7", "[2001:db8::2]:32768", 58), nil},
	} {
		f := bpfobj.TcFlow{
			Id: 9, Opened: 5 * second, Seen: 8 * second, Packets: [2]uint64{1, 2}, Bytes: [2]uint64{3, 4}, Revision: 6,
			Orig: tc.orig, Reply: tc.reply, Decider: 1<<28 | 7, Flags: tc.flags | flagLog, IfindexIn: 2, IfindexOut: 3, ZoneIn: 4, ZoneOut: 5,
			Smac: [6]uint8{2, 0, 0, 0, 0, 9},
		}
		want := Event{
			FlowID: 9, Kind: Update, Action: policy.Accept, Tuple: *tc.tuple, Translated: tc.translated, SourceMAC: []byte{2, 0, 0, 0, 0, 9},
			PortIn: 2, PortOut: 3, ZoneIn: 4, ZoneOut: 5, Decider: policy.NewDecider(policy.DeciderRule, 7), Revision: 6, Log: true,
			Total: Counts{1, 2, 3, 4}, Duration: 3 * time.Second, Count: 1,
		}
		got := event(&f, Update, 8*second)
		if d := cmp.Diff(want, got, cmpopts.IgnoreFields(Event{}, "Time"), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		if off := got.Time.Sub(BootTime()) - 8*time.Second; off.Abs() > time.Second {
			t.Errorf("%s: its time is off by %v", name, off)
		}
	}
	if m := mac([6]uint8{}); m != nil {
		t.Errorf("no MAC is %x", m)
	}
}
