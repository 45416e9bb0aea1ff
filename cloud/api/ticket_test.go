package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"ngfw.sh/cloud/api"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func (r *running) ticket(token string) string {
	r.t.Helper()
	a := r.do("POST", "/api/stream/ticket", "{}", "Authorization", "Bearer "+token)
	var out struct {
		Ticket    string
		ExpiresIn int `json:"expires_in"`
	}
	if err := json.Unmarshal([]byte(a.body), &out); err != nil || a.status != 201 || out.ExpiresIn != 60 || out.Ticket == "" {
		r.t.Fatalf("%d %s", a.status, a.body)
	}
	r.contract().AssertMatches(r.t, "POST", "/api/stream/ticket", a.status, []byte(a.body))
	return out.Ticket
}

// browse dials as a browser does: without a header of its own.
func (r *running) browse(query, origin string) (*websocket.Conn, *http.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return websocket.Dial(ctx, strings.Replace(r.url, "http", "ws", 1)+"/api/traffic/logs/stream"+query,
		&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
}

func TestTicketOpensOneStream(t *testing.T) {
	r := start(t, func(c *api.Config) { c.Recheck = 10 * time.Millisecond })
	ticket := r.ticket("owner")
	type dialled struct {
		conn *websocket.Conn
		err  error
	}
	done := make(chan dialled, 1)
	go func() {
		conn, _, err := r.browse("?action=drop&ticket="+ticket, r.url)
		done <- dialled{conn, err}
	}()
	live := r.next()
	d := <-done
	if d.err != nil {
		t.Fatal(d.err)
	}
	defer d.conn.CloseNow()
	if got := live.req.GetFilter().GetAction(); len(got) != 1 || got[0] != "drop" {
		t.Errorf("filter %v", live.req)
	}
	if _, resp, err := r.browse("?ticket="+ticket, r.url); err == nil || resp == nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the ticket again: %v, %v", resp, err)
	}
	// The stream is the token's: it ends with it.
	r.tokens.revoke("owner")
	if code := closeCode(t, d.conn); code != 4401 {
		t.Errorf("closed with %d", code)
	}
	if strings.Contains(r.log.String(), ticket) {
		t.Error("the log holds a ticket")
	}
}

func TestTicketsThatOpenNothing(t *testing.T) {
	r := start(t, nil)
	for name, tc := range map[string]struct {
		query, origin string
		status        int
	}{
		"unknown":           {"?ticket=ngfw_tkt_x", r.url, 401},
		"none":              {"", r.url, 401},
		"page of elsewhere": {"?ticket=" + r.ticket("owner"), "https://evil.example", 403},
		"plan without":      {"?ticket=" + r.ticket("starter"), r.url, 403},
	} {
		_, resp, err := r.browse(tc.query, tc.origin)
		if err == nil || resp == nil || resp.StatusCode != tc.status {
			t.Errorf("%s: %v, %v, want %d", name, resp, err, tc.status)
		}
	}
	// A ticket is for streams alone, and does not come beside a token.
	if a := r.do("GET", "/api/fleet/devices?ticket="+r.ticket("owner"), "", "Authorization", ""); a.status != 401 {
		t.Errorf("a list by ticket: %d", a.status)
	}
	if a := r.do("GET", "/api/traffic/logs/stream?ticket="+r.ticket("owner"), "", "Accept", "text/event-stream"); a.status != 400 || a.failure(t).Field != "ticket" {
		t.Errorf("both: %d %s", a.status, a.body)
	}
	if a := r.do("POST", "/api/stream/ticket", "{}", "Authorization", ""); a.status != 401 {
		t.Errorf("a ticket for nobody: %d", a.status)
	}
}

type plainDashboard struct{}

func (plainDashboard) Has(r *http.Request) bool { return r.URL.Path != "/gone" }
func (plainDashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = w.Write([]byte("page " + r.URL.Path))
}

func TestDashboardIsBesideTheAPI(t *testing.T) {
	r := start(t, nil, func(d *api.Deps) { d.Dashboard = plainDashboard{} })
	for path, want := range map[string]string{"/": "page /", "/firewall/rules": "page /firewall/rules", "/apiary": "page /apiary"} {
		if a := r.do("GET", path, "", "Authorization", ""); a.status != 200 || a.body != want {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	for path, status := range map[string]int{"/api": 404, "/api/": 404, "/api/nothing": 404, "/gone": 404, "/health": 200, "/openapi.json": 200} {
		if a := r.do("GET", path, ""); a.status != status || strings.HasPrefix(a.body, "page") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := r.do("POST", "/firewall/rules", "{}"); a.status != 405 {
		t.Errorf("POST to a page: %d", a.status)
	}
}
