package domaintest

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestNATRules(t *testing.T) {
	p, _ := newProcess(t)
	device := p.register(t, "a", "edge").Id
	nat := p.firewall.NAT()
	create := func(r *ngfwv1.NATRule) *ngfwv1.NATRule {
		t.Helper()
		made, err := nat.CreateNATRule(as("a"), &ngfwv1.CreateNATRuleRequest{DeviceId: device, Rule: r})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	forward := create(&ngfwv1.NATRule{
		Name: "web", ExternalPort: structpb.NewNumberValue(8080), InternalIp: proto.String("192.168.1.2"), InternalPort: structpb.NewStringValue("80"), Protocol: proto.String("both"),
	})
	want := &ngfwv1.NATRule{
		Id: 1, Name: "web", Enabled: proto.Bool(true), NatType: proto.String("dnat"), Protocol: proto.String("tcp+udp"), Source: proto.String("any"),
		Destination: proto.String("self"), DestinationPort: proto.String("8080"), TranslateTo: proto.String("192.168.1.2"), TranslatePort: proto.String("80"), Hairpin: proto.Bool(true),
	}
	if diff := cmp.Diff(want, forward, protocmp.Transform()); diff != "" {
		t.Errorf("the short form (-want +got):\n%s", diff)
	}
	p.addGroup(t, device, "servers", "address", "192.168.1.0/28")
	create(&ngfwv1.NATRule{Name: "out", NatType: proto.String("snat"), Source: proto.String("@servers"), TranslateTo: proto.String("203.0.113.9"), Before: proto.Int64(1)})
	create(&ngfwv1.NATRule{Name: "last", NatType: proto.String("masquerade"), Interface: proto.String("wan")})

	ids := func(rules []*ngfwv1.NATRule) (list []int64) {
		for _, r := range rules {
			list = append(list, r.Id)
		}
		return list
	}
	list := func() []*ngfwv1.NATRule {
		t.Helper()
		l, err := nat.ListNATRules(as("a"), &ngfwv1.ListNATRulesRequest{DeviceId: device})
		if err != nil {
			t.Fatal(err)
		}
		return l.Rules
	}
	if diff := cmp.Diff([]int64{2, 1, 3}, ids(list())); diff != "" {
		t.Error(diff)
	}
	ordered, err := nat.OrderNATRules(as("a"), &ngfwv1.OrderNATRulesRequest{DeviceId: device, RuleIds: []int64{3, 2, 1}})
	if err != nil || !cmp.Equal([]int64{3, 2, 1}, ids(ordered.Rules)) {
		t.Errorf("%v, %v", ordered, err)
	}
	// Counters are the NAT rules' own, although rules have the same ids.
	p.reports.Metrics(context.Background(), device, &ngfwv1.Metrics{
		Rules: []*ngfwv1.RuleCounter{{RuleId: 1, Hits: 5, HitBytes: 50}}, Nat: []*ngfwv1.RuleCounter{{RuleId: 1, Hits: 7, HitBytes: 700}},
	})
	forward.Log, forward.Packets = true, 99 // which a write does not set
	updated, err := nat.UpdateNATRule(as("a"), &ngfwv1.UpdateNATRuleRequest{DeviceId: device, Id: 1, Rule: forward})
	if err != nil || !updated.Log || updated.Packets != 7 || updated.Bytes != 700 {
		t.Errorf("%v, %v", updated, err)
	}
	if _, doc := p.document(t, device); len(doc.NAT) != 3 || doc.NAT[2].TranslateTo != "192.168.1.2" || !doc.NAT[2].Log {
		t.Errorf("the router gets %+v", doc.NAT)
	}

	version, pushes := p.version(t, device), p.links.pushes(device)
	for name, c := range map[string]struct {
		do    func() error
		code  fault.Code
		field string
	}{
		"another target": {func() error {
			_, err := nat.CreateNATRule(as("a"), &ngfwv1.CreateNATRuleRequest{DeviceId: device, Rule: &ngfwv1.NATRule{Name: "n", NatType: proto.String("dnat"), TranslateTo: proto.String("10.0.0.0/8")}})
			return err
		}, fault.InvalidConfig, "translate_to"},
		"half a forward": {func() error {
			_, err := nat.CreateNATRule(as("a"), &ngfwv1.CreateNATRuleRequest{DeviceId: device, Rule: &ngfwv1.NATRule{Name: "n", ExternalPort: structpb.NewNumberValue(80), Protocol: proto.String("tcp")}})
			return err
		}, fault.InvalidConfig, "internal_ip"},
		"a group in use": {func() error {
			_, err := p.firewall.DeleteGroup(as("a"), &ngfwv1.DeleteGroupRequest{DeviceId: device, Id: 1})
			return err
		}, fault.Conflict, ""},
		"none there": {func() error {
			_, err := nat.DeleteNATRule(as("a"), &ngfwv1.DeleteNATRuleRequest{DeviceId: device, Id: 9})
			return err
		}, fault.NotFound, ""},
		"an order that forgets": {func() error {
			_, err := nat.OrderNATRules(as("a"), &ngfwv1.OrderNATRulesRequest{DeviceId: device, RuleIds: []int64{3, 2}})
			return err
		}, fault.InvalidConfig, "rule_ids"},
		"moved by an update": {func() error {
			m := proto.CloneOf(forward)
			m.Before = proto.Int64(2)
			_, err := nat.UpdateNATRule(as("a"), &ngfwv1.UpdateNATRuleRequest{DeviceId: device, Id: 1, Rule: m})
			return err
		}, fault.InvalidConfig, "before"},
		"a lease": {func() error {
			_, err := nat.DeleteUPnPLease(as("a"), &ngfwv1.DeleteUPnPLeaseRequest{DeviceId: device, Id: "x"})
			return err
		}, fault.NotFound, ""},
		"another's router": {func() error {
			_, err := nat.ListNATRules(as("b"), &ngfwv1.ListNATRulesRequest{DeviceId: device})
			return err
		}, fault.Forbidden, ""},
	} {
		err := c.do()
		f, ok := fault.As(err)
		if !ok || f.Code != c.code || f.Field() != c.field {
			t.Errorf("%s: %v, want %s at %q", name, err, c.code, c.field)
		}
	}
	_, err = nat.DeleteNATRule(as("a"), &ngfwv1.DeleteNATRuleRequest{DeviceId: device, Id: 9})
	if f, _ := fault.As(err); f.Message != "no NAT rule 9" {
		t.Error(err)
	}
	if p.version(t, device) != version || p.links.pushes(device) != pushes {
		t.Error("what was refused has changed something")
	}
	if _, err := nat.DeleteNATRule(as("a"), &ngfwv1.DeleteNATRuleRequest{DeviceId: device, Id: 2}); err != nil {
		t.Error(err)
	}
	if made := create(&ngfwv1.NATRule{Name: "again", NatType: proto.String("masquerade")}); made.Id != 4 {
		t.Errorf("the id %d was given out again", made.Id)
	}
}
