package api_test

import (
	"slices"
	"strings"
	"testing"

	"ngfw.sh/cloud/api/apitest"
	"ngfw.sh/cloud/api/operation"
)

func (r *running) contract() *apitest.Contract {
	r.t.Helper()
	return apitest.Load(r.t, []byte(r.do("GET", "/openapi.json", "", "Authorization", "").body))
}

// Every RPC names a permission, is bound to REST and described; agents' alone
// is not for REST.
func TestEveryOperationIsKnownEverywhere(t *testing.T) {
	r := start(t, nil)
	contract := r.contract()
	services := operation.Services()
	if len(services) < 6 {
		t.Fatalf("only %v", services)
	}
	for _, service := range services {
		ops, err := operation.Of(service) // refuses an operation without a permission
		if err != nil {
			t.Errorf("%s: %v", service, err)
			continue
		}
		for _, o := range ops {
			if service == "ngfw.v1.LinkService" {
				if len(o.Bindings) > 0 {
					t.Errorf("%s has a REST form", o.RPC)
				}
				continue
			}
			if len(o.Bindings) == 0 {
				t.Errorf("%s has no REST form", o.RPC)
			}
			for _, b := range o.Bindings {
				if !strings.HasPrefix(b.Pattern, "/api/") {
					t.Errorf("%s is outside of /api", b.Pattern)
				}
				if !contract.Has(b.Verb, b.Pattern) {
					t.Errorf("%s %s is not in the document", b.Verb, b.Pattern)
				}
			}
		}
	}
}

func TestPagesAreDescribed(t *testing.T) {
	r := start(t, nil)
	contract := r.contract()
	for _, path := range []string{"/", "/health", "/metrics", "/openapi.json", "/.well-known/jwks.json"} {
		a := r.do("GET", path, "", "Authorization", "")
		if a.status != 200 {
			t.Errorf("%s: %d", path, a.status)
		}
		contract.AssertMatches(t, "GET", path, a.status, []byte(a.body))
	}
}

// recorder is a testing.TB that remembers that it failed.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Helper()                   {}
func (r *recorder) Errorf(f string, a ...any) { r.failures = append(r.failures, f) }

// The comparison finds what is wrong.
func TestContractFindsDifferences(t *testing.T) {
	contract := start(t, nil).contract()
	zone := `{"id":1,"name":"LAN","interfaces":[],"masquerade":false,"mss_clamping":false}`
	for name, c := range map[string]struct {
		method, path string
		status       int
		body         string
		ok           bool
	}{
		"as described":       {"GET", "/api/firewall/zones", 200, "[" + zone + "]", true},
		"literal segment":    {"PUT", "/api/firewall/rules/order", 200, "[]", true},
		"wrapped list":       {"GET", "/api/firewall/zones", 200, `{"zones":[]}`, false},
		"integer as text":    {"GET", "/api/firewall/zones", 200, "[" + strings.Replace(zone, "1", `"1"`, 1) + "]", false},
		"missing field":      {"GET", "/api/firewall/zones", 200, `[{"id":1}]`, false},
		"invented field":     {"GET", "/api/firewall/zones", 200, "[" + strings.Replace(zone, "{", `{"x":1,`, 1) + "]", false},
		"undescribed status": {"GET", "/api/firewall/zones", 202, "[]", false},
		"unknown path":       {"GET", "/api/firewall/nothing", 200, "[]", false},
		"body of a 204":      {"DELETE", "/api/firewall/rules/1", 204, "{}", false},
		"no envelope":        {"GET", "/api/firewall/zones", 401, `{"message":"no"}`, false},
		"envelope":           {"GET", "/api/firewall/zones", 401, `{"error":{"code":"UNAUTHORIZED","message":"no","details":{}}}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			seen := &recorder{TB: t}
			contract.AssertMatches(seen, c.method, c.path, c.status, []byte(c.body))
			if (len(seen.failures) == 0) != c.ok {
				t.Errorf("failures: %v", slices.Compact(seen.failures))
			}
		})
	}
}
