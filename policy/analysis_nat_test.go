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

// holdsOfWitness says whether two policies do with a change's witness what it says.
func holdsOfWitness(t *testing.T, a, b policy.Policy, c policy.Change) {
	t.Helper()
	for _, s := range []struct {
		policy policy.Policy
		action policy.Action
		rule   int64
	}{{a, c.From, c.FromRuleID}, {b, c.To, c.ToRuleID}} {
		if r, err := policy.Evaluate(s.policy, policy.Env{}, c.Witness); err != nil || r.Action != s.action || r.RuleID != s.rule {
			t.Errorf("%+v: the witness is decided by %+v, %v", c, r, err)
		}
	}
}

// TestWitnessesOfDiffArrive: what shows a difference is a packet that NAT leaves alone, or
// brings there; earlier NAT rules take theirs first.
func TestWitnessesOfDiffArrive(t *testing.T) {
	ruled := func(rule string, nat ...string) policy.Policy {
		p := natPolicy(t, nat...)
		p.Rules = append(decode(t, `{"zones":[{"name":"WAN"},{"name":"LAN"}],"rules":[`+rule+`]}`).Rules, p.Rules...)
		return p
	}
	const (
		everything = `"nat_type":"dnat","interface":"wan0","destination":"any","protocol":"tcp","destination_port":"80-65535","translate_to":"10.0.0.5","translate_port":"81"`
		one        = `"nat_type":"dnat","destination":"198.51.100.20","protocol":"tcp","translate_to":"10.0.0.5"`
		early      = `"nat_type":"dnat","source":"192.0.2.0/24","destination":"203.0.113.2","protocol":"tcp","translate_to":"10.0.0.7"`
		late       = `"nat_type":"dnat","destination":"203.0.113.2","protocol":"tcp","translate_to":"10.0.0.5"`
		moves      = `"nat_type":"netmap","destination":"198.51.100.0/24","translate_to":"10.9.0.0/24"`
	)
	for name, c := range map[string]struct {
		rule  string
		nat   []string
		boxes int // 0: some
	}{
		"the familiar packet is sent elsewhere":                 {`{"id":30,"name":"r","zone_from":"WAN","zone_to":"LAN","protocol":"tcp","port":"443","action":"accept"}`, []string{one}, 0},
		"all but broadcasts are sent elsewhere":                 {`{"id":30,"name":"r","zone_from":"WAN","zone_to":"LAN","protocol":"tcp","port":"443","action":"accept"}`, []string{everything}, 0},
		"an earlier rule takes the familiar source":             {`{"id":30,"name":"r","zone_from":"WAN","zone_to":"LAN","destination":"10.0.0.5","protocol":"tcp","action":"reject"}`, []string{early, late}, 0},
		"it is brought there by a rule that accepts nothing":    {`{"id":30,"name":"r","zone_from":"WAN","zone_to":"LAN","destination":"10.9.0.0/24","source":"192.0.2.9","action":"accept"}`, []string{moves, strings.Replace(moves, `"destination":"198.51.100.0/24","translate_to":"10.9.0.0/24"`, `"destination":"10.9.0.0/24","translate_to":"10.8.0.0/24"`, 1)}, 0},
		"there is no such packet: everything is sent elsewhere": {`{"id":30,"name":"r","zone_from":"WAN","zone_to":"LAN","destination":"10.0.0.9","protocol":"tcp","port":"443","action":"accept"}`, []string{everything}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := natPolicy(t, slices.Clone(c.nat)...), ruled(c.rule, slices.Clone(c.nat)...)
			changes, err := policy.Diff(a, b, policy.Env{})
			if err != nil {
				t.Fatal(err)
			}
			if len(changes) == 0 != (c.boxes < 0) {
				t.Fatalf("%+v", changes)
			}
			for _, change := range changes {
				holdsOfWitness(t, a, b, change)
			}
		})
	}
}

// TestDiffOfNATThatReadsTheSame: the same NAT rules translate otherwise when a group or a
// zone's interfaces have changed.
func TestDiffOfNATThatReadsTheSame(t *testing.T) {
	with := func(member string) policy.Policy {
		p := natPolicy(t, `"nat_type":"dnat","destination":"203.0.113.2","protocol":"tcp","translate_to":"10.0.0.5","hairpin":false`)
		p.Groups = append(slices.Clone(p.Groups), policy.Group{ID: 9, Name: "v4", Type: policy.GroupAddress, Members: []string{member}})
		p.NAT[0].Destination = "@v4"
		return p
	}
	moved := with("203.0.113.2")
	moved.Zones = slices.Clone(moved.Zones)
	moved.Zones[0].Interfaces, moved.Zones[1].Interfaces = []string{"wan0", "lan1"}, []string{"lan0"}
	for name, c := range map[string]struct {
		b    policy.Policy
		lost policy.Packet // what was forwarded and no longer is
	}{
		"a group": {with("203.0.113.3"), policy.Packet{In: "wan0", Out: "lan0", Src: address("192.0.2.1"), Dst: address("203.0.113.2"), Protocol: policy.ProtocolTCP, DstPort: 80}},
		"a zone":  {moved, policy.Packet{In: "wan0", Out: "lan1", Src: address("192.0.2.1"), Dst: address("203.0.113.2"), Protocol: policy.ProtocolTCP, DstPort: 80}},
	} {
		t.Run(name, func(t *testing.T) {
			a := with("203.0.113.2")
			changes, err := policy.Diff(a, c.b, policy.Env{})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(changes, func(d policy.Change) bool {
				return d.From == policy.Accept && d.To == policy.Drop && d.Box.Contains(c.lost)
			}) {
				t.Errorf("%+v is in none of %+v", c.lost, changes)
			}
			for _, change := range changes {
				holdsOfWitness(t, a, c.b, change)
			}
		})
	}
}

// TestWitnessesOfCheckArrive: as those of a difference.
func TestWitnessesOfCheckArrive(t *testing.T) {
	p := natPolicy(t, `"nat_type":"dnat","destination":"198.51.100.20","protocol":"tcp","translate_to":"10.0.0.5"`)
	p.Rules = append(p.Rules, decode(t, `{"zones":[{"name":"WAN"},{"name":"LAN"}],"rules":[
		{"id":30,"name":"all","zone_from":"WAN","zone_to":"LAN","protocol":"tcp","destination":"198.51.100.0/24","action":"drop"},
		{"id":31,"name":"some","zone_from":"WAN","zone_to":"LAN","protocol":"tcp","destination":"198.51.100.16/28","port":"443","action":"accept"},
		{"id":32,"name":"nobody","zone_from":"WAN","zone_to":"LAN","protocol":"tcp","destination":"198.51.100.20","action":"accept"}]}`).Rules...)
	found, err := policy.Check(p, policy.Env{})
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[int64]string{}
	for _, f := range found {
		kinds[f.RuleID] += f.Kind
		if f.Witness == nil {
			continue
		}
		want := f.OtherID
		if f.Kind == policy.Redundant {
			want = f.RuleID
		}
		if r, err := policy.Evaluate(p, policy.Env{}, *f.Witness); err != nil || r.RuleID != want {
			t.Errorf("%+v, %+v: %+v, %v", f, *f.Witness, r, err)
		}
	}
	if kinds[31] != policy.Shadowed || kinds[32] != policy.Unreachable {
		t.Error(kinds)
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
