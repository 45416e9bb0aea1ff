package cloud

import (
	"context"
	"sync/atomic"

	"ngfw.sh/analytics"
	"ngfw.sh/cloud/devicelink"
	"ngfw.sh/cloud/fleet"
	"ngfw.sh/cloud/system"
	"ngfw.sh/cloud/traffic"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// The parts know each other only by the interfaces they declare; what does not
// fit as it is fits through the adapters here.

// links are the routers' connections. The services exist before the server that
// holds them, and without one in a command beside it.
type links struct {
	server atomic.Pointer[devicelink.Server]
}

func (l *links) Disconnect(deviceID string) {
	if s := l.server.Load(); s != nil {
		s.Disconnect(deviceID)
	}
}

func (l *links) Wanted(deviceID string) {
	if s := l.server.Load(); s != nil {
		s.Wanted(deviceID)
	}
}

func (l *links) Ask(ctx context.Context, deviceID string, request *ngfwv1.CloudMessage) (*ngfwv1.AgentMessage, error) {
	if s := l.server.Load(); s != nil {
		return s.Ask(ctx, deviceID, request)
	}
	return nil, fault.New(fault.DeviceOffline, "the router is not connected")
}

// keys is fleet as the link knows it.
type keys struct{ *fleet.Service }

func (k keys) AuthenticateDevice(ctx context.Context, apiKey string) (devicelink.Device, error) {
	d, err := k.Service.AuthenticateDevice(ctx, apiKey)
	return devicelink.Device(d), err
}

// reports is system as the link knows it.
type reports struct{ *system.Reports }

func (r reports) Connected(ctx context.Context, deviceID string, h devicelink.Hello) error {
	return r.Reports.Connected(ctx, deviceID, system.Hello(h))
}

// ingest is analytics as the link knows it.
type ingest struct {
	*analytics.DB
	plans traffic.Config
}

func (i ingest) Store(ctx context.Context, orgID, deviceID, plan string, b *ngfwv1.FlowBatch) error {
	return i.DB.Store(ctx, analytics.Origin{OrgID: orgID, DeviceID: deviceID, RetentionDays: i.plans.DaysOf(plan)}, b)
}

// record is analytics as the traffic service knows it.
type record struct{ db *analytics.DB }

func (r record) Logs(ctx context.Context, s traffic.Scope, req *ngfwv1.LogsRequest) (*ngfwv1.LogsResponse, error) {
	q, err := analytics.ParseLogs(req)
	if err != nil {
		return nil, err
	}
	q.RetentionDays = s.RetentionDays
	return r.db.Logs(ctx, s.OrgID, q)
}

func (r record) TopClients(ctx context.Context, s traffic.Scope, req *ngfwv1.TopRequest) ([]*ngfwv1.TopClient, error) {
	q, err := analytics.ParseTop(req)
	if err != nil {
		return nil, err
	}
	q.RetentionDays = s.RetentionDays
	return r.db.TopClients(ctx, s.OrgID, q)
}

func (r record) Subscribe(_ context.Context, s traffic.Scope, filter *ngfwv1.LogsRequest, cursor string) (traffic.Subscription, error) {
	q, err := analytics.ParseLogs(filter)
	if err != nil {
		return nil, err
	}
	return r.db.Subscribe(s.OrgID, q, cursor)
}
