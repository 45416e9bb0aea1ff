package policy_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ngfw.sh/policy"
	"ngfw.sh/policy/policytest"
)

// said writes findings in short: kind rule/other zones packet.
func said(list []policy.Finding) []string {
	out := []string{}
	for _, f := range list {
		s := fmt.Sprintf("%s %d/%d", f.Kind, f.RuleID, f.OtherID)
		if w := f.Witness; w != nil {
			s += fmt.Sprintf(" %s>%s %s>%s %s>%s %s:%d", f.ZoneFrom, f.ZoneTo, w.In, w.Out, w.Src, w.Dst, policy.ProtocolName(w.Protocol), w.DstPort)
		}
		if f.Reason != "" {
			s += " (" + f.Reason + ")"
		}
		out = append(out, s)
	}
	return out
}

func TestCheck(t *testing.T) {
	const unreachable = " (no first packet of a flow can match it)"
	for _, c := range []struct {
		name  string
		rules []string
		want  []string
	}{
		{"nothing to say", []string{`"source":"10.0.0.0/8"`, `"source":"192.168.0.0/16","action":"accept"`}, nil},
		{"one rule over another", []string{`"source":"10.0.0.0/8","action":"drop"`, `"source":"10.1.0.0/16","protocol":"tcp","port":"22"`},
			[]string{"shadowed 2/1 LAN>WAN lan0>wan0 10.1.0.1>198.51.100.20 tcp:22"}},
		{"two rules together", []string{
			`"source":"10.0.0.0/9","action":"drop"`, `"source":"10.128.0.0/9","action":"reject"`, `"source":"10.0.0.0/8"`, `"source":"10.0.0.0/7"`},
			[]string{"shadowed 3/1 LAN>WAN lan0>wan0 10.0.0.1>198.51.100.20 tcp:443", "conflict 4/1 LAN>WAN lan0>wan0 10.0.0.1>198.51.100.20 tcp:443",
				"conflict 4/2 LAN>WAN lan0>wan0 10.128.0.1>198.51.100.20 tcp:443"}},
		{"a hole of one port is no shadow", []string{
			`"protocol":"tcp","port":"0-442,444-65535"`, `"protocol":"tcp"`},
			[]string{"redundant 1/2 LAN>WAN lan0>wan0 192.0.2.10>198.51.100.20 tcp:80"}},
		{"any zone", []string{`"zone_from":"any","zone_to":"any","source":"10.0.0.0/8"`, `"zone_from":"GUEST","zone_to":"LAN","source":"10.0.0.0/9"`},
			[]string{"shadowed 2/1 GUEST>LAN guest0>lan0 10.0.0.1>198.51.100.20 tcp:443"}},
		{"any is not SELF", []string{`"zone_from":"any","zone_to":"any","action":"drop"`, `"zone_to":"SELF"`}, nil},
		{"only one pair of many left", []string{
			`"zone_from":"WAN","zone_to":"any"`, `"zone_from":"LAN","zone_to":"any"`, `"zone_from":"GUEST","zone_to":"WAN"`, `"zone_from":"GUEST","zone_to":"LAN"`,
			`"zone_from":"NEW","zone_to":"any"`, `"zone_from":"OTHER","zone_to":"any"`, `"zone_from":"GUEST","zone_to":"any","action":"drop"`},
			[]string{"conflict 7/3 GUEST>WAN guest0>wan0 192.0.2.10>198.51.100.20 tcp:443", "conflict 7/4 GUEST>LAN guest0>lan0 192.0.2.10>198.51.100.20 tcp:443"}},
		{"superfluous before a wider one", []string{`"source":"10.1.0.0/16"`, `"source":"10.0.0.0/8"`},
			[]string{"redundant 1/2 LAN>WAN lan0>wan0 10.1.0.1>198.51.100.20 tcp:443"}},
		{"superfluous before the policy", []string{`"source":"10.1.0.0/16","action":"reject"`},
			[]string{"redundant 1/0 LAN>WAN lan0>wan0 10.1.0.1>198.51.100.20 tcp:443"}},
		{"needed against a rule between", []string{`"source":"10.1.0.0/16"`, `"source":"10.1.1.0/24","action":"drop"`, `"source":"10.0.0.0/8"`},
			[]string{"shadowed 2/1 LAN>WAN lan0>wan0 10.1.1.1>198.51.100.20 tcp:443"}},
		{"twice the same: one may go", []string{`"source":"10.1.0.0/16"`, `"source":"10.1.0.0/16"`},
			[]string{"shadowed 2/1 LAN>WAN lan0>wan0 10.1.0.1>198.51.100.20 tcp:443"}},
		{"overlap", []string{`"source":"10.0.0.0/8","protocol":"tcp"`, `"destination":"192.0.2.0/24","action":"drop","zone_to":"any"`},
			[]string{"conflict 2/1 LAN>WAN lan0>wan0 10.0.0.1>192.0.2.1 tcp:443"}},
		{"overlap that an earlier rule takes", []string{`"source":"10.0.0.0/8"`, `"source":"10.0.0.0/8,172.16.0.0/12","action":"drop"`, `"source":"10.0.0.0/8,1.1.1.1"`},
			[]string{"conflict 2/1 LAN>WAN lan0>wan0 10.0.0.1>198.51.100.20 tcp:443"}},
		{"families", []string{`"source":"10.0.0.0/8","destination":"2001:db8::/32"`}, []string{"unreachable 1/0" + unreachable}},
		{"malformed alone", []string{`"source":"224.0.0.0/4"`}, []string{"unreachable 1/0" + unreachable}},
		{"errors alone", []string{`"protocol":"icmp","icmp_types":["3/4"],"source":"10.0.0.0/8"`}, []string{"unreachable 1/0" + unreachable}},
		{"ICMP of the other family lives", []string{`"protocol":"icmp","icmp_types":["3/4"]`}, nil},
		{"system rules alone", []string{`"protocol":"icmpv6","icmp_types":["135","136"],"zone_to":"SELF","source":"::/0"`, `"protocol":"icmpv6","icmp_types":["135","136"]`},
			[]string{"unreachable 1/0" + unreachable}},
		{"an empty group", []string{`"source":"!0.0.0.0/0,::/0"`}, []string{"unreachable 1/0" + unreachable}},
		{"zones without interfaces", []string{`"zone_from":"NEW","action":"drop","source":"10.0.0.0/8"`, `"zone_from":"NEW","source":"10.2.0.0/16"`},
			[]string{"shadowed 2/1 NEW>WAN >wan0 10.2.0.1>198.51.100.20 tcp:443"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := policy.Policy{Zones: []policy.Zone{
				{Name: "WAN", Interfaces: []string{"wan0"}}, {Name: "LAN", Interfaces: []string{"lan0", "lan1"}},
				{Name: "GUEST", Interfaces: []string{"guest0"}}, {Name: "NEW"}, {Name: "OTHER"},
			}, Policies: []policy.Default{
				{From: "any", To: "any", Action: policy.Reject}, {From: "any", To: "SELF", Action: policy.Reject}, {From: "LAN", To: "SELF", Action: policy.Reject},
			}}
			for i, text := range c.rules {
				r, err := policy.DecodeRule([]byte(`{` + text + missing(text) + `}`))
				if err != nil {
					t.Fatal(err)
				}
				r.ID = int64(i + 1)
				p.Rules = append(p.Rules, r)
			}
			got, err := policy.Check(p, policy.Env{System: policy.SystemSet(policy.SystemNeighbourDiscovery)})
			if err != nil {
				t.Fatal(err)
			}
			if c.want == nil {
				c.want = []string{}
			}
			if diff := cmp.Diff(c.want, said(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// missing completes the inside of a rule.
func missing(text string) (out string) {
	for _, field := range []string{`"zone_from":"LAN"`, `"zone_to":"WAN"`, `"action":"accept"`, `"name":"n"`} {
		if name, _, _ := strings.Cut(field, ":"); !strings.Contains(text, name) {
			out += "," + field
		}
	}
	return out
}

func TestCheckWithoutOwnAddresses(t *testing.T) {
	p := rules(t, `"zone_to":"SELF","destination":"self"`, `"zone_to":"SELF","destination":"self","action":"drop"`)
	p.Groups = []policy.Group{{Name: "me", Type: policy.GroupAddress, Members: []string{"self"}}}
	p.Rules[0].Destination = "@me"
	got, err := policy.Check(p, policy.Env{})
	if want := []string{"shadowed 2/1 LAN>SELF lan0>self 192.0.2.10>192.168.1.1 tcp:443"}; err != nil || !slices.Equal(said(got), want) {
		t.Errorf("%q, %v", said(got), err)
	}
	p.SelfAddresses = nil
	got, err = policy.Check(p, policy.Env{})
	const unknown = " (it names self, and no address of the router is known here)"
	if want := []string{"undecided 1/0" + unknown, "undecided 2/0" + unknown}; err != nil || !slices.Equal(said(got), want) {
		t.Errorf("%q, %v", said(got), err)
	}
}

func TestCheckRefusesWhatDoesNotCompile(t *testing.T) {
	if _, err := policy.Check(policy.Policy{Rules: []policy.Rule{{}}}, policy.Env{}); err == nil {
		t.Error("no rule at all is checked")
	}
	big := rules(t, ``)
	big.Rules[0].Source, big.Rules[0].Destination = list(1000), list(1000)
	if _, err := policy.Check(big, policy.Env{}); err == nil || !strings.Contains(err.Error(), "boxes") {
		t.Errorf("%v", err)
	}
}

// TestCheckIsTrue holds every finding against the reference evaluator: its
// witness is decided as it says, and what is said to decide nothing, or to be
// superfluous, is so for every packet that is drawn.
func TestCheckIsTrue(t *testing.T) {
	kinds := []string{policy.Shadowed, policy.Redundant, policy.Conflict, policy.Unreachable}
	policytest.Cover(t, kinds, func(t *rapid.T, seen policytest.Seen) {
		p := policytest.Policies().Draw(t, "policy")
		p.NAT = nil // no analysis follows it
		env := knowing(policytest.Envs().Draw(t, "env"))
		list, err := policy.Check(p, env)
		if err != nil {
			t.Fatal(err)
		}
		evaluate := func(p policy.Policy, packet policy.Packet) policy.Result {
			r, err := policy.Evaluate(p, env, packet)
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		dead, needless := map[int64]bool{}, map[int64]bool{}
		for _, f := range list {
			seen[f.Kind]++
			switch f.Kind {
			case policy.Shadowed, policy.Unreachable:
				dead[f.RuleID], needless[f.RuleID] = true, true
			case policy.Redundant:
				needless[f.RuleID] = true
			}
			if f.Witness == nil || f.Witness.In == "" || f.Witness.Out == "" {
				continue
			}
			rule := ruleOf(p, f.RuleID)
			got := evaluate(p, *f.Witness)
			switch f.Kind {
			case policy.Shadowed:
				if got.RuleID != f.OtherID || evaluate(only(p, rule), *f.Witness).RuleID != f.RuleID {
					t.Fatalf("%+v: decided by %+v", f, got)
				}
			case policy.Conflict:
				if got.RuleID != f.OtherID || got.RuleID == 0 || got.Action == evaluate(only(p, rule), *f.Witness).Action ||
					evaluate(only(p, rule), *f.Witness).RuleID != f.RuleID {
					t.Fatalf("%+v: decided by %+v", f, got)
				}
			case policy.Redundant:
				if instead := evaluate(without(p, rule), *f.Witness); got.RuleID != f.RuleID || instead.RuleID != f.OtherID || instead.Action != got.Action {
					t.Fatalf("%+v: decided by %+v, without it %+v", f, got, instead)
				}
			}
		}
		kept := p
		kept.Rules = slices.DeleteFunc(slices.Clone(p.Rules), func(r policy.Rule) bool { return needless[r.ID] })
		packets := policytest.Packets(p, env)
		for range 30 {
			packet := timely(packets.Draw(t, "packet"))
			got := evaluate(p, packet)
			if dead[got.RuleID] {
				t.Fatalf("%+v is decided by rule %d, which is said to decide nothing", packet, got.RuleID)
			}
			if now := evaluate(kept, packet); now.Action != got.Action {
				t.Fatalf("%+v: %s, without what is superfluous %s", packet, got.Action, now.Action)
			}
			if needless[got.RuleID] {
				if now := evaluate(without(p, ruleOf(p, got.RuleID)), packet); now.Action != got.Action {
					t.Fatalf("%+v: %s, without rule %d alone %s", packet, got.Action, got.RuleID, now.Action)
				}
			}
		}
	})
}

// knowing gives an analysis what it needs to know.
func knowing(env policy.Env) policy.Env {
	if env.Countries == nil {
		env.Countries = policytest.Atlas{}
	}
	return env
}

// timely gives a packet a time where it has none, which analyses do not look at.
func timely(p policy.Packet) policy.Packet {
	if s := p.Time.Unix(); s < 1<<21 || s >= 4102444800 {
		p.Time = time.Unix(1_800_000_000, 0)
	}
	return p
}

func ruleOf(p policy.Policy, id int64) policy.Rule {
	return p.Rules[slices.IndexFunc(p.Rules, func(r policy.Rule) bool { return r.ID == id })]
}

func only(p policy.Policy, r policy.Rule) policy.Policy {
	p.Rules = []policy.Rule{r}
	return p
}

func without(p policy.Policy, r policy.Rule) policy.Policy {
	p.Rules = slices.DeleteFunc(slices.Clone(p.Rules), func(o policy.Rule) bool { return o.ID == r.ID })
	return p
}

// TestCheckFindsAll compares with brute force over a space small enough to walk:
// what no finding is about decides some packet, changes something by going, and
// overlaps nothing of another action.
func TestCheckFindsAll(t *testing.T) {
	addr := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}) }
	rapid.Check(t, func(t *rapid.T) {
		p := policy.Policy{Zones: []policy.Zone{{Name: "A", Interfaces: []string{"a0"}}, {Name: "B", Interfaces: []string{"b0"}}}}
		for id := range rapid.IntRange(1, 6).Draw(t, "rules") {
			r := policy.NewRule()
			r.ID, r.Name, r.ZoneFrom, r.ZoneTo, r.Protocol = int64(id+1), "n", "A", "B", "tcp"
			span := func(label string) (int, int) {
				a, b := rapid.IntRange(0, 3).Draw(t, label), rapid.IntRange(0, 3).Draw(t, label)
				return min(a, b), max(a, b)
			}
			a, b := span("source")
			r.Source = addr(a).String() + "-" + addr(b).String()
			a, b = span("destination")
			r.Destination = addr(a).String() + "-" + addr(b).String()
			a, b = span("port")
			r.Port = fmt.Sprintf("%d-%d", a, b)
			r.Action = rapid.SampledFrom([]policy.Action{policy.Accept, policy.Drop}).Draw(t, "action")
			p.Rules = append(p.Rules, r)
		}
		var all []policy.Packet
		for i := range 64 {
			all = append(all, policy.Packet{In: "a0", Out: "b0", Src: addr(i & 3), Dst: addr(i >> 2 & 3), Protocol: policy.ProtocolTCP, DstPort: uint16(i >> 4), Time: time.Unix(0, 0)})
		}
		results := func(p policy.Policy) []policy.Result {
			var out []policy.Result
			for _, packet := range all {
				r, err := policy.Evaluate(p, policy.Env{}, packet)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, r)
			}
			return out
		}
		list, err := policy.Check(p, policy.Env{})
		if err != nil {
			t.Fatal(err)
		}
		have := func(kind string, rule, other int64) bool {
			return slices.ContainsFunc(list, func(f policy.Finding) bool {
				return f.Kind == kind && f.RuleID == rule && (other < 0 || f.OtherID == other)
			})
		}
		whole := results(p)
		kept := p
		kept.Rules = slices.DeleteFunc(slices.Clone(p.Rules), func(r policy.Rule) bool { return have(policy.Shadowed, r.ID, -1) || have(policy.Redundant, r.ID, -1) })
		for _, r := range p.Rules {
			decides, same := false, true
			less := results(without(p, r))
			fewer := results(without(kept, r))
			alone := results(only(p, r))
			for i := range all {
				decides = decides || whole[i].RuleID == r.ID
				same = same && whole[i].Action == less[i].Action && whole[i].Action == fewer[i].Action
				if o := whole[i].RuleID; decided(alone[i], r) && o != 0 && o < r.ID && whole[i].Action != r.Action &&
					!have(policy.Conflict, r.ID, o) && !have(policy.Shadowed, r.ID, -1) {
					t.Fatalf("conflict of %d with %d at %+v is not in %q", r.ID, o, all[i], said(list))
				}
			}
			if decides == have(policy.Shadowed, r.ID, -1) {
				t.Fatalf("rule %d decides: %v, but %q", r.ID, decides, said(list))
			}
			if decides && same && !have(policy.Redundant, r.ID, -1) {
				t.Fatalf("rule %d could go, but %q", r.ID, said(list))
			}
		}
	})
}

func decided(r policy.Result, by policy.Rule) bool { return r.RuleID == by.ID }

// TestWitnessesNameTheTimeThatMatters: a pair of zones that no schedule concerns may have
// the same rules as one has while a window is closed.
func TestWitnessesNameTheTimeThatMatters(t *testing.T) {
	p := decode(t, `{"zones":[{"name":"WAN","interfaces":["wan0"]},{"name":"LAN","interfaces":["lan0"]}],
		"rules":[{"id":1,"name":"most of the day","zone_from":"WAN","zone_to":"LAN","action":"drop","schedule":{"enabled":true,"start":"02:15","end":"00:01"}},
			{"id":2,"name":"goes without saying","zone_from":"any","zone_to":"any","protocol":"gre","action":"accept"}],
		"policies":[{"from":"any","to":"any","action":"accept"}],"time_zone":"Africa/Monrovia"}`)
	found, err := policy.Check(p, policy.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 || found[0].Kind != policy.Redundant || found[1].Kind != policy.Conflict {
		t.Fatalf("%+v", found)
	}
	for i, want := range []int64{2, 1} {
		if r, err := policy.Evaluate(p, policy.Env{}, *found[i].Witness); err != nil || r.RuleID != want {
			t.Errorf("%s: %+v is decided by %+v, %v", found[i].Kind, *found[i].Witness, r, err)
		}
	}
}
