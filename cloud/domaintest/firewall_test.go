package domaintest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"ngfw.sh/cloud/store/storetest"
	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// document reads what the router is given, as the router reads it.
func (p *process) document(t testing.TB, device string) (int64, policy.Policy) {
	t.Helper()
	version, sections, err := p.config.Document(context.Background(), device)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := policy.Decode(sections["firewall"])
	if err != nil {
		t.Fatalf("the agent cannot read %s: %v", sections["firewall"], err)
	}
	if _, err := policy.Compile(doc, policy.Env{}); err != nil {
		t.Fatalf("the agent cannot compile %s: %v", sections["firewall"], err)
	}
	return version, doc
}

// TestFactory holds a new device to docs/policy.md, "System rules", and to the
// zones that the API names.
func TestFactory(t *testing.T) {
	p, _ := newProcess(t)
	device := p.register(t, "a", "edge").Id

	policies, err := p.firewall.ListPolicies(as("a"), &ngfwv1.ListPoliciesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var pairs []string
	for _, d := range policies.Policies {
		if d.Action != "accept" || d.Log {
			t.Errorf("%v", d)
		}
		pairs = append(pairs, d.From+"→"+d.To)
	}
	want := strings.Split("LAN→WAN, LAN→LAN, LAN→SELF, VPN→LAN, VPN→WAN, GUEST→WAN, IOT→WAN, DMZ→WAN, SELF→any", ", ")
	if diff := cmp.Diff(want, pairs); diff != "" {
		t.Error(diff)
	}

	zones, err := p.firewall.ListZones(as("a"), &ngfwv1.ListZonesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i, z := range zones.Zones {
		names = append(names, z.Name)
		if z.Id != int64(i+1) || len(z.Interfaces) != 0 || z.Masquerade != (z.Name == "WAN") || z.MssClamping {
			t.Errorf("%v", z)
		}
	}
	if diff := cmp.Diff(strings.Split("WAN, LAN, GUEST, IOT, DMZ, VPN, SELF", ", "), names); diff != "" {
		t.Error(diff)
	}
	if ids := p.ruleIDs(t, device); len(ids) != 0 {
		t.Errorf("rules %v", ids)
	}
	version, doc := p.document(t, device)
	if version != 1 || doc.Revision != 1 || doc.TimeZone != "UTC" {
		t.Errorf("version %d, revision %d, time zone %q", version, doc.Revision, doc.TimeZone)
	}
}

func TestRuleDefaultsOrderAndCounters(t *testing.T) {
	p, _ := newProcess(t)
	device := p.register(t, "a", "edge").Id
	first := p.addRule(t, device, &ngfwv1.FirewallRule{Id: 77, Hits: 5, Name: "web", ZoneFrom: "LAN", ZoneTo: "WAN", Action: "accept", Protocol: proto.String("tcp"), Port: proto.String("80,443")})
	want := &ngfwv1.FirewallRule{
		Id: 1, Name: "web", Enabled: proto.Bool(true), ZoneFrom: "LAN", ZoneTo: "WAN", Source: proto.String("any"), Destination: proto.String("any"),
		Protocol: proto.String("tcp"), Port: proto.String("80,443"), Action: "accept",
		Schedule: &ngfwv1.Schedule{Start: proto.String("00:00"), End: proto.String("23:59"), Days: []int32{0, 1, 2, 3, 4, 5, 6}},
	}
	if diff := cmp.Diff(want, first, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	p.addRule(t, device, rule("second", "LAN", "WAN", "drop"))
	third, err := p.firewall.CreateRule(as("a"), &ngfwv1.CreateRuleRequest{DeviceId: device, Rule: rule("third", "LAN", "WAN", "drop"), Before: "1"})
	if err != nil {
		t.Fatal(err)
	}
	fourth := rule("fourth", "LAN", "WAN", "drop")
	fourth.Before = proto.Int64(1)
	if r := p.addRule(t, device, fourth); r.Before != nil {
		t.Errorf("%v", r)
	}
	if diff := cmp.Diff([]int64{third.Id, 4, 1, 2}, p.ruleIDs(t, device)); diff != "" {
		t.Error(diff)
	}

	p.reports.Metrics(context.Background(), device, &ngfwv1.Metrics{Rules: []*ngfwv1.RuleCounter{{RuleId: 1, Hits: 10, HitBytes: 1000, LastHit: 1700000000}}})
	disabled := proto.CloneOf(first)
	disabled.Enabled = proto.Bool(false)
	updated, err := p.firewall.UpdateRule(as("a"), &ngfwv1.UpdateRuleRequest{DeviceId: device, Id: 1, Rule: disabled})
	if err != nil {
		t.Fatal(err)
	}
	if updated.GetEnabled() || updated.Hits != 10 || updated.HitBytes != 1000 || updated.GetLastHit() != 1700000000 {
		t.Errorf("%v", updated)
	}
	version, doc := p.document(t, device)
	if version != p.version(t, device) || doc.Revision != version || len(doc.Rules) != 4 || doc.Rules[2].Enabled {
		t.Errorf("version %d: %+v", version, doc)
	}
	if n := p.links.pushes(device); n != 5 {
		t.Errorf("%d pushes for 5 changes", n)
	}

	// Writing what is there makes no version and no push.
	if _, err := p.firewall.UpdateRule(as("a"), &ngfwv1.UpdateRuleRequest{DeviceId: device, Id: 1, Rule: disabled}); err != nil {
		t.Fatal(err)
	}
	if v, n := p.version(t, device), p.links.pushes(device); v != version || n != 5 {
		t.Errorf("version %d → %d, %d pushes", version, v, n)
	}
}

func TestRefusedWrites(t *testing.T) {
	p, _ := newProcess(t)
	device := p.register(t, "a", "edge").Id
	p.addRule(t, device, rule("one", "LAN", "WAN", "drop"))
	p.addRule(t, device, rule("two", "LAN", "WAN", "drop"))
	lan := p.zone(t, device, "LAN")
	lan.Interfaces = []string{"eth1"}
	if _, err := p.firewall.UpdateZone(as("a"), &ngfwv1.UpdateZoneRequest{DeviceId: device, Id: lan.Id, Zone: lan}); err != nil {
		t.Fatal(err)
	}
	custom, err := p.firewall.CreateZone(as("a"), &ngfwv1.CreateZoneRequest{DeviceId: device, Zone: &ngfwv1.Zone{Name: "LAB"}})
	if err != nil {
		t.Fatal(err)
	}
	lab := p.addRule(t, device, rule("lab", "LAB", "WAN", "accept"))

	create := func(change func(*ngfwv1.FirewallRule)) func() error {
		return func() error {
			r := rule("new", "LAN", "WAN", "drop")
			change(r)
			_, err := p.firewall.CreateRule(as("a"), &ngfwv1.CreateRuleRequest{DeviceId: device, Rule: r})
			return err
		}
	}
	zone := func(name string, change func(*ngfwv1.Zone)) func() error {
		return func() error {
			z := p.zone(t, device, name)
			change(z)
			_, err := p.firewall.UpdateZone(as("a"), &ngfwv1.UpdateZoneRequest{DeviceId: device, Id: z.Id, Zone: z})
			return err
		}
	}
	order := func(ids ...int64) func() error {
		return func() error {
			_, err := p.firewall.OrderRules(as("a"), &ngfwv1.OrderRulesRequest{DeviceId: device, RuleIds: ids})
			return err
		}
	}
	policies := func(list ...*ngfwv1.ZonePolicy) func() error {
		return func() error {
			_, err := p.firewall.UpdatePolicies(as("a"), &ngfwv1.UpdatePoliciesRequest{DeviceId: device, Policies: list})
			return err
		}
	}
	removeZone := func(id int64) func() error {
		return func() error {
			_, err := p.firewall.DeleteZone(as("a"), &ngfwv1.DeleteZoneRequest{DeviceId: device, Id: id})
			return err
		}
	}
	cases := []struct {
		name  string
		write func() error
		code  fault.Code
		field string
	}{
		{"rule without a name", create(func(r *ngfwv1.FirewallRule) { r.Name = "" }), fault.InvalidConfig, "name"},
		{"rule without an action", create(func(r *ngfwv1.FirewallRule) { r.Action = "" }), fault.InvalidConfig, "action"},
		{"a CIDR that is none", create(func(r *ngfwv1.FirewallRule) { r.Source = proto.String("10.0.0.0/33") }), fault.InvalidConfig, "source"},
		{"unknown zone", create(func(r *ngfwv1.FirewallRule) { r.ZoneTo = "NOWHERE" }), fault.InvalidConfig, "zone_to"},
		{"port without a protocol that has ports", create(func(r *ngfwv1.FirewallRule) { r.Port = proto.String("80") }), fault.InvalidConfig, "port"},
		{"a country that is none", create(func(r *ngfwv1.FirewallRule) { r.Destination = proto.String("geo:de") }), fault.InvalidConfig, "destination"},
		{"a schedule that is none", create(func(r *ngfwv1.FirewallRule) {
			r.Schedule = &ngfwv1.Schedule{Enabled: true, Start: proto.String("24:00")}
		}), fault.InvalidConfig, "schedule.start"},
		{"a frame's source as destination", create(func(r *ngfwv1.FirewallRule) { r.Destination = proto.String("mac:02:00:00:00:00:01") }), fault.InvalidConfig, "destination"},
		{"no rule at all", func() error {
			_, err := p.firewall.CreateRule(as("a"), &ngfwv1.CreateRuleRequest{DeviceId: device})
			return err
		}, fault.InvalidConfig, "name"},
		{"before a rule that is not there", func() error {
			_, err := p.firewall.CreateRule(as("a"), &ngfwv1.CreateRuleRequest{DeviceId: device, Rule: rule("x", "LAN", "WAN", "drop"), Before: "99"})
			return err
		}, fault.InvalidConfig, "before"},
		{"before what is no id", func() error {
			_, err := p.firewall.CreateRule(as("a"), &ngfwv1.CreateRuleRequest{DeviceId: device, Rule: rule("x", "LAN", "WAN", "drop"), Before: "top"})
			return err
		}, fault.InvalidConfig, "before"},
		{"before said twice, differently", func() error {
			r := rule("x", "LAN", "WAN", "drop")
			r.Before = proto.Int64(2)
			_, err := p.firewall.CreateRule(as("a"), &ngfwv1.CreateRuleRequest{DeviceId: device, Rule: r, Before: "1"})
			return err
		}, fault.InvalidConfig, "before"},
		{"before zero", create(func(r *ngfwv1.FirewallRule) { r.Before = proto.Int64(0) }), fault.InvalidConfig, "before"},
		{"update with a place", func() error {
			r := rule("two", "LAN", "WAN", "drop")
			r.Before = proto.Int64(1)
			_, err := p.firewall.UpdateRule(as("a"), &ngfwv1.UpdateRuleRequest{DeviceId: device, Id: 2, Rule: r})
			return err
		}, fault.InvalidConfig, "before"},
		{"update of a rule in the middle", func() error {
			r := rule("two", "LAN", "WAN", "drop")
			r.Protocol = proto.String("carrier-pigeon")
			_, err := p.firewall.UpdateRule(as("a"), &ngfwv1.UpdateRuleRequest{DeviceId: device, Id: 2, Rule: r})
			return err
		}, fault.InvalidConfig, "protocol"},
		{"update of no rule", func() error {
			_, err := p.firewall.UpdateRule(as("a"), &ngfwv1.UpdateRuleRequest{DeviceId: device, Id: 99, Rule: rule("x", "LAN", "WAN", "drop")})
			return err
		}, fault.NotFound, ""},
		{"removal of no rule", func() error {
			_, err := p.firewall.DeleteRule(as("a"), &ngfwv1.DeleteRuleRequest{DeviceId: device, Id: 99})
			return err
		}, fault.NotFound, ""},
		{"order with one missing", order(2, 1), fault.InvalidConfig, "rule_ids"},
		{"order with one twice", order(1, 2, 2), fault.InvalidConfig, "rule_ids[2]"},
		{"order with a stranger", order(1, 2, lab.Id, 99), fault.InvalidConfig, "rule_ids[3]"},
		{"order of nothing", order(), fault.InvalidConfig, "rule_ids"},
		{"interface of another zone", zone("WAN", func(z *ngfwv1.Zone) { z.Interfaces = []string{"eth0", "eth1"} }), fault.Conflict, "interfaces[1]"},
		{"interface of an earlier zone", zone("IOT", func(z *ngfwv1.Zone) { z.Interfaces = []string{"eth1"} }), fault.Conflict, "interfaces[0]"},
		{"what is no interface name", zone("WAN", func(z *ngfwv1.Zone) { z.Interfaces = []string{"a/b"} }), fault.InvalidConfig, "interfaces[0]"},
		{"interface of SELF", zone("SELF", func(z *ngfwv1.Zone) { z.Interfaces = []string{"eth7"} }), fault.InvalidConfig, "interfaces"},
		{"zone renamed", zone("WAN", func(z *ngfwv1.Zone) { z.Name = "UPLINK" }), fault.InvalidConfig, "name"},
		{"no such zone", func() error {
			_, err := p.firewall.UpdateZone(as("a"), &ngfwv1.UpdateZoneRequest{DeviceId: device, Id: 99, Zone: &ngfwv1.Zone{}})
			return err
		}, fault.NotFound, ""},
		{"zone that exists", func() error {
			_, err := p.firewall.CreateZone(as("a"), &ngfwv1.CreateZoneRequest{DeviceId: device, Zone: &ngfwv1.Zone{Name: "LAN"}})
			return err
		}, fault.Conflict, "name"},
		{"zone called any", func() error {
			_, err := p.firewall.CreateZone(as("a"), &ngfwv1.CreateZoneRequest{DeviceId: device, Zone: &ngfwv1.Zone{Name: "any"}})
			return err
		}, fault.InvalidConfig, "name"},
		{"second SELF", func() error {
			_, err := p.firewall.CreateZone(as("a"), &ngfwv1.CreateZoneRequest{DeviceId: device, Zone: &ngfwv1.Zone{Name: "SELF"}})
			return err
		}, fault.Conflict, "name"},
		{"factory zone removed", removeZone(1), fault.Conflict, ""},
		{"zone in use removed", removeZone(custom.Id), fault.Conflict, ""},
		{"no such zone removed", removeZone(99), fault.NotFound, ""},
		{"policy of an unknown zone", policies(&ngfwv1.ZonePolicy{From: "LAN", To: "WAN", Action: "accept"}, &ngfwv1.ZonePolicy{From: "LAN", To: "NOWHERE", Action: "accept"}), fault.InvalidConfig, "[1].to"},
		{"policy without an action", policies(&ngfwv1.ZonePolicy{From: "LAN", To: "WAN"}), fault.InvalidConfig, "[0].action"},
		{"pair twice", policies(&ngfwv1.ZonePolicy{From: "LAN", To: "WAN", Action: "accept"}, &ngfwv1.ZonePolicy{From: "LAN", To: "WAN", Action: "drop"}), fault.InvalidConfig, "[1]"},
	}
	version, pushes := p.version(t, device), p.links.pushes(device)
	_, before := p.document(t, device)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := c.write()
			f, ok := fault.As(err)
			if !ok || f.Code != c.code || f.Field() != c.field {
				t.Errorf("got %v (%+v), want %s at %q", err, f, c.code, c.field)
			}
		})
	}
	_, after := p.document(t, device)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error("a refused write changed something: ", diff)
	}
	if v, n := p.version(t, device), p.links.pushes(device); v != version || n != pushes {
		t.Errorf("version %d → %d, pushes %d → %d", version, v, pushes, n)
	}

	// What is in the way can be taken out of it.
	if _, err := p.firewall.DeleteRule(as("a"), &ngfwv1.DeleteRuleRequest{DeviceId: device, Id: lab.Id}); err != nil {
		t.Error(err)
	}
	if err := removeZone(custom.Id)(); err != nil {
		t.Error(err)
	}
	next, err := p.firewall.CreateZone(as("a"), &ngfwv1.CreateZoneRequest{DeviceId: device, Zone: &ngfwv1.Zone{Name: "LAB", Interfaces: []string{"notthereyet"}}})
	if err != nil || next.Id == custom.Id {
		t.Errorf("the zone made anew has id %d as before: %v", next.GetId(), err)
	}
}

func TestPoliciesAndZonesAnswerWhatTheyStored(t *testing.T) {
	p, _ := newProcess(t)
	device := p.register(t, "a", "edge").Id
	want := []*ngfwv1.ZonePolicy{{From: "LAN", To: "any", Action: "accept", Log: true}, {From: "any", To: "SELF", Action: "reject"}}
	out, err := p.firewall.UpdatePolicies(as("a"), &ngfwv1.UpdatePoliciesRequest{DeviceId: device, Policies: want})
	if err != nil {
		t.Fatal(err)
	}
	list, err := p.firewall.ListPolicies(as("a"), &ngfwv1.ListPoliciesRequest{DeviceId: device})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, out.Policies, protocmp.Transform()) + cmp.Diff(want, list.Policies, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	// The name may be left out of a zone's update; what is read can be written back.
	z, err := p.firewall.UpdateZone(as("a"), &ngfwv1.UpdateZoneRequest{DeviceId: device, Id: 2, Zone: &ngfwv1.Zone{Interfaces: []string{"eth1", "eth2"}, Masquerade: true}})
	if err != nil || z.Name != "LAN" || z.Id != 2 || !z.Masquerade || len(z.Interfaces) != 2 {
		t.Errorf("%v, %v", z, err)
	}
	self := p.zone(t, device, "SELF")
	if _, err := p.firewall.UpdateZone(as("a"), &ngfwv1.UpdateZoneRequest{DeviceId: device, Id: self.Id, Zone: self}); err != nil {
		t.Error(err)
	}
}

func TestIDsAreNotReusedAfterRestart(t *testing.T) {
	p, path := newProcess(t)
	device := p.register(t, "a", "edge").Id
	var last int64
	for range 3 {
		r := p.addRule(t, device, rule("r", "LAN", "WAN", "drop"))
		if r.Id <= last {
			t.Fatalf("id %d after %d", r.Id, last)
		}
		last = r.Id
		if _, err := p.firewall.DeleteRule(as("a"), &ngfwv1.DeleteRuleRequest{DeviceId: device, Id: r.Id}); err != nil {
			t.Fatal(err)
		}
		version := p.version(t, device)
		p.store.Close()
		p = start(storetest.Reopen(t, path))
		if v := p.version(t, device); v != version {
			t.Fatalf("version %d after a restart, was %d", v, version)
		}
	}
	if ids := p.ruleIDs(t, device); len(ids) != 0 {
		t.Errorf("rules %v", ids)
	}
}

// TestConcurrentWriters lets two processes write the same device at once: no
// rule is lost, no id given twice, and each write has a version of its own.
func TestConcurrentWriters(t *testing.T) {
	p, path := newProcess(t)
	device := p.register(t, "a", "edge").Id
	processes := []*process{p, start(storetest.Reopen(t, path))}
	const writers, each = 6, 5
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				name := fmt.Sprintf("w%d-%d", w, i)
				for { // a conflict says: try again
					_, err := processes[w%2].firewall.CreateRule(as("a"), &ngfwv1.CreateRuleRequest{DeviceId: device, Rule: rule(name, "LAN", "WAN", "drop")})
					if err == nil {
						break
					}
					if !fault.Is(err, fault.Conflict) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	version, doc := p.document(t, device)
	names, ids := map[string]bool{}, map[int64]bool{}
	for _, r := range doc.Rules {
		names[r.Name], ids[r.ID] = true, true
	}
	if len(doc.Rules) != writers*each || len(names) != writers*each || len(ids) != writers*each {
		t.Errorf("%d rules, %d names, %d ids, want %d", len(doc.Rules), len(names), len(ids), writers*each)
	}
	if version != 1+writers*each {
		t.Errorf("version %d after %d writes", version, writers*each)
	}
	entries, err := p.store.Audit(context.Background(), "a", 1000)
	if err != nil || len(entries) != 1+writers*each {
		t.Errorf("%d audit entries, %v", len(entries), err)
	}
}

// TestRulesAgainstModel compares random sequences of writes with a plain list.
func TestRulesAgainstModel(t *testing.T) {
	p, _ := newProcess(t)
	n := 0
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		n++
		org := fmt.Sprintf("model-%d", n)
		storetest.Organization(outer, p.store, org, "starter")
		d, err := p.fleet.RegisterDevice(as(org), &ngfwv1.RegisterDeviceRequest{Name: "m"})
		if err != nil {
			t.Fatal(err)
		}
		var model []int64
		var last int64
		version := p.version(outer, d.Id)
		pick := func() int64 {
			if len(model) == 0 {
				return 1
			}
			return rapid.SampledFrom(model).Draw(t, "rule")
		}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			var err error
			changes := true
			switch rapid.IntRange(0, 3).Draw(t, "operation") {
			case 0:
				req := &ngfwv1.CreateRuleRequest{Rule: rule("r", "LAN", "WAN", "drop")}
				at := len(model)
				if len(model) > 0 && rapid.Bool().Draw(t, "insert") {
					before := pick()
					req.Before, at = fmt.Sprint(before), slices.Index(model, before)
				}
				var r *ngfwv1.FirewallRule
				if r, err = p.firewall.CreateRule(as(org), req); err == nil {
					if r.Id <= last {
						t.Fatalf("id %d after %d", r.Id, last)
					}
					last = r.Id
					model = slices.Insert(model, at, r.Id)
				}
			case 1:
				id := pick()
				_, err = p.firewall.DeleteRule(as(org), &ngfwv1.DeleteRuleRequest{Id: id})
				if i := slices.Index(model, id); i >= 0 {
					model = slices.Delete(model, i, i+1)
				} else if fault.Is(err, fault.NotFound) {
					err, changes = nil, false
				}
			case 2:
				order := rapid.Permutation(model).Draw(t, "order")
				changes = !slices.Equal(order, model)
				if _, err = p.firewall.OrderRules(as(org), &ngfwv1.OrderRulesRequest{RuleIds: order}); err == nil {
					model = order
				}
			case 3:
				if len(model) == 0 {
					continue
				}
				r := rule(rapid.StringMatching(`[a-z]{8}`).Draw(t, "name"), "LAN", "WAN", "accept")
				_, err = p.firewall.UpdateRule(as(org), &ngfwv1.UpdateRuleRequest{Id: pick(), Rule: r})
			}
			if err != nil {
				t.Fatal(err)
			}
			now := p.version(outer, d.Id)
			if want := version + 1; changes && now != want || !changes && now != version {
				t.Fatalf("version %d → %d, changed %v", version, now, changes)
			}
			version = now
			list, err := p.firewall.ListRules(as(org), &ngfwv1.ListRulesRequest{})
			if err != nil {
				t.Fatal(err)
			}
			have := []int64{}
			for _, r := range list.Rules {
				have = append(have, r.Id)
			}
			if !slices.Equal(have, model) {
				t.Fatalf("have %v, want %v", have, model)
			}
		}
	})
}
