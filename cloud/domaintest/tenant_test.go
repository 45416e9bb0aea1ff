package domaintest

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"ngfw.sh/cloud/alert"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// TestTenantIsolation walks every operation that names a device and calls it as
// a user of another organisation, for a device that does not exist, and with
// nobody asking.
func TestTenantIsolation(t *testing.T) {
	p := newInspecting(t)
	device := p.register(t, "a", "edge")
	p.register(t, "b", "other")
	kept := p.addRule(t, device.Id, rule("keep", "LAN", "WAN", "drop"))
	version := p.version(t, device.Id)
	audited, err := p.store.Audit(context.Background(), "a", 100)
	if err != nil {
		t.Fatal(err)
	}

	services := []struct {
		desc grpc.ServiceDesc
		impl any
	}{
		{ngfwv1.FirewallService_ServiceDesc, p.firewall},
		{ngfwv1.NATService_ServiceDesc, p.firewall.NAT()},
		{ngfwv1.IDSService_ServiceDesc, p.ids},
		// It has no history: who gets that far panics.
		{ngfwv1.AlertService_ServiceDesc, alert.New(alert.Deps{Devices: p.fleet, RetentionDays: func(string) int { return 1 }})},
		{ngfwv1.SystemService_ServiceDesc, p.system},
		{ngfwv1.FleetService_ServiceDesc, p.fleet},
	}
	called := 0
	for _, s := range services {
		for _, m := range s.desc.Methods {
			call := func(ctx context.Context, id string) (named bool, err error) {
				_, err = m.Handler(s.impl, ctx, func(in any) error {
					named = fill(in.(proto.Message).ProtoReflect(), id, kept.Id)
					return nil
				}, nil)
				return named, err
			}
			name := s.desc.ServiceName + "/" + m.MethodName
			named, err := call(context.Background(), device.Id)
			if !fault.Is(err, fault.Unauthorized) {
				t.Errorf("%s without a caller: %v", name, err)
			}
			if !named {
				continue // lists and creates within the caller's own organisation
			}
			called++
			if _, err := call(as("b"), device.Id); !fault.Is(err, fault.Forbidden) {
				t.Errorf("%s by another organisation: %v", name, err)
			}
			if _, err := call(as("b"), "dev_unknown"); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s of an unknown device: %v", name, err)
			}
		}
	}
	if called < 40 {
		t.Errorf("only %d operations name a device: the walk does not see them", called)
	}

	list, err := p.fleet.ListDevices(as("b"), nil)
	if err != nil || len(list.Devices) != 1 || list.Devices[0].Name != "other" {
		t.Errorf("b sees %v, %v", list, err)
	}
	if v := p.version(t, device.Id); v != version {
		t.Errorf("version went from %d to %d", version, v)
	}
	after, err := p.store.Audit(context.Background(), "a", 100)
	if err != nil || len(after) != len(audited) {
		t.Errorf("audit entries went from %d to %d, %v", len(audited), len(after), err)
	}
	if n := len(p.links.disconnected); n != 0 {
		t.Errorf("%d connections closed", n)
	}
	if _, err := p.fleet.Device(as("a"), &ngfwv1.DeviceRequest{Id: device.Id}); err != nil {
		t.Error("the device is gone: ", err)
	}
}

// fill names the device in a request, and makes the rest of it something that
// would be done if it were allowed.
func fill(m protoreflect.Message, device string, rule int64) (named bool) {
	switch in := m.Interface().(type) {
	case *ngfwv1.CreateRuleRequest:
		in.Rule = &ngfwv1.FirewallRule{Name: "x", ZoneFrom: "LAN", ZoneTo: "WAN", Action: "accept"}
	case *ngfwv1.UpdateRuleRequest:
		in.Rule = &ngfwv1.FirewallRule{Name: "x", ZoneFrom: "LAN", ZoneTo: "WAN", Action: "accept"}
	case *ngfwv1.OrderRulesRequest:
		in.RuleIds = []int64{rule}
	case *ngfwv1.CreateZoneRequest:
		in.Zone = &ngfwv1.Zone{Name: "LAB"}
	case *ngfwv1.UpdateZoneRequest:
		in.Zone = &ngfwv1.Zone{Name: "WAN", Interfaces: []string{"eth9"}}
	case *ngfwv1.CreateGroupRequest:
		in.Group = &ngfwv1.Group{Name: "x", Type: "port"}
	case *ngfwv1.UpdateGroupRequest:
		in.Group = &ngfwv1.Group{Name: "x", Type: "port"}
	case *ngfwv1.DiffRequest:
		in.Policy = diffOfNothing()
	case *ngfwv1.SimulateRequest:
		in.Packet = &ngfwv1.Packet{In: proto.String("eth0"), Out: proto.String("self"), Src: "192.0.2.1", Dst: "192.0.2.2", Protocol: "tcp"}
	case *ngfwv1.CreateNATRuleRequest:
		in.Rule = &ngfwv1.NATRule{Name: "x"}
	case *ngfwv1.UpdateIDSConfigRequest:
		in.Config = &ngfwv1.IDSConfig{Enabled: true}
	case *ngfwv1.CreateIDSRuleRequest:
		in.Rule = &ngfwv1.IDSRule{Rule: pingRule}
	case *ngfwv1.CreateIDSSuppressionRequest:
		in.Suppression = &ngfwv1.IDSSuppression{Sid: 1}
	case *ngfwv1.UpdateDeviceRequest:
		in.Device = &ngfwv1.Device{Name: "taken over"}
	}
	fields := m.Descriptor().Fields()
	if fd := fields.ByName("device_id"); fd != nil {
		m.Set(fd, protoreflect.ValueOfString(device))
		named = true
	}
	if fd := fields.ByName("id"); fd != nil {
		if fd.Kind() == protoreflect.StringKind {
			m.Set(fd, protoreflect.ValueOfString(device))
			named = true
		} else {
			m.Set(fd, protoreflect.ValueOfInt64(rule))
		}
	}
	return named
}
