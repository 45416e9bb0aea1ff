package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// alert is an entry of the alert history.
type alert struct {
	ID, Severity, Signature, Category, Action, Protocol string
	SignatureID                                         int64  `json:"signature_id"`
	SourceIP                                            string `json:"source_ip"`
	DestinationIP                                       string `json:"destination_ip"`
	SourcePort                                          int    `json:"source_port"`
	DestinationPort                                     int    `json:"destination_port"`
	AppProto                                            string `json:"app_proto"`
	FlowID                                              string `json:"flow_id"`
	Preview                                             string `json:"payload_preview"`
}

func (c *client) alerts(t testing.TB, filter url.Values) []alert {
	t.Helper()
	var page struct{ Alerts []alert }
	c.get(t, "/api/ids/alerts?"+filter.Encode(), &page)
	return page.Alerts
}

// TestInspection has the matcher look at the lab's traffic: it detects, then prevents; what it
// finds is an alert by REST and on the stream, and a threat in the log. Traffic that no rule is
// about goes on, over GSO, through the same queues.
func TestInspection(t *testing.T) {
	r := start(t)
	api := r.api
	rules := filepath.Join(t.TempDir(), "local.rules")
	text := `alert http any any -> any any (msg:"LAB evil page"; flow:established,to_server; http.uri; content:"/evil"; classtype:trojan-activity; sid:1000001; rev:1;)
alert dns any any -> any any (msg:"LAB odd name"; dns.query; content:"odd."; startswith; classtype:bad-unknown; sid:1000002; rev:1;)
alert tcp any any -> any any (msg:"broken"; nonsense; sid:1000003;)
`
	if err := os.WriteFile(rules, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	config := map[string]any{"enabled": true, "mode": "detect", "sources": []any{map[string]any{"name": "local", "file": rules}}}
	api.call(t, http.StatusOK, "PUT", "/api/ids/config", config, nil)
	api.awaitSynced(t)
	evil := strings.TrimSuffix(r.env["NGFW_LAB_HTTP"], "/") + "/evil?x=1"

	counts := func() (n int64) {
		var list []struct {
			ID        string
			RuleCount int64 `json:"rule_count"`
		}
		api.get(t, "/api/ids/categories", &list)
		for _, c := range list {
			n += c.RuleCount
		}
		return n
	}
	labtest.Eventually(t, patience, func() error {
		if n := counts(); n != 2 {
			return fmt.Errorf("%d rules are in force, want 2: a broken one costs itself alone", n)
		}
		return nil
	})

	stream := r.alertStream(t)
	found := func(sid int64, action string) (out alert) {
		t.Helper()
		labtest.Eventually(t, patience, func() error {
			for _, a := range api.alerts(t, url.Values{"signature_id": {fmt.Sprint(sid)}, "action": {action}}) {
				out = a
				return nil
			}
			return errors.New("no alert")
		})
		return out
	}
	t.Run("it detects", func(t *testing.T) {
		r.exec(lab.LAN1, "curl", "--silent", "--max-time", "5", "--output", "/dev/null", evil)
		a := found(1000001, "allowed")
		if a.Severity != "high" || a.Category != "malware" || a.SourceIP != r.env["NGFW_LAB_LAN1_IP"] || a.DestinationPort != 80 || a.Protocol != "tcp" || a.AppProto != "http1" && a.AppProto != "http" || a.Preview == "" {
			t.Errorf("%+v", a)
		}
		if got := stream.next(t); got.SignatureID != 1000001 || got.ID == "" {
			t.Errorf("the stream shows %+v", got)
		}
		labtest.Eventually(t, patience, func() error {
			rows, err := api.rows(t, url.Values{"threat": {"LAB evil page"}})
			if err == nil && len(rows) == 0 {
				err = errors.New("no row of the log has the threat")
			}
			return err
		})
	})

	t.Run("bulk passes the same queues whole", func(t *testing.T) {
		if err := r.fetch(lab.LAN1, r.env["NGFW_LAB_HTTP"]+"bytes/50000000"); err != nil {
			t.Error(err)
		}
		m := r.agentMetrics()
		for line := range strings.Lines(m) {
			if strings.HasPrefix(line, "ngfw_ids_queue_packets_total") && strings.Contains(line, "dropped") && !strings.HasSuffix(strings.TrimSpace(line), " 0") {
				t.Error(line)
			}
		}
	})

	t.Run("it prevents", func(t *testing.T) {
		config["mode"] = "prevent"
		api.call(t, http.StatusOK, "PUT", "/api/ids/config", config, nil)
		api.call(t, http.StatusOK, "PUT", "/api/ids/categories/malware", map[string]any{"mode": "prevent"}, nil)
		api.awaitSynced(t)
		labtest.Eventually(t, patience, func() error {
			if out, err := r.exec(lab.LAN1, "curl", "--silent", "--max-time", "2", "--output", "/dev/null", evil); err == nil {
				return fmt.Errorf("the page came through: %s", out)
			}
			return nil
		})
		if a := found(1000001, "blocked"); a.SourceIP != r.env["NGFW_LAB_LAN1_IP"] {
			t.Errorf("%+v", a)
		}
		if err := r.fetch(lab.LAN1, r.env["NGFW_LAB_HTTP"]); err != nil {
			t.Error(err)
		}
	})

	t.Run("an own rule, and a suppression", func(t *testing.T) {
		var made struct{ ID int64 }
		api.call(t, http.StatusCreated, "POST", "/api/ids/rules", map[string]any{
			"name": "secret", "rule": `drop tcp any any -> any 80 (msg:"LAB secret"; flow:to_server; content:"/secret"; sid:1000010;)`,
		}, &made)
		api.awaitSynced(t)
		labtest.Eventually(t, patience, func() error {
			if _, err := r.exec(lab.LAN2, "curl", "--silent", "--max-time", "2", "--output", "/dev/null", strings.Replace(evil, "evil", "secret", 1)); err == nil {
				return errors.New("it came through")
			}
			return nil
		})
		found(1000010, "blocked")
		api.call(t, http.StatusCreated, "POST", "/api/ids/suppressions", map[string]any{"sid": 1000010, "track": "by_src", "ip": r.env["NGFW_LAB_LAN2_IP"]}, nil)
		api.call(t, http.StatusNoContent, "DELETE", fmt.Sprintf("/api/ids/rules/%d", made.ID), nil, nil)
		api.awaitSynced(t)
		if err := r.fetch(lab.LAN2, strings.Replace(evil, "/evil?x=1", "/bytes/1000", 1)); err != nil {
			t.Error(err)
		}
	})

	t.Run("and lets go", func(t *testing.T) {
		api.call(t, http.StatusOK, "PUT", "/api/ids/config", map[string]any{"enabled": false}, nil)
		api.awaitSynced(t)
		labtest.Eventually(t, patience, func() error { return r.fetch(lab.LAN1, r.env["NGFW_LAB_HTTP"]) })
		if out := r.must(lab.RTR, "nft", "list", "table", "inet", "ngfw"); strings.Contains(strings.ToLower(out), "queue") {
			t.Errorf("packets still go to a queue:\n%s", out)
		}
	})
}

// alertStream follows the live stream of alerts.
func (r *run) alertStream(t *testing.T) *alertStream {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, strings.Replace(r.env["NGFW_URL"], "http", "ws", 1)+"/api/ids/alerts/stream",
		&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + r.env["NGFW_TOKEN"]}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	return &alertStream{ctx, conn}
}

type alertStream struct {
	ctx  context.Context
	conn *websocket.Conn
}

// next waits for an alert.
func (s *alertStream) next(t *testing.T) alert {
	t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	for {
		_, text, err := s.conn.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var f struct {
			Type string
			Data alert
		}
		if err := json.Unmarshal(text, &f); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if f.Type == "alert" {
			return f.Data
		}
	}
}
