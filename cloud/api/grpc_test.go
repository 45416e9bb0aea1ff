package api_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"ngfw.sh/cloud/api"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func (r *running) grpc() *grpc.ClientConn {
	r.t.Helper()
	conn, err := grpc.NewClient(r.server.GRPCAddr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return conn
}

func as(token string, pairs ...string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), append(pairs, "authorization", "Bearer "+token)...)
}

// reason is the API's code in a status.
func reason(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

func TestGRPCTakesTheSameChain(t *testing.T) {
	r := start(t, func(c *api.Config) { c.Limits.Other = 3 })
	rules := ngfwv1.NewFirewallServiceClient(r.grpc())
	var header metadata.MD
	out, err := rules.ListRules(as("owner", "x-request-id", "mine"), &ngfwv1.ListRulesRequest{}, grpc.Header(&header))
	if err != nil || out.GetRules()[0].GetHitBytes() != 9007199254740993 {
		t.Fatalf("%v, %v", out, err)
	}
	if got := strings.Join(append(header.Get("x-request-id"), header.Get("x-ratelimit-remaining")...), " "); got != "mine 2" {
		t.Errorf("header %v", header)
	}
	if len(header.Get("ngfw-user")) > 0 {
		t.Error("the front's metadata is shown outside")
	}
	if got := r.firewall.devices; len(got) != 1 || got[0] != "dev1" {
		t.Errorf("for the devices %v", got)
	}
	// REST and gRPC draw on one limit.
	r.do("GET", "/api/firewall/rules", "")
	r.do("GET", "/api/firewall/rules", "")
	_, err = rules.ListRules(as("owner"), &ngfwv1.ListRulesRequest{}, grpc.Header(&header))
	if status.Code(err) != codes.ResourceExhausted || reason(err) != "RATE_LIMIT" || len(header.Get("retry-after")) == 0 {
		t.Errorf("%v %s %v", err, reason(err), header)
	}
	for name, c := range map[string]struct {
		ctx    context.Context
		call   func(context.Context) error
		code   codes.Code
		reason string
	}{
		"no token": {context.Background(), func(ctx context.Context) error {
			_, err := rules.ListZones(ctx, &ngfwv1.ListZonesRequest{})
			return err
		}, codes.Unauthenticated, "UNAUTHORIZED"},
		"scope": {as("reader"), func(ctx context.Context) error {
			_, err := rules.DeleteRule(ctx, &ngfwv1.DeleteRuleRequest{Id: 1})
			return err
		}, codes.PermissionDenied, "FORBIDDEN"},
		"foreign router in the message": {as("owner"), func(ctx context.Context) error {
			_, err := rules.ListZones(ctx, &ngfwv1.ListZonesRequest{DeviceId: "foreign"})
			return err
		}, codes.PermissionDenied, "FORBIDDEN"},
		"the front's words are not believed": {as("owner", "ngfw-inward-bin", `{"Authorization":"Bearer owner","Fault":"CAM="}`), func(ctx context.Context) error {
			_, err := rules.DeleteZone(ctx, &ngfwv1.DeleteZoneRequest{Id: 1})
			return err
		}, codes.AlreadyExists, "CONFLICT"},
		"panic": {as("owner"), func(ctx context.Context) error {
			_, err := rules.CreateRule(ctx, &ngfwv1.CreateRuleRequest{Rule: &ngfwv1.FirewallRule{Name: "panic"}})
			return err
		}, codes.Internal, "INTERNAL_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.call(c.ctx); status.Code(err) != c.code || reason(err) != c.reason {
				t.Errorf("%v (%s)", err, reason(err))
			}
		})
	}
	if m := r.do("GET", "/metrics", "").body; !strings.Contains(m, `ngfw_api_requests_total{method="gRPC",pattern="/ngfw.v1.FirewallService/ListZones",status="Unauthenticated"} 1`) {
		t.Error("not counted")
	}
}

func TestGRPCStream(t *testing.T) {
	r := start(t, func(c *api.Config) { c.Recheck = 10 * time.Millisecond; c.Limits.Streams = 1 })
	client := ngfwv1.NewTrafficServiceClient(r.grpc())
	stream, err := client.StreamLogs(as("reader"), &ngfwv1.StreamLogsRequest{Filter: &ngfwv1.LogsRequest{DeviceId: "dev1"}})
	if err != nil {
		t.Fatal(err)
	}
	live := r.next()
	second, err := client.StreamLogs(as("reader"), &ngfwv1.StreamLogsRequest{})
	if err == nil {
		_, err = second.Recv()
	}
	if reason(err) != "RATE_LIMIT" {
		t.Errorf("a second stream: %v", err)
	}
	live.frames <- &ngfwv1.StreamFrame{Type: "log", Cursor: "c1"}
	if f, err := stream.Recv(); err != nil || f.GetCursor() != "c1" {
		t.Errorf("%v, %v", f, err)
	}
	r.tokens.revoke("reader")
	if _, err := stream.Recv(); reason(err) != "UNAUTHORIZED" {
		t.Errorf("after the revocation: %v", err)
	}
	await(t, "the end of the call", live.gone)
}

// Agents come without a user's token, and only where they should.
func TestLinkIsPublicOutsideAlone(t *testing.T) {
	r := start(t, nil)
	link, err := ngfwv1.NewLinkServiceClient(r.grpc()).Connect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := link.Send(&ngfwv1.AgentMessage{Id: "m1"}); err != nil {
		t.Fatal(err)
	}
	if m, err := link.Recv(); err != nil || m.GetId() != "m1" || !m.GetAuthOk().GetSuccess() {
		t.Errorf("%v, %v", m, err)
	}
}
