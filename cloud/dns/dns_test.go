package dns_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/cloud/dns"
	"ngfw.sh/cloud/identity"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

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

type history struct{ scopes []dns.Scope }

func (h *history) Queries(_ context.Context, s dns.Scope, _ *ngfwv1.DnsQueriesRequest) (*ngfwv1.DnsQueriesResponse, error) {
	h.scopes = append(h.scopes, s)
	return &ngfwv1.DnsQueriesResponse{}, nil
}

func (h *history) Stats(_ context.Context, s dns.Scope, _ *ngfwv1.DnsStatsRequest) (*ngfwv1.DnsStats, error) {
	h.scopes = append(h.scopes, s)
	return &ngfwv1.DnsStats{}, nil
}

func TestScope(t *testing.T) {
	h := &history{}
	s := dns.New(dns.Deps{History: h, Devices: devices{}, RetentionDays: func(plan string) int { return map[string]int{"pro": 7}[plan] }})
	calls := map[string]func(context.Context, string) error{
		"queries": func(ctx context.Context, device string) error {
			_, err := s.Queries(ctx, &ngfwv1.DnsQueriesRequest{DeviceId: device})
			return err
		},
		"stats": func(ctx context.Context, device string) error {
			_, err := s.Stats(ctx, &ngfwv1.DnsStatsRequest{DeviceId: device})
			return err
		},
	}
	a := identity.With(t.Context(), identity.Caller{OrgID: "a", Plan: "pro"})
	b := identity.With(t.Context(), identity.Caller{OrgID: "b", Plan: "pro"})
	for name, call := range calls {
		h.scopes = nil
		for _, c := range []struct {
			ctx    context.Context
			device string
			want   fault.Code
		}{{a, "", ""}, {a, "dev_a", ""}, {b, "dev_a", fault.Forbidden}, {a, "dev_x", fault.NotFound}, {t.Context(), "", fault.Unauthorized}} {
			if err := call(c.ctx, c.device); c.want == "" && err != nil || c.want != "" && !fault.Is(err, c.want) {
				t.Errorf("%s of %q: %v, want %q", name, c.device, err, c.want)
			}
		}
		if d := cmp.Diff([]dns.Scope{{OrgID: "a", RetentionDays: 7}, {OrgID: "a", RetentionDays: 7}}, h.scopes); d != "" {
			t.Errorf("%s: what was asked for (-want +got)\n%s", name, d)
		}
	}
}
