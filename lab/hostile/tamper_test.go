package hostile

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

var (
	outward  = packet{src: lan1v4, dst: inetv4, proto: udp, sport: 700, dport: 7}
	toClient = packet{src: iotv4, dst: lan1v4, proto: tcp, sport: 700, dport: 7, flags: "S"}
)

// guarded checks that the router filters and translates.
func (r *router) guarded(t *testing.T, when string) {
	t.Helper()
	outward.sport++
	r.send(lab.LAN1, outward)
	equal(t, when+": out", r.arrivals(lab.LAN1, lab.INET, false), []string{fmt.Sprintf("udp 203.0.113.2:%d > 203.0.113.1:7", outward.sport)})
	r.send(lab.IOT1, toClient)
	equal(t, when+": in", r.arrivals(lab.IOT1, lab.LAN1, false), nil)
}

// A killed agent opens nothing, and its successor takes over.
func TestKilledAgent(t *testing.T) {
	r := newRouter(t, usual)
	r.guarded(t, "before")
	client, seen := established(t, r)
	if err := r.agent.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	labtest.Eventually(t, 20*time.Second, func() error {
		if _, err := r.ask(); err == nil {
			return fmt.Errorf("it answers")
		}
		return nil
	})
	r.guarded(t, "killed")
	r.send(lab.LAN1, client)
	equal(t, "an open flow goes on", r.arrivals(lab.LAN1, lab.INET, false), []string{"udp 203.0.113.2:4000 > 203.0.113.1:4001"})
	r.start()
	r.guarded(t, "started again")
	r.send(lab.INET, seen.back())
	equal(t, "and on", r.arrivals(lab.INET, lab.LAN1, false), []string{"udp 203.0.113.1:4001 > 10.77.1.10:4000"})
}

// Somebody flushes nftables, or edits our table: it comes back.
func TestChangedTable(t *testing.T) {
	r := newRouter(t, usual)
	rules := func() string {
		out, _ := r.TryExec(lab.RTR, "nft", "list", "table", "inet", "ngfw")
		return out
	}
	want := strings.Count(rules(), "\n")
	for name, command := range map[string][]string{
		"all flushed":    {"flush", "ruleset"},
		"table removed":  {"delete", "table", "inet", "ngfw"},
		"a door":         {"insert", "rule", "inet", "ngfw", "forward", "accept"},
		"a chain empty":  {"flush", "chain", "inet", "ngfw", "nat"},
		"a foreign rule": {"add", "rule", "inet", "ngfw", "input", "drop"},
	} {
		r.Exec(lab.RTR, append([]string{"nft"}, command...)...)
		labtest.Eventually(t, 20*time.Second, func() error {
			if got := strings.Count(rules(), "\n"); got != want {
				return fmt.Errorf("%s: %d lines of table, want %d", name, got, want)
			}
			return nil
		})
		r.guarded(t, name)
	}
	// A table of somebody else is theirs.
	r.Exec(lab.RTR, "nft", "add", "table", "inet", "theirs")
	if out := r.Exec(lab.RTR, "nft", "list", "tables"); !strings.Contains(out, "theirs") {
		t.Errorf("tables: %s", out)
	}
}

// Programs taken off an interface come back; until then it is closed.
func TestDetachedPrograms(t *testing.T) {
	r := newRouter(t, usual)
	pins, err := filepath.Glob(r.BPFDir() + "/v*/links/*gress")
	if err != nil || len(pins) < 2*len(lab.Segments) {
		t.Fatalf("pins %q, %v", pins, err)
	}
	for _, pin := range pins {
		if err := os.Remove(pin); err != nil {
			t.Fatal(err)
		}
	}
	r.send(lab.IOT1, toClient)
	labtest.Eventually(t, 20*time.Second, func() error {
		for _, pin := range pins {
			if _, err := os.Stat(pin); err != nil {
				return err
			}
		}
		return nil
	})
	equal(t, "while detached", r.arrivals(lab.IOT1, lab.LAN1, false), nil)
	r.guarded(t, "attached again")
}

// Interfaces are renamed, removed and moved under open flows.
func TestMovingInterfaces(t *testing.T) {
	r := newRouter(t, usual)
	client, seen := established(t, r)
	r.write("policy.json", strings.Replace(strings.Replace(usual, `["lan1", "lan2"]`, `["lan2"]`, 1), `["iot1"]`, `["iot1", "lan1"]`, 1))
	before := r.status().PolicyRevision
	if err := r.agent.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	labtest.Eventually(t, 20*time.Second, func() error {
		if now := r.status().PolicyRevision; now == before {
			return fmt.Errorf("revision %d", now)
		}
		return nil
	})
	// IOT may go out as LAN may: the flow passes under its new zone. It may not ask the router.
	r.send(lab.LAN1, client)
	equal(t, "moved to another zone", r.arrivals(lab.LAN1, lab.INET, false), []string{"udp 203.0.113.2:4000 > 203.0.113.1:4001"})
	r.send(lab.LAN1, packet{src: lan1v4, dst: "10.77.1.1", proto: icmp, kind: 8, sport: 1})
	equal(t, "asks the router", r.arrivals(lab.LAN2, lab.LAN1, false), nil)

	// A name that no zone has: closed, both ways, for open flows too.
	r.Exec(lab.RTR, "ip", "link", "set", "lan1", "down")
	r.Exec(lab.RTR, "ip", "link", "set", "lan1", "name", "odd")
	r.Exec(lab.RTR, "ip", "link", "set", "odd", "up")
	labtest.Eventually(t, 20*time.Second, func() error {
		for _, p := range r.status().Programs {
			if p.Interface == "odd" {
				return nil
			}
		}
		return fmt.Errorf("programs on %+v", r.status().Programs)
	})
	r.send(lab.LAN1, client)
	equal(t, "renamed, out", r.arrivals(lab.LAN2, lab.INET, false), nil)
	r.send(lab.INET, seen.back())
	r.arrivals(lab.INET, lab.LAN2, false)
	if frame := r.taps[lab.LAN1].next(0); frame != nil && strings.HasPrefix(describe(frame), "udp") {
		t.Errorf("came in by a renamed interface: %s", describe(frame))
	}
}
