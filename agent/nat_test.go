package agent_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
)

// rulesAndNAT writes the policy of rules, and these NAT rules.
func (r *router) rulesAndNAT(rules []string, nat ...string) {
	r.rules(rules...)
	r.edit(func(text string) string {
		return strings.TrimSuffix(text, "}") + `,"nat":[` + strings.Join(nat, ",") + `]}`
	})
}

// serve runs a web server in a host that answers with its name and who asks.
func (r *router) serve(host, at string) {
	r.t.Helper()
	var l net.Listener
	var err error
	r.In(host, func() { l, err = net.Listen("tcp", at) })
	if err != nil {
		r.t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		from, _, _ := net.SplitHostPort(req.RemoteAddr)
		fmt.Fprintf(w, "%s hears %s", host, from)
	})}
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(l) }()
	r.t.Cleanup(func() { server.Close(); <-done })
}

// echo runs a UDP server that answers likewise.
func (r *router) echo(host, at string) {
	r.t.Helper()
	var c net.PacketConn
	var err error
	r.In(host, func() { c, err = net.ListenPacket("udp", at) })
	if err != nil {
		r.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 64<<10)
		for {
			_, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			name, _, _ := net.SplitHostPort(from.String())
			c.WriteTo(fmt.Appendf(nil, "%s hears %s", host, name), from)
		}
	}()
	r.t.Cleanup(func() { c.Close(); <-done })
}

// glance is a client that does not wait long, for what does not pass.
func glance(url string) []string {
	return []string{"curl", "-sS", "-m", "1", "-o", os.DevNull, url}
}

// says asks a URL from a host and compares the answer.
func (r *router) says(host, url, want string) {
	r.t.Helper()
	out, err := r.TryExec(host, "curl", "-sS", "-m", "3", url)
	if err != nil || out != want {
		r.t.Errorf("%s asks %s: %q, %v, want %q", host, url, out, err, want)
	}
}

func TestPortForward(t *testing.T) {
	r := newRouter(t)
	r.serve("lan1", ":80")
	r.rulesAndNAT(nil, `{"id":1,"name":"web","external_port":8080,"internal_ip":"10.77.1.10","internal_port":80,"protocol":"tcp"}`,
		`{"id":2,"name":"web, IPv6","nat_type":"dnat","protocol":"tcp","destination":"2001:db8:ff::2","destination_port":"8080","translate_to":"2001:db8:77:1::10","translate_port":"80"}`,
		`{"id":3,"name":"the router's own","nat_type":"dnat","protocol":"tcp","destination":"192.0.2.1","destination_port":"80","translate_to":"10.77.1.1","translate_port":"8088","interface":"lan1"}`)
	r.serve("rtr", "10.77.1.1:8088")
	r.startPolicy()
	r.says("inet", "http://203.0.113.2:8080/", "lan1 hears 203.0.113.1")
	r.says("lan2", "http://203.0.113.2:8080/", "lan1 hears 10.77.1.1") // by hairpin
	r.says("lan1", "http://203.0.113.2:8080/", "lan1 hears 10.77.1.1")
	r.says("iot1", "http://203.0.113.2:8080/", "lan1 hears 10.77.3.10")
	r.says("inet", "http://[2001:db8:ff::2]:8080/", "lan1 hears 2001:db8:ff::1")
	r.says("lan2", "http://[2001:db8:ff::2]:8080/", "lan1 hears 2001:db8:77:1::1")
	r.says("lan1", "http://192.0.2.1/", "rtr hears 10.77.1.10")
	r.blocked("inet", glance("http://203.0.113.2:80/")...)
	r.blocked("inet", glance("http://10.77.1.10:80/")...)
}
