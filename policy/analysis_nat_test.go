package policy_test

import (
	"slices"
	"strings"
	"testing"

	"ngfw.sh/policy"
)

const forwardedWeb = `"nat_type":"dnat","protocol":"tcp","destination":"203.0.113.2","destination_port":"8080-8089","translate_to":"10.0.0.5","translate_port":"80-89","interface":"wan0"`

// blocking adds a rule that drops what is forwarded to one of the ports; the zone
// pair's policy would drop it too, were it not for the NAT rule.
func blocking(p policy.Policy) policy.Policy {
	r := policy.NewRule()
	r.ID, r.Name, r.ZoneFrom, r.ZoneTo, r.Action = 20, "not here", "WAN", "LAN", policy.Drop
	r.Destination, r.Protocol, r.Port = "10.0.0.5", "tcp", "85"
	p.Rules = append(slices.Clone(p.Rules), r)
	return p
}

func TestCheckFollowsNAT(t *testing.T) {
	redundant := func(p policy.Policy) bool {
		found, err := policy.Check(p, policy.Env{})
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(found, func(f policy.Finding) bool { return f.RuleID == 20 && f.Kind == policy.Redundant })
	}
	if redundant(blocking(natPolicy(t, forwardedWeb))) {
		t.Error("a rule that takes what a NAT rule would accept is called redundant")
	}
	if !redundant(blocking(natPolicy(t))) {
		t.Error("without a NAT rule it is redundant")
	}
	if !redundant(blocking(natPolicy(t, forwardedWeb+`,"enabled":false`))) {
		t.Error("a disabled NAT rule makes no difference")
	}
}

func TestDiffFollowsNAT(t *testing.T) {
	before := natPolicy(t, forwardedWeb)
	after := blocking(before)
	changes, err := policy.Diff(before, after, policy.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if len(changes) != 2 { // around the source that is dropped anyway
		t.Fatalf("%+v", changes)
	}
	c := changes[0]
	if c.From != policy.Accept || c.To != policy.Drop || c.Box.NATRuleID != 1 || c.ToRuleID != 20 || c.Box.Port != "85" || c.Box.Destination != "10.0.0.5" {
		t.Errorf("%+v", c)
	}
	// The witness, as it arrives, is what it says.
	w := c.Witness
	w.In, w.Out = "wan0", "lan0"
	for p, want := range map[*policy.Policy]policy.Action{&before: c.From, &after: c.To} {
		if r, err := policy.Evaluate(*p, policy.Env{}, w); err != nil || r.Action != want || r.NAT.Rule != 1 {
			t.Errorf("witness %+v: %+v, %v, want %s", w, r, err, want)
		}
	}
	// What accepts everything anyway changes nothing for what was forwarded.
	open := before
	open.Policies = append(slices.Clone(before.Policies), policy.Default{From: "WAN", To: "LAN", Action: policy.Accept})
	if changes, err = policy.Diff(before, open, policy.Env{}); err != nil || slices.ContainsFunc(changes, func(c policy.Change) bool { return c.Box.NATRuleID != 0 }) {
		t.Errorf("%+v, %v", changes, err)
	}
	oneToOne := natPolicy(t, `"nat_type":"1:1","destination":"203.0.113.16/28","translate_to":"10.0.0.0/28"`)
	if changes, err = policy.Diff(oneToOne, blocking(oneToOne), policy.Env{}); err != nil || len(changes) == 0 || changes[0].Witness.Dst != address("203.0.113.21") {
		t.Errorf("%+v, %v", changes, err)
	}
}

// A rule for what one frame is forwarded matters under that frame alone, and says so.
func TestAnalysisFollowsFramesOfNAT(t *testing.T) {
	his := strings.Replace(forwardedWeb, `"interface"`, `"source":"mac:02:00:00:00:00:09","interface"`, 1)
	found, err := policy.Check(blocking(natPolicy(t, his)), policy.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(found, func(f policy.Finding) bool { return f.RuleID == 20 && f.Kind == policy.Redundant }) {
		t.Error("a rule that takes what a NAT rule would accept is called redundant")
	}
	mac := policy.MAC{2, 0, 0, 0, 0, 9}
	before := natPolicy(t, his)
	changes, err := policy.Diff(before, blocking(before), policy.Env{})
	if err != nil {
		t.Fatal(err)
	}
	forwarded := 0
	for _, c := range changes {
		if c.Box.NATRuleID == 1 {
			forwarded++
			if c.Witness.SrcMAC != mac {
				t.Errorf("%+v", c)
			}
		}
	}
	if forwarded == 0 {
		t.Errorf("what is forwarded does not differ: %+v", changes)
	}
	// A rule more, by frame: what differs is of the frame.
	if changes, err = policy.Diff(natPolicy(t), before, policy.Env{}); err != nil || len(changes) == 0 {
		t.Fatalf("%+v, %v", changes, err)
	}
	for _, c := range changes {
		if c.Witness.SrcMAC != mac || c.Box.NATRuleID != 0 {
			t.Errorf("%+v", c)
		}
	}
}

// The same NAT rules are others where the groups that they name are.
func TestDiffFollowsGroupsOfNAT(t *testing.T) {
	before := natPolicy(t, forwardedWeb)
	before.NAT[0].Source = "@some"
	before.Groups = append(slices.Clone(before.Groups), policy.Group{ID: 30, Name: "some", Type: policy.GroupAddress, Members: []string{"198.51.100.0/25"}})
	after := before
	after.Groups = append(slices.Clone(before.Groups[:len(before.Groups)-1]), policy.Group{ID: 30, Name: "some", Type: policy.GroupAddress, Members: []string{"198.51.100.0/24"}})
	changes, err := policy.Diff(before, after, policy.Env{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(changes, func(c policy.Change) bool {
		return c.From == policy.Drop && c.To == policy.Accept && c.Box.Source == "198.51.100.128/25"
	}) {
		t.Errorf("%+v", changes)
	}
}
