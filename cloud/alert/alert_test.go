package alert_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"ngfw.sh/cloud/alert"
	"ngfw.sh/cloud/identity"
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

// history records what was asked of it.
type history struct {
	scopes []alert.Scope
	closed bool
}

func (h *history) Alerts(_ context.Context, s alert.Scope, _ *ngfwv1.AlertsRequest) (*ngfwv1.AlertsResponse, error) {
	h.scopes = append(h.scopes, s)
	return &ngfwv1.AlertsResponse{Total: 1}, nil
}

func (h *history) Stats(_ context.Context, s alert.Scope, _ *ngfwv1.AlertStatsRequest) (*ngfwv1.AlertStats, error) {
	h.scopes = append(h.scopes, s)
	return &ngfwv1.AlertStats{Total: 1}, nil
}

var errEnd = errors.New("the end")

func (h *history) Subscribe(_ context.Context, s alert.Scope, _ *ngfwv1.AlertsRequest, _ string) (alert.Subscription, error) {
	h.scopes = append(h.scopes, s)
	return h, nil
}

func (h *history) Next(context.Context) (*ngfwv1.StreamFrame, error) { return nil, errEnd }
func (h *history) Close()                                            { h.closed = true }

type stream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s stream) Context() context.Context       { return s.ctx }
func (s stream) SendHeader(metadata.MD) error   { return nil }
func (s stream) Send(*ngfwv1.StreamFrame) error { return nil }

func TestScope(t *testing.T) {
	h := &history{}
	s := alert.New(alert.Deps{History: h, Devices: devices{}, RetentionDays: func(plan string) int { return map[string]int{"pro": 7}[plan] }})
	calls := map[string]func(context.Context, string) error{
		"alerts": func(ctx context.Context, device string) error {
			_, err := s.Alerts(ctx, &ngfwv1.AlertsRequest{DeviceId: device})
			return err
		},
		"stats": func(ctx context.Context, device string) error {
			_, err := s.Stats(ctx, &ngfwv1.AlertStatsRequest{DeviceId: device})
			return err
		},
		"stream": func(ctx context.Context, device string) error {
			err := s.StreamAlerts(&ngfwv1.StreamAlertsRequest{Filter: &ngfwv1.AlertsRequest{DeviceId: device}}, stream{ctx: ctx})
			if errors.Is(err, errEnd) && h.closed {
				h.closed, err = false, nil
			}
			return err
		},
	}
	a := identity.With(t.Context(), identity.Caller{OrgID: "a", Plan: "pro"})
	b := identity.With(t.Context(), identity.Caller{OrgID: "b", Plan: "pro"})
	for name, call := range calls {
		h.scopes = nil
		for _, device := range []string{"", "dev_a"} {
			if err := call(a, device); err != nil {
				t.Errorf("%s of %q: %v", name, device, err)
			}
		}
		if d := cmp.Diff([]alert.Scope{{"a", 7}, {"a", 7}}, h.scopes); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if err := call(b, "dev_a"); !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s of another's device: %v", name, err)
		}
		if err := call(a, "dev_x"); !fault.Is(err, fault.NotFound) {
			t.Errorf("%s of no device: %v", name, err)
		}
		if err := call(t.Context(), ""); !fault.Is(err, fault.Unauthorized) {
			t.Errorf("%s by nobody: %v", name, err)
		}
		if len(h.scopes) != 2 {
			t.Errorf("%s: what was refused was asked for", name)
		}
	}
}
