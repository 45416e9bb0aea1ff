package agent_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOlderPinsAreReplaced: an agent whose maps are laid out otherwise finds the
// running programs of the version before. It puts its own in their place: closed
// in between (that no two judge then is dataplane's TestOlderProgramsGo), and
// running flows are taken over.
func TestOlderPinsAreReplaced(t *testing.T) {
	r := newRouter(t)
	r.rules(`{"id":7,"name":"no web for lan2","zone_from":"LAN","zone_to":"WAN","source":"10.77.2.0/24","protocol":"tcp","port":"80","action":"drop"}`)
	r.startPolicy()
	r.passes("lan1", curl(web4)...)

	// A download that lasts across it, and what is forbidden asked for all the while.
	download := exec.Command("curl", "-sS", "-m", "30", "--limit-rate", "3M", "-o", os.DevNull, "http://203.0.113.1/bytes/18000000")
	wait, err := r.Lab.Lab.Start("lan1", download)
	if err != nil {
		t.Fatal(err)
	}
	pings := exec.Command("ping", "-q", "-i", "0.01", "-w", "8", "-s", "1000", "10.77.1.10") // IOT to LAN: no policy
	pinged, err := r.Lab.Lab.Start("iot1", pings)
	if err != nil {
		t.Fatal(err)
	}

	// The version before is this one under another name.
	pins := filepath.Join(r.BPFDir(), "agent")
	r.kill()
	now := r.versions(pins)
	if len(now) != 1 || !strings.HasPrefix(now[0], "v") {
		t.Fatalf("pins of %q", now)
	}
	var number int
	if _, err := fmt.Sscanf(now[0], "v%d", &number); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(pins, now[0]), filepath.Join(pins, fmt.Sprintf("v%d", number-1))); err != nil {
		t.Fatal(err)
	}
	r.blocked("lan2", curl(web4)...) // it judges still
	r.start()
	if again := r.versions(pins); len(again) != 1 || again[0] != now[0] {
		t.Errorf("pins of %q, want those of %q alone", again, now)
	}
	r.passes("lan1", curl(web4)...)
	r.blocked("lan2", curl(web4)...)
	if err := wait(); err != nil {
		t.Errorf("a running download was not taken over: %v", err)
	}
	if err := pinged(); err == nil {
		t.Error("a forbidden packet passed meanwhile")
	}
}

// versions lists the pins in a directory.
func (r *router) versions(dir string) (names []string) {
	r.t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
