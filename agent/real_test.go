package agent_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestPolicyOnRealPackets(t *testing.T) {
	r := newRouter(t)
	r.rules(
		`{"id":7,"name":"no web for lan2","zone_from":"LAN","zone_to":"WAN","source":"10.77.2.0/24","protocol":"tcp","port":"80","action":"drop"}`,
		`{"id":8,"name":"no web for lan2, v6","zone_from":"LAN","zone_to":"WAN","source":"2001:db8:77:2::/64","protocol":"tcp","port":"80","action":"drop"}`,
		`{"id":9,"name":"told so","zone_from":"IOT","zone_to":"WAN","protocol":"tcp","port":"80","action":"reject"}`,
		`{"id":10,"name":"iot may ask the router's name","zone_from":"IOT","zone_to":"SELF","destination":"self","protocol":"icmp","action":"accept"}`)
	r.startPolicy()

	for _, url := range []string{web4, web6, tls4} {
		r.passes("lan1", curl(url)...)
	}
	r.blocked("lan2", curl(web4)...)
	r.blocked("lan2", curl(web6)...)
	r.passes("lan2", curl(tls4)...)
	r.passes("lan2", "dig", "+time=2", "+tries=1", "@"+inet4, "web.lab.test")
	r.passes("lan2", "dig", "+time=2", "+tries=1", "+tcp", "@"+inet6, "web.lab.test")
	r.passes("lan1", ping("10.77.2.10")...)   // LAN to LAN, two interfaces of one zone
	r.passes("lan1", ping("10.77.1.1")...)    // the router itself
	r.passes("iot1", ping("10.77.3.1")...)    // by rule 10
	r.blocked("iot1", ping("10.77.1.10")...)  // no policy: default
	r.blocked("inet", ping("203.0.113.2")...) // WAN to SELF
	r.blocked("inet", ping("10.77.1.10")...)  // WAN to LAN
	r.blocked("inet", ping("2001:db8:77:1::10")...)
	r.passes("rtr", curl(web4)...) // the router's own

	// What the clients saw, the running agent tells of a packet.
	for out, want := range map[string]string{
		r.simulate("--in", "lan2", "--out", "wan", "--src", "10.77.2.10", "--dst", inet4, "--protocol", "tcp", "--dport", "80"): "drop (rule 7)",
		r.simulate("--in", "lan2", "--out", "wan", "--src", "10.77.2.10", "--dst", inet4, "--protocol", "udp", "--dport", "53"): "accept (policy)",
	} {
		if !strings.HasPrefix(out, want) {
			t.Errorf("simulate: want %s:\n%s", want, out)
		}
	}

	// A reject is heard at once (curl's status 7); a drop would time out (28).
	if _, err := r.TryExec("iot1", curl(web4)...); err == nil || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("reject: %v, want a refusal", err)
	}
	// An ICMP error of a known flow comes back through masquerade.
	if out, err := r.TryExec("lan1", "dig", "+time=2", "+tries=1", "-p", "9", "@"+inet4, "x.test"); !strings.Contains(out+fmt.Sprint(err), "refused") {
		t.Errorf("port unreachable did not come back: %v %s", err, out)
	}
	// Fragments, through the router and of its own.
	for _, to := range []string{inet4, inet6} {
		r.passes("lan1", ping(to, "-s", "4000")...)
		r.passes("rtr", ping(to, "-s", "4000")...)
	}
	r.passes("lan1", ping("10.77.1.1", "-s", "4000")...)

	if s := r.mustStatus(); len(s.Programs) != 5 {
		t.Errorf("programs on %+v, want all five interfaces", s.Programs)
	}
	// Everything above was judged, and conntrack agreed with the flow table.
	for _, reason := range []string{"unjudged", "stale_state", "wrong_zone"} {
		if n := r.metric(`ngfw_backstop_drops_total{reason="` + reason + `"}`); n != 0 {
			t.Errorf("the backstop dropped %v packets as %s", n, reason)
		}
	}
	for _, kind := range []string{"no_counter", "learn_failed"} {
		if n := r.metric(`ngfw_dataplane_faults_total{kind="` + kind + `"}`); n != 0 {
			t.Errorf("%s: %v", kind, n)
		}
	}
}

func TestMasqueradeHidesPrivateAddresses(t *testing.T) {
	r := newRouter(t)
	r.rules()
	r.startPolicy()
	capture := exec.Command("tcpdump", "-nni", "eth0", "-c", "400", "-w", filepath.Join(r.dir, "wan.pcap"), "--immediate-mode", "-U")
	said := &lockedBuffer{}
	capture.Stderr = said
	r.Start("inet", capture)
	r.eventually(func() error {
		if !strings.Contains(said.String(), "listening") {
			return errors.New("tcpdump does not listen yet")
		}
		return nil
	})
	r.passes("lan1", curl("http://203.0.113.1/bytes/300000")...)
	r.passes("lan2", ping(inet4)...)
	r.eventually(func() error {
		out := r.Exec("inet", "tcpdump", "-nnr", filepath.Join(r.dir, "wan.pcap"), "ip")
		if !strings.Contains(out, "203.0.113.2.") {
			return errors.New("nothing of the router was seen yet")
		}
		if strings.Contains(out, "10.77.") {
			t.Fatalf("a private address left the router:\n%s", out)
		}
		return nil
	})
}

func TestChangeCutsEstablishedFlow(t *testing.T) {
	r := newRouter(t)
	r.rules()
	r.startPolicy()
	long := func(host string) func() error {
		cmd := exec.Command("curl", "-sS", "-m", "8", "--limit-rate", "4M", "-o", os.DevNull, "http://203.0.113.1/bytes/24000000")
		wait, err := r.Lab.Lab.Start(host, cmd)
		if err != nil {
			t.Fatal(err)
		}
		return wait
	}
	cut, kept := long("lan2"), long("lan1")
	r.eventually(func() error {
		if r.metric("ngfw_flows_opened_total") < 2 {
			return errors.New("the downloads have not begun")
		}
		return nil
	})
	r.rules(`{"id":7,"name":"no web for lan2","zone_from":"LAN","zone_to":"WAN","source":"10.77.2.0/24","protocol":"tcp","port":"80","action":"drop"}`)
	r.reload()
	if err := cut(); err == nil {
		t.Error("a flow that the new policy forbids went on")
	}
	if err := kept(); err != nil {
		t.Errorf("a flow that both policies allow was disturbed: %v", err)
	}
}
