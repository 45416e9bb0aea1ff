package api_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/cloud/api"
	"ngfw.sh/internal/fault"
)

func TestRateLimits(t *testing.T) {
	r := start(t, func(c *api.Config) { c.Limits.Auth, c.Limits.Logs, c.Limits.Other = 2, 3, 4 })
	for _, c := range []struct {
		name, method, path, body, token string
		limit                           int
		policy                          string
	}{
		{"logs", "GET", "/api/traffic/logs", "", "owner", 3, "logs"},
		{"other", "GET", "/api/firewall/rules", "", "owner", 4, "default"},
		{"other, another id of the same endpoint", "DELETE", "/api/firewall/rules/%d", "", "owner", 4, "default"},
		{"other, another token", "GET", "/api/firewall/rules", "", "reader", 4, "default"},
		{"broken requests count", "POST", "/api/firewall/rules", "{", "owner", 4, "default"},
		{"bad path parameters count", "DELETE", "/api/firewall/zones/x", "", "owner", 4, "default"},
		{"auth by address", "POST", "/api/auth/login", `{"password":"right"}`, "", 2, "auth"},
		{"wrong tokens", "GET", "/api/firewall/zones", "", "wrong", 4, "default"},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := "Bearer " + c.token
			if c.token == "" {
				token = ""
			}
			for i := range c.limit {
				a := r.do(c.method, strings.ReplaceAll(c.path, "%d", strconv.Itoa(i+1)), c.body, "Authorization", token)
				if a.status == http.StatusTooManyRequests {
					t.Fatalf("refused the request %d of %d", i+1, c.limit)
				}
				if got, want := a.header.Get("X-RateLimit-Remaining"), strconv.Itoa(c.limit-i-1); got != want {
					t.Errorf("remaining %q after %d, want %s", got, i+1, want)
				}
			}
			before := time.Now()
			a := r.do(c.method, strings.ReplaceAll(c.path, "%d", "99"), c.body, "Authorization", token)
			f := a.failure(t)
			if a.status != http.StatusTooManyRequests || f.Code != "RATE_LIMIT" {
				t.Fatalf("%d %s", a.status, a.body)
			}
			info, _ := f.Details["limit_info"].(map[string]any)
			reset, _ := strconv.ParseInt(a.header.Get("X-RateLimit-Reset"), 10, 64)
			if diff := cmp.Diff(map[string]any{"limit": float64(c.limit), "current": float64(c.limit), "reset_at": float64(reset)}, info); diff != "" {
				t.Error(diff)
			}
			if wait := time.Unix(reset, 0).Sub(before); wait < 0 || wait > time.Minute+time.Second {
				t.Errorf("reset in %s", wait)
			}
			retry, err := strconv.Atoi(a.header.Get("Retry-After"))
			if err != nil || retry < 1 || retry > 60 {
				t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
			}
			wantPolicy := `"` + c.policy + `";q=` + strconv.Itoa(c.limit) + ";w=60"
			if got := a.header.Get("RateLimit-Policy"); got != wantPolicy {
				t.Errorf("RateLimit-Policy %s, want %s", got, wantPolicy)
			}
			if got, want := a.header.Get("RateLimit"), `"`+c.policy+`";r=0;t=`+strconv.Itoa(retry); got != want {
				t.Errorf("RateLimit %s, want %s", got, want)
			}
		})
	}
	if m := r.do("GET", "/metrics", "").body; !strings.Contains(m, `ngfw_api_rate_limited_total{pattern="/api/firewall/rules"}`) {
		t.Error("not counted")
	}
}

func TestRequestID(t *testing.T) {
	r := start(t, nil)
	if got := r.do("GET", "/api/firewall/zones", "", "X-Request-Id", "abc-1.2_3").header.Get("X-Request-Id"); got != "abc-1.2_3" {
		t.Errorf("a sane id became %q", got)
	}
	for _, bad := range []string{"a b", strings.Repeat("x", 200), "é"} {
		if got := r.do("GET", "/api/nothing", "", "X-Request-Id", bad).header.Get("X-Request-Id"); got == bad || len(got) != 32 {
			t.Errorf("%q became %q", bad, got)
		}
	}
	if !strings.Contains(r.log.String(), `"request_id":"abc-1.2_3","user_id":"u1"`) {
		t.Error("the log does not say whose request it was")
	}
}

func TestETag(t *testing.T) {
	r := start(t, nil)
	get := r.do("GET", "/api/fleet/devices/dev1", "")
	tag := get.header.Get("ETag")
	if len(tag) < 10 {
		t.Fatalf("ETag %q", tag)
	}
	for _, match := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		if a := r.do("GET", "/api/fleet/devices/dev1", "", "If-None-Match", match); a.status != 304 || a.body != "" || a.header.Get("ETag") != tag {
			t.Errorf("If-None-Match %s: %d %q", match, a.status, a.body)
		}
	}
	if a := r.do("GET", "/api/fleet/devices/dev1", "", "If-None-Match", `"x"`); a.status != 200 || a.body != get.body {
		t.Errorf("%d", a.status)
	}
	put := r.do("PUT", "/api/fleet/devices/dev1", get.body)
	if put.status != 200 || put.header.Get("ETag") != tag {
		t.Errorf("PUT of what was got: %d %s, ETag %s, want %s", put.status, put.body, put.header.Get("ETag"), tag)
	}
	if a := r.do("GET", "/api/system/status", ""); a.header.Get("ETag") != "" {
		t.Error("an ETag for what cannot be written")
	}
}

func TestIdempotencyKey(t *testing.T) {
	r := start(t, nil)
	first := r.do("POST", "/api/fleet/devices", `{"name":"a"}`, "Idempotency-Key", "k1")
	again := r.do("POST", "/api/fleet/devices", `{ "name": "a" }`, "Idempotency-Key", "k1")
	if first.status != 201 || again.status != 201 || first.body != again.body || len(r.fleet.names) != 1 {
		t.Errorf("%s then %s", first.body, again.body)
	}
	if again.header.Get("X-Config-Version") != "1" || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("header %v", again.header)
	}
	if a := r.do("POST", "/api/fleet/devices", `{"name":"b"}`, "Idempotency-Key", "k1"); a.status != 409 || a.failure(t).Code != "CONFLICT" {
		t.Errorf("another body: %d %s", a.status, a.body)
	}
	if a := r.do("POST", "/api/fleet/devices", `{"name":"a"}`, "Idempotency-Key", "k2"); a.status != 201 || a.body == first.body {
		t.Errorf("another key: %d %s", a.status, a.body)
	}
	for range 2 { // a failure is tried again
		if a := r.do("POST", "/api/fleet/devices", `{"name":""}`, "Idempotency-Key", "k3"); a.status != 400 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if a := r.do("POST", "/api/fleet/devices", `{"name":"c"}`, "Idempotency-Key", "k3"); a.status != 201 {
		t.Errorf("after a failure: %d %s", a.status, a.body)
	}
}

func TestLinkToNextPage(t *testing.T) {
	r := start(t, nil)
	want := `</api/traffic/logs?action=drop&cursor=c2&limit=5>; rel="next"`
	if got := r.do("GET", "/api/traffic/logs?action=drop&offset=3&limit=5", "").header.Get("Link"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestHeadAndOptions(t *testing.T) {
	r := start(t, nil)
	get, head := r.do("GET", "/api/firewall/zones", ""), r.do("HEAD", "/api/firewall/zones", "")
	if head.status != 200 || head.body != "" || head.header.Get("Content-Length") != strconv.Itoa(len(get.body)) {
		t.Errorf("HEAD: %d %q %v", head.status, head.body, head.header)
	}
	if a := r.do("HEAD", "/api/traffic/logs/stream", "", "Accept", "text/event-stream"); a.status != 426 {
		t.Errorf("HEAD of a stream: %d", a.status)
	}
	if a := r.do("HEAD", "/api/fleet/devices/none", ""); a.status != 404 || a.body != "" {
		t.Errorf("HEAD of nothing: %d %q", a.status, a.body)
	}
	options := r.do("OPTIONS", "/api/firewall/zones", "", "Authorization", "")
	if options.status != 204 || options.header.Get("Allow") != "GET, HEAD, OPTIONS, POST" {
		t.Errorf("OPTIONS: %d %q", options.status, options.header.Get("Allow"))
	}
}

func TestCORS(t *testing.T) {
	r := start(t, nil)
	pre := r.do("OPTIONS", "/api/firewall/zones", "", "Authorization", "", "Origin", "https://console.example.org", "Access-Control-Request-Method", "POST")
	if pre.status != 204 || pre.header.Get("Access-Control-Allow-Origin") != "https://console.example.org" ||
		!strings.Contains(pre.header.Get("Access-Control-Allow-Headers"), "X-Device-ID") {
		t.Errorf("%d %v", pre.status, pre.header)
	}
	foreign := r.do("GET", "/api/firewall/zones", "", "Origin", "https://evil.example.org")
	if foreign.header.Get("Access-Control-Allow-Origin") != "" || foreign.header.Get("Vary") != "Origin" {
		t.Errorf("%v", foreign.header)
	}
}

func TestPages(t *testing.T) {
	r := start(t, func(c *api.Config) { c.MetricsToken = "prom" })
	index := r.do("GET", "/", "", "Authorization", "")
	csp := index.header.Get("Content-Security-Policy")
	if !strings.Contains(index.body, `href="/openapi.json"`) || !strings.Contains(index.body, `href="/metrics"`) ||
		strings.Contains(index.body, "<script") || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("%s\n%s", csp, index.body)
	}
	for _, name := range []string{"X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy"} {
		if index.header.Get(name) == "" {
			t.Errorf("no %s", name)
		}
	}
	if a := r.do("GET", "/metrics", "", "Authorization", ""); a.status != 401 {
		t.Errorf("metrics without the token: %d", a.status)
	}
	if a := r.do("GET", "/metrics", "", "Authorization", "Bearer prom"); a.status != 200 ||
		!strings.Contains(a.body, `ngfw_api_requests_total{method="GET",pattern="/",status="200"} 1`) {
		t.Errorf("metrics: %d %s", a.status, a.body)
	}
	if a := r.do("GET", "/health", "", "Authorization", ""); a.status != 200 || a.body != `{"parts":{"store":"ok"},"status":"ok"}`+"\n" {
		t.Errorf("health: %d %s", a.status, a.body)
	}
	r.health["store"] = fault.New(fault.Unavailable, "the disk is full")
	if a := r.do("GET", "/health", "", "Authorization", ""); a.status != 503 || a.body != `{"parts":{"store":"the disk is full"},"status":"failing"}`+"\n" {
		t.Errorf("health: %d %s", a.status, a.body)
	}
}
