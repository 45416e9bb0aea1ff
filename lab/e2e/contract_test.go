package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// TestContract makes every request that the published document describes, with
// every answer held against it, and fails when the document has one that this
// test does not know.
func TestContract(t *testing.T) {
	r := start(t)
	api := r.api
	device := r.env["NGFW_DEVICE_ID"]
	// Reports arrive every few seconds; rows as soon as there is traffic.
	labtest.Eventually(t, patience, func() error {
		a, err := api.try(t, "GET", "/api/system/hardware", nil, nil)
		if err == nil && a.status != http.StatusOK {
			err = fmt.Errorf("%d %s", a.status, a.body)
		}
		return err
	})

	made := map[string]bool{}
	// step makes one request of the document's pattern; the last argument, if
	// there is one, is read into.
	step := func(status int, method, pattern, id string, body any, into ...any) answer {
		t.Helper()
		made[method+" "+pattern] = true
		var out any
		if len(into) > 0 {
			out = into[0]
		}
		return api.call(t, status, method, strings.Replace(pattern, "{id}", id, 1), body, out)
	}
	type identified struct {
		ID json.Number `json:"id"`
	}
	type named struct {
		ID    string `json:"id"`
		Token string `json:"token"`
	}

	// Nothing in the lab has a country, an application or a threat, and there are no rules yet.
	maybeEmpty := []string{"/api/firewall/rules", "/api/traffic/top/applications", "/api/traffic/top/countries",
		"/api/traffic/top/rules", "/api/traffic/top/threats", "/api/ids/alerts", "/api/dns/queries"}
	for _, path := range []string{"/", "/health", "/metrics", "/openapi.json", "/.well-known/jwks.json",
		"/api/system/status", "/api/system/interfaces", "/api/system/hardware", "/api/firewall/rules", "/api/firewall/zones",
		"/api/firewall/policies", "/api/fleet/devices", "/api/traffic/logs", "/api/traffic/stats",
		"/api/traffic/top/clients", "/api/traffic/top/destinations", "/api/traffic/top/applications", "/api/traffic/top/countries",
		"/api/traffic/top/rules", "/api/traffic/top/threats", "/api/ids/alerts", "/api/ids/alerts/stats", "/api/dns/queries", "/api/dns/stats", "/api/user/profile", "/api/user/tokens"} {
		a := step(http.StatusOK, "GET", path, "", nil)
		if path != "/" && len(a.body) < 3 && !slices.Contains(maybeEmpty, path) {
			t.Errorf("GET %s answers %q: nothing to hold against the document", path, a.body)
		}
	}
	for _, query := range []string{"limit=500", "count=exact&event=open", "proto=tcp&action=accept&port=80-443", "src=10.0.0.0/8,2001:db8::/32&limit=3", "q=203.0.113.1"} {
		api.get(t, "/api/traffic/logs?"+query, nil)
	}
	api.get(t, "/api/traffic/top/clients?period=1h&limit=1", nil)
	for _, query := range []string{"period=7d&compare=previous", "step=60&period=1h", "proto=tcp&action=accept,drop"} {
		if a := api.call(t, http.StatusOK, "GET", "/api/traffic/stats?"+query, nil, nil); a.header.Get("X-Data-Source") == "" {
			t.Errorf("statistics of %s do not say what they were summed from", query)
		}
	}
	var page struct{ Logs []struct{ ID string } }
	api.get(t, "/api/traffic/logs?limit=1", &page)
	if len(page.Logs) == 0 {
		t.Fatal("no row to explain")
	}
	step(http.StatusOK, "GET", "/api/traffic/logs/{id}/why", page.Logs[0].ID, nil)
	made["GET /api/traffic/logs/export"] = true
	for format, begin := range map[string]string{"csv": "id,flow_id,", "ndjson": `{"id":"`, "parquet": "PAR1"} {
		a, err := api.send("GET", "/api/traffic/logs/export?format="+format, nil, nil)
		if err != nil || a.status != http.StatusOK || !strings.HasPrefix(string(a.body), begin) {
			t.Errorf("export as %s: %d %.60s, %v", format, a.status, a.body, err)
		}
	}
	api.call(t, http.StatusBadRequest, "GET", "/api/traffic/logs/export?format=xls", nil, nil)
	api.get(t, fmt.Sprint("/api/firewall/rules?as_of=", time.Now().Unix()), nil)
	api.get(t, fmt.Sprint("/api/firewall/policies?as_of=", time.Now().Unix()), nil)

	var first, second identified
	step(http.StatusCreated, "POST", "/api/firewall/rules", "", noWeb(lab.LAN2), &first)
	step(http.StatusCreated, "POST", "/api/firewall/rules", "", map[string]any{"name": "no ping", "zone_from": "IOT", "zone_to": "WAN", "action": "reject",
		"protocol": "icmp", "icmp_types": []string{"8"}, "log": true}, &second)
	step(http.StatusOK, "PUT", "/api/firewall/rules/{id}", second.ID.String(), rule{Name: "ever", ZoneFrom: "IOT", ZoneTo: "WAN", Action: "reject"})
	step(http.StatusOK, "PUT", "/api/firewall/rules/order", "", map[string]any{"rule_ids": []json.Number{second.ID, first.ID}})
	api.get(t, "/api/firewall/rules", nil)
	step(http.StatusNoContent, "DELETE", "/api/firewall/rules/{id}", first.ID.String(), nil)

	var group identified
	step(http.StatusCreated, "POST", "/api/firewall/groups", "", map[string]any{"name": "lab", "type": "address", "members": []string{"10.77.0.0/16"}}, &group)
	step(http.StatusOK, "PUT", "/api/firewall/groups/{id}", group.ID.String(), map[string]any{"name": "lab", "type": "address", "members": []string{"10.77.1.0/24"}})
	step(http.StatusOK, "GET", "/api/firewall/groups", "", nil)
	step(http.StatusNoContent, "DELETE", "/api/firewall/groups/{id}", group.ID.String(), nil)
	step(http.StatusOK, "POST", "/api/firewall/check", "", map[string]any{})
	step(http.StatusOK, "POST", "/api/firewall/diff", "", map[string]any{"change": map[string]any{"op": "create", "resource": "rule", "body": noWeb(lab.LAN1)}})
	var begun struct {
		OperationID string `json:"operation_id"`
	}
	step(http.StatusAccepted, "POST", "/api/firewall/backtest", "", map[string]any{"change": map[string]any{"op": "create", "resource": "rule", "body": noWeb(lab.LAN1)}}, &begun)
	step(http.StatusOK, "GET", "/api/operations/{id}", begun.OperationID, nil)
	step(http.StatusOK, "POST", "/api/firewall/simulate", "", map[string]any{"packet": map[string]any{
		"in": "lan1", "out": "wan", "src": lab.IP4(lab.LAN1).String(), "dst": lab.IP4(lab.INET).String(), "protocol": "tcp", "dport": 443}})

	var forward, outside identified
	step(http.StatusCreated, "POST", "/api/nat/rules", "", map[string]any{"name": "web", "external_port": 8080, "internal_ip": lab.IP4(lab.LAN1).String(), "internal_port": 80, "protocol": "tcp"}, &forward)
	step(http.StatusCreated, "POST", "/api/nat/rules", "", map[string]any{"name": "out", "nat_type": "snat", "source": "10.77.1.0/24", "interface": "wan", "translate_to": "203.0.113.7", "before": forward.ID}, &outside)
	step(http.StatusOK, "PUT", "/api/nat/rules/{id}", outside.ID.String(), map[string]any{"name": "out", "nat_type": "masquerade", "source": "10.77.1.0/24", "interface": "wan"})
	step(http.StatusOK, "PUT", "/api/nat/rules/order", "", map[string]any{"rule_ids": []json.Number{forward.ID, outside.ID}})
	step(http.StatusOK, "GET", "/api/nat/rules", "", nil)
	step(http.StatusNoContent, "DELETE", "/api/nat/rules/{id}", outside.ID.String(), nil)
	step(http.StatusNoContent, "DELETE", "/api/nat/rules/{id}", forward.ID.String(), nil)
	step(http.StatusOK, "GET", "/api/nat/upnp", "", nil)
	step(http.StatusNotFound, "DELETE", "/api/nat/upnp/{id}", "1", nil)

	var zone identified
	step(http.StatusCreated, "POST", "/api/firewall/zones", "", map[string]any{"name": "LAB", "interfaces": []string{"lab0"}}, &zone)
	step(http.StatusOK, "PUT", "/api/firewall/zones/{id}", zone.ID.String(), map[string]any{"name": "LAB", "interfaces": []string{"lab1"}, "mss_clamping": true})
	step(http.StatusNoContent, "DELETE", "/api/firewall/zones/{id}", zone.ID.String(), nil)
	var policies []map[string]any
	api.get(t, "/api/firewall/policies", &policies)
	step(http.StatusOK, "PUT", "/api/firewall/policies", "", policies)

	step(http.StatusOK, "GET", "/api/ids/config", "", nil)
	step(http.StatusOK, "PUT", "/api/ids/config", "", map[string]any{"enabled": false, "mode": "ips", "home_networks": []string{"10.77.0.0/16"}})
	step(http.StatusOK, "GET", "/api/ids/categories", "", nil)
	step(http.StatusOK, "PUT", "/api/ids/categories/{id}", "malware", map[string]any{"mode": "prevent"})
	var own, silence identified
	step(http.StatusCreated, "POST", "/api/ids/rules", "", map[string]any{
		"name": "ping", "rule": `alert icmp any any -> $HOME_NET any (msg:"ping"; itype:8; sid:1000001; rev:1;)`, "category": "reconnaissance"}, &own)
	step(http.StatusOK, "GET", "/api/ids/rules", "", nil)
	step(http.StatusNoContent, "DELETE", "/api/ids/rules/{id}", own.ID.String(), nil)
	step(http.StatusCreated, "POST", "/api/ids/suppressions", "", map[string]any{"sid": 1000001, "track": "by_src", "ip": "10.0.0.0/8"}, &silence)
	step(http.StatusOK, "GET", "/api/ids/suppressions", "", nil)
	step(http.StatusNoContent, "DELETE", "/api/ids/suppressions/{id}", silence.ID.String(), nil)

	var router named
	step(http.StatusCreated, "POST", "/api/fleet/devices", "", map[string]any{"name": "another", "tags": []string{"spare"}, "location": "shelf"}, &router)
	step(http.StatusOK, "GET", "/api/fleet/devices/{id}", router.ID, nil)
	step(http.StatusOK, "PUT", "/api/fleet/devices/{id}", router.ID, map[string]any{"name": "renamed", "mode": "observe", "time_zone": "Europe/Vienna"})
	step(http.StatusOK, "GET", "/api/fleet/devices/{id}/status", router.ID, nil)
	step(http.StatusOK, "GET", "/api/fleet/devices/{id}/status", device, nil)
	step(http.StatusOK, "GET", "/api/fleet/devices/{id}/metrics", router.ID, nil)

	shape := func(status int, method, pattern, path string, body any, into ...any) {
		t.Helper()
		made[method+" "+pattern] = true
		var out any
		if len(into) > 0 {
			out = into[0]
		}
		api.call(t, status, method, path, body, out)
	}
	const shaped, classes, limits = "/api/qos/config", "/api/qos/classes", "/api/qos/device-limits"
	var class identified
	shape(http.StatusOK, "PUT", shaped, shaped, map[string]any{"upload_mbps": 20, "download_mbps": 100, "scheduler": "cake"})
	shape(http.StatusOK, "GET", shaped, shaped, nil)
	shape(http.StatusCreated, "POST", classes, classes, map[string]any{"name": "voice", "priority": 0, "guaranteed_mbps": 2.5,
		"dscp_markings": []any{"EF", 34}, "ports": []any{5060, "udp/8000-8080"}, "applications": []string{"sip"}}, &class)
	shape(http.StatusOK, "PUT", classes+"/{id}", classes+"/"+class.ID.String(), map[string]any{"name": "voice", "priority": 1, "max_mbps": 10})
	shape(http.StatusOK, "GET", classes, classes, nil)
	shape(http.StatusNoContent, "DELETE", classes+"/{id}", classes+"/"+class.ID.String(), nil)
	shape(http.StatusOK, "PUT", limits+"/{mac}", limits+"/02:00:5e:10:00:01", map[string]any{"hostname": "tv", "download_mbps": 8, "priority": 6})
	shape(http.StatusOK, "GET", limits, limits, nil)
	shape(http.StatusNoContent, "DELETE", limits+"/{mac}", limits+"/02:00:5e:10:00:01", nil)
	step(http.StatusNoContent, "DELETE", "/api/fleet/devices/{id}", router.ID, nil)

	var token named
	step(http.StatusCreated, "POST", "/api/user/tokens", "", map[string]any{"name": "reader", "scopes": []string{"read"}}, &token)
	readOnly := http.Header{"Authorization": {"Bearer " + token.Token}}
	if a, err := api.try(t, "POST", "/api/firewall/rules", noWeb(lab.LAN2), readOnly); err != nil || a.status != http.StatusForbidden {
		t.Errorf("a token that may read writes: %d %s, %v", a.status, a.body, err)
	}
	step(http.StatusNoContent, "DELETE", "/api/user/tokens/{id}", token.ID, nil)

	var session struct {
		AccessToken  string `json:"access_token"`
		RefreshToken string `json:"refresh_token"`
	}
	step(http.StatusOK, "POST", "/api/auth/login", "", r.owner(), &session)
	if a, err := api.try(t, "GET", "/api/user/profile", nil, http.Header{"Authorization": {"Bearer " + session.AccessToken}}); err != nil || a.status != http.StatusOK {
		t.Errorf("with an access token: %d %s, %v", a.status, a.body, err)
	}
	step(http.StatusOK, "POST", "/api/auth/refresh", "", map[string]string{"refresh_token": session.RefreshToken}, &session)
	step(http.StatusNoContent, "POST", "/api/auth/logout", "", map[string]string{"refresh_token": session.RefreshToken})

	step(http.StatusCreated, "POST", "/api/stream/ticket", "", map[string]any{})
	made["GET /api/traffic/logs/stream"] = true
	made["GET /api/ids/alerts/stream"] = true
	ws := r.socket(t, "?event=open")
	ws.send(t, `{"type":"filter","filter":{"action":["sideways"]}}`)
	if f := ws.await(t, func(f frame) bool { return f.Type == "error" }); f.Error == nil || f.Error.Field != "filter.action" {
		t.Errorf("a bad filter is answered by %s", f.text)
	}
	ws.send(t, `{"type":"filter","filter":{"event":["open","close"],"action":["accept"]}}`)
	ws.await(t, func(f frame) bool { return f.Type == "filter" })
	ws.await(t, func(f frame) bool { return f.Type == "log" })
	r.events(t, "").await(t, func(f frame) bool { return f.Type == "log" })

	if diff := cmp.Diff(api.operations(t), made); diff != "" {
		t.Errorf("operations of the document (-) and of this test (+):\n%s", diff)
	}
}

// operations lists what the published document describes.
func (c *client) operations(t *testing.T) map[string]bool {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]json.RawMessage
	}
	c.get(t, "/openapi.json", &doc)
	all := map[string]bool{}
	for path, operations := range doc.Paths {
		for method := range operations {
			all[strings.ToUpper(method)+" "+path] = true
		}
	}
	return all
}
