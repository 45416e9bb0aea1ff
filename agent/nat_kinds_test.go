package agent_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// asks sends a UDP packet of this size and returns the answer.
func (r *router) asks(host, to string, size int) (string, error) {
	r.t.Helper()
	var c net.Conn
	var err error
	r.In(host, func() { c, err = net.Dial("udp", to) })
	if err != nil {
		return "", err
	}
	defer c.Close()
	b := make([]byte, 64<<10)
	for range 3 { // UDP is not reliable, and the first of a flow may wait for a neighbour
		if _, err = c.Write(b[:size]); err != nil {
			continue // what an ICMP error has said of the one before
		}
		c.SetReadDeadline(time.Now().Add(2 * time.Second))
		var n int
		if n, err = c.Read(b); err == nil {
			return string(b[:n]), nil
		}
	}
	return "", err
}

func (r *router) hears(host, to, want string) {
	r.t.Helper()
	if got, err := r.asks(host, to, 4); err != nil || got != want {
		r.t.Errorf("%s asks %s: %q, %v, want %q", host, to, got, err, want)
	}
}

// addresses are beyond the router, for inet to send to it.
func (r *router) routed(prefixes ...string) {
	for _, p := range prefixes {
		via := "203.0.113.2"
		if strings.Contains(p, ":") {
			via = "2001:db8:ff::2"
		}
		r.Exec("inet", "ip", "route", "add", p, "via", via)
	}
}

// clean fails if a packet was translated otherwise than judged, or met the
// backstop, while the test ran; besides tells for which reasons that may be.
func (r *router) clean(besides ...string) {
	r.t.Helper()
	for name, value := range map[string]float64{
		"nat_mismatch": r.metric(`ngfw_drops_total{reason="nat_mismatch"}`),
		"no_counter":   r.metric(`ngfw_dataplane_faults_total{kind="no_counter"}`),
		"learn_failed": r.metric(`ngfw_dataplane_faults_total{kind="learn_failed"}`),
		"unjudged":     r.metric(`ngfw_backstop_drops_total{reason="unjudged"}`),
		"wrong_zone":   r.metric(`ngfw_backstop_drops_total{reason="wrong_zone"}`),
		"stale_state":  r.metric(`ngfw_backstop_drops_total{reason="stale_state"}`),
	} {
		if value != 0 && !slices.Contains(besides, name) {
			r.t.Errorf("%s: %v packets", name, value)
		}
	}
}

// Every kind of NAT, one router: clients on both sides see what they should.
func TestKindsOfNAT(t *testing.T) {
	r := newRouter(t)
	for _, host := range []string{"lan1", "lan2", "inet", "iot1"} {
		r.serve(host, ":8000")
		r.echo(host, ":8000")
	}
	r.serve("lan1", ":8003")
	r.routed("198.18.7.0/24", "203.0.113.50/32", "2001:db8:aaaa::/64", "192.0.2.0/24")
	r.rulesAndNAT(nil,
		// 1:1, both ways, for lan2.
		`{"id":1,"name":"whole host","nat_type":"1:1","destination":"203.0.113.50","translate_to":"10.77.2.10","interface":"wan"}`,
		// A network for a network, both ways, but only its own traffic to 198.51.100.0/24.
		`{"id":2,"name":"net","nat_type":"netmap","source":"10.77.3.0/24","translate_to":"198.18.7.0/24","interface":"wan"}`,
		// IPv6 prefix translation.
		`{"id":3,"name":"npt","nat_type":"netmap","source":"2001:db8:77:1::/64","translate_to":"2001:db8:aaaa::/64","interface":"wan"}`,
		// Ports one by one, and as they are.
		`{"id":4,"name":"moved","nat_type":"dnat","protocol":"tcp+udp","destination":"self","destination_port":"9000-9009","translate_to":"10.77.1.10","translate_port":"8000-8009","interface":"wan"}`,
		`{"id":5,"name":"kept","nat_type":"dnat","protocol":"udp","destination":"self","destination_port":"7990-8010","translate_to":"10.77.1.10"}`,
		// Only from one side.
		`{"id":6,"name":"only iot","nat_type":"dnat","protocol":"tcp","source":"10.77.3.0/24","destination":"192.0.2.9","translate_to":"10.77.1.10"}`,
		`{"id":7,"name":"source port","nat_type":"dnat","protocol":"tcp","source_port":"40000-40010","destination":"203.0.113.2","destination_port":"6000","translate_to":"10.77.1.10","translate_port":"8003"}`,
		// The source of lan1 towards one port.
		`{"id":8,"name":"pool","nat_type":"snat","protocol":"udp","source":"10.77.1.0/24","destination":"203.0.113.1","destination_port":"8000","translate_to":"203.0.113.50","translate_port":"50000-50010","interface":"wan"}`,
		`{"id":9,"name":"rest","nat_type":"masquerade","protocol":"tcp","source":"10.77.1.0/24"}`,
		// Never reached: rule 4 is before it.
		`{"id":10,"name":"late","nat_type":"dnat","protocol":"tcp","destination":"self","destination_port":"9000","translate_to":"10.77.2.10","translate_port":"8000"}`,
		`{"id":11,"name":"off","enabled":false,"nat_type":"dnat","protocol":"tcp","destination":"self","destination_port":"9100","translate_to":"10.77.2.10","translate_port":"8000"}`)
	r.edit(func(s string) string {
		return strings.Replace(s, `"policies":[`, `"policies":[{"from":"WAN","to":"IOT","action":"accept"},`, 1)
	})
	r.startPolicy()

	r.says("inet", "http://203.0.113.50:8000/", "lan2 hears 203.0.113.1")
	r.says("lan2", "http://203.0.113.1:8000/", "inet hears 203.0.113.50")
	r.says("lan1", "http://203.0.113.50:8000/", "lan2 hears 10.77.2.1") // by hairpin
	r.passes("inet", ping("203.0.113.50")...)
	r.passes("lan2", ping(inet4)...)
	r.passes("inet", ping("203.0.113.50", "-s", "4000")...) // in fragments

	r.says("iot1", "http://203.0.113.1:8000/", "inet hears 198.18.7.10")
	r.says("inet", "http://198.18.7.10:8000/", "iot1 hears 203.0.113.1") // the policy accepts it, the rule does not
	r.hears("iot1", "203.0.113.1:8000", "inet hears 198.18.7.10")

	r.says("lan1", "http://[2001:db8:ff::1]:8000/", "inet hears 2001:db8:aaaa::10")
	r.hears("lan1", "[2001:db8:ff::1]:8000", "inet hears 2001:db8:aaaa::10")
	r.passes("lan1", ping(inet6, "-s", "4000")...)
	r.blocked("inet", glance("http://[2001:db8:aaaa::10]:8000/")...) // translated, but nothing accepts it

	r.says("inet", "http://203.0.113.2:9000/", "lan1 hears 203.0.113.1")
	r.says("inet", "http://203.0.113.2:9003/", "lan1 hears 203.0.113.1")
	r.blocked("inet", glance("http://203.0.113.2:9100/")...)
	r.hears("inet", "203.0.113.2:9000", "lan1 hears 203.0.113.1")
	r.hears("inet", "203.0.113.2:8000", "lan1 hears 203.0.113.1")
	r.hears("lan2", "203.0.113.2:8000", "lan1 hears 10.77.1.1")
	if got, err := r.asks("inet", "203.0.113.2:8000", 4000); err != nil || got != "lan1 hears 203.0.113.1" {
		t.Errorf("in fragments: %q, %v", got, err)
	}

	r.says("iot1", "http://192.0.2.9:8000/", "lan1 hears 10.77.3.10")
	r.blocked("lan2", glance("http://192.0.2.9:8000/")...)
	if out := r.Exec("inet", "curl", "-sS", "-m", "3", "--local-port", "40001", "http://203.0.113.2:6000/"); out != "lan1 hears 203.0.113.1" {
		t.Errorf("from the port: %q", out)
	}
	r.blocked("inet", "curl", "-sS", "-m", "1", "--local-port", "40020", "http://203.0.113.2:6000/")

	r.hears("lan1", "203.0.113.1:8000", "inet hears 203.0.113.50")
	r.says("lan1", "http://203.0.113.1:8000/", "inet hears 203.0.113.2")

	// An ICMP error finds its way back through each translation.
	for host, to := range map[string]string{"inet": "203.0.113.2:7995", "lan1": "203.0.113.1:9", "iot1": "203.0.113.1:9", "lan2": "203.0.113.2:7996"} {
		if _, err := r.asks(host, to, 4); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("%s asks %s, where nobody listens: %v", host, to, err)
		}
	}
	r.clean()
	for id := range 11 {
		n := r.metric(fmt.Sprintf(`ngfw_nat_packets_total{rule_id="%d"}`, id+1))
		if used := id+1 < 10; (n > 0) != used {
			t.Errorf("NAT rule %d has counted %v packets", id+1, n)
		}
	}
}
