package cloud

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"ngfw.sh/analytics"
	"ngfw.sh/cloud/alert"
	"ngfw.sh/cloud/devicelink"
	"ngfw.sh/cloud/dns"
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

func (i ingest) Store(ctx context.Context, orgID, deviceID, plan string, batches []*ngfwv1.FlowBatch) (int, error) {
	return i.DB.StoreAll(ctx, analytics.Origin{OrgID: orgID, DeviceID: deviceID, RetentionDays: i.plans.DaysOf(plan)}, batches)
}

func (i ingest) Show(orgID, deviceID, plan string, b *ngfwv1.FlowBatch) {
	i.DB.Show(analytics.Origin{OrgID: orgID, DeviceID: deviceID, RetentionDays: i.plans.DaysOf(plan)}, b)
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

func (r record) Stats(ctx context.Context, s traffic.Scope, req *ngfwv1.StatsRequest) (*ngfwv1.TrafficStats, string, error) {
	q, err := analytics.ParseStats(req)
	if err != nil {
		return nil, "", err
	}
	q.RetentionDays = s.RetentionDays
	stats, source, err := r.db.Stats(ctx, s.OrgID, q)
	return stats, string(source), err
}

func (r record) TopClients(ctx context.Context, s traffic.Scope, req *ngfwv1.TopRequest) ([]*ngfwv1.TopClient, string, error) {
	return top(ctx, s, req, r.db.TopClients)
}

func (r record) TopDestinations(ctx context.Context, s traffic.Scope, req *ngfwv1.TopRequest) ([]*ngfwv1.TopDestination, string, error) {
	return top(ctx, s, req, r.db.TopDestinations)
}

func (r record) TopApplications(ctx context.Context, s traffic.Scope, req *ngfwv1.TopRequest) ([]*ngfwv1.TopApplication, string, error) {
	return top(ctx, s, req, r.db.TopApplications)
}

func (r record) TopCountries(ctx context.Context, s traffic.Scope, req *ngfwv1.TopRequest) ([]*ngfwv1.TopCountry, string, error) {
	return top(ctx, s, req, r.db.TopCountries)
}

func (r record) TopRules(ctx context.Context, s traffic.Scope, req *ngfwv1.TopRequest) ([]*ngfwv1.TopRule, string, error) {
	return top(ctx, s, req, r.db.TopRules)
}

func (r record) TopThreats(ctx context.Context, s traffic.Scope, req *ngfwv1.TopRequest) ([]*ngfwv1.TopThreat, string, error) {
	return top(ctx, s, req, r.db.TopThreats)
}

func top[M any](ctx context.Context, s traffic.Scope, req *ngfwv1.TopRequest,
	ask func(context.Context, string, analytics.TopQuery) ([]M, analytics.Source, error),
) ([]M, string, error) {
	q, err := analytics.ParseTop(req)
	if err != nil {
		return nil, "", err
	}
	q.RetentionDays = s.RetentionDays
	list, source, err := ask(ctx, s.OrgID, q)
	return list, string(source), err
}

func (r record) Export(ctx context.Context, s traffic.Scope, req *ngfwv1.ExportLogsRequest, begin func(name, contentType string) io.Writer) error {
	q, err := analytics.ParseExport(req)
	if err != nil {
		return err
	}
	q.RetentionDays = s.RetentionDays
	return r.db.Export(ctx, s.OrgID, q, func() io.Writer { return begin(q.Name(time.Now()), q.ContentType()) })
}

func (r record) Find(ctx context.Context, s traffic.Scope, id string) (*ngfwv1.LogEntry, error) {
	return r.db.Find(ctx, s.OrgID, s.RetentionDays, id)
}

func (r record) Subscribe(_ context.Context, s traffic.Scope, filter *ngfwv1.LogsRequest, cursor string) (traffic.Subscription, error) {
	q, err := analytics.ParseLogs(filter)
	if err != nil {
		return nil, err
	}
	return r.db.Subscribe(s.OrgID, q, cursor)
}

// alerts is analytics as the alert service knows it.
type alerts struct{ db *analytics.DB }

func (a alerts) Alerts(ctx context.Context, s alert.Scope, req *ngfwv1.AlertsRequest) (*ngfwv1.AlertsResponse, error) {
	q, err := analytics.ParseAlerts(req)
	if err != nil {
		return nil, err
	}
	q.RetentionDays = s.RetentionDays
	return a.db.Alerts(ctx, s.OrgID, q)
}

func (a alerts) Stats(ctx context.Context, s alert.Scope, req *ngfwv1.AlertStatsRequest) (*ngfwv1.AlertStats, error) {
	q, err := analytics.ParseAlertStats(req)
	if err != nil {
		return nil, err
	}
	q.RetentionDays = s.RetentionDays
	return a.db.AlertStats(ctx, s.OrgID, q)
}

func (a alerts) Subscribe(_ context.Context, s alert.Scope, filter *ngfwv1.AlertsRequest, cursor string) (alert.Subscription, error) {
	q, err := analytics.ParseAlerts(filter)
	if err != nil {
		return nil, err
	}
	return a.db.SubscribeAlerts(s.OrgID, q, cursor)
}

// dnsHistory is analytics as the service of DNS queries knows it.
type dnsHistory struct{ db *analytics.DB }

func (h dnsHistory) Queries(ctx context.Context, s dns.Scope, req *ngfwv1.DnsQueriesRequest) (*ngfwv1.DnsQueriesResponse, error) {
	q, err := analytics.ParseDNSQueries(req)
	if err != nil {
		return nil, err
	}
	q.RetentionDays = s.RetentionDays
	return h.db.DNSQueries(ctx, s.OrgID, q)
}

func (h dnsHistory) Stats(ctx context.Context, s dns.Scope, req *ngfwv1.DnsStatsRequest) (*ngfwv1.DnsStats, error) {
	q, err := analytics.ParseDNSStats(req)
	if err != nil {
		return nil, err
	}
	q.RetentionDays = s.RetentionDays
	return h.db.DNSStats(ctx, s.OrgID, q)
}
