package operation_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/cloud/api/operation"
)

func all(t *testing.T) []*operation.Operation {
	t.Helper()
	var out []*operation.Operation
	for _, s := range operation.Services() {
		ops, err := operation.Of(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, ops...)
	}
	return out
}

// A table finds every binding by a path of its own.
func TestTableFindsEveryBinding(t *testing.T) {
	table, err := operation.NewTable(all(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all(t) {
		for _, b := range o.Bindings {
			path := strings.Split(strings.ReplaceAll(b.Pattern, "{id}", "17")[1:], "/")
			got, verbs := table.Find(b.Verb, path)
			if got == nil || got.RPC != o.RPC {
				t.Errorf("%s %s: %v of %v", b.Verb, b.Pattern, got, verbs)
			}
		}
	}
}

func TestFind(t *testing.T) {
	table, err := operation.NewTable(all(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		verb, path, rpc string
		verbs           []string
		values          map[string]string
	}{
		{"PUT", "api/firewall/rules/order", "/ngfw.v1.FirewallService/OrderRules", []string{"DELETE", "PUT"}, map[string]string{}},
		{"PUT", "api/firewall/rules/7", "/ngfw.v1.FirewallService/UpdateRule", []string{"DELETE", "PUT"}, map[string]string{"id": "7"}},
		{"PATCH", "api/firewall/rules", "", []string{"GET", "POST"}, nil},
		{"DELETE", "api/firewall/rules/order", "/ngfw.v1.FirewallService/DeleteRule", []string{"DELETE", "PUT"}, map[string]string{"id": "order"}},
		{"PUT", "api/firewall/rules/", "", nil, nil},
		{"GET", "api/firewall", "", nil, nil},
		{"GET", "", "", nil, nil},
	} {
		path := strings.Split(c.path, "/")
		b, verbs := table.Find(c.verb, path)
		rpc, values := "", map[string]string(nil)
		if b != nil {
			rpc, values = b.RPC, b.Values(path)
		}
		if diff := cmp.Diff(c.values, values); rpc != c.rpc || diff != "" || !cmp.Equal(verbs, c.verbs) {
			t.Errorf("%s %s: %s %v %v", c.verb, c.path, rpc, verbs, values)
		}
	}
}

func TestFields(t *testing.T) {
	for _, o := range all(t) {
		for _, b := range o.Bindings {
			var query []string
			for _, fd := range b.Query() {
				query = append(query, string(fd.Name()))
			}
			want, known := map[string]string{
				"/ngfw.v1.FirewallService/CreateRule": "before",
				"/ngfw.v1.FirewallService/UpdateRule": "",
				"/ngfw.v1.FirewallService/OrderRules": "",
				"/ngfw.v1.TrafficService/TopClients":  "limit period from to action proto src dst port app geo threat event rule_id q compare",
				"/ngfw.v1.TrafficService/ExplainLog":  "",
				"/ngfw.v1.TrafficService/ExportLogs":  "format from to action proto src dst port app geo threat event rule_id q",
				"/ngfw.v1.FirewallService/ListRules":  "as_of",
				"/ngfw.v1.TrafficService/StreamLogs":  "action proto src dst port app geo threat event rule_id q cursor",
			}[o.RPC]
			if got := strings.Join(query, " "); known && got != want {
				t.Errorf("%s: query %q, want %q", o.RPC, got, want)
			}
		}
	}
	if _, err := operation.Of("ngfw.v1.NothingService"); err == nil {
		t.Error("a service that is not there")
	}
}
