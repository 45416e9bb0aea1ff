package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// TestKilled kills every process while clients transfer, flow after flow and
// one long one: nobody is disturbed, the policy holds throughout, everything
// comes back, and the log has each flow once.
func TestKilled(t *testing.T) {
	r := start(t)
	_, answered := r.api.addRule(t, noWeb(lab.LAN2), "")
	r.enforced(t, "a rule", answered, lab.LAN2, false)

	long := r.keepBooks(t, lab.LAN1, "10.77.1.21")
	longDone := make(chan error, 1)
	go func() { longDone <- long.transfer(6<<20, "--limit-rate", "400k") }()
	short := r.keepBooks(t, lab.LAN1, "10.77.1.20")
	stopShort := short.keepOn(t, 50_000)

	t.Run("agent", func(t *testing.T) { r.killAgent(t) })
	t.Run("agent again and again", func(t *testing.T) {
		for range 2 {
			before := r.process("agent")
			r.kill(before)
			r.awaitOther(t, "agent", before)
		}
		r.api.awaitSynced(t)
	})
	t.Run("cloud", func(t *testing.T) { r.killCloud(t) })
	t.Run("engine", func(t *testing.T) { r.killEngine(t) })

	stopShort()
	if err := <-longDone; err != nil {
		t.Errorf("the long transfer: %v", err)
	}
	r.holds(t)
	short.balance(t)
	long.balance(t)

	t.Run("servers and traffic", func(t *testing.T) {
		for _, service := range []string{"serve", "traffic"} {
			before := r.process(service)
			r.kill(before)
			r.awaitOther(t, service, before)
		}
		labtest.Eventually(t, patience, func() error { return r.fetch(lab.LAN1, r.env["NGFW_LAB_HTTP"]) })
	})
}

// holds says whether lan2 is kept from the web, and lan1 is not.
func (r *run) holds(t *testing.T) {
	t.Helper()
	for _, to := range webs {
		if r.attempt(lab.LAN2, to, blocked) {
			t.Errorf("lan2 reaches %s", to)
		}
		if !r.attempt(lab.LAN1, to, patience) {
			t.Errorf("lan1 does not reach %s", to)
		}
	}
}

// awaitOther returns the process that took a killed one's place.
func (r *run) awaitOther(t *testing.T, service string, before lab.Process) (now lab.Process) {
	t.Helper()
	labtest.Eventually(t, patience, func() error {
		if now = r.process(service); now == before {
			return fmt.Errorf("%s is still process %d", service, before.PID)
		}
		return nil
	})
	return now
}

// killAgent holds the agent dead for a while.
func (r *run) killAgent(t *testing.T) {
	const knocks = 5
	closed := rule{Name: "closed port", ZoneFrom: "LAN", ZoneTo: "WAN", Source: "10.77.2.40", Protocol: "tcp", Port: "81", Action: "drop"}
	closed, _ = r.api.addRule(t, closed, "")
	r.api.awaitSynced(t)
	knocker := r.keepBooks(t, lab.LAN2, "10.77.2.40")

	restore := r.withhold("ngfw-agent")
	r.kill(r.process("agent"))
	r.holds(t)
	// One packet each: the next attempt of a connection comes after a second.
	for range knocks {
		if err := knocker.knock(81); err == nil {
			t.Fatal("the closed port answers")
		}
	}
	labtest.Eventually(t, patience, func() error {
		if s := r.api.deviceStatus(t, r.env["NGFW_DEVICE_ID"]); s.Status != "offline" {
			return fmt.Errorf("the router is %s although its agent is dead", s.Status)
		}
		return nil
	})
	// Written now, applied when it is back.
	later := rule{Name: "written meanwhile", ZoneFrom: "LAN", ZoneTo: "WAN", Protocol: "tcp", Port: "443", Source: lab.IP4(lab.LAN2).String(), Action: "drop"}
	r.api.addRule(t, later, "")
	if s := r.api.deviceStatus(t, r.env["NGFW_DEVICE_ID"]); s.Config.State != "pending" || s.Config.Wanted <= s.Config.Applied {
		t.Errorf("a change for an absent router: %+v", s.Config)
	}
	https := netip.AddrPortFrom(lab.IP4(lab.INET), 443)
	if !r.attempt(lab.LAN2, https, patience) {
		t.Error("lan2's https is closed although nobody is there to close it")
	}
	r.holds(t)
	restore()
	r.api.awaitSynced(t)
	if r.attempt(lab.LAN2, https, blocked) {
		t.Error("what was written while the agent was dead is not enforced")
	}
	r.holds(t)

	// What was refused meanwhile is told, every packet of it once.
	labtest.Eventually(t, patience, func() error {
		rows, err := r.api.rows(t, url.Values{"rule_id": {strconv.FormatInt(closed.ID, 10)}})
		if err != nil {
			return err
		}
		var count, packets int64
		for _, e := range rows {
			count += e.Count
			packets += e.Packets
		}
		if count != knocks || packets != knocks {
			return fmt.Errorf("%d refused flows with %d packets, want %d", count, packets, knocks)
		}
		return nil
	})
	labtest.Eventually(t, patience, func() error {
		if now := r.api.hits(t, closed.ID); now.Hits != knocks {
			return fmt.Errorf("hits %d, want %d", now.Hits, knocks)
		}
		return nil
	})
}

// knock sends one SYN to inet.
func (b *books) knock(port int) error {
	b.port++
	_, err := b.run.exec(b.host, "curl", "--silent", "--max-time", "0.3", "--interface", b.source.String(),
		"--local-port", strconv.Itoa(b.port), fmt.Sprintf("http://%s:%d/", lab.IP4(lab.INET), port))
	return err
}

// killCloud holds the cloud dead for a while; a client retries a write until it
// is answered.
func (r *run) killCloud(t *testing.T) {
	made, _ := r.api.addRule(t, rule{Name: "to be changed", ZoneFrom: "LAN", ZoneTo: "WAN", Protocol: "tcp", Port: "8443", Action: "accept"}, "")
	restore := r.withhold("ngfw-cloud")
	r.kill(r.process("cloud"))
	r.holds(t)
	changed := made
	changed.Name, changed.Action, changed.Hits = "changed meanwhile", "drop", 0
	if _, err := r.api.send("PUT", fmt.Sprintf("/api/firewall/rules/%d", made.ID), changed, nil); err == nil {
		t.Fatal("a dead cloud answers")
	}
	r.holds(t)
	restore()
	labtest.Eventually(t, patience, func() error {
		a, err := r.api.try(t, "PUT", fmt.Sprintf("/api/firewall/rules/%d", made.ID), changed, nil)
		if err == nil && a.status != http.StatusOK {
			err = fmt.Errorf("status %d: %s", a.status, a.body)
		}
		return err
	})
	r.api.awaitSynced(t)
	if now := r.api.hits(t, made.ID); now.Name != changed.Name || now.Action != changed.Action {
		t.Errorf("the rule is %+v", now)
	}
	r.holds(t)
}

// killEngine kills the analytics engine, the cloud's child.
func (r *run) killEngine(t *testing.T) {
	cloud := r.process("cloud")
	engines := children(cloud)
	if len(engines) != 1 {
		t.Fatalf("the cloud has %d children", len(engines))
	}
	r.kill(engines[0])
	labtest.Eventually(t, 2*patience, func() error {
		a, err := r.api.try(t, "GET", "/api/traffic/logs?limit=1", nil, nil)
		if err != nil {
			return err
		}
		if a.status != http.StatusOK {
			var e struct{ Error struct{ Code string } }
			if json.Unmarshal(a.body, &e) != nil || e.Error.Code != "UNAVAILABLE" {
				t.Errorf("without its engine the log answers %d %s", a.status, a.body)
			}
			return fmt.Errorf("status %d: %s", a.status, a.body)
		}
		if n := metric(t, r.cloudMetrics(t), "ngfw_analytics_engine_restarts_total"); n < 1 {
			return fmt.Errorf("%v restarts of the engine are counted", n)
		}
		return nil
	})
	if now := r.process("cloud"); now != cloud {
		t.Errorf("the cloud went with its engine: process %d, then %d", cloud.PID, now.PID)
	}
	r.holds(t)
}

func children(of lab.Process) []lab.Process {
	return lab.Processes(func(pid int) bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return false
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		return len(fields) > 1 && fields[1] == strconv.Itoa(of.PID)
	})
}
