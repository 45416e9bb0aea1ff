package api_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ngfw.sh/cloud/api"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// A client that asks on and on and reads nothing loses its connection.
func TestAnswersThatNobodyTakes(t *testing.T) {
	r := start(t, func(c *api.Config) {
		c.RequestTimeout, c.BodyTimeout, c.StreamStall = 100*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	request := []byte(strings.Repeat("GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", 100))
	for {
		if _, err := conn.Write(request); err != nil {
			if e, ok := err.(net.Error); ok && e.Timeout() {
				t.Error("the connection is kept")
			}
			return
		}
	}
}

// What comes before anybody has said who it is takes little memory.
func TestGRPCBoundsStrangers(t *testing.T) {
	r := start(t, nil)
	client := ngfwv1.NewFirewallServiceClient(r.grpc())
	for token, want := range map[string]codes.Code{"nobody": codes.Unauthenticated, "owner": codes.ResourceExhausted} {
		_, err := client.CreateRule(as(token), &ngfwv1.CreateRuleRequest{Rule: &ngfwv1.FirewallRule{Name: strings.Repeat("x", 3<<20)}})
		if status.Code(err) != want {
			t.Errorf("message of 3 MiB of %s: %v", token, err)
		}
	}
	_, err := client.ListRules(as("nobody", "x-request-id", strings.Repeat("x", 256<<10)), &ngfwv1.ListRulesRequest{})
	if err == nil || status.Code(err) == codes.Unauthenticated {
		t.Errorf("header of 256 KiB: %v", err)
	}
}
