package policy_test

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
	"ngfw.sh/policy/policytest"
)

// toldNAT writes changes in short, with where the witness is sent.
func toldNAT(list []policy.Change) (out []string) {
	for i, text := range told(list) {
		c := list[i]
		out = append(out, fmt.Sprintf("%s by %s: %s→%s", text, strings.Join(c.Box.In, "+"), c.FromDestination, c.ToDestination))
	}
	return out
}

func TestDiffOfNATRules(t *testing.T) {
	const web = `"nat_type":"dnat","protocol":"tcp","destination":"203.0.113.2","destination_port":"8080-8089","translate_to":"10.0.0.5","translate_port":"80-89","interface":"wan0","hairpin":false`
	for _, c := range []struct {
		name string
		a, b policy.Policy
		want []string
	}{
		{"a forward more", natPolicy(t), natPolicy(t, web), []string{
			"WAN>LAN drop→accept 0.0.0.0-192.0.2.65→203.0.113.2 tcp:8080-8089 by wan0: →10.0.0.5:80",
			"WAN>LAN drop→accept 192.0.2.67-255.255.255.255→203.0.113.2 tcp:8080-8089 by wan0: →10.0.0.5:80"}},
		{"other ports", natPolicy(t, web), natPolicy(t, strings.Replace(web, `"translate_port":"80-89"`, `"translate_port":"90-99"`, 1)), []string{
			"WAN>LAN accept→accept 0.0.0.0-192.0.2.65→203.0.113.2 tcp:8080-8089 by wan0: 10.0.0.5:80→10.0.0.5:90",
			"WAN>LAN accept→accept 192.0.2.67-255.255.255.255→203.0.113.2 tcp:8080-8089 by wan0: 10.0.0.5:80→10.0.0.5:90"}},
		{"a forward less, and a rule for what it forwarded", natPolicy(t, web), blocking(natPolicy(t)), []string{
			"WAN>LAN accept→drop 0.0.0.0-192.0.2.65→203.0.113.2 tcp:8080-8089 by wan0: 10.0.0.5:80→",
			"WAN>LAN accept→drop 192.0.2.67-255.255.255.255→203.0.113.2 tcp:8080-8089 by wan0: 10.0.0.5:80→"}},
		{"of a forwarded range a port is blocked, and the range is moved", natPolicy(t, web), blocking(natPolicy(t, strings.Replace(web, "8080-8089", "7080-7089", 1))), []string{
			"WAN>LAN drop→accept 0.0.0.0-192.0.2.65→203.0.113.2 tcp:7080-7084 by wan0: →10.0.0.5:80",
			"WAN>LAN drop→accept 192.0.2.67-255.255.255.255→203.0.113.2 tcp:7080-7084 by wan0: →10.0.0.5:80",
			"WAN>LAN drop→accept 0.0.0.0-192.0.2.65→203.0.113.2 tcp:7086-7089 by wan0: →10.0.0.5:86",
			"WAN>LAN drop→accept 192.0.2.67-255.255.255.255→203.0.113.2 tcp:7086-7089 by wan0: →10.0.0.5:86",
			"WAN>LAN accept→drop 0.0.0.0-192.0.2.65→203.0.113.2 tcp:8080-8089 by wan0: 10.0.0.5:80→",
			"WAN>LAN accept→drop 192.0.2.67-255.255.255.255→203.0.113.2 tcp:8080-8089 by wan0: 10.0.0.5:80→"}},
		{"the same", natPolicy(t, web), natPolicy(t, web), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := policy.Diff(c.a, c.b, policy.Env{})
			if err != nil {
				t.Fatal(err)
			}
			var toLAN []string
			for _, text := range toldNAT(got) {
				if strings.HasPrefix(text, "WAN>LAN") {
					toLAN = append(toLAN, text)
				}
			}
			slices.Sort(toLAN)
			slices.Sort(c.want)
			if diff := cmp.Diff(c.want, toLAN); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// sentTo is where a policy sends a packet that it accepts.
func sentTo(r policy.Result, p policy.Packet) netip.AddrPort {
	to, port := p.Dst, p.DstPort
	if r.NAT.Rule != 0 {
		to, port = r.NAT.Destination, r.NAT.Port
	}
	if !policy.HasPorts(p.Protocol) {
		port = 0
	}
	return netip.AddrPortFrom(to, port)
}

// TestDiffOfNATIsExact: of two policies with NAT rules of their own, a packet has
// another action, or is sent elsewhere, exactly where a box contains it.
func TestDiffOfNATIsExact(t *testing.T) {
	differing, elsewhere, refused, runs := 0, 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		if runs++; runs > 40 && os.Getenv("NGFW_LONG") == "" {
			return // seconds are enough
		}
		a := policytest.Policies().Draw(t, "a")
		env := knowing(policytest.Envs().Draw(t, "env"))
		b := policytest.Policies().Draw(t, "b")
		b.TimeZone = a.TimeZone
		for _, p := range []policy.Policy{a, b} {
			for i := range p.Rules {
				p.Rules[i].Schedule.Enabled = false
			}
		}
		if rapid.Bool().Draw(t, "alike") {
			other := b
			b = changed(t, a, b)
			named := func(n policy.NATRule) bool { // its groups are not there
				return strings.Contains(n.Source+n.Destination+n.SourcePort+n.DestinationPort, "@")
			}
			b.NAT = slices.DeleteFunc(slices.Clone(other.NAT), named)
			if len(a.NAT) > 0 && rapid.Bool().Draw(t, "retargeted") {
				b.NAT = slices.Clone(a.NAT)
				b.NAT[0].Hairpin = !b.NAT[0].Hairpin
				if b.NAT[0].Type == policy.NATDestination && !strings.Contains(b.NAT[0].TranslateTo, ":") {
					b.NAT[0].TranslateTo = "10.99.0.7"
				}
			}
			b.SelfAddresses = a.SelfAddresses
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
			moved := before.Action == policy.Accept && after.Action == policy.Accept && sentTo(before, packet) != sentTo(after, packet)
			switch {
			case before.Action == after.Action && !moved:
				// A rule that translates to what was there already is another rule all the same.
				if len(in) > 0 && !(in[0].From == policy.Accept && in[0].To == policy.Accept && (before.NAT.Rule != 0 || after.NAT.Rule != 0)) {
					t.Fatalf("%+v: %+v and %+v, but in %q", packet, before, after, toldNAT(in))
				}
			case len(in) != 1 || in[0].From != before.Action || in[0].To != after.Action:
				t.Fatalf("%+v: %+v and %+v, but in %q of %q", packet, before, after, toldNAT(in), toldNAT(list))
			}
		}
		if !policy.SameNAT(a, b, env) {
			some := 1 + len(list)/24 // each costs evaluations of whole policies
			for i, c := range list {
				differing++
				if c.From == c.To {
					elsewhere++
				}
				if i%some != 0 {
					continue
				}
				if c.Witness.In == "" || c.Witness.Out == "" {
					continue
				}
				if !c.Box.Contains(c.Witness) {
					t.Fatalf("the witness %+v is not in its box %q", c.Witness, told([]policy.Change{c}))
				}
				hold(c.Witness)
				for _, side := range []struct {
					p           policy.Policy
					rule        int64
					destination string
				}{{a, c.FromRuleID, c.FromDestination}, {b, c.ToRuleID, c.ToDestination}} {
					r := evaluate(side.p, c.Witness)
					want := ""
					if r.NAT.Rule != 0 {
						if want = r.NAT.Destination.String(); policy.HasPorts(c.Witness.Protocol) {
							want = sentTo(r, c.Witness).String()
						}
					}
					if r.RuleID != side.rule || r.NAT.Rule != 0 && side.destination != want {
						t.Fatalf("%+v: the witness is decided by %+v, sent to %q", c, r, want)
					}
				}
			}
			for _, p := range []policy.Policy{a, b} {
				packets := policytest.Packets(p, env)
				for range 12 {
					hold(timely(packets.Draw(t, "packet")))
				}
			}
		}
	})
	if t.Log(differing, "boxes,", elsewhere, "of packets sent elsewhere,", refused, "refused"); differing == 0 || elsewhere == 0 || refused > 10 {
		t.Error("too few policies were compared")
	}
}
