package domaintest

import (
	"context"
	"net"
	"strconv"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	"ngfw.sh/cloud/firewall"
	"ngfw.sh/cloud/identity"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// TestWritesTellTheirVersion: every write answers the version that holds it.
func TestWritesTellTheirVersion(t *testing.T) {
	p, _ := newProcess(t)
	device := p.register(t, "a", "edge").Id
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		caller, _ := identity.From(as("a"))
		return handle(identity.With(ctx, caller), req)
	}))
	ngfwv1.RegisterFirewallServiceServer(server, p.firewall)
	go server.Serve(listener)
	defer server.Stop()
	conn, err := grpc.NewClient("passthrough:///domain", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := ngfwv1.NewFirewallServiceClient(conn)
	ctx := context.Background()

	writes := []struct {
		name  string
		write func(grpc.CallOption) error
	}{
		{"CreateRule", func(o grpc.CallOption) error {
			_, err := c.CreateRule(ctx, &ngfwv1.CreateRuleRequest{Rule: rule("one", "LAN", "WAN", "drop")}, o)
			return err
		}},
		{"CreateRule", func(o grpc.CallOption) error {
			_, err := c.CreateRule(ctx, &ngfwv1.CreateRuleRequest{Rule: rule("two", "LAN", "WAN", "drop")}, o)
			return err
		}},
		{"UpdateRule", func(o grpc.CallOption) error {
			_, err := c.UpdateRule(ctx, &ngfwv1.UpdateRuleRequest{Id: 1, Rule: rule("uno", "LAN", "WAN", "drop")}, o)
			return err
		}},
		{"OrderRules", func(o grpc.CallOption) error {
			_, err := c.OrderRules(ctx, &ngfwv1.OrderRulesRequest{RuleIds: []int64{2, 1}}, o)
			return err
		}},
		{"DeleteRule", func(o grpc.CallOption) error {
			_, err := c.DeleteRule(ctx, &ngfwv1.DeleteRuleRequest{Id: 1}, o)
			return err
		}},
		{"CreateZone", func(o grpc.CallOption) error {
			_, err := c.CreateZone(ctx, &ngfwv1.CreateZoneRequest{Zone: &ngfwv1.Zone{Name: "LAB"}}, o)
			return err
		}},
		{"UpdateZone", func(o grpc.CallOption) error {
			_, err := c.UpdateZone(ctx, &ngfwv1.UpdateZoneRequest{Id: 8, Zone: &ngfwv1.Zone{Interfaces: []string{"eth5"}}}, o)
			return err
		}},
		{"DeleteZone", func(o grpc.CallOption) error {
			_, err := c.DeleteZone(ctx, &ngfwv1.DeleteZoneRequest{Id: 8}, o)
			return err
		}},
		{"CreateGroup", func(o grpc.CallOption) error {
			_, err := c.CreateGroup(ctx, &ngfwv1.CreateGroupRequest{Group: &ngfwv1.Group{Name: "g", Type: "port", Members: []string{"1"}}}, o)
			return err
		}},
		{"UpdateGroup", func(o grpc.CallOption) error {
			_, err := c.UpdateGroup(ctx, &ngfwv1.UpdateGroupRequest{Id: 1, Group: &ngfwv1.Group{Name: "h", Type: "port"}}, o)
			return err
		}},
		{"DeleteGroup", func(o grpc.CallOption) error {
			_, err := c.DeleteGroup(ctx, &ngfwv1.DeleteGroupRequest{Id: 1}, o)
			return err
		}},
		{"UpdatePolicies", func(o grpc.CallOption) error {
			_, err := c.UpdatePolicies(ctx, &ngfwv1.UpdatePoliciesRequest{}, o)
			return err
		}},
	}
	for _, w := range writes {
		before := p.version(t, device)
		var header metadata.MD
		if err := w.write(grpc.Header(&header)); err != nil {
			t.Fatalf("%s: %v", w.name, err)
		}
		if now := p.version(t, device); now != before+1 {
			t.Errorf("%s: version %d → %d", w.name, before, now)
		}
		if got := header.Get(firewall.VersionHeader); len(got) != 1 || got[0] != strconv.FormatInt(before+1, 10) {
			t.Errorf("%s: header %v, want %d", w.name, got, before+1)
		}
	}
}
