package domaintest

import (
	"context"
	"io"
	"testing"
	"time"

	"ngfw.sh/cloud/devicelink"
	"ngfw.sh/cloud/fleet"
	"ngfw.sh/cloud/system"
	"ngfw.sh/policy"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// What the link asks of the domain services, in its own types.
type (
	linkDevices struct{ *fleet.Service }
	linkReports struct{ *system.Reports }
	linkIngest  struct{}
)

func (l linkDevices) AuthenticateDevice(ctx context.Context, key string) (devicelink.Device, error) {
	d, err := l.Service.AuthenticateDevice(ctx, key)
	return devicelink.Device(d), err
}

func (l linkReports) Connected(ctx context.Context, id string, h devicelink.Hello) error {
	return l.Reports.Connected(ctx, id, system.Hello(h))
}

func (linkIngest) Show(string, string, string, *ngfwv1.FlowBatch) {}

func (linkIngest) Positions(context.Context, string) (map[string]uint64, error) { return nil, nil }
func (linkIngest) Store(_ context.Context, _, _, _ string, batches []*ngfwv1.FlowBatch) (int, error) {
	return len(batches), nil
}

// lateLinks is the link server, which is made after the services that use it.
type lateLinks struct{ *devicelink.Server }

// agent is the router's end of a connection in memory.
type agent struct {
	t    *testing.T
	up   chan *ngfwv1.AgentMessage
	down chan *ngfwv1.CloudMessage
	ctx  context.Context
	end  chan error
}

func (a *agent) Send(m *ngfwv1.CloudMessage) error {
	select {
	case a.down <- m:
		return nil
	case <-a.ctx.Done():
		return io.EOF
	}
}

func (a *agent) Recv() (*ngfwv1.AgentMessage, error) {
	select {
	case m := <-a.up:
		return m, nil
	case <-a.ctx.Done():
		return nil, io.EOF
	}
}

// next waits for the first message that want takes.
func (a *agent) next(what string, want func(*ngfwv1.CloudMessage) bool) *ngfwv1.CloudMessage {
	a.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case m := <-a.down:
			if want(m) {
				return m
			}
		case err := <-a.end:
			a.t.Fatalf("the connection ended while waiting for %s: %v", what, err)
		case <-deadline:
			a.t.Fatalf("no %s", what)
		}
	}
}

// push waits for the firewall's configuration, as the router reads it.
func (a *agent) push() (id string, version int64, p policy.Policy) {
	a.t.Helper()
	m := a.next("configuration", func(m *ngfwv1.CloudMessage) bool { return m.GetConfigPush() != nil })
	p, err := policy.Decode(m.GetConfigPush().Config)
	if err != nil {
		a.t.Fatal(err)
	}
	return m.Id, m.GetConfigPush().Version, p
}

// TestRouterFollowsTheConfiguration connects a router through the real link
// server: it is given the configuration, a change and a new mode, what it
// answers shows, and a removal ends its connection.
func TestRouterFollowsTheConfiguration(t *testing.T) {
	p, a, d := connected(t)
	a.next("mode", func(m *ngfwv1.CloudMessage) bool { return m.GetModeUpdate().GetMode() == "takeover" })
	id, version, doc := a.push()
	if version != 1 || doc.Revision != 1 || len(doc.Policies) != len(doc.Zones)+2 {
		t.Errorf("version %d: %+v", version, doc)
	}
	state := func(want string) func() bool {
		return func() bool {
			s, err := p.fleet.DeviceStatus(as("a"), &ngfwv1.DeviceRequest{Id: d.Id})
			return err == nil && s.Status == "online" && s.GetAgentVersion() == "1.2" && s.Config.State == want
		}
	}
	eventually(t, "pending", state("pending"))
	a.up <- &ngfwv1.AgentMessage{Id: id, Payload: &ngfwv1.AgentMessage_ConfigAck{ConfigAck: &ngfwv1.ConfigAck{Section: "firewall", Version: version, Success: true}}}
	eventually(t, "synced", state("synced"))

	p.addRule(t, d.Id, rule("r", "LAN", "WAN", "drop"))
	id, version, doc = a.push()
	if version != 2 || doc.Revision != 2 || len(doc.Rules) != 1 {
		t.Errorf("version %d: %+v", version, doc)
	}
	a.up <- &ngfwv1.AgentMessage{Id: id, Payload: &ngfwv1.AgentMessage_ConfigFail{ConfigFail: &ngfwv1.ConfigFail{Section: "firewall", Version: version, Error: "no room", Field: "rules[0]"}}}
	eventually(t, "failed", state("failed"))

	if _, err := p.fleet.UpdateDevice(as("a"), &ngfwv1.UpdateDeviceRequest{Id: d.Id, Device: &ngfwv1.Device{Name: "edge", Mode: "observe"}}); err != nil {
		t.Fatal(err)
	}
	a.next("new mode", func(m *ngfwv1.CloudMessage) bool { return m.GetModeUpdate().GetMode() == "observe" })

	a.up <- &ngfwv1.AgentMessage{Id: "9", Payload: &ngfwv1.AgentMessage_Metrics{Metrics: &ngfwv1.Metrics{Rules: []*ngfwv1.RuleCounter{{RuleId: 1, Hits: 42}}}}}
	eventually(t, "hits", func() bool {
		list, err := p.firewall.ListRules(as("a"), &ngfwv1.ListRulesRequest{DeviceId: d.Id})
		return err == nil && list.Rules[0].Hits == 42
	})

	if _, err := p.fleet.RemoveDevice(as("a"), &ngfwv1.DeviceRequest{Id: d.Id}); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-a.end:
		if err == nil {
			t.Error("the connection of a removed device ended without a reason")
		}
	case <-time.After(10 * time.Second):
		t.Error("a removed device is still connected")
	}
}

// connected is a router of organisation a that has authenticated through the real
// link server.
func connected(t *testing.T) (p *process, a *agent, d *ngfwv1.RegisteredDevice) {
	t.Helper()
	p, _ = newProcess(t)
	late := &lateLinks{}
	p = startWith(p.store, late)
	server, err := devicelink.New(devicelink.DefaultConfig(), devicelink.Deps{
		Devices: linkDevices{p.fleet}, Reports: linkReports{p.reports}, Documents: p.fleet, Ingest: linkIngest{},
	})
	if err != nil {
		t.Fatal(err)
	}
	late.Server = server
	d = p.register(t, "a", "edge")

	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	a = &agent{t: t, up: make(chan *ngfwv1.AgentMessage), down: make(chan *ngfwv1.CloudMessage, 16), ctx: ctx, end: make(chan error, 1)}
	go func() { a.end <- server.Serve(ctx, a, "192.0.2.7:4711") }()
	a.up <- &ngfwv1.AgentMessage{Id: "1", Payload: &ngfwv1.AgentMessage_Auth{Auth: &ngfwv1.Auth{ApiKey: d.ApiKey, AgentVersion: "1.2", FirmwareVersion: "v7", Protocol: 1}}}
	return p, a, d
}

func hello() system.Hello {
	return system.Hello{AgentVersion: "1.2", FirmwareVersion: "v7", Address: "192.0.2.7:4711", At: time.Now()}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never %s", what)
		}
	}
}
