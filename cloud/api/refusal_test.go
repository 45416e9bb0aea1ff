package api_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/cloud/api"
)

func TestRefusals(t *testing.T) {
	r := start(t, func(c *api.Config) { c.RequestTimeout = 300e6 })
	contract := r.contract()
	rules := "/api/firewall/rules"
	for _, c := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		code, field              string
		message                  string // part of it
	}{
		{name: "no token", method: "GET", path: rules, header: []string{"Authorization", ""}, status: 401, code: "UNAUTHORIZED"},
		{name: "wrong token", method: "GET", path: rules, header: []string{"Authorization", "Bearer x"}, status: 401, code: "UNAUTHORIZED"},
		{name: "another scheme", method: "GET", path: rules, header: []string{"Authorization", "Basic b3duZXI="}, status: 401, code: "UNAUTHORIZED"},
		{name: "bytes in the token", method: "GET", path: rules, header: []string{"Authorization", "Bearer \xff\x80"}, status: 401, code: "UNAUTHORIZED"},
		{name: "broken body without token", method: "POST", path: rules, body: `{`, header: []string{"Authorization", ""}, status: 401, code: "UNAUTHORIZED"},
		{name: "broken body with a wrong token", method: "POST", path: rules, body: `{`, header: []string{"Authorization", "Bearer x"}, status: 401, code: "UNAUTHORIZED"},
		{name: "scope", method: "POST", path: rules, body: `{}`, header: []string{"Authorization", "Bearer reader"}, status: 403, code: "FORBIDDEN", message: `"write"`},
		{name: "broken body without the scope", method: "POST", path: rules, body: `{`, header: []string{"Authorization", "Bearer reader"}, status: 403, code: "FORBIDDEN"},
		{name: "api token of a small plan", method: "GET", path: rules, header: []string{"Authorization", "Bearer proapi"}, status: 403, code: "PLAN_LIMIT", message: "API access"},
		{name: "feature of a greater plan", method: "GET", path: "/api/traffic/logs/stream", header: []string{"Authorization", "Bearer starter", "Accept", "text/event-stream"}, status: 403, code: "PLAN_LIMIT", message: "pro"},
		{name: "several routers", method: "GET", path: rules, header: []string{"Authorization", "Bearer several"}, status: 400, code: "BAD_REQUEST"},
		{name: "unknown router", method: "GET", path: rules, header: []string{"X-Device-ID", "nope"}, status: 404, code: "NOT_FOUND"},
		{name: "foreign router", method: "GET", path: rules + "?device_id=foreign", status: 403, code: "FORBIDDEN"},
		{name: "foreign router where none is needed", method: "GET", path: "/api/traffic/logs?device_id=foreign", status: 403, code: "FORBIDDEN"},
		{name: "two routers", method: "GET", path: rules + "?device_id=a", header: []string{"X-Device-ID", "b"}, status: 400, code: "BAD_REQUEST", field: "device_id"},
		{name: "router in the body", method: "PUT", path: rules + "/order", body: `{"rule_ids":[1],"device_id":"dev1"}`, status: 400, code: "BAD_REQUEST", field: "device_id"},
		{name: "unknown path", method: "GET", path: "/api/firewall/nothing", status: 404, code: "NOT_FOUND"},
		{name: "unknown path outside", method: "GET", path: "/favicon.ico", status: 404, code: "NOT_FOUND"},
		{name: "doubled slash", method: "GET", path: "/api//firewall/rules", status: 404, code: "NOT_FOUND"},
		{name: "wrong method", method: "PATCH", path: rules, status: 405, code: "METHOD_NOT_ALLOWED"},
		{name: "wrong method of a page", method: "POST", path: "/health", body: "{}", status: 405, code: "METHOD_NOT_ALLOWED"},
		{name: "method of no standard", method: "BREW", path: rules, status: 405, code: "METHOD_NOT_ALLOWED"},
		{name: "media type", method: "POST", path: rules, body: "a=b", header: []string{"Content-Type", "application/x-www-form-urlencoded"}, status: 415, code: "UNSUPPORTED_MEDIA_TYPE"},
		{name: "charset", method: "POST", path: rules, body: "{}", header: []string{"Content-Type", "application/json; charset=utf-16"}, status: 415, code: "UNSUPPORTED_MEDIA_TYPE"},
		{name: "content encoding", method: "POST", path: rules, body: "{}", header: []string{"Content-Encoding", "gzip"}, status: 415, code: "UNSUPPORTED_MEDIA_TYPE"},
		{name: "too large", method: "POST", path: rules, body: strings.Repeat(" ", 3<<20), status: 413, code: "PAYLOAD_TOO_LARGE"},
		{name: "no body", method: "POST", path: rules, status: 400, code: "BAD_REQUEST", message: "no body"},
		{name: "not JSON", method: "POST", path: rules, body: "name=x", status: 400, code: "BAD_REQUEST", message: "line 1, column 1"},
		{name: "unknown field", method: "POST", path: rules, body: `{"nam":"x"}`, status: 400, code: "BAD_REQUEST", field: "nam", message: `did you mean "name"?`},
		{name: "nested wrong type", method: "POST", path: rules, body: `{"schedule":{"days":[1,"x"]}}`, status: 400, code: "BAD_REQUEST", field: "schedule.days[1]"},
		{name: "64-bit range", method: "PUT", path: rules + "/order", body: `{"rule_ids":[1,2,9223372036854775808]}`, status: 400, code: "BAD_REQUEST", field: "rule_ids[2]"},
		{name: "member of a bare list", method: "PUT", path: "/api/firewall/policies", body: `[{"from":"a"},{"to":1}]`, status: 400, code: "BAD_REQUEST", field: "[1].to"},
		{name: "path number", method: "PUT", path: rules + "/abc", body: "{}", status: 400, code: "BAD_REQUEST", field: "id"},
		{name: "path number range", method: "DELETE", path: rules + "/9223372036854775808", status: 400, code: "BAD_REQUEST", field: "id"},
		{name: "path not UTF-8", method: "GET", path: "/api/fleet/devices/%ff", status: 400, code: "BAD_REQUEST", field: "id"},
		{name: "path with NUL", method: "GET", path: "/api/fleet/devices/a%00", status: 400, code: "BAD_REQUEST", field: "id"},
		{name: "unknown parameter", method: "GET", path: "/api/traffic/logs?actio=drop", status: 400, code: "BAD_REQUEST", field: "actio", message: "did you mean action?"},
		{name: "bad number", method: "GET", path: "/api/traffic/logs?limit=ten", status: 400, code: "BAD_REQUEST", field: "limit"},
		{name: "number out of range", method: "GET", path: "/api/traffic/logs?limit=99999999999", status: 400, code: "BAD_REQUEST", field: "limit"},
		{name: "twice", method: "GET", path: "/api/traffic/logs?q=a&q=b", status: 400, code: "BAD_REQUEST", field: "q"},
		{name: "bad escape in a parameter", method: "GET", path: "/api/traffic/logs?q=%zz", status: 400, code: "BAD_REQUEST", field: "q"},
		{name: "parameter not UTF-8", method: "GET", path: "/api/traffic/logs?q=%ff", status: 400, code: "BAD_REQUEST", field: "q"},
		{name: "parameter of the body", method: "POST", path: "/api/fleet/devices?name=x", body: `{"name":"y"}`, status: 400, code: "BAD_REQUEST", field: "name"},
		{name: "service's fields", method: "POST", path: rules, body: `{"source":"nonsense"}`, status: 400, code: "INVALID_CONFIG", field: "source"},
		{name: "service's range", method: "GET", path: "/api/traffic/logs?limit=501", status: 400, code: "INVALID_CONFIG", field: "limit"},
		{name: "conflict", method: "DELETE", path: "/api/firewall/zones/1", status: 409, code: "CONFLICT"},
		{name: "offline", method: "GET", path: "/api/system/interfaces", status: 503, code: "DEVICE_OFFLINE"},
		{name: "too slow", method: "GET", path: "/api/system/hardware", status: 503, code: "UNAVAILABLE"},
		{name: "panic", method: "POST", path: rules, body: `{"name":"panic"}`, status: 500, code: "INTERNAL_ERROR", message: "request id"},
		{name: "internals", method: "POST", path: rules, body: `{"name":"secret"}`, status: 500, code: "INTERNAL_ERROR", message: "request id"},
		{name: "precondition", method: "PUT", path: rules + "/1", body: "{}", header: []string{"If-Unmodified-Since", `"x"`}, status: 400, code: "BAD_REQUEST", field: "If-Unmodified-Since"},
		{name: "stream as a plain request", method: "GET", path: "/api/traffic/logs/stream", status: 426, code: "UPGRADE_REQUIRED", message: "text/event-stream"},
		{name: "stream with a page's parameter", method: "GET", path: "/api/traffic/logs/stream?limit=5", header: []string{"Accept", "text/event-stream"}, status: 400, code: "BAD_REQUEST", field: "limit"},
		{name: "stream refused by its service", method: "GET", path: "/api/traffic/logs/stream?action=explode", header: []string{"Accept", "text/event-stream"}, status: 400, code: "BAD_REQUEST", field: "action", message: "no such action"},
		{name: "stream without token", method: "GET", path: "/api/traffic/logs/stream", header: []string{"Authorization", ""}, status: 401, code: "UNAUTHORIZED"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := r.do(c.method, c.path, c.body, c.header...)
			f := a.failure(t)
			if a.status != c.status || f.Code != c.code || f.Field != c.field || !strings.Contains(f.Message, c.message) {
				t.Errorf("got %d %s", a.status, a.body)
			}
			if a.header.Get("X-Request-Id") == "" || a.header.Get("Content-Type") != "application/json" {
				t.Errorf("header %v", a.header)
			}
			if (c.status == 401) != (a.header.Get("WWW-Authenticate") != "") {
				t.Errorf("WWW-Authenticate: %q", a.header.Get("WWW-Authenticate"))
			}
			if (c.status == 405) != (a.header.Get("Allow") != "") {
				t.Errorf("Allow: %q", a.header.Get("Allow"))
			}
			if c.status != 405 && !strings.HasPrefix(c.name, "unknown path") && !strings.HasPrefix(c.name, "doubled") {
				contract.AssertMatches(t, c.method, c.path, a.status, []byte(a.body))
			}
			if strings.Contains(a.body, "pq:") || strings.Contains(a.body, "goroutine") {
				t.Errorf("internals shown: %s", a.body)
			}
		})
	}
	for _, want := range []string{"pq: password authentication failed", "as asked", "panic in a service"} {
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	if strings.Contains(r.log.String(), "Bearer") {
		t.Error("a token in the log")
	}
}

func TestValidationErrorsListAll(t *testing.T) {
	r := start(t, nil)
	for body, want := range map[string][]any{
		`{"source":"nonsense"}`: {
			map[string]any{"field": "source", "message": "nonsense is no address"}, map[string]any{"field": "port", "message": "too"}},
		`{"name":1,"log":"x"}`: {
			map[string]any{"field": "name", "message": "must be a string, not a number"},
			map[string]any{"field": "log", "message": "must be true or false, not a string"}},
	} {
		f := r.do("POST", "/api/firewall/rules", body).failure(t)
		if diff := cmp.Diff(any(want), f.Details["validation_errors"]); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
}

func TestProblemDetails(t *testing.T) {
	r := start(t, nil)
	a := r.do("GET", "/api/fleet/devices/none", "", "Accept", "application/problem+json")
	want := `{"detail":"there is no device \"none\"","error":{"code":"NOT_FOUND","message":"there is no device \"none\"","details":{}},"status":404,"title":"Not Found","type":"about:blank"}` + "\n"
	if a.header.Get("Content-Type") != "application/problem+json" || a.body != want {
		t.Errorf("%s %s", a.header.Get("Content-Type"), a.body)
	}
	if a := r.do("GET", "/api/fleet/devices/none", "", "Accept", "application/json, application/problem+json;q=0.5"); a.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s", a.header.Get("Content-Type"))
	}
}
