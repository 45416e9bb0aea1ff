package agent_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Kernels before TCX have filters that are nobody's but their interface's. They
// hold through a kill, are taken over, and go when they are told to.
func TestPolicyHoldsByClsact(t *testing.T) {
	r := newRouter(t)
	settings, err := os.ReadFile(r.settings)
	if err != nil {
		t.Fatal(err)
	}
	r.write(r.settings, string(settings)+"tc: clsact\n")
	r.rules(`{"id":7,"name":"no web for lan2","zone_from":"LAN","zone_to":"WAN","source":"10.77.2.0/24","protocol":"tcp","port":"80","action":"drop"}`,
		`{"id":3,"name":"web","zone_from":"LAN","zone_to":"WAN","protocol":"tcp","port":"80","action":"accept"}`)
	r.startPolicy()
	for _, p := range r.mustStatus().Programs {
		if p.TC != "clsact" {
			t.Errorf("%s is attached by %s", p.Interface, p.TC)
		}
	}
	holds := func() {
		t.Helper()
		r.passes("lan1", "curl", "-sS", "-m", "30", "-o", os.DevNull, "http://203.0.113.1/bytes/3000000")
		r.blocked("lan2", curl(web4)...)
		r.passes("lan2", curl(tls4)...)
		r.passes("rtr", curl(web4)...)
		r.blocked("inet", ping("10.77.1.10")...)
	}
	holds()
	if r.fast() == 0 {
		t.Error("no packet took the fast path")
	}
	hits := r.metric(`ngfw_rule_packets_total{rule_id="3"}`)
	r.kill()
	holds()
	r.start() // without the file: the last good policy
	holds()
	if h := r.metric(`ngfw_rule_packets_total{rule_id="3"}`); h <= hits {
		t.Errorf("hits were %v, are %v", hits, h)
	}
	r.kill()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	remove := exec.Command(self, "remove", "--config", r.settings, "--yes")
	remove.Env = append(os.Environ(), beAgent+"=1")
	if err := r.Lab.Lab.Run("rtr", remove); err != nil {
		t.Fatal(err)
	}
	if out := r.Exec("rtr", "tc", "qdisc", "show"); strings.Contains(out, "clsact") {
		t.Errorf("filters stayed: %s", out)
	}
	r.passes("iot1", ping("10.77.1.10")...)
}
