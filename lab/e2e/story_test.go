package e2e

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// TestStory is what a person does first: look at the traffic, forbid one client
// the web, see that it holds and where it shows, and take it back.
func TestStory(t *testing.T) {
	r := start(t)
	api := r.api
	since := time.Now()

	t.Run("the log shows the lab's traffic", func(t *testing.T) {
		for _, want := range []url.Values{
			{"src": {lab.IP4(lab.LAN1).String()}, "proto": {"tcp"}, "action": {"accept"}},
			{"src": {lab.IP4(lab.LAN1).String() + "," + lab.IP6(lab.LAN1).String()}, "proto": {"udp"}, "port": {"53"}},
		} {
			labtest.Eventually(t, 2*patience, func() error {
				rows, err := api.rows(t, want)
				if err == nil && len(rows) == 0 {
					err = fmt.Errorf("no rows with %v", want)
				}
				return err
			})
		}
	})

	t.Run("top clients ranks", func(t *testing.T) {
		for host, size := range map[string]int{lab.LAN1: 20_000_000, lab.LAN2: 300_000} {
			if err := r.fetch(host, r.env["NGFW_LAB_HTTP"]+"bytes/"+strconv.Itoa(size)); err != nil {
				t.Fatal(err)
			}
		}
		labtest.Eventually(t, patience, func() error {
			var top []struct {
				IP          string
				RxBytes     int64 `json:"rx_bytes"`
				Connections int64
			}
			api.get(t, "/api/traffic/top/clients?limit=50", &top)
			rank := map[string]int{}
			for i, c := range top {
				rank[c.IP] = i + 1
				if least := map[string]int64{r.env["NGFW_LAB_LAN1_IP"]: 20_000_000, r.env["NGFW_LAB_LAN2_IP"]: 300_000}[c.IP]; c.RxBytes < least || least > 0 && c.Connections < 1 {
					return fmt.Errorf("%s received %d bytes so far over %d connections", c.IP, c.RxBytes, c.Connections)
				}
			}
			one, two := rank[r.env["NGFW_LAB_LAN1_IP"]], rank[r.env["NGFW_LAB_LAN2_IP"]]
			if one == 0 || two == 0 || one > two {
				return fmt.Errorf("lan1 has place %d, lan2 place %d of %v", one, two, top)
			}
			return nil
		})
	})

	t.Run("a rule is tried on what was seen", func(t *testing.T) {
		tried := api.backtest(t, noWeb(lab.LAN2), since)
		seen := map[string]bool{}
		for _, e := range tried.Blocked {
			if e.Client != lab.IP4(lab.LAN2).String() && e.Client != lab.IP6(lab.LAN2).String() || e.Protocol != "tcp" || e.Port != 80 || e.Action != "drop" || e.Connections < 1 || len(e.Examples) == 0 {
				t.Errorf("blocked would be %+v", e)
			}
			seen[e.Destination] = true
		}
		if !seen[r.env["NGFW_LAB_INET_IP"]] || tried.Totals.Blocked.Bytes < 300_000 || len(tried.Allowed) > 0 {
			t.Errorf("%+v", tried)
		}
	})

	// One rule that decides nothing here, to be moved before.
	first, _ := api.addRule(t, rule{Name: "mail", ZoneFrom: "LAN", ZoneTo: "WAN", Protocol: "tcp", Port: "25", Action: "accept"}, "")
	ws := r.socket(t, "?action=drop&src="+lab.IP4(lab.LAN2).String()+","+lab.IP6(lab.LAN2).String())
	sse := r.events(t, "?action=drop&src="+lab.IP4(lab.LAN2).String())
	if err := r.fetch(lab.LAN2, r.env["NGFW_LAB_HTTP"]); err != nil {
		t.Fatal(err)
	}
	countedRows := metric(t, r.cloudMetrics(t), `ngfw_analytics_rows_total{table="flows"}`)

	block, answered := api.addRule(t, noWeb(lab.LAN2), "?before="+strconv.FormatInt(first.ID, 10))
	r.enforced(t, "a rule before the first", answered, lab.LAN2, false)

	t.Run("it holds for lan2 alone", func(t *testing.T) {
		for _, to := range []string{r.env["NGFW_LAB_HTTP"], "http://[" + r.env["NGFW_LAB_INET_IP6"] + "]/"} {
			if err := r.fetch(lab.LAN2, to); err == nil || !strings.Contains(err.Error(), "exit status 28") {
				t.Errorf("lan2 to %s: %v, want curl's 28, a time-out", to, err)
			}
			if err := r.fetch(lab.LAN1, to); err != nil {
				t.Errorf("lan1 to %s: %v", to, err)
			}
		}
		if _, err := r.exec(lab.LAN2, "curl", "--silent", "--fail", "--insecure", "--max-time", "5", "--output", "/dev/null", "https://"+r.env["NGFW_LAB_INET_IP"]+"/"); err != nil {
			t.Errorf("lan2's https: %v", err)
		}
	})

	ours := func(e entry) error {
		switch {
		case e.Event != "refused" || e.Action != "drop" || e.Reason != "rule":
			return fmt.Errorf("event %s, action %s, reason %s", e.Event, e.Action, e.Reason)
		case e.RuleID != block.ID || e.RuleName != block.Name:
			return fmt.Errorf("decided by %d %q", e.RuleID, e.RuleName)
		case e.PolicyRevision < 1 || e.ZoneFrom != "LAN" || e.ZoneTo != "WAN" || e.Interface != lab.LAN2:
			return fmt.Errorf("revision %d, %s at %s to %s", e.PolicyRevision, e.ZoneFrom, e.Interface, e.ZoneTo)
		case e.Protocol != "tcp" || e.DestinationPort != 80 || e.SourcePort == 0 || e.Count < 1 || e.Packets < 1:
			return fmt.Errorf("%s to port %d from %d, count %d, packets %d", e.Protocol, e.DestinationPort, e.SourcePort, e.Count, e.Packets)
		case e.DeviceID != r.env["NGFW_DEVICE_ID"]:
			return fmt.Errorf("of device %s", e.DeviceID)
		}
		return nil
	}

	t.Run("the stream shows it", func(t *testing.T) {
		for _, source := range []netip.Addr{lab.IP4(lab.LAN2), lab.IP6(lab.LAN2)} {
			f := ws.await(t, func(f frame) bool { return f.Data.SourceIP == source.String() })
			if err := ours(f.Data); err != nil {
				t.Errorf("%v: %s", err, f.text)
			}
		}
		f := sse.await(t, func(f frame) bool { return f.Type == "log" })
		if err := ours(f.Data); err != nil {
			t.Errorf("server-sent: %v: %s", err, f.text)
		}
	})

	t.Run("within half a second of the packet", func(t *testing.T) {
		// The first packet after a quiet second is a row of its own. On a busy
		// machine one of a few has to do.
		labtest.Eventually(t, patience, func() error {
			since := float64(time.Now().UnixMicro()) / 1e6
			r.attempt(lab.LAN2, webs[0], blocked)
			fits := func(f frame) bool { return f.Data.Timestamp >= since && f.Data.SourceIP == lab.IP4(lab.LAN2).String() }
			one, two := ws.await(t, fits).lag(), sse.await(t, fits).lag()
			t.Logf("packet to WebSocket frame %v, to server-sent event %v", one, two)
			if max(one, two) > 500*time.Millisecond {
				return fmt.Errorf("packet to frame: %v and %v", one, two)
			}
			return nil
		})
	})

	t.Run("the log shows it", func(t *testing.T) {
		filter := url.Values{"rule_id": {strconv.FormatInt(block.ID, 10)}, "event": {"refused"}}
		labtest.Eventually(t, patience, func() error {
			rows, err := api.rows(t, filter)
			if err != nil {
				return err
			}
			families := map[bool]int{}
			for _, e := range rows {
				if err := ours(e); err != nil {
					return err
				}
				families[netip.MustParseAddr(e.SourceIP).Is4()]++
			}
			if families[true] == 0 || families[false] == 0 {
				return fmt.Errorf("rows by IPv4 %d, by IPv6 %d", families[true], families[false])
			}
			return nil
		})
	})

	t.Run("hits grow", func(t *testing.T) {
		before := api.hits(t, block.ID)
		labtest.Eventually(t, patience, func() error {
			r.attempt(lab.LAN2, webs[0], blocked)
			now := api.hits(t, block.ID)
			if now.Hits <= before.Hits || now.Hits == 0 || now.HitBytes <= before.HitBytes || now.LastHit == nil {
				return fmt.Errorf("hits %d, then %d (%d bytes)", before.Hits, now.Hits, now.HitBytes)
			}
			return nil
		})
		// Without new packets all three that count come to the same.
		id := strconv.FormatInt(block.ID, 10)
		labtest.Eventually(t, patience, func() error {
			agent := r.must(lab.RTR, "curl", "--silent", "http://127.0.0.1:9101/metrics")
			packets := metric(t, agent, `ngfw_rule_packets_total{rule_id="`+id+`"}`)
			bytes := metric(t, agent, `ngfw_rule_bytes_total{rule_id="`+id+`"}`)
			now := api.hits(t, block.ID)
			if packets == 0 || now.Hits < int64(packets) || now.HitBytes < int64(bytes) {
				return fmt.Errorf("the agent counts %v packets, %v bytes, the API %d, %d", packets, bytes, now.Hits, now.HitBytes)
			}
			return nil
		})
		if now := metric(t, r.cloudMetrics(t), `ngfw_analytics_rows_total{table="flows"}`); now <= countedRows {
			t.Errorf("the cloud counts %v rows, before the rule %v", now, countedRows)
		}
	})

	t.Run("reorder, disable, delete", func(t *testing.T) {
		step := func(what string, answered time.Time, passes bool) {
			t.Helper()
			r.enforced(t, what, answered, lab.LAN2, passes)
		}
		allow := noWeb(lab.LAN2)
		allow.Name, allow.Action = "web for lan2", "accept"
		allow, answered := api.addRule(t, allow, "")
		step("an accepting rule behind", answered, false)
		order := func(ids ...int64) time.Time {
			t.Helper()
			var list []rule
			a := api.call(t, http.StatusOK, "PUT", "/api/firewall/rules/order", map[string]any{"rule_ids": ids}, &list)
			for i, id := range ids {
				if i >= len(list) || list[i].ID != id {
					t.Fatalf("order %v answered with %s", ids, a.body)
				}
			}
			return a.at
		}
		step("moved before", order(allow.ID, block.ID, first.ID), true)
		step("moved back", order(block.ID, first.ID, allow.ID), false)

		path := fmt.Sprintf("/api/firewall/rules/%d", block.ID)
		off := noWeb(lab.LAN2)
		off.Enabled = new(bool)
		step("disabled", api.call(t, http.StatusOK, "PUT", path, off, nil).at, true)
		hits := api.hits(t, block.ID).Hits
		if hits == 0 {
			t.Error("the hits did not survive the edit")
		}
		step("enabled", api.call(t, http.StatusOK, "PUT", path, noWeb(lab.LAN2), nil).at, false)
		step("deleted", api.call(t, http.StatusNoContent, "DELETE", path, nil, nil).at, true)
		if err := r.fetch(lab.LAN2, r.env["NGFW_LAB_HTTP"]); err != nil {
			t.Error(err)
		}
	})
}

// hits is a rule with its counters.
func (c *client) hits(t testing.TB, id int64) rule {
	t.Helper()
	var rules []rule
	c.get(t, "/api/firewall/rules", &rules)
	for _, r := range rules {
		if r.ID == id {
			return r
		}
	}
	t.Fatalf("no rule %d among %v", id, rules)
	return rule{}
}

func (r *run) cloudMetrics(t testing.TB) string {
	t.Helper()
	return string(r.api.call(t, http.StatusOK, "GET", "/metrics", nil, nil).body)
}

// metric is the value of a series in the Prometheus text format; 0 if it is
// not there.
func metric(t testing.TB, text, series string) float64 {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
