package backtest_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"ngfw.sh/policy"
	"ngfw.sh/policy/backtest"
	"ngfw.sh/policy/policytest"
)

var (
	lan1 = netip.MustParseAddr("10.77.1.10")
	lan2 = netip.MustParseAddr("10.77.1.20")
	web  = netip.MustParseAddr("203.0.113.1")
)

// cut is the rule that takes the web from lan2.
const cut = `{"id":7,"name":"cut","zone_from":"LAN","zone_to":"WAN","action":"drop","source":"10.77.1.20","protocol":"tcp","port":"80"}`

func home(t *testing.T, rules string) policy.Policy {
	t.Helper()
	p, err := policy.Decode([]byte(`{"zones":[{"name":"LAN","interfaces":["lan0"]},{"name":"WAN","interfaces":["wan"]}],
		"policies":[{"from":"LAN","to":"WAN","action":"accept"}],"rules":[` + rules + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func get(client netip.Addr, bytes, connections uint64) backtest.Record {
	return backtest.Record{
		Packet: policy.Packet{In: "lan0", Out: "wan", Src: client, Dst: web, Protocol: 6, DstPort: 80},
		App:    "http", Bytes: bytes, Connections: connections, LastSeen: time.Unix(int64(bytes), 0), Example: fmt.Sprint("row", bytes),
	}
}

// said is a result in short.
func said(r backtest.Result) map[string][]string {
	out := map[string][]string{}
	for name, c := range map[string]backtest.Class{"blocked": r.Blocked, "allowed": r.Allowed, "uncertain": r.Uncertain} {
		for _, e := range c.Entries {
			out[name] = append(out[name], fmt.Sprintf("%s>%s:%d %s %s %s %dB %dc @%d %v %.30s",
				e.Client, e.Destination, e.Port, e.App, e.Action, e.Decider.Reason(), e.Bytes, e.Connections, e.LastSeen.Unix(), e.Examples, e.Reason))
		}
		if c.Unlisted > 0 {
			out[name] = append(out[name], fmt.Sprint("unlisted ", c.Unlisted, " ", c.Bytes, "B ", c.Connections, "c"))
		}
	}
	return out
}

func TestWhatAChangeWouldHaveDone(t *testing.T) {
	strange := `{"id":8,"name":"mac","zone_from":"LAN","zone_to":"WAN","action":"drop","source":"!10.77.1.20"}`
	refused := get(lan2, 60, 1)
	refused.Refused = true
	repeats := get(lan2, 600, 10)
	repeats.Repeats = true
	nameless := get(lan2, 5, 1)
	nameless.Packet.Out = ""
	tests := map[string]struct {
		before, after string
		records       []backtest.Record
		want          map[string][]string
	}{
		"nothing changes": {cut, cut, []backtest.Record{get(lan1, 10, 1), get(lan2, 20, 1)}, map[string][]string{}},
		"one client is cut off": {"", cut, []backtest.Record{get(lan1, 10, 1), get(lan2, 20, 1), get(lan2, 30, 2)}, map[string][]string{
			"blocked": {"10.77.1.20>203.0.113.1:80 http drop rule 50B 3c @30 [row20 row30] "},
		}},
		"and let on again": {cut, "", []backtest.Record{refused, get(lan2, 20, 1)}, map[string][]string{
			"allowed": {
				"10.77.1.20>203.0.113.1:80 http accept policy 60B 1c @60 [row60] it was refused when it was see",
				"10.77.1.20>203.0.113.1:80 http accept policy 20B 1c @20 [row20] ",
			},
		}},
		"what was not kept": {"", cut, []backtest.Record{repeats, nameless, get(lan1, 1, 1)}, map[string][]string{
			"uncertain": {
				"10.77.1.20>203.0.113.1:80 http drop rule 600B 10c @600 [row600] the record stands for repeats ",
				"10.77.1.20>203.0.113.1:80 http drop no_zone 5B 1c @5 [row5] the record does not name the i",
			},
		}},
		"all but one": {"", strange, []backtest.Record{get(lan1, 10, 1), get(lan2, 20, 1)}, map[string][]string{
			"blocked": {"10.77.1.10>203.0.113.1:80 http drop rule 10B 1c @10 [row10] "},
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			test, err := backtest.New(backtest.DefaultConfig(), home(t, tt.before), home(t, tt.after), policy.Env{})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range tt.records {
				test.Add(r)
			}
			if diff := cmp.Diff(tt.want, said(test.Result())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNATByFrame: a NAT rule that asks for the sender's frame makes what comes without one
// uncertain, as a rule does.
func TestNATByFrame(t *testing.T) {
	after := home(t, "")
	after.NAT = []policy.NATRule{{ID: 3, Name: "his", Enabled: true, Type: policy.NATDestination, Protocol: "tcp", Source: "mac:02:00:00:00:00:09,10.9.0.0/16",
		Destination: "203.0.113.2", DestinationPort: "80", TranslateTo: lan1.String()}}
	test, err := backtest.New(backtest.DefaultConfig(), home(t, ""), after, policy.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if !test.AsksMAC() {
		t.Error("nobody asks for the frame")
	}
	for i, from := range []struct {
		address string
		mac     policy.MAC
	}{{"192.0.2.1", policy.MAC{}}, {"192.0.2.2", policy.MAC{2, 0, 0, 0, 0, 9}}, {"192.0.2.3", policy.MAC{2, 0, 0, 0, 0, 8}}, {"10.9.0.4", policy.MAC{}}} {
		r := get(netip.MustParseAddr(from.address), uint64(i+1), 1)
		r.Packet.In, r.Packet.Out, r.Packet.Dst, r.Packet.SrcMAC = "wan", "lan0", netip.MustParseAddr("203.0.113.2"), from.mac
		if areas, bounded := test.Areas(); bounded && !slices.ContainsFunc(areas, func(a backtest.Area) bool { return a.Holds(r.Packet) }) {
			t.Errorf("%s is outside of the areas %+v", from.address, areas)
		}
		test.Add(r)
	}
	want := map[string][]string{
		"allowed":   {"10.9.0.4>203.0.113.2:80 http accept nat:3 4B 1c @4 [row4] ", "192.0.2.2>203.0.113.2:80 http accept nat:3 2B 1c @2 [row2] "},
		"uncertain": {"192.0.2.1>203.0.113.2:80 http drop default 1B 1c @1 [row1] a rule asks for the sender's M"},
	}
	if diff := cmp.Diff(want, said(test.Result())); diff != "" {
		t.Error(diff)
	}
}

// TestBounded: the list ends, the totals do not.
func TestBounded(t *testing.T) {
	cfg := backtest.Config{Entries: 2, Examples: 1}
	test, err := backtest.New(cfg, home(t, ""), home(t, `{"id":1,"name":"all","zone_from":"LAN","zone_to":"WAN","action":"drop"}`), policy.Env{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		r := get(lan1, 1, 1)
		r.Packet.DstPort = uint16(i)
		test.Add(r)
		test.Add(r)
	}
	got := test.Result().Blocked
	if len(got.Entries) != 2 || got.Bytes != 20 || got.Connections != 20 || got.Unlisted != 16 || len(got.Entries[0].Examples) != 1 {
		t.Errorf("%+v", got)
	}
}

// TestAgreesWithReference: whatever the policies and the record, the class is what
// the reference evaluator says of the packet under both.
func TestAgreesWithReference(t *testing.T) {
	policytest.Cover(t, []string{"blocked", "allowed", "same"}, func(t *rapid.T, seen policytest.Seen) {
		before, after := policytest.Policies().Draw(t, "before"), policytest.Policies().Draw(t, "after")
		env := policytest.Envs().Draw(t, "env")
		if env.Countries == nil {
			env.Countries = policytest.Atlas{} // else policies that name one are refused
		}
		packets := policytest.Packets(before, env)
		for range 10 {
			packet := packets.Draw(t, "packet")
			test, err := backtest.New(backtest.DefaultConfig(), before, after, env)
			if err != nil {
				t.Fatal(err)
			}
			test.Add(backtest.Record{Packet: packet, Connections: 1})
			got := test.Result()
			was, err := policy.Evaluate(before, env, packet)
			if err != nil {
				t.Fatal(err)
			}
			now, err := policy.Evaluate(after, env, packet)
			if err != nil {
				t.Fatal(err)
			}
			want := [3]uint64{}
			switch {
			case len(got.Uncertain.Entries) > 0:
				if packet.SrcMAC != (policy.MAC{}) || !asksForMAC(t, before, after, env, packet) {
					t.Fatalf("uncertain although nothing is unknown: %+v", got.Uncertain.Entries[0])
				}
				seen["uncertain"]++
				continue
			case was.Action == policy.Accept && now.Action != policy.Accept:
				want[0] = 1
				seen["blocked"]++
			case was.Action != policy.Accept && now.Action == policy.Accept:
				want[1] = 1
				seen["allowed"]++
			default:
				seen["same"]++
			}
			if have := [3]uint64{got.Blocked.Connections, got.Allowed.Connections, got.Uncertain.Connections}; have != want {
				t.Fatalf("blocked, allowed, uncertain: %v, want %v (was %+v, now %+v)", have, want, was, now)
			}
			for _, e := range append(got.Blocked.Entries, got.Allowed.Entries...) {
				if e.Action != now.Action || e.Decider != now.Decider {
					t.Fatalf("decided by %+v, want %+v", e, now)
				}
			}
		}
	})
}

// TestAreas: a rule about one client needs no other's records.
func TestAreas(t *testing.T) {
	test, err := backtest.New(backtest.DefaultConfig(), home(t, ""), home(t, cut), policy.Env{})
	if err != nil {
		t.Fatal(err)
	}
	areas, bounded := test.Areas()
	holds := func(p policy.Packet) bool {
		return slices.ContainsFunc(areas, func(a backtest.Area) bool { return a.Holds(p) })
	}
	if !bounded || !holds(get(lan2, 1, 1).Packet) || holds(get(lan1, 1, 1).Packet) {
		t.Errorf("bounded %t, areas %+v", bounded, areas)
	}
}

// TestAreasOfForwardedTraffic: of a port forwarded, which does not change, only what it
// brings to where rules change is asked for.
func TestAreasOfForwardedTraffic(t *testing.T) {
	forward := policy.NATRule{ID: 3, Name: "web", Enabled: true, Type: policy.NATDestination, Protocol: "tcp", Source: "any", Interface: "wan",
		Destination: "203.0.113.2", DestinationPort: "8443", TranslateTo: lan1.String(), TranslatePort: "443"}
	outward := backtest.Area{In: []string{"lan0"}, Out: []string{"wan"}, Source: backtest.Range{First: lan2, Last: lan2}, Protocol: 6, PortLo: 80, PortHi: 80}
	inward := func(port string) string {
		return `{"id":7,"name":"in","zone_from":"WAN","zone_to":"LAN","action":"drop","destination":"` + lan1.String() + `","protocol":"tcp","port":"` + port + `"}`
	}
	there := netip.MustParseAddr("203.0.113.2")
	arrives := backtest.Area{In: []string{"wan"}, Out: []string{"lan0"}, Destination: backtest.Range{First: there, Last: there}, Protocol: 6, PortLo: 8443, PortHi: 8443}
	for name, tt := range map[string]struct {
		rules  string
		change func(*policy.NATRule)
		want   []backtest.Area
	}{
		"in the other direction": {cut, func(*policy.NATRule) {}, []backtest.Area{outward}},
		"turning, too": {cut, func(n *policy.NATRule) { n.Hairpin = true; n.TranslateTo, n.TranslatePort = "203.0.113.1", "80" }, []backtest.Area{outward,
			{In: []string{"lan0"}, Out: []string{"wan"}, Source: outward.Source, Destination: arrives.Destination, Protocol: 6, PortLo: 8443, PortHi: 8443}}},
		// What is not forwarded is dropped by default: nothing changes there.
		"to the port":          {inward("443"), func(*policy.NATRule) {}, []backtest.Area{arrives}},
		"to another":           {inward("80"), func(*policy.NATRule) {}, nil},
		"to another address":   {inward("443"), func(n *policy.NATRule) { n.TranslateTo = lan2.String() }, nil},
		"with another service": {inward("443"), func(n *policy.NATRule) { n.Protocol = "udp" }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			before, after := home(t, ""), home(t, tt.rules)
			n := forward
			tt.change(&n)
			before.NAT, after.NAT = []policy.NATRule{n}, []policy.NATRule{n}
			test, err := backtest.New(backtest.DefaultConfig(), before, after, policy.Env{})
			if err != nil {
				t.Fatal(err)
			}
			got, bounded := test.Areas()
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); !bounded || diff != "" {
				t.Errorf("bounded %t: %s", bounded, diff)
			}
		})
	}
}

// TestManyAreas: a rule about very many addresses is still asked for by what it has
// apart from them.
func TestManyAreas(t *testing.T) {
	var members []string
	for i := range 200 {
		members = append(members, fmt.Sprintf("10.77.%d.9", i))
	}
	test, err := backtest.New(backtest.DefaultConfig(), home(t, ""),
		home(t, `{"id":7,"name":"many","zone_from":"LAN","zone_to":"WAN","action":"drop","source":"`+strings.Join(members, ",")+`","protocol":"udp","port":"53"}`), policy.Env{})
	if err != nil {
		t.Fatal(err)
	}
	got, bounded := test.Areas()
	want := []backtest.Area{{In: []string{"lan0"}, Out: []string{"wan"}, Protocol: 17, PortLo: 53, PortHi: 53,
		Source: backtest.Range{First: netip.MustParseAddr("10.77.0.9"), Last: netip.MustParseAddr("10.77.199.9")}}}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); !bounded || diff != "" {
		t.Errorf("bounded %t: %s", bounded, diff)
	}
}

// TestNothingChangesOutsideAreas: of a rule more or less, of either kind, the areas
// hold every packet the fate of which it changes, and leave out others.
func TestNothingChangesOutsideAreas(t *testing.T) {
	policytest.Cover(t, []string{
		"rule: changes true, inside true", "rule: changes false, inside false",
		"nat: changes true, inside true", "nat: changes false, inside false",
	}, func(t *rapid.T, seen policytest.Seen) {
		before, env := policytest.Policies().Draw(t, "policy"), policytest.Envs().Draw(t, "env")
		if env.Countries == nil {
			env.Countries = policytest.Atlas{} // else policies that name one are refused
		}
		after, about, kind := before, before, "none"
		cut := rapid.IntRange(0, 100).Draw(t, "which")
		switch {
		case len(before.NAT) > 0 && rapid.Bool().Draw(t, "nat"):
			cut, kind = cut%len(before.NAT), "nat"
			after.NAT = slices.Delete(slices.Clone(before.NAT), cut, cut+1)
			about.NAT, about.Rules = before.NAT[cut:cut+1], nil
		case len(before.Rules) > 0:
			cut, kind = cut%len(before.Rules), "rule"
			after.Rules = slices.Delete(slices.Clone(before.Rules), cut, cut+1)
			about.Rules = before.Rules[cut : cut+1]
		}
		if rapid.Bool().Draw(t, "added") {
			before, after = after, before
		}
		test, err := backtest.New(backtest.DefaultConfig(), before, after, env)
		if err != nil {
			t.Fatal(err)
		}
		areas, bounded := test.Areas()
		if !bounded {
			seen["unbounded"]++
			return
		}
		packets := policytest.Packets(about, env)
		for range 40 {
			packet := packets.Draw(t, "packet")
			if packet.In == "" || packet.Out == "" {
				continue // such a record is always judged
			}
			was, err := policy.Evaluate(before, env, packet)
			if err != nil {
				t.Fatal(err)
			}
			now, err := policy.Evaluate(after, env, packet)
			if err != nil {
				t.Fatal(err)
			}
			changes := (was.Action == policy.Accept) != (now.Action == policy.Accept)
			inside := slices.ContainsFunc(areas, func(a backtest.Area) bool { return a.Holds(packet) })
			if changes && !inside {
				t.Fatalf("%+v is outside of all areas %+v, and changes: %+v to %+v", packet, areas, was, now)
			}
			seen[fmt.Sprintf("%s: changes %t, inside %t", kind, changes, inside)]++
		}
	})
}

func asksForMAC(t *rapid.T, before, after policy.Policy, env policy.Env, packet policy.Packet) bool {
	change := func() [2]bool {
		var out [2]bool
		for i, p := range []policy.Policy{before, after} {
			r, err := policy.Evaluate(p, env, packet)
			if err != nil {
				t.Fatal(err)
			}
			out[i] = r.Action == policy.Accept
		}
		return out
	}
	unknown := change()
	for _, mac := range append(policy.MACs(before), policy.MACs(after)...) {
		packet.SrcMAC = mac
		if change() != unknown {
			return true
		}
	}
	return false
}

// TestForwardedTraffic: records are as on the wire, and NAT rules translate them
// under either policy.
func TestForwardedTraffic(t *testing.T) {
	forward := home(t, "")
	forward.NAT = []policy.NATRule{{ID: 3, Name: "web", Enabled: true, Type: policy.NATDestination, Protocol: "tcp", Source: "any",
		Destination: "203.0.113.2", DestinationPort: "8080", TranslateTo: lan1.String(), TranslatePort: "80"}}
	closed := home(t, `{"id":7,"name":"cut","zone_from":"WAN","zone_to":"LAN","action":"drop","destination":"`+lan1.String()+`","protocol":"tcp","port":"80"}`)
	closed.NAT = forward.NAT
	record := backtest.Record{Connections: 1, Packet: policy.Packet{In: "wan", Out: "lan0", Src: web, Dst: netip.MustParseAddr("203.0.113.2"), Protocol: 6, DstPort: 8080}}
	for name, c := range map[string]struct {
		after policy.Policy
		want  int
	}{"by rule": {closed, 1}, "no longer forwarded": {home(t, ""), 1}, "nothing": {forward, 0}} {
		test, err := backtest.New(backtest.DefaultConfig(), forward, c.after, policy.Env{})
		if err != nil {
			t.Fatal(err)
		}
		test.Add(record)
		if got := test.Result(); len(got.Blocked.Entries) != c.want || len(got.Uncertain.Entries) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
