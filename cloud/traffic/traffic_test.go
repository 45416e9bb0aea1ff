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
}

func (l *log) Logs(_ context.Context, s traffic.Scope, _ *ngfwv1.LogsRequest) (*ngfwv1.LogsResponse, error) {
	l.scopes = append(l.scopes, s)
	return &ngfwv1.LogsResponse{Total: 1}, nil
}

func (l *log) TopClients(_ context.Context, s traffic.Scope, _ *ngfwv1.TopRequest) ([]*ngfwv1.TopClient, error) {
	l.scopes = append(l.scopes, s)
	return []*ngfwv1.TopClient{{Ip: "192.0.2.1"}}, nil
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
		s := traffic.New(traffic.DefaultConfig(), traffic.Deps{Log: l, Devices: devices{}})
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
	s := traffic.New(traffic.DefaultConfig(), traffic.Deps{Log: l, Devices: devices{}})
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
	s := traffic.New(traffic.DefaultConfig(), traffic.Deps{Log: l, Devices: devices{}})
	to := &stream{ctx: as("a", "pro")}
	if err := s.StreamLogs(&ngfwv1.StreamLogsRequest{}, to); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if !to.opened || len(to.sent) != 2 || to.sent[0].Cursor != "1" || !l.closed {
		t.Errorf("%v, closed %v", to.sent, l.closed)
	}
}
