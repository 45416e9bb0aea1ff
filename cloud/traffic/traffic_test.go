package traffic_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/traffic"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// devices belongs to organisation a.
type devices struct{}

func (devices) Resolve(_ context.Context, c identity.Caller, id string) (string, error) {
	switch {
	case id != "dev_a":
		return "", fault.New(fault.NotFound, "no such device")
	case c.OrgID != "a":
		return "", fault.New(fault.Forbidden, "not yours")
	}
	return id, nil
}

// log records what was asked of it.
type log struct {
	scopes []traffic.Scope
	frames []*ngfwv1.StreamFrame
	closed bool
	refuse error
}

func (l *log) Logs(_ context.Context, s traffic.Scope, _ *ngfwv1.LogsRequest) (*ngfwv1.LogsResponse, error) {
	l.scopes = append(l.scopes, s)
	return &ngfwv1.LogsResponse{Total: 1}, nil
}

func (l *log) Stats(_ context.Context, s traffic.Scope, _ *ngfwv1.StatsRequest) (*ngfwv1.TrafficStats, string, error) {
	l.scopes = append(l.scopes, s)
	return &ngfwv1.TrafficStats{}, "rollup", nil
}

func (l *log) TopClients(_ context.Context, s traffic.Scope, _ *ngfwv1.TopRequest) ([]*ngfwv1.TopClient, string, error) {
	l.scopes = append(l.scopes, s)
	return []*ngfwv1.TopClient{{}}, "rollup", nil
}

func (l *log) TopDestinations(_ context.Context, s traffic.Scope, _ *ngfwv1.TopRequest) ([]*ngfwv1.TopDestination, string, error) {
	l.scopes = append(l.scopes, s)
	return []*ngfwv1.TopDestination{{}}, "rollup", nil
}

func (l *log) TopApplications(_ context.Context, s traffic.Scope, _ *ngfwv1.TopRequest) ([]*ngfwv1.TopApplication, string, error) {
	l.scopes = append(l.scopes, s)
	return []*ngfwv1.TopApplication{{}}, "rollup", nil
}

func (l *log) TopCountries(_ context.Context, s traffic.Scope, _ *ngfwv1.TopRequest) ([]*ngfwv1.TopCountry, string, error) {
	l.scopes = append(l.scopes, s)
	return []*ngfwv1.TopCountry{{}}, "rollup", nil
}

func (l *log) TopRules(_ context.Context, s traffic.Scope, _ *ngfwv1.TopRequest) ([]*ngfwv1.TopRule, string, error) {
	l.scopes = append(l.scopes, s)
	return []*ngfwv1.TopRule{{}}, "rollup", nil
}

func (l *log) TopThreats(_ context.Context, s traffic.Scope, _ *ngfwv1.TopRequest) ([]*ngfwv1.TopThreat, string, error) {
	l.scopes = append(l.scopes, s)
	return []*ngfwv1.TopThreat{{}}, "rollup", nil
}

func (l *log) Export(_ context.Context, s traffic.Scope, _ *ngfwv1.ExportLogsRequest, begin func(name, contentType string) io.Writer) error {
	l.scopes = append(l.scopes, s)
	if l.refuse != nil {
		return l.refuse
	}
	w := begin("rows.csv", "text/csv")
	for range 3 {
		if _, err := w.Write(make([]byte, 300<<10)); err != nil {
			return err
		}
	}
	return nil
}

func (l *log) Find(_ context.Context, s traffic.Scope, id string) (*ngfwv1.LogEntry, error) {
	l.scopes = append(l.scopes, s)
	if id != "row" {
		return nil, fault.New(fault.NotFound, "no such row")
	}
	return &ngfwv1.LogEntry{Id: id, PolicyRevision: 4}, nil
}

// policies explain a row by its revision.
type policies struct{}

func (policies) Explain(_ context.Context, e *ngfwv1.LogEntry) (*ngfwv1.LogExplanation, error) {
	return &ngfwv1.LogExplanation{Revision: e.PolicyRevision}, nil
}

func (l *log) Subscribe(_ context.Context, s traffic.Scope, _ *ngfwv1.LogsRequest, _ string) (traffic.Subscription, error) {
	l.scopes = append(l.scopes, s)
	return l, nil
}

func (l *log) Next(context.Context) (*ngfwv1.StreamFrame, error) {
	if len(l.frames) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	f := l.frames[0]
	l.frames = l.frames[1:]
	return f, nil
}

func (l *log) Bundle(context.Context) (*ngfwv1.StreamFrame, error) {
	if len(l.frames) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	f := &ngfwv1.StreamFrame{Type: "bundle", Bundle: l.frames}
	l.frames = nil
	return f, nil
}

func (l *log) Close() { l.closed = true }

// stream is the caller's end.
type stream struct {
	grpc.ServerStream
	ctx    context.Context
	opened bool
	sent   []*ngfwv1.StreamFrame
}

func (s *stream) Context() context.Context { return s.ctx }
func (s *stream) SendHeader(metadata.MD) error {
	s.opened = true
	return nil
}
func (s *stream) Send(f *ngfwv1.StreamFrame) error {
	s.sent = append(s.sent, f)
	return nil
}

// download is the caller's end of a file.
type download struct {
	grpc.ServerStream
	ctx    context.Context
	chunks []*ngfwv1.FileChunk
	gone   int // after so many chunks; 0: never
}

func (d *download) Context() context.Context { return d.ctx }
func (d *download) Send(c *ngfwv1.FileChunk) error {
	if d.gone > 0 && len(d.chunks) == d.gone {
		return io.ErrClosedPipe
	}
	d.chunks = append(d.chunks, c)
	return nil
}

// calls are all operations for a device.
func calls(s *traffic.Service) map[string]func(ctx context.Context, device string) error {
	return map[string]func(context.Context, string) error{
		"Logs": func(ctx context.Context, device string) error {
			_, err := s.Logs(ctx, &ngfwv1.LogsRequest{DeviceId: device})
			return err
		},
		"TopClients": func(ctx context.Context, device string) error {
			_, err := s.TopClients(ctx, &ngfwv1.TopRequest{DeviceId: device})
			return err
		},
		"TopDestinations": func(ctx context.Context, device string) error {
			_, err := s.TopDestinations(ctx, &ngfwv1.TopRequest{DeviceId: device})
			return err
		},
		"TopApplications": func(ctx context.Context, device string) error {
			_, err := s.TopApplications(ctx, &ngfwv1.TopRequest{DeviceId: device})
			return err
		},
		"TopCountries": func(ctx context.Context, device string) error {
			_, err := s.TopCountries(ctx, &ngfwv1.TopRequest{DeviceId: device})
			return err
		},
		"TopRules": func(ctx context.Context, device string) error {
			_, err := s.TopRules(ctx, &ngfwv1.TopRequest{DeviceId: device})
			return err
		},
		"TopThreats": func(ctx context.Context, device string) error {
			_, err := s.TopThreats(ctx, &ngfwv1.TopRequest{DeviceId: device})
			return err
		},
		"Stats": func(ctx context.Context, device string) error {
			_, err := s.Stats(ctx, &ngfwv1.StatsRequest{DeviceId: device})
			return err
		},
		"ExportLogs": func(ctx context.Context, device string) error {
			return s.ExportLogs(&ngfwv1.ExportLogsRequest{DeviceId: device}, &download{ctx: ctx})
		},
		"StreamLogs": func(ctx context.Context, device string) error {
			return s.StreamLogs(&ngfwv1.StreamLogsRequest{Filter: &ngfwv1.LogsRequest{DeviceId: device}}, &stream{ctx: ctx})
		},
	}
}

func as(org, plan string) context.Context {
	return identity.With(context.Background(), identity.Caller{OrgID: org, Plan: plan})
}

func TestScope(t *testing.T) {
	for plan, days := range map[string]int{"starter": 1, "pro": 7, "business": 30, "business_plus": 90, "free": 1, "": 1} {
		l := &log{}
		s := traffic.New(traffic.DefaultConfig(), traffic.Deps{Log: l, Devices: devices{}, Policies: policies{}})
		for name, call := range calls(s) {
			for _, device := range []string{"", "dev_a"} {
				l.scopes = nil
				if err := call(as("a", plan), device); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%s: %v", name, err)
				}
				if want := (traffic.Scope{OrgID: "a", RetentionDays: days}); len(l.scopes) != 1 || l.scopes[0] != want {
					t.Errorf("%s on %q: asked for %v, want %v", name, plan, l.scopes, want)
				}
			}
		}
	}
}

func TestOthersSeeNothing(t *testing.T) {
	l := &log{}
	s := traffic.New(traffic.DefaultConfig(), traffic.Deps{Log: l, Devices: devices{}, Policies: policies{}})
	for name, call := range calls(s) {
		if err := call(as("b", "pro"), "dev_a"); !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s of another organisation's device: %v", name, err)
		}
		if err := call(as("b", "pro"), "dev_x"); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s of an unknown device: %v", name, err)
		}
		if err := call(context.Background(), ""); !fault.Is(err, fault.Unauthorized) {
			t.Errorf("%s without a caller: %v", name, err)
		}
	}
	if len(l.scopes) != 0 {
		t.Errorf("asked for %v", l.scopes)
	}
}

func TestStream(t *testing.T) {
	l := &log{frames: []*ngfwv1.StreamFrame{{Type: "log", Cursor: "1"}, {Type: "dropped", Count: 2}}}
	s := traffic.New(traffic.DefaultConfig(), traffic.Deps{Log: l, Devices: devices{}, Policies: policies{}})
	to := &stream{ctx: as("a", "pro")}
	if err := s.StreamLogs(&ngfwv1.StreamLogsRequest{}, to); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if !to.opened || len(to.sent) != 2 || to.sent[0].Cursor != "1" || !l.closed {
		t.Errorf("%v, closed %v", to.sent, l.closed)
	}
}

func TestExport(t *testing.T) {
	s := traffic.New(traffic.DefaultConfig(), traffic.Deps{Log: &log{}, Devices: devices{}})
	to := &download{ctx: as("a", "pro")}
	if err := s.ExportLogs(&ngfwv1.ExportLogsRequest{}, to); err != nil {
		t.Fatal(err)
	}
	n := 0
	for i, c := range to.chunks {
		n += len(c.Data)
		if (c.Name != "") != (i == 0) || len(c.Data) > 256<<10 {
			t.Errorf("chunk %d: named %q, %d bytes", i, c.Name, len(c.Data))
		}
	}
	if n != 3*300<<10 || to.chunks[0].ContentType != "text/csv" {
		t.Errorf("%d bytes, %v", n, to.chunks[0])
	}
	for gone := range 3 {
		if err := s.ExportLogs(&ngfwv1.ExportLogsRequest{}, &download{ctx: as("a", "pro"), gone: gone + 1}); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("gone after %d chunks: %v", gone+1, err)
		}
	}
	refused := traffic.New(traffic.DefaultConfig(), traffic.Deps{Log: &log{refuse: fault.Invalid("format", "is none")}, Devices: devices{}})
	to = &download{ctx: as("a", "pro")}
	if err := refused.ExportLogs(&ngfwv1.ExportLogsRequest{}, to); !fault.Is(err, fault.InvalidConfig) || len(to.chunks) != 0 {
		t.Errorf("%v, %d chunks", err, len(to.chunks))
	}
}

func TestExplain(t *testing.T) {
	l := &log{}
	s := traffic.New(traffic.DefaultConfig(), traffic.Deps{Log: l, Devices: devices{}, Policies: policies{}})
	e, err := s.ExplainLog(as("a", "pro"), &ngfwv1.ExplainLogRequest{Id: "row"})
	if err != nil || e.Revision != 4 || len(l.scopes) != 1 || l.scopes[0] != (traffic.Scope{OrgID: "a", RetentionDays: 7}) {
		t.Errorf("%v, %v, scopes %v", e, err, l.scopes)
	}
	if _, err := s.ExplainLog(as("a", "pro"), &ngfwv1.ExplainLogRequest{Id: "other"}); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}
