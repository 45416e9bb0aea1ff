package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
	"ngfw.sh/policy/policytest"
)

// told writes changes in short.
func told(list []policy.Change) []string {
	out := []string{}
	for _, c := range list {
		b := c.Box
		s := fmt.Sprintf("%s %s→%s %s→%s %s:%s%s", b.ZoneFrom+was(b.WasZoneFrom)+">"+b.ZoneTo+was(b.WasZoneTo), c.From, c.To, b.Source, b.Destination, b.Protocol, b.Port, b.ICMPTypes)
		if b.SourcePort != "" {
			s += " from " + b.SourcePort
		}
		out = append(out, s)
	}
	return out
}

func was(zone string) string {
	if zone == "" {
		return ""
	}
	return "(" + zone + ")"
}

func TestDiff(t *testing.T) {
	zones := []policy.Zone{{Name: "WAN", Interfaces: []string{"wan0"}}, {Name: "LAN", Interfaces: []string{"lan0", "lan1"}}, {Name: "NEW"}}
	make := func(texts ...string) policy.Policy {
		p := policy.Policy{Zones: slices.Clone(zones), Policies: []policy.Default{{From: "LAN", To: "WAN", Action: policy.Accept}}}
		for i, text := range texts {
			r, err := policy.DecodeRule([]byte(`{` + text + missing(text) + `}`))
			if err != nil {
				t.Fatal(err)
			}
			r.ID = int64(i + 1)
			p.Rules = append(p.Rules, r)
		}
		return p
	}
	moved := func(p policy.Policy, zone int, interfaces ...string) policy.Policy {
		p.Zones[zone].Interfaces = interfaces
		return p
	}
	for _, c := range []struct {
		name string
		a, b policy.Policy
		want []string
	}{
		{"nothing", make(`"source":"10.0.0.0/8","action":"drop"`), make(`"source":"10.0.0.0/9","action":"drop"`, `"source":"10.128.0.0/9","action":"drop"`), nil},
		{"a rule more", make(), make(`"source":"10.0.0.0/8","protocol":"tcp","port":"25","action":"reject"`), []string{
			"LAN>WAN accept→reject 10.0.0.0/8→0.0.0.0/0 tcp:25"}},
		{"of both families", make(), make(`"protocol":"tcp+udp","port":"53","action":"drop"`), []string{
			"LAN>WAN accept→drop any→any tcp:53", "LAN>WAN accept→drop any→any udp:53"}},
		{"everything", make(), make(`"action":"drop"`), []string{"LAN>WAN accept→drop any→any all:*"}},
		{"all but one protocol", make(), make(`"protocol":"tcp"`, `"action":"drop"`), []string{
			"LAN>WAN accept→drop any→any 0-5:*", "LAN>WAN accept→drop any→any 7-255:*"}},
		{"all but a port", make(), make(`"protocol":"tcp","port":"443"`, `"action":"drop"`), []string{
			"LAN>WAN accept→drop any→any 0-5:*", "LAN>WAN accept→drop any→any tcp:0-442",
			"LAN>WAN accept→drop any→any tcp:444-65535", "LAN>WAN accept→drop any→any 7-255:*"}},
		{"order", make(`"source":"10.0.0.0/8"`, `"destination":"192.0.2.0/24","action":"drop"`), make(`"destination":"192.0.2.0/24","action":"drop"`, `"source":"10.0.0.0/8"`), []string{
			"LAN>WAN accept→drop 10.0.0.0/8→192.0.2.0/24 all:*"}},
		{"a hole", make(), make(`"source":"10.0.0.5-10.0.0.9"`, `"source":"10.0.0.0/24","action":"drop"`), []string{
			"LAN>WAN accept→drop 10.0.0.0-10.0.0.4→0.0.0.0/0 all:*", "LAN>WAN accept→drop 10.0.0.10-10.0.0.255→0.0.0.0/0 all:*"}},
		{"negated", make(), make(`"source":"!10.0.0.0/8","action":"drop"`), []string{
			"LAN>WAN accept→drop 0.0.0.0-9.255.255.255→0.0.0.0/0 all:*", "LAN>WAN accept→drop 11.0.0.0-255.255.255.255→0.0.0.0/0 all:*",
			"LAN>WAN accept→drop ::/0→::/0 all:*"}},
		{"ICMP", make(), make(`"protocol":"icmp","icmp_types":["8","0/1"],"source":"10.0.0.1","action":"drop"`), []string{
			"LAN>WAN accept→drop 10.0.0.1→0.0.0.0/0 icmp:*0/1", "LAN>WAN accept→drop 10.0.0.1→0.0.0.0/0 icmp:*8"}},
		{"what no packet is", make(), make(`"source":"224.0.0.0/4,127.0.0.1","action":"drop"`, `"protocol":"icmp","icmp_types":["3"],"source":"0.0.0.0/0","action":"drop"`), nil},
		{"another interface", make(), moved(make(), 1, "lan0", "lan1", "lan2"), []string{
			"LAN(none)>WAN drop→accept any→any all:*"}},
		{"an interface that moves", make(`"source":"10.0.0.0/8","action":"drop"`), moved(moved(make(`"source":"10.0.0.0/8","action":"drop"`), 1, "lan0"), 2, "lan1"), []string{
			"NEW(LAN)>WAN accept→drop 0.0.0.0-9.255.255.255→0.0.0.0/0 all:*", "NEW(LAN)>WAN accept→drop 11.0.0.0-255.255.255.255→0.0.0.0/0 all:*",
			"NEW(LAN)>WAN accept→drop ::/0→::/0 all:*"}},
		{"a zone without interfaces", make(), make(`"zone_from":"NEW","source":"10.0.0.0/8"`), []string{"NEW>WAN drop→accept 10.0.0.0/8→0.0.0.0/0 all:*"}},
		{"a disabled rule", make(), make(`"action":"drop","enabled":false`), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := policy.Diff(c.a, c.b, policy.Env{})
			if err != nil {
				t.Fatal(err)
			}
			if c.want == nil {
				c.want = []string{}
			}
			if diff := cmp.Diff(c.want, told(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	got, err := policy.Diff(make(), make(`"source":"10.0.0.0/8","protocol":"tcp","port":"25","action":"reject"`), policy.Env{})
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	want := `{"in":"lan0","out":"wan0","src":"10.0.0.1","dst":"198.51.100.20","protocol":"tcp","sport":40000,"dport":25}`
	if text, err := got[0].Witness.MarshalJSON(); err != nil || string(text) != want || got[0].FromRuleID != 0 || got[0].ToRuleID != 1 {
		t.Errorf("%s, %v, %+v", text, err, got[0])
	}
}

// TestDiffIsExact: of two policies, alike or not, a packet has another action
// under each exactly where a box contains it, and no two boxes do.
func TestDiffIsExact(t *testing.T) {
	differing, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		a := policytest.Policies().Draw(t, "a")
		env := policytest.Envs().Draw(t, "env")
		b := policytest.Policies().Draw(t, "b")
		a.NAT, b.NAT = nil, nil // no analysis follows it
		if rapid.Bool().Draw(t, "alike") {
			b = changed(t, a, b)
		}
		list, err := policy.Diff(a, b, env)
		if fault.Is(err, fault.InvalidConfig) && strings.Contains(err.Error(), "differ too much") {
			refused++
			return
		}
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
		hold := func(packet policy.Packet) {
			before, after := evaluate(a, packet), evaluate(b, packet)
			var in []policy.Change
			for _, c := range list {
				if c.Box.Contains(packet) {
					in = append(in, c)
				}
			}
			switch {
			case before.Action == after.Action:
				if len(in) > 0 {
					t.Fatalf("%+v: %s under both, but in %q", packet, after.Action, told(in))
				}
			case len(in) != 1 || in[0].From != before.Action || in[0].To != after.Action:
				t.Fatalf("%+v: %s→%s, but in %q of %q", packet, before.Action, after.Action, told(in), told(list))
			}
		}
		for _, c := range list {
			differing++
			if c.Witness.In == "" || c.Witness.Out == "" {
				continue
			}
			if !c.Box.Contains(c.Witness) {
				t.Fatalf("the witness %+v is not in its box %q", c.Witness, told([]policy.Change{c}))
			}
			hold(c.Witness)
			if from, to := evaluate(a, c.Witness).RuleID, evaluate(b, c.Witness).RuleID; from != c.FromRuleID || to != c.ToRuleID {
				t.Fatalf("%+v is decided by rules %d and %d", c, from, to)
			}
		}
		for _, p := range []policy.Policy{a, b} {
			packets := policytest.Packets(p, env)
			for range 30 {
				hold(packets.Draw(t, "packet"))
			}
		}
	})
	if t.Log(differing, "boxes,", refused, "refused"); differing == 0 || refused > 5 {
		t.Error("too few policies were compared")
	}
}

// changed makes a few changes to a policy, such as a user makes.
func changed(t *rapid.T, a, other policy.Policy) policy.Policy {
	b := a
	b.Rules = slices.Clone(a.Rules)
	b.Zones = slices.Clone(a.Zones)
	for range rapid.IntRange(1, 3).Draw(t, "changes") {
		n := len(b.Rules)
		switch kind := rapid.SampledFrom([]string{"delete", "swap", "action", "port", "policies", "move"}).Draw(t, "change"); {
		case kind == "delete" && n > 0:
			i := rapid.IntRange(0, n-1).Draw(t, "rule")
			b.Rules = slices.Delete(b.Rules, i, i+1)
		case kind == "swap" && n > 1:
			i := rapid.IntRange(0, n-2).Draw(t, "rule")
			b.Rules[i], b.Rules[i+1] = b.Rules[i+1], b.Rules[i]
		case kind == "action" && n > 0:
			i := rapid.IntRange(0, n-1).Draw(t, "rule")
			b.Rules[i].Action = rapid.SampledFrom([]policy.Action{policy.Accept, policy.Drop, policy.Reject}).Draw(t, "action")
		case kind == "port" && n > 0:
			i := rapid.IntRange(0, n-1).Draw(t, "rule")
			if b.Rules[i].Port != "*" {
				b.Rules[i].Port = "80-443"
			}
		case kind == "policies" && len(b.Zones) == len(other.Zones):
			b.Policies = other.Policies
		case kind == "move" && len(b.Zones) > 1 && len(b.Zones[0].Interfaces) > 0:
			name := b.Zones[0].Interfaces[0]
			b.Zones[0].Interfaces = b.Zones[0].Interfaces[1:]
			b.Zones[1].Interfaces = append(slices.Clone(b.Zones[1].Interfaces), name)
		}
	}
	return b
}

func TestDiffRefuses(t *testing.T) {
	good := rules(t, ``)
	scheduled := rules(t, `"schedule":{"enabled":true}`)
	for _, c := range []struct {
		a, b policy.Policy
		want string
	}{{scheduled, good, "the first policy"}, {good, scheduled, "the second policy"}} {
		_, err := policy.Diff(c.a, c.b, policy.Env{})
		if f, ok := fault.As(err); !ok || f.Field() != "rules[0].schedule" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v", err)
		}
	}
	many := rules(t, `"action":"accept"`)
	many.Rules[0].Source = list(5000)
	if _, err := policy.Diff(rules(t, `"action":"drop"`), many, policy.Env{}); !fault.Is(err, fault.InvalidConfig) || !strings.Contains(err.Error(), "differ too much") {
		t.Errorf("%v", err)
	}
}
