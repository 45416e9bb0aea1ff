package api_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Who is asking is found out before a body is read: a stranger's 401 does not wait for
// one that never comes.
func TestStrangersBodiesAreNotRead(t *testing.T) {
	r := start(t, nil)
	for _, header := range []string{"", "Authorization: Bearer wrong\r\n"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil { // less than BodyTimeout
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /api/firewall/rules HTTP/1.1\r\nHost: x\r\n%sContent-Length: 1000000\r\n\r\n", header)
		resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: "POST"})
		if err != nil {
			t.Fatalf("%q: %v", header, err)
		}
		if resp.StatusCode != http.StatusUnauthorized || !resp.Close {
			t.Errorf("%q: %d, close %v", header, resp.StatusCode, resp.Close)
		}
	}
	// What needs no token takes little.
	long := `{"email":"` + strings.Repeat("x", 70<<10) + `"}`
	if a := r.do("POST", "/api/auth/login", long, "Authorization", ""); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d %.100s", a.status, a.body)
	}
	if a := r.do("POST", "/api/firewall/rules", long, "Authorization", "Bearer wrong"); a.status != http.StatusUnauthorized {
		t.Errorf("%d %.100s", a.status, a.body)
	}
}

// The same on the gRPC listener, where a message is otherwise read first.
func TestStrangersMessagesAreNotRead(t *testing.T) {
	r := start(t, nil)
	for name, ctx := range map[string]context.Context{"no token": context.Background(), "a wrong one": as("wrong")} {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		call, err := r.grpc().NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, ngfwv1.FirewallService_UpdatePolicies_FullMethodName)
		if err == nil {
			err = call.RecvMsg(&ngfwv1.ListPoliciesResponse{}) // nothing was sent
		}
		if status.Code(err) != codes.Unauthenticated || reason(err) != "UNAUTHORIZED" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
