package dataplane

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/layers"
	"pgregory.net/rapid"

	"ngfw.sh/policy"
)

// home is where the kernel of these tests sends a destination.
func home(dst netip.Addr) string {
	for prefix, name := range map[string]string{
		"10.0.1.0/24": "lan", "2001:db8:1::/64": "lan", "10.0.3.0/24": "iot", "2001:db8:3::/64": "iot",
	} {
		if netip.MustParsePrefix(prefix).Contains(dst) {
			switch {
			case dst == netip.MustParseAddr(rtr4), dst == netip.MustParseAddr("10.0.3.1"), dst == netip.MustParseAddr(rtr6), dst == netip.MustParseAddr("2001:db8:3::1"):
				return policy.InterfaceSelf
			case dst == netip.MustParseAddr("10.0.1.255"), dst == netip.MustParseAddr("10.0.3.255"):
				return policy.InterfaceSelf
			}
			return name
		}
	}
	if dst == netip.MustParseAddr(rtrWAN4) || dst == netip.MustParseAddr(rtrWAN6) || dst.IsMulticast() || dst == netip.MustParseAddr("255.255.255.255") {
		return policy.InterfaceSelf
	}
	return "wan"
}

// The packet programs do with a first packet what simulation says, NAT, frames, types
// of ICMP, what turns, and what is for many included.
func TestEnforcementAgreesWithSimulation(t *testing.T) {
	k := newKernel(t, 1<<14)
	tr := k.trace(TraceFilter{})
	index := map[string]uint32{"lan": k.lan, "iot": k.iot, "wan": k.wan}
	revision, sport := int64(0), uint16(1024)
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		one := func(of ...string) *rapid.Generator[string] { return rapid.SampledFrom(of) }
		var rules, defaults, nat []string
		for id := range rapid.IntRange(0, 6).Draw(t, "rules") {
			from := one("LAN", "IOT", "WAN", "SELF", "any").Draw(t, "from")
			to := one("LAN", "IOT", "WAN", "SELF", "any").Filter(func(to string) bool { return from != "SELF" || to != "SELF" }).Draw(t, "to")
			rules = append(rules, fmt.Sprintf(`{"id":%d,"name":"r%d","zone_from":%q,"zone_to":%q,%s,"source":%q,"destination":%q,"action":%q}`, id+1, id+1, from, to,
				one(`"protocol":"all"`, `"protocol":"tcp","port":"80"`, `"protocol":"udp"`, `"protocol":"icmp","icmp_types":["8","13"]`, `"protocol":"icmpv6","icmp_types":["128","135"]`, `"protocol":"icmp"`, `"protocol":"gre"`, `"protocol":"58"`, `"protocol":"tcp+udp","port":"1000-9000"`).Draw(t, "protocol"),
				one("any", "10.0.0.0/8", lan4, "!"+iot4, "2001:db8::/32", "mac:"+hostMAC.String(), "!mac:"+hostMAC.String(), "self", "!self").Draw(t, "source"),
				one("any", "203.0.113.0/24", iot4, "!10.0.0.0/8", "self", lan4).Draw(t, "destination"), one("accept", "drop", "reject").Draw(t, "action")))
		}
		for _, pair := range rapid.SliceOfNDistinct(one("LAN WAN", "LAN any", "any any", "IOT WAN", "WAN SELF", "SELF any", "LAN LAN"), 0, 4, rapid.ID).Draw(t, "pairs") {
			from, to, _ := strings.Cut(pair, " ")
			defaults = append(defaults, fmt.Sprintf(`{"from":%q,"to":%q,"action":%q}`, from, to, one("accept", "drop", "reject").Draw(t, "default")))
		}
		for i, rule := range rapid.SliceOfNDistinct(one(
			`"nat_type":"dnat","protocol":"tcp","destination":"self","destination_port":"80","translate_to":"10.0.1.9","translate_port":"8080"`,
			`"nat_type":"dnat","protocol":"tcp","destination":"self","destination_port":"80","translate_to":"10.0.3.9","interface":"wan"`,
			`"nat_type":"dnat","protocol":"tcp","destination":"any","destination_port":"22","translate_to":"10.0.1.9","interface":"wan"`,
			`"nat_type":"dnat","protocol":"tcp+udp","destination":"192.0.2.50","translate_to":"10.0.1.1"`,
			`"nat_type":"dnat","protocol":"all","destination":"any","source":"mac:02:00:00:00:00:09","translate_to":"10.0.3.9"`,
			`"nat_type":"dnat","protocol":"icmp","destination":"192.0.2.51","translate_to":"203.0.113.7"`,
			`"nat_type":"dnat","protocol":"udp","destination":"2001:db8:ff::1","destination_port":"80","translate_to":"2001:db8:1::9"`,
			`"nat_type":"dnat","protocol":"all","destination":"!10.0.0.0/8","translate_to":"10.0.1.9"`,
			`"nat_type":"1:1","destination":"192.0.2.50","translate_to":"10.0.1.9"`,
			`"nat_type":"1:1","destination":"192.0.2.48/30","translate_to":"10.0.3.8/30"`,
			`"nat_type":"netmap","destination":"192.0.2.48/30","translate_to":"10.0.1.8/30"`,
			`"nat_type":"netmap","destination":"2001:db8:50::/64","translate_to":"2001:db8:1::/64"`,
			`"nat_type":"masquerade","source":"10.0.0.0/8","destination":"any"`,
			`"nat_type":"snat","source":"10.0.1.0/24","destination":"203.0.113.0/24","translate_to":"192.0.2.60"`,
		), 0, 5, rapid.ID).Draw(t, "nat") {
			if hairpin := one("", `,"hairpin":true`, `,"hairpin":false`).Draw(t, "hairpin"); strings.Contains(rule, `"dnat"`) || strings.Contains(rule, `"1:1"`) {
				rule += hairpin
			}
			nat = append(nat, fmt.Sprintf(`{"id":%d,"name":"n%d",%s}`, i+1, i+1, rule))
		}
		p, err := policy.Decode([]byte(`{"zones":[{"name":"WAN","interfaces":["wan"],"masquerade":true},{"name":"LAN","interfaces":["lan"]},{"name":"IOT","interfaces":["iot"]}],
			"rules":[` + strings.Join(rules, ",") + `],"policies":[` + strings.Join(defaults, ",") + `],"nat":[` + strings.Join(nat, ",") + `]}`))
		if err != nil {
			t.Fatalf("%s: %v", strings.Join(nat, ",\n"), err)
		}
		revision++
		p.Revision = revision
		var self []netip.Addr
		for _, a := range []string{rtr4, rtrWAN4, "10.0.3.1", rtr6, rtrWAN6, "2001:db8:3::1"} {
			self = append(self, netip.MustParseAddr(a))
		}
		im, err := policy.Compile(p, policy.Env{SelfAddresses: self, System: policy.RouterSystem})
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Apply(im); err != nil {
			t.Fatal(err)
		}
		for range 16 {
			in := one("lan", "iot", "wan", policy.InterfaceSelf).Draw(t, "in")
			sources := map[string][]string{"lan": {lan4, "10.0.1.10"}, "iot": {iot4, "10.0.3.10"}, "wan": {inet4, "192.0.2.7"}, policy.InterfaceSelf: {rtrWAN4, rtr4}}
			destinations := []string{lan4, "10.0.1.10", iot4, inet4, "192.0.2.50", "192.0.2.51", "192.0.2.49", rtr4, rtrWAN4, "10.0.1.255", "255.255.255.255", "224.0.0.251"}
			if rapid.Bool().Draw(t, "v6") {
				sources = map[string][]string{"lan": {lan6, "2001:db8:1::10"}, "iot": {"2001:db8:3::9"}, "wan": {inet6, "2001:db8:ff::7"}, policy.InterfaceSelf: {rtr6, rtrWAN6}}
				destinations = []string{lan6, "2001:db8:3::9", inet6, "2001:db8:50::9", rtr6, rtrWAN6, "ff02::1", "ff0e::5"}
			}
			q := packet{src: one(sources[in]...).Draw(t, "src"), dst: one(destinations...).Draw(t, "dst"), payload: make([]byte, 8)}
			dst := netip.MustParseAddr(q.dst)
			q.proto = rapid.SampledFrom([]layers.IPProtocol{tcp, tcp, udp, udp, icmp, icm6, layers.IPProtocolGRE, sctp}).Draw(t, "proto")
			asked := policy.Packet{In: in, Src: netip.MustParseAddr(q.src), Dst: dst, Protocol: uint8(q.proto), Time: time.Now()}
			if in != policy.InterfaceSelf {
				asked.SrcMAC = policy.MAC(hostMAC)
			} else if home(dst) == policy.InterfaceSelf {
				continue
			}
			switch q.proto {
			case icmp, icm6:
				q.kind, q.code = rapid.SampledFrom([]uint8{0, 8, 13, 3, 11, 128, 129, 135, 137, 143, 1, 2}).Draw(t, "type"), rapid.Uint8Range(0, 1).Draw(t, "code")
				asked.ICMPType, asked.ICMPCode = q.kind, q.code
				// What the kernel answers with belongs to what it was sent.
				if in == policy.InterfaceSelf && (q.proto == icm6 && !asked.Src.Is4() && q.kind < 128 || q.proto == icmp && asked.Src.Is4() && (q.kind == 3 || q.kind == 11)) {
					continue
				}
			case tcp, udp, sctp:
				sport++
				q.sport, q.dport = sport, rapid.SampledFrom([]uint16{22, 80, 443, 8080}).Draw(t, "dport")
				asked.SrcPort, asked.DstPort = q.sport, q.dport
				if q.proto == tcp {
					q.flags = "S"
				}
			}
			// Where it leaves is where what is made of its destination lives, by the first
			// rule that says so. A rule may be for what turns, or not for it.
			leaving := func(out string) (lives string, rule int64) {
				asked.Out = out
				if ip, ok := im.Packet(asked); ok {
					if v := im.Judge(ip); v.NAT.Rule != 0 {
						return home(v.NAT.Destination), v.NAT.Rule
					}
				}
				return home(dst), math.MaxInt64
			}
			turned, turns := leaving(in)
			out, rule := leaving(map[bool]string{true: "iot", false: "wan"}[in == "wan"])
			switch {
			case turned == in && turns <= rule:
				asked.Out = in
			case out == in:
				continue // it would turn by a rule that is not for that, and go elsewhere by the next: no one answer says both
			default:
				asked.Out = out
			}
			k.forget()
			var o outcome
			if in == policy.InterfaceSelf {
				o = k.leave(index[asked.Out], q.frame(k.t))
			} else {
				o = k.arrive(index[in], q.frame(k.t))
			}
			told := tr.packets()
			if len(told) != 1 {
				t.Fatalf("%+v: %d packets were told of: %+v", q, len(told), told)
			}
			want, err := k.Explain(asked)
			if err != nil {
				t.Fatal(err)
			}
			got := told[0]
			if want.Action == policy.Reject && in == policy.InterfaceSelf {
				want.Action = policy.Drop
			}
			if got.Action != want.Action || got.Reason != want.Reason || cmp.Diff(got.RuleID, want.RuleID) != "" {
				t.Fatalf("%+v, outcome %+v\ntrace      %s %s %v\nsimulation %+v\nnat %s\nrules %s %s", asked, o, got.Action, got.Reason, got.RuleID, want, strings.Join(nat, "\n"), strings.Join(rules, "\n"), defaults)
			}
			seen[string(got.Action)]++
			seen[got.Reason]++
		}
	})
	for _, what := range []string{"accept", "drop", "reject", "rule", "policy", "default", "nat:1", "no_state"} {
		if seen[what] == 0 {
			t.Errorf("never seen: %s", what)
		}
	}
	t.Logf("seen: %v", seen)
}
