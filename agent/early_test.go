package agent_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A list holds from the start, is replaced when its file is, and ends what runs.
func TestDropListFollowsItsFile(t *testing.T) {
	r := newRouter(t)
	list := filepath.Join(r.dir, "list")
	settings, err := os.ReadFile(r.settings)
	if err != nil {
		t.Fatal(err)
	}
	r.write(r.settings, string(settings)+fmt.Sprintf("fast_path: auto\ndrop_lists: [{name: far, file: %s}]\n", list))
	r.write(list, "# by its net\n203.0.113.0/30\n2001:db8:ff::/48\n")
	r.rules()
	r.startPolicy()
	r.blocked("lan1", ping(inet4)...)
	r.blocked("lan1", ping(inet6)...)
	r.passes("lan1", ping("10.77.2.10")...)
	if n := r.metric(`ngfw_drop_list_packets_total{list="far"}`); n < 2 {
		t.Errorf("%v packets counted", n)
	}
	r.write(list, "2001:db8:ff::/48\n")
	r.eventually(func() error { _, err := r.TryExec("lan1", curl(web4)...); return err })
	r.blocked("lan1", ping(inet6)...)

	_, wait := r.endless("lan1", "--speed-limit", "1000", "--speed-time", "1")
	r.faster(0, 500)
	r.write(list, "203.0.113.1\n")
	if err := wait(); err == nil {
		t.Error("a flow went on whose other end is listed")
	}
	r.passes("lan1", curl(web6)...)

	r.write(list, "203.0.113.1\nwhat\n")
	r.eventually(func() error {
		if d := strings.Join(r.mustStatus().Degraded, "\n"); !strings.Contains(d, `drop_list:far: `) || !strings.Contains(d, `line 2: "what"`) {
			return fmt.Errorf("degraded: %q", d)
		}
		return nil
	})
	r.blocked("lan1", ping(inet4)...)
}

// A flood from one host is bounded; the others do not notice.
func TestFloodGuard(t *testing.T) {
	r := newRouter(t)
	settings, err := os.ReadFile(r.settings)
	if err != nil {
		t.Fatal(err)
	}
	r.write(r.settings, string(settings)+"guards: {new_flows_per_source: {per_second: 5, burst: 50}}\n")
	r.rules()
	r.startPolicy()
	r.In("lan2", func() {
		for port := range 400 {
			c, err := net.Dial("udp", net.JoinHostPort(inet4, strconv.Itoa(1000+port)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
	})
	if n := r.metric(`ngfw_drops_total{reason="source_flood"}`); n < 200 {
		t.Errorf("%v packets of 400 dropped", n)
	}
	r.passes("lan1", curl(web4)...)
}
