package e2e

import (
	"fmt"
	"testing"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// TestAway takes the router's way to its cloud away: packets go on, what they
// leave in the log arrives afterwards, and a change waits for the way back.
func TestAway(t *testing.T) {
	r := start(t)
	short := r.keepBooks(t, lab.LAN1, "10.77.1.20")
	for name, meanwhile := range map[string]func(t *testing.T){
		"a cable pulled": func(*testing.T) {},
		// The connection does not outlast this one: it is made anew.
		"and the cloud started again": func(t *testing.T) {
			before := r.process("cloud")
			r.kill(before)
			r.awaitOther(t, "cloud", before)
			labtest.Eventually(t, patience, func() error {
				a, err := r.api.try(t, "GET", "/health", nil, nil)
				if err == nil && a.status != 200 {
					err = fmt.Errorf("%d %s", a.status, a.body)
				}
				return err
			})
		},
		"and the agent killed": func(t *testing.T) {
			before := r.process("agent")
			r.kill(before)
			r.awaitOther(t, "agent", before)
		},
	} {
		t.Run(name, func(t *testing.T) {
			stop := short.keepOn(t, 50_000)
			r.must(lab.RTR, "ip", "link", "set", "mgmt0", "down")
			back := func() { r.must(lab.RTR, "ip", "link", "set", "mgmt0", "up") }
			t.Cleanup(back)
			// Rows wait for the way back.
			labtest.Eventually(t, patience, func() error {
				if n := metric(t, r.agentMetrics(), "ngfw_spool_batches"); n < 5 {
					return fmt.Errorf("%v batches wait", n)
				}
				return nil
			})
			meanwhile(t)
			block, _ := r.api.addRule(t, noWeb(lab.LAN2), "")
			if !r.attempt(lab.LAN2, webs[0], patience) {
				t.Error("the change is enforced although nothing leads to the router")
			}
			back()
			r.api.awaitSynced(t)
			r.holds(t)
			stop()
			short.balance(t)
			if n := metric(t, r.agentMetrics(), "ngfw_spool_dropped_rows_total"); n != 0 {
				t.Errorf("%v rows were given up", n)
			}
			answer := r.api.call(t, 204, "DELETE", fmt.Sprintf("/api/firewall/rules/%d", block.ID), nil, nil)
			r.enforced(t, "the rule deleted", answer.at, lab.LAN2, true)
		})
	}
}

// agentMetrics is what Prometheus would read in the router.
func (r *run) agentMetrics() string {
	r.t.Helper()
	var out string
	labtest.Eventually(r.t, patience, func() (err error) {
		out, err = r.exec(lab.RTR, "curl", "--silent", "--fail", "http://127.0.0.1:9101/metrics")
		return err
	})
	return out
}
