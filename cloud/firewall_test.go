package cloud

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"ngfw.sh/cloud/api/apitest"
)

// TestFirewallQuestionsOverREST asks about policies as a script does, and holds
// every answer against the published document.
func TestFirewallQuestionsOverREST(t *testing.T) {
	needEngine(t)
	cfg := testConfig(t)
	cfg.Listen, cfg.GRPCListen = freeAddress(t), freeAddress(t)
	stop := serve(t, cfg)
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	token, base := credentials(t, cfg).APIToken, "http://"+cfg.Listen
	_, document := get(t, base+"/openapi.json", "")
	contract := apitest.Load(t, []byte(document))
	for _, c := range []struct {
		method, path, body string
		code               int
		want               string // part of the answer
	}{
		{"POST", "/api/fleet/devices", `{"name":"edge"}`, 201, `"api_key"`},
		{"GET", "/api/firewall/groups", ``, 200, `[]`},
		{"POST", "/api/firewall/groups", `{"name":"web","type":"port","members":["80","443"]}`, 201, `{"id":1,"name":"web","type":"port","members":["80","443"]}`},
		{"POST", "/api/firewall/groups", `{"name":"web","type":"port","members":[]}`, 409, `"field":"name"`},
		{"POST", "/api/firewall/rules", `{"name":"no web","zone_from":"LAN","zone_to":"WAN","protocol":"tcp","port":"@web","action":"drop"}`, 201, `"id":1`},
		{"POST", "/api/firewall/rules", `{"name":"never","zone_from":"LAN","zone_to":"WAN","protocol":"tcp","port":"80","action":"accept"}`, 201, `"id":2`},
		{"DELETE", "/api/firewall/groups/1", ``, 409, `rule 1`},
		{"POST", "/api/firewall/check", ``, 200, `[{"kind":"shadowed","rule_id":2,"other_id":1,"zone_from":"LAN","zone_to":"WAN","witness":{"src":"192.0.2.10","dst":"198.51.100.20","protocol":"tcp","sport":40000,"dport":80}}]`},
		{"POST", "/api/firewall/check", `{}`, 200, `"shadowed"`},
		{"POST", "/api/firewall/diff", `{"change":{"op":"delete","resource":"rule","id":2}}`, 200, `[]`},
		{"POST", "/api/firewall/diff", `{"change":{"op":"update","resource":"group","id":1,"body":{"name":"web","type":"port","members":["80"]}}}`, 200,
			`[{"from":"drop","to":"accept","box":{"zone_from":"LAN","zone_to":"WAN","in":[],"out":[],"source":"any","destination":"any","protocol":"tcp","port":"443","when":[]},"witness":{"src":"192.0.2.10","dst":"198.51.100.20","protocol":"tcp","sport":40000,"dport":443},"from_rule_id":1}]`},
		{"POST", "/api/firewall/diff", `{"policy":{"zones":[],"rules":[],"policies":[{"from":"LAN"}]}}`, 400, `"field":"policy.policies[0].to"`},
		{"POST", "/api/firewall/diff", `{"change":{"op":"paint","resource":"rule"}}`, 400, `"field":"change.op"`},
		{"POST", "/api/firewall/diff", `{}`, 400, `either policy or change`},
		{"POST", "/api/firewall/simulate", `{"packet":{"in":"eth1","out":"eth0","src":"10.0.0.1","dst":"192.0.2.1","protocol":"tcp","dport":80}}`, 503, `DEVICE_OFFLINE`},
		{"POST", "/api/firewall/simulate", `{"packet":{"in":"eth1","out":"eth0","src":"10.0.0","dst":"192.0.2.1","protocol":"tcp"}}`, 400, `"field":"packet.src"`},
		{"POST", "/api/firewall/simulate", `{}`, 400, `"field":"packet"`},
		{"PUT", "/api/firewall/groups/1", `{"name":"web","type":"port","members":["80"]}`, 200, `"members":["80"]`},
	} {
		req, err := http.NewRequest(c.method, base+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != c.code || !strings.Contains(string(body), c.want) {
			t.Errorf("%s %s %s: %d %s, want %d %s", c.method, c.path, c.body, res.StatusCode, body, c.code, c.want)
		}
		contract.AssertMatches(t, c.method, c.path, res.StatusCode, body)
	}
}
