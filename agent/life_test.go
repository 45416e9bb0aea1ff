package agent_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"ngfw.sh/lab/labtest"
)

func TestPolicyHoldsThroughKill(t *testing.T) {
	r := newRouter(t)
	r.rules(`{"id":7,"name":"no web for lan2","zone_from":"LAN","zone_to":"WAN","source":"10.77.2.0/24","protocol":"tcp","port":"80","action":"drop"}`,
		`{"id":3,"name":"web","zone_from":"LAN","zone_to":"WAN","protocol":"tcp","port":"80","action":"accept"}`)
	r.startPolicy()
	r.passes("lan1", curl(web4)...)
	r.blocked("lan2", curl(web4)...)

	// A download that lasts across the kill.
	size, rate, limit, kills := "12000000", "2M", "30", 3
	if patient {
		size, rate, limit, kills = "8000000", "100K", "600", 1
	}
	download := exec.Command("curl", "-sS", "-m", limit, "--limit-rate", rate, "-o", os.DevNull, "http://203.0.113.1/bytes/"+size)
	wait, err := r.Lab.Lab.Start("lan1", download)
	if err != nil {
		t.Fatal(err)
	}
	r.eventually(func() error {
		if r.metric(`ngfw_rule_packets_total{rule_id="3"}`) < 100 {
			return errors.New("the download has not begun")
		}
		return nil
	})
	hits, drops := r.metric(`ngfw_rule_packets_total{rule_id="3"}`), r.metric(`ngfw_rule_packets_total{rule_id="7"}`)
	for range kills {
		r.kill()
		// Nobody is there, and the policy holds.
		r.passes("lan1", curl(tls4)...)
		r.blocked("lan2", curl(web4)...)
		r.start() // without the file: the last good policy
		if h := r.metric(`ngfw_rule_packets_total{rule_id="3"}`); h < hits {
			t.Errorf("hits went back from %v to %v", hits, h)
		} else {
			hits = h
		}
		if d := r.metric(`ngfw_rule_packets_total{rule_id="7"}`); d <= drops {
			t.Errorf("drops while nobody was there were not counted: %v then %v", drops, d)
		} else {
			drops = d
		}
	}
	if err := wait(); err != nil {
		t.Errorf("the download did not survive: %v", err)
	}
}

func TestUnconfiguredAgentTouchesNothing(t *testing.T) {
	r := newRouter(t, labtest.Forward())
	r.start()
	r.passes("lan1", ping("10.77.3.10")...) // a plain router's way
	if out := r.Exec("rtr", "nft", "list", "tables"); strings.Contains(out, "ngfw") {
		t.Errorf("a table was loaded: %s", out)
	}
	if s := r.mustStatus(); len(s.Programs) != 0 {
		t.Errorf("programs were attached: %+v", s.Programs)
	}
}

func TestLateInterfaceIsClosedThenJoins(t *testing.T) {
	r := newRouter(t)
	r.rules()
	r.startPolicy()
	r.passes("lan1", curl(web4)...)
	// Without an agent an interface that comes late stays closed.
	r.kill()
	r.Exec("rtr", "ip", "link", "add", "late", "numtxqueues", "1", "numrxqueues", "1", "type", "veth", "peer", "name", "guest", "numtxqueues", "1", "numrxqueues", "1")
	r.Exec("rtr", "ip", "link", "set", "guest", "netns", r.Namespace("iot1"))
	for _, cmd := range [][]string{
		{"rtr", "ip", "addr", "add", "10.77.9.1/24", "dev", "late"}, {"rtr", "ip", "link", "set", "late", "up"},
		{"iot1", "ip", "addr", "add", "10.77.9.10/24", "dev", "guest"}, {"iot1", "ip", "link", "set", "guest", "up"},
	} {
		r.Exec(cmd[0], cmd[1:]...)
	}
	r.blocked("iot1", ping("10.77.9.1", "-I", "guest")...)
	r.start()
	r.passes("iot1", ping("10.77.9.1", "-I", "guest")...)
	// Gone and come again, with another index.
	r.Exec("rtr", "ip", "link", "del", "late")
	r.eventually(func() error {
		for _, p := range r.mustStatus().Programs {
			if p.Interface == "late" {
				return errors.New("the interface is still there")
			}
		}
		return nil
	})
}

func TestRemoveOpensTheRouter(t *testing.T) {
	r := newRouter(t)
	r.rules()
	r.startPolicy()
	r.blocked("iot1", ping("10.77.1.10")...)
	remove := func(args ...string) error {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self, append([]string{"remove", "--config", r.settings}, args...)...)
		cmd.Env = append(os.Environ(), beAgent+"=1")
		return r.Lab.Lab.Run("rtr", cmd)
	}
	if err := remove("--yes"); err == nil {
		t.Error("removed under a running agent")
	}
	r.kill()
	if err := remove(); err == nil {
		t.Error("removed without being asked twice")
	}
	if err := remove("--yes"); err != nil {
		t.Fatal(err)
	}
	r.eventually(func() error { // links are freed a moment after their pins
		_, err := r.TryExec("iot1", ping("10.77.1.10")...)
		return err
	})
	if out := r.Exec("rtr", "nft", "list", "tables"); strings.Contains(out, "ngfw") {
		t.Errorf("the table is still there: %s", out)
	}
	// The last good policy comes back with the agent.
	r.start()
	r.blocked("iot1", ping("10.77.1.10")...)
}
