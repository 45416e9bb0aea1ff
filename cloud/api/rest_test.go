package api_test

import (
	"testing"
)

func TestREST(t *testing.T) {
	r := start(t, nil)
	contract := r.contract()
	for _, c := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		answer                   string
	}{
		{name: "bare list, integers as numbers, null and optional", method: "GET", path: "/api/firewall/rules", status: 200,
			answer: `[{"id":1,"name":"web","enabled":true,"zone_from":"LAN","zone_to":"WAN","icmp_types":[],"action":"accept","log":false,"hits":0,"hit_bytes":9007199254740993,"last_hit":null}]`},
		{name: "empty list", method: "GET", path: "/api/fleet/devices", status: 200, answer: `[]`},
		{name: "create", method: "POST", path: "/api/firewall/rules", body: `{"name":"a","zone_from":"LAN","zone_to":"WAN","action":"drop","hits":"ignored"}`, status: 201,
			answer: `{"id":7,"name":"a","zone_from":"LAN","zone_to":"WAN","icmp_types":[],"action":"drop","log":false,"hits":0,"hit_bytes":0,"last_hit":null}`},
		{name: "create before", method: "POST", path: "/api/firewall/rules?before=3", body: `{"name":"a"}`, status: 201,
			answer: `{"id":7,"name":"a before 3","zone_from":"","zone_to":"","icmp_types":[],"action":"","log":false,"hits":0,"hit_bytes":0,"last_hit":null}`},
		{name: "order beats {id}", method: "PUT", path: "/api/firewall/rules/order", body: `{"rule_ids":[2]}`, status: 200,
			answer: `[{"id":2,"name":"","zone_from":"","zone_to":"","icmp_types":[],"action":"","log":false,"hits":0,"hit_bytes":0,"last_hit":null}]`},
		{name: "path parameter", method: "PUT", path: "/api/firewall/zones/12", body: `{"id":3,"name":"DMZ"}`, status: 200,
			answer: `{"id":12,"name":"DMZ","interfaces":[],"masquerade":false,"mss_clamping":false}`},
		{name: "bare list in", method: "PUT", path: "/api/firewall/policies", body: `[{"from":"LAN","to":"WAN","action":"drop"}]`, status: 200,
			answer: `[{"from":"LAN","to":"WAN","action":"drop","log":false}]`},
		{name: "no content", method: "DELETE", path: "/api/firewall/rules/3", status: 204},
		{name: "public", method: "POST", path: "/api/auth/login", body: `{"email":"a","password":"right"}`, header: []string{"Authorization", ""}, status: 200,
			answer: `{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"r"}`},
		{name: "empty body of a command", method: "POST", path: "/api/auth/logout", status: 204},
		{name: "lists in the query", method: "GET", path: "/api/traffic/logs?action=drop,reject&action=accept&limit=5", status: 200,
			answer: `{"total":1,"logs":[{"id":"1","flow_id":"","device_id":"","event":"","timestamp":1703520000.25,"action":"","interface":"","zone_from":"","zone_to":"","protocol":"","source_ip":"","source_port":0,"destination_ip":"","destination_port":0,"policy_revision":0,"app":"drop+reject+accept","bytes":847293847234,"packets":0,"bytes_sent":0,"bytes_received":0,"count":0,"reason":""}],"next_cursor":"c2"}`},
		{name: "escaped slash stays in its segment", method: "GET", path: "/api/fleet/devices/a%2Fb", status: 200,
			answer: `{"id":"a/b","name":"edge","model":"","serial":"","firmware_version":"","status":"","last_seen":null,"created_at":0,"tags":[],"mode":"takeover","time_zone":"UTC"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := r.do(c.method, c.path, c.body, c.header...)
			contract.AssertMatches(t, c.method, c.path, a.status, []byte(a.body))
			want := c.answer
			if want != "" {
				want += "\n"
			}
			if a.status != c.status || a.body != want {
				t.Fatalf("got %d %s\nwant %d %s", a.status, a.body, c.status, want)
			}
			if a.header.Get("X-Request-Id") == "" {
				t.Error("no X-Request-Id")
			}
			if c.status == 204 && a.header.Get("Content-Type") != "" {
				t.Errorf("a 204 with a Content-Type")
			}
		})
	}
}
