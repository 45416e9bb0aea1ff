package api_test

import (
	"context"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// The services behind the tests: small, and honest about what they were asked.

type fakeAccount struct {
	ngfwv1.UnimplementedAccountServiceServer
}

func (fakeAccount) Login(ctx context.Context, r *ngfwv1.LoginRequest) (*ngfwv1.TokenResponse, error) {
	if r.GetPassword() != "right" {
		return nil, fault.New(fault.Unauthorized, "wrong address or password")
	}
	if identity.OriginFrom(ctx).Address == "" {
		return nil, fault.New(fault.Internal, "no origin")
	}
	return &ngfwv1.TokenResponse{AccessToken: "a", TokenType: "Bearer", ExpiresIn: 3600, RefreshToken: "r"}, nil
}

func (fakeAccount) Refresh(context.Context, *ngfwv1.RefreshRequest) (*ngfwv1.TokenResponse, error) {
	return nil, fault.New(fault.Unauthorized, "wrong refresh token")
}

func (fakeAccount) Logout(context.Context, *ngfwv1.LogoutRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (fakeAccount) Profile(ctx context.Context, _ *ngfwv1.ProfileRequest) (*ngfwv1.Profile, error) {
	c, _ := identity.From(ctx)
	return &ngfwv1.Profile{Id: c.UserID, Email: "owner@example.org", CreatedAt: 1703520000, Plan: c.Plan}, nil
}

func (fakeAccount) ListTokens(context.Context, *ngfwv1.ListTokensRequest) (*ngfwv1.ListTokensResponse, error) {
	return &ngfwv1.ListTokensResponse{Tokens: []*ngfwv1.ApiToken{{Id: "t1", Name: "ci", Scopes: []string{"read"}}}}, nil
}

func (fakeAccount) CreateToken(_ context.Context, r *ngfwv1.CreateTokenRequest) (*ngfwv1.ApiToken, error) {
	secret := "ngfw_pat_x"
	return &ngfwv1.ApiToken{Id: "t2", Name: r.GetName(), Scopes: r.GetScopes(), Token: &secret}, nil
}

func (fakeAccount) DeleteToken(context.Context, *ngfwv1.DeleteTokenRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

type fakeFleet struct {
	ngfwv1.UnimplementedFleetServiceServer
	mu    sync.Mutex
	names []string
}

func (f *fakeFleet) ListDevices(context.Context, *ngfwv1.ListDevicesRequest) (*ngfwv1.ListDevicesResponse, error) {
	return &ngfwv1.ListDevicesResponse{}, nil
}

func (f *fakeFleet) RegisterDevice(ctx context.Context, r *ngfwv1.RegisterDeviceRequest) (*ngfwv1.RegisteredDevice, error) {
	if r.GetName() == "" {
		return nil, fault.Invalid("name", "must be 1 to 255 characters")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names = append(f.names, r.GetName())
	_ = grpc.SetHeader(ctx, metadata.Pairs("x-config-version", "1"))
	return &ngfwv1.RegisteredDevice{Id: "dev" + strings.Repeat("1", len(f.names)), Name: r.GetName(), ApiKey: "ngfw_dev_1"}, nil
}

func (f *fakeFleet) Device(_ context.Context, r *ngfwv1.DeviceRequest) (*ngfwv1.Device, error) {
	if r.GetId() != "dev1" && !strings.Contains(r.GetId(), "/") {
		return nil, fault.New(fault.NotFound, "there is no device %q", r.GetId())
	}
	return &ngfwv1.Device{Id: r.GetId(), Name: "edge", Mode: "takeover", TimeZone: "UTC"}, nil
}

func (f *fakeFleet) UpdateDevice(_ context.Context, r *ngfwv1.UpdateDeviceRequest) (*ngfwv1.Device, error) {
	d := r.GetDevice()
	d.Id = r.GetId()
	return d, nil
}

func (f *fakeFleet) RemoveDevice(_ context.Context, r *ngfwv1.DeviceRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (f *fakeFleet) DeviceStatus(_ context.Context, r *ngfwv1.DeviceRequest) (*ngfwv1.DeviceStatus, error) {
	return &ngfwv1.DeviceStatus{Id: r.GetId(), Status: "online", Config: &ngfwv1.DeviceStatus_ConfigState{State: "synced"}}, nil
}

type fakeFirewall struct {
	ngfwv1.UnimplementedFirewallServiceServer
	mu      sync.Mutex
	devices []string // that requests came for
}

func (f *fakeFirewall) saw(device string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.devices = append(f.devices, device)
}

func (f *fakeFirewall) ListRules(_ context.Context, r *ngfwv1.ListRulesRequest) (*ngfwv1.ListRulesResponse, error) {
	f.saw(r.GetDeviceId())
	on := true
	return &ngfwv1.ListRulesResponse{Rules: []*ngfwv1.FirewallRule{
		{Id: 1, Name: "web", Enabled: &on, ZoneFrom: "LAN", ZoneTo: "WAN", Action: "accept", HitBytes: 9007199254740993},
	}}, nil
}

func (f *fakeFirewall) CreateRule(_ context.Context, r *ngfwv1.CreateRuleRequest) (*ngfwv1.FirewallRule, error) {
	f.saw(r.GetDeviceId())
	rule := r.GetRule()
	if rule.GetSource() == "nonsense" {
		return nil, fault.InvalidFields(fault.Field{Path: "source", Message: "nonsense is no address"}, fault.Field{Path: "port", Message: "too"})
	}
	if rule.GetName() == "panic" {
		panic("as asked")
	}
	if rule.GetName() == "secret" {
		return nil, &internalError{}
	}
	rule.Id = 7
	if r.GetBefore() != "" {
		rule.Name += " before " + r.GetBefore()
	}
	return rule, nil
}

type internalError struct{}

func (*internalError) Error() string { return "pq: password authentication failed for user ngfw" }

func (f *fakeFirewall) OrderRules(_ context.Context, r *ngfwv1.OrderRulesRequest) (*ngfwv1.ListRulesResponse, error) {
	out := &ngfwv1.ListRulesResponse{}
	for _, id := range r.GetRuleIds() {
		out.Rules = append(out.Rules, &ngfwv1.FirewallRule{Id: id})
	}
	return out, nil
}

func (f *fakeFirewall) UpdateRule(_ context.Context, r *ngfwv1.UpdateRuleRequest) (*ngfwv1.FirewallRule, error) {
	rule := r.GetRule()
	rule.Id = r.GetId()
	return rule, nil
}

func (f *fakeFirewall) DeleteRule(context.Context, *ngfwv1.DeleteRuleRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (f *fakeFirewall) ListZones(context.Context, *ngfwv1.ListZonesRequest) (*ngfwv1.ListZonesResponse, error) {
	return &ngfwv1.ListZonesResponse{Zones: []*ngfwv1.Zone{{Id: 1, Name: "LAN"}}}, nil
}

func (f *fakeFirewall) CreateZone(_ context.Context, r *ngfwv1.CreateZoneRequest) (*ngfwv1.Zone, error) {
	return r.GetZone(), nil
}

func (f *fakeFirewall) UpdateZone(_ context.Context, r *ngfwv1.UpdateZoneRequest) (*ngfwv1.Zone, error) {
	z := r.GetZone()
	z.Id = r.GetId()
	return z, nil
}

func (f *fakeFirewall) DeleteZone(context.Context, *ngfwv1.DeleteZoneRequest) (*emptypb.Empty, error) {
	return nil, fault.New(fault.Conflict, "a rule names this zone")
}

func (f *fakeFirewall) ListPolicies(context.Context, *ngfwv1.ListPoliciesRequest) (*ngfwv1.ListPoliciesResponse, error) {
	return &ngfwv1.ListPoliciesResponse{Policies: []*ngfwv1.ZonePolicy{{From: "LAN", To: "WAN", Action: "accept"}}}, nil
}

func (f *fakeFirewall) UpdatePolicies(_ context.Context, r *ngfwv1.UpdatePoliciesRequest) (*ngfwv1.ListPoliciesResponse, error) {
	return &ngfwv1.ListPoliciesResponse{Policies: r.GetPolicies()}, nil
}

type fakeSystem struct {
	ngfwv1.UnimplementedSystemServiceServer
}

func (fakeSystem) Status(context.Context, *ngfwv1.StatusRequest) (*ngfwv1.SystemStatus, error) {
	return &ngfwv1.SystemStatus{Uptime: 1234567, Load: []float64{0.42, 0.38, 0.35}, Firmware: "v2.4.1-stable",
		Interfaces: []*ngfwv1.InterfaceStatus{{Name: "eth0", Status: "up", RxBytes: 847293847234}}}, nil
}

func (fakeSystem) Interfaces(context.Context, *ngfwv1.InterfacesRequest) (*ngfwv1.InterfacesResponse, error) {
	return nil, fault.New(fault.DeviceOffline, "the router is not connected")
}

func (fakeSystem) Hardware(ctx context.Context, _ *ngfwv1.HardwareRequest) (*ngfwv1.Hardware, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// fakeTraffic answers streams from a channel that a test writes to.
type fakeTraffic struct {
	ngfwv1.UnimplementedTrafficServiceServer
	opened chan *liveStream
	left   chan error // why a download without end ended
}

type liveStream struct {
	req    *ngfwv1.StreamLogsRequest
	frames chan *ngfwv1.StreamFrame
	gone   chan struct{}
}

func (t *fakeTraffic) Logs(_ context.Context, r *ngfwv1.LogsRequest) (*ngfwv1.LogsResponse, error) {
	if r.GetLimit() > 500 {
		return nil, fault.Invalid("limit", "at most 500")
	}
	app := strings.Join(r.GetAction(), "+")
	return &ngfwv1.LogsResponse{Total: 1, NextCursor: proto.String("c2"), Logs: []*ngfwv1.LogEntry{
		{Id: "1", DeviceId: r.GetDeviceId(), Timestamp: 1703520000.25, App: &app, Bytes: 847293847234},
	}}, nil
}

func (t *fakeTraffic) TopClients(context.Context, *ngfwv1.TopRequest) (*ngfwv1.TopClientsResponse, error) {
	return &ngfwv1.TopClientsResponse{}, nil
}

func (t *fakeTraffic) Stats(ctx context.Context, _ *ngfwv1.StatsRequest) (*ngfwv1.TrafficStats, error) {
	_ = grpc.SetHeader(ctx, metadata.Pairs("x-data-source", "rollup"))
	return &ngfwv1.TrafficStats{TotalBytes: 1 << 60}, nil
}

// ExportLogs is a file of two chunks, or what the format asks for.
func (t *fakeTraffic) ExportLogs(r *ngfwv1.ExportLogsRequest, out grpc.ServerStreamingServer[ngfwv1.FileChunk]) error {
	if r.GetFormat() == "none" {
		return fault.Invalid("format", "is not one of csv")
	}
	if err := out.Send(&ngfwv1.FileChunk{Name: "rows.csv", ContentType: "text/csv", Data: []byte("a,b\r\n")}); err != nil {
		return err
	}
	switch r.GetFormat() {
	case "broken":
		return fault.New(fault.Unavailable, "the database went away")
	case "endless":
		for {
			if err := out.Send(&ngfwv1.FileChunk{Data: make([]byte, 32<<10)}); err != nil {
				t.left <- out.Context().Err()
				return err
			}
		}
	}
	return out.Send(&ngfwv1.FileChunk{Data: []byte(strings.Join(r.GetAction(), "+") + ",2\r\n")})
}

func (t *fakeTraffic) StreamLogs(r *ngfwv1.StreamLogsRequest, out grpc.ServerStreamingServer[ngfwv1.StreamFrame]) error {
	for _, a := range r.GetFilter().GetAction() {
		if a == "explode" {
			f := fault.Invalid("action", "no such action")
			f.Code = fault.BadRequest
			return f
		}
	}
	if err := out.SendHeader(nil); err != nil {
		return err
	}
	live := &liveStream{req: r, frames: make(chan *ngfwv1.StreamFrame), gone: make(chan struct{})}
	defer close(live.gone)
	select {
	case t.opened <- live:
	case <-out.Context().Done():
		return out.Context().Err()
	}
	for {
		select {
		case f, ok := <-live.frames:
			if !ok {
				return nil
			}
			if err := out.Send(f); err != nil {
				return err
			}
		case <-out.Context().Done():
			return out.Context().Err()
		}
	}
}

type fakeOperations struct {
	ngfwv1.UnimplementedOperationServiceServer
}

type fakeIDS struct {
	ngfwv1.UnimplementedIDSServiceServer
}
