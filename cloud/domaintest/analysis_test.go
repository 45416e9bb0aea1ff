package domaintest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/structpb"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestCheck(t *testing.T) {
	p, _ := newProcess(t)
	device := p.register(t, "a", "edge").Id
	check := func() []string {
		t.Helper()
		out, err := p.firewall.Check(as("a"), &ngfwv1.CheckRequest{DeviceId: device})
		if err != nil {
			t.Fatal(err)
		}
		said := []string{}
		for _, f := range out.Findings {
			said = append(said, fmt.Sprintf("%s %d/%d %s>%s %s>%s", f.Kind, f.RuleId, f.GetOtherId(), f.GetZoneFrom(), f.GetZoneTo(), f.Witness.GetSrc(), f.Witness.GetDst()))
		}
		return said
	}
	if got := check(); len(got) != 0 {
		t.Errorf("a new router: %q", got)
	}
	wide := rule("wide", "LAN", "WAN", "drop")
	wide.Source = proto.String("10.0.0.0/8")
	p.addRule(t, device, wide)
	narrow := rule("narrow", "LAN", "WAN", "accept")
	narrow.Source = proto.String("10.1.0.0/16")
	p.addRule(t, device, narrow)
	me := rule("me", "LAN", "SELF", "drop")
	me.Destination = proto.String("self")
	p.addRule(t, device, me)
	if diff := cmp.Diff([]string{"shadowed 2/1 LAN>WAN 10.1.0.1>198.51.100.20", "undecided 3/0 > >"}, check()); diff != "" {
		t.Error(diff)
	}
	// What the router reports of its addresses decides about self.
	if err := p.reports.Connected(context.Background(), device, hello()); err != nil {
		t.Fatal(err)
	}
	p.reports.Status(context.Background(), device, &ngfwv1.Status{Status: &ngfwv1.SystemStatus{Interfaces: []*ngfwv1.InterfaceStatus{
		{Name: "lo", Ip: proto.String("127.0.0.1/8")}, {Name: "eth1", Ip: proto.String("192.168.1.1/24"), Ip6: proto.String("fe80::1/64")},
	}}})
	if diff := cmp.Diff([]string{"shadowed 2/1 LAN>WAN 10.1.0.1>198.51.100.20"}, check()); diff != "" {
		t.Error(diff)
	}
}

func TestDiff(t *testing.T) {
	p, _ := newProcess(t)
	device := p.register(t, "a", "edge").Id
	lan := p.zone(t, device, "LAN")
	lan.Interfaces = []string{"eth1"}
	if _, err := p.firewall.UpdateZone(as("a"), &ngfwv1.UpdateZoneRequest{DeviceId: device, Id: lan.Id, Zone: lan}); err != nil {
		t.Fatal(err)
	}
	p.addGroup(t, device, "servers", "address", "192.0.2.0/24")
	mail := rule("mail", "LAN", "WAN", "drop")
	mail.Protocol, mail.Port = proto.String("tcp"), proto.String("25")
	p.addRule(t, device, mail)
	quiet := rule("servers", "LAN", "WAN", "reject")
	quiet.Destination = proto.String("@servers")
	p.addRule(t, device, quiet)
	version, pushes := p.version(t, device), p.links.pushes(device)

	ask := func(text string) ([]string, *ngfwv1.DiffResponse, error) {
		req := &ngfwv1.DiffRequest{DeviceId: device}
		if err := protojson.Unmarshal([]byte(text), req); err != nil {
			t.Fatal(err)
		}
		req.DeviceId = device
		out, err := p.firewall.Diff(as("a"), req)
		told := []string{}
		for _, c := range out.GetChanges() {
			b := c.Box
			told = append(told, fmt.Sprintf("%s→%s %s%s>%s %s>%s %s:%s %d/%d", c.From, c.To, b.ZoneFrom, b.GetWasZoneFrom(), b.ZoneTo, b.Source, b.Destination, b.Protocol, b.Port, c.GetFromRuleId(), c.GetToRuleId()))
		}
		return told, out, err
	}
	for _, c := range []struct {
		name, request string
		want          []string
	}{
		{"a rule more", `{"change":{"op":"create","resource":"rule","body":{"name":"x","zone_from":"LAN","zone_to":"WAN","protocol":"udp","port":"53","action":"drop"}}}`,
			[]string{"accept→drop LAN>WAN 0.0.0.0/0>0.0.0.0-192.0.1.255 udp:53 0/3", "accept→drop LAN>WAN 0.0.0.0/0>192.0.3.0-255.255.255.255 udp:53 0/3", "accept→drop LAN>WAN ::/0>::/0 udp:53 0/3"}},
		{"before another", `{"change":{"op":"create","resource":"rule","body":{"before":1,"name":"x","zone_from":"LAN","zone_to":"WAN","source":"10.0.0.1","protocol":"tcp","port":"25","action":"accept"}}}`,
			[]string{"drop→accept LAN>WAN 10.0.0.1>0.0.0.0/0 tcp:25 1/3"}},
		{"a rule less", `{"change":{"op":"delete","resource":"rule","id":2}}`,
			[]string{"reject→accept LAN>WAN 0.0.0.0/0>192.0.2.0/24 0-5:* 2/0", "reject→accept LAN>WAN 0.0.0.0/0>192.0.2.0/24 tcp:0-24 2/0",
				"reject→accept LAN>WAN 0.0.0.0/0>192.0.2.0/24 tcp:26-65535 2/0", "reject→accept LAN>WAN 0.0.0.0/0>192.0.2.0/24 7-255:* 2/0"}},
		{"changed", `{"change":{"op":"update","resource":"rule","id":1,"body":{"name":"mail","zone_from":"LAN","zone_to":"WAN","protocol":"tcp","port":"25","action":"drop","enabled":false}}}`,
			[]string{"drop→reject LAN>WAN 0.0.0.0/0>192.0.2.0/24 tcp:25 1/2", "drop→accept LAN>WAN 0.0.0.0/0>0.0.0.0-192.0.1.255 tcp:25 1/0",
				"drop→accept LAN>WAN 0.0.0.0/0>192.0.3.0-255.255.255.255 tcp:25 1/0", "drop→accept LAN>WAN ::/0>::/0 tcp:25 1/0"}},
		{"reordered", `{"change":{"op":"reorder","resource":"rule","body":{"rule_ids":[2,1]}}}`, []string{"drop→reject LAN>WAN 0.0.0.0/0>192.0.2.0/24 tcp:25 1/2"}},
		{"a group", `{"change":{"op":"update","resource":"group","id":1,"body":{"name":"servers","type":"address","members":["192.0.2.0/24","198.51.100.7"]}}}`,
			[]string{"accept→reject LAN>WAN 0.0.0.0/0>198.51.100.7 0-5:* 0/2", "accept→reject LAN>WAN 0.0.0.0/0>198.51.100.7 tcp:0-24 0/2",
				"accept→reject LAN>WAN 0.0.0.0/0>198.51.100.7 tcp:26-65535 0/2", "accept→reject LAN>WAN 0.0.0.0/0>198.51.100.7 7-255:* 0/2"}},
		{"a group that nothing names yet", `{"change":{"op":"create","resource":"group","body":{"name":"new","type":"port","members":["1"]}}}`, []string{}},
		{"policies", `{"change":{"op":"update","resource":"policy","body":[
			{"from":"LAN","to":"WAN","action":"accept"},{"from":"LAN","to":"LAN","action":"accept"},{"from":"VPN","to":"LAN","action":"accept"},{"from":"VPN","to":"WAN","action":"accept"},
			{"from":"GUEST","to":"WAN","action":"accept"},{"from":"IOT","to":"WAN","action":"accept"},{"from":"DMZ","to":"WAN","action":"accept"},{"from":"SELF","to":"any","action":"accept"}]}}`,
			[]string{"accept→drop LAN>SELF any>any all:* 0/0"}},
		{"a zone that gets an interface of another", `{"change":{"op":"update","resource":"zone","id":2,"body":{"name":"LAN","interfaces":["eth1"],"masquerade":true}}}`, []string{}},
		{"a whole policy", `{"policy":{"zones":[{"id":1,"name":"WAN","interfaces":[]},{"id":2,"name":"LAN","interfaces":["eth1"]}],"rules":[],"policies":[]}}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			told, out, err := ask(c.request)
			if err != nil {
				t.Fatal(err)
			}
			if c.want == nil { // too many to list here
				if !slices.ContainsFunc(told, func(s string) bool { return strings.HasPrefix(s, "accept→drop LAN>LAN any>any all:*") }) {
					t.Errorf("%q", told)
				}
				return
			}
			if diff := cmp.Diff(c.want, told); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, c := range out.Changes {
				if c.Witness.GetIn() != "eth1" || c.Witness.Out != nil && c.Box.ZoneTo == "WAN" || c.Witness.Src == "" {
					t.Errorf("witness %v", c.Witness)
				}
			}
		})
	}
	for _, c := range []struct {
		name, request string
		code          fault.Code
		field         string
	}{
		{"nothing", `{}`, fault.BadRequest, ""},
		{"both", `{"policy":{"zones":[],"rules":[],"policies":[]},"change":{"op":"delete","resource":"rule","id":1}}`, fault.BadRequest, ""},
		{"no operation", `{"change":{"resource":"rule"}}`, fault.InvalidConfig, "change.op"},
		{"no resource", `{"change":{"op":"delete","resource":"tunnel","id":1}}`, fault.InvalidConfig, "change.resource"},
		{"what is not done", `{"change":{"op":"reorder","resource":"zone"}}`, fault.InvalidConfig, "change.op"},
		{"policies created", `{"change":{"op":"create","resource":"policy","body":{}}}`, fault.InvalidConfig, "change.op"},
		{"no id", `{"change":{"op":"delete","resource":"rule"}}`, fault.InvalidConfig, "change.id"},
		{"an id of what is not there yet", `{"change":{"op":"create","resource":"rule","id":7,"body":{}}}`, fault.InvalidConfig, "change.id"},
		{"no body", `{"change":{"op":"create","resource":"rule"}}`, fault.InvalidConfig, "change.body"},
		{"a bad body", `{"change":{"op":"create","resource":"rule","body":{"name":"x","zone_from":"LAN","zone_to":"WAN","action":"accept","source":"10.0.0.0/33"}}}`, fault.InvalidConfig, "change.body.source"},
		{"an unknown field", `{"change":{"op":"create","resource":"rule","body":{"name":"x","zone_from":"LAN","zone_to":"WAN","action":"accept","sauce":"any"}}}`, fault.BadRequest, "change.body.sauce"},
		{"a bad place", `{"change":{"op":"create","resource":"rule","body":{"before":99,"name":"x","zone_from":"LAN","zone_to":"WAN","action":"accept"}}}`, fault.InvalidConfig, "change.body.before"},
		{"no such rule", `{"change":{"op":"delete","resource":"rule","id":9}}`, fault.NotFound, ""},
		{"half an order", `{"change":{"op":"reorder","resource":"rule","body":{"rule_ids":[1]}}}`, fault.InvalidConfig, "change.body.rule_ids"},
		{"a group in use", `{"change":{"op":"delete","resource":"group","id":1}}`, fault.Conflict, ""},
		{"a bad policy of a pair", `{"change":{"op":"update","resource":"policy","body":[{"from":"LAN","to":"MARS","action":"accept"}]}}`, fault.InvalidConfig, "change.body[0].to"},
		{"a policy that is none", `{"policy":{"zones":[],"rules":[{"id":1,"name":"x","zone_from":"LAN","zone_to":"WAN","action":"accept"}],"policies":[]}}`, fault.InvalidConfig, "policy.rules[0].zone_from"},
		{"what is not enforced", `{"change":{"op":"create","resource":"rule","body":{"name":"x","zone_from":"LAN","zone_to":"WAN","action":"accept","source":"geo:DE"}}}`, fault.InvalidConfig, "change.body.source"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := ask(c.request)
			f, ok := fault.As(err)
			if !ok || f.Code != c.code || f.Field() != c.field {
				t.Errorf("got %v (%+v), want %s at %q", err, f, c.code, c.field)
			}
		})
	}
	if v, n := p.version(t, device), p.links.pushes(device); v != version || n != pushes {
		t.Errorf("a question wrote: version %d → %d, pushes %d → %d", version, v, pushes, n)
	}
}

// TestSimulateAsksTheRouter goes through the real link server.
func TestSimulateAsksTheRouter(t *testing.T) {
	p, a, d := connected(t)
	a.next("welcome", func(m *ngfwv1.CloudMessage) bool { return m.GetAuthOk() != nil })
	packet := &ngfwv1.Packet{In: proto.String("eth1"), Out: proto.String("self"), Src: "10.0.0.1", Dst: "10.0.0.2", Protocol: "tcp", Dport: proto.Uint32(22)}
	ask := func(answer func(id string) *ngfwv1.AgentMessage) (*ngfwv1.Explanation, error) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			m := a.next("question", func(m *ngfwv1.CloudMessage) bool { return m.GetSimulate() != nil })
			if diff := cmp.Diff(packet, m.GetSimulate().Packet, protocmp.Transform()); diff != "" {
				t.Error(diff)
			}
			a.up <- answer(m.Id)
		}()
		defer func() { <-done }()
		return p.firewall.Simulate(as("a"), &ngfwv1.SimulateRequest{DeviceId: d.Id, Packet: packet})
	}
	want := &ngfwv1.Explanation{Action: "accept", Reason: "policy", PolicyRevision: 3, Stages: []*ngfwv1.Stage{{Stage: "policy", Result: "accept", Reason: "the policy from LAN to SELF"}}}
	got, err := ask(func(id string) *ngfwv1.AgentMessage {
		return &ngfwv1.AgentMessage{Id: id, Payload: &ngfwv1.AgentMessage_SimulateResult{SimulateResult: &ngfwv1.SimulateResult{Explanation: want}}}
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	for code, want := range map[string]fault.Code{"CONFLICT": fault.Conflict, "UNSUPPORTED": fault.Unavailable, "SOMETHING": fault.Unavailable} {
		_, err := ask(func(id string) *ngfwv1.AgentMessage {
			return &ngfwv1.AgentMessage{Id: id, Payload: &ngfwv1.AgentMessage_Error{Error: &ngfwv1.Error{Code: code, Message: "no"}}}
		})
		if !fault.Is(err, want) {
			t.Errorf("%s: %v", code, err)
		}
	}
	for _, c := range []struct {
		packet *ngfwv1.Packet
		field  string
	}{
		{nil, "packet"},
		{&ngfwv1.Packet{In: proto.String("eth1"), Src: "10.0.0.1", Dst: "10.0.0.2", Protocol: "tcp"}, "packet.out"},
		{&ngfwv1.Packet{In: proto.String("eth1"), Out: proto.String("eth2"), Src: "10.0.0.1", Dst: "10.0.0", Protocol: "tcp"}, "packet.dst"},
		{&ngfwv1.Packet{In: proto.String("eth1"), Out: proto.String("eth2"), Src: "10.0.0.1", Dst: "10.0.0.2", Protocol: "tcp", Dport: proto.Uint32(65536)}, "packet.dport"},
	} {
		_, err := p.firewall.Simulate(as("a"), &ngfwv1.SimulateRequest{DeviceId: d.Id, Packet: c.packet})
		if f, ok := fault.As(err); !ok || f.Code != fault.InvalidConfig || f.Field() != c.field {
			t.Errorf("%v: %v", c.packet, err)
		}
	}
	other := p.register(t, "a", "away")
	if _, err := p.firewall.Simulate(as("a"), &ngfwv1.SimulateRequest{DeviceId: other.Id, Packet: packet}); !fault.Is(err, fault.DeviceOffline) {
		t.Errorf("a router that is away: %v", err)
	}
}

func diffOfNothing() *structpb.Struct {
	return &structpb.Struct{Fields: map[string]*structpb.Value{
		"zones": structpb.NewListValue(&structpb.ListValue{}), "rules": structpb.NewListValue(&structpb.ListValue{}), "policies": structpb.NewListValue(&structpb.ListValue{}),
	}}
}
