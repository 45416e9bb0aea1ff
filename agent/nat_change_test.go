package agent_test

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pour serves endless bytes to whoever connects.
func (r *router) pour(host, at string) {
	r.t.Helper()
	var l net.Listener
	var err error
	r.In(host, func() { l, err = net.Listen("tcp", at) })
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 8<<10)
				for {
					if _, err := c.Write(b); err != nil {
						return
					}
					time.Sleep(2 * time.Millisecond) // a stream, not a flood
				}
			}()
		}
	}()
}

// stream is a connection through which bytes come.
type stream struct {
	c net.Conn
	t *testing.T
}

func (r *router) stream(host, to string) stream {
	r.t.Helper()
	var c net.Conn
	var err error
	r.In(host, func() { c, err = net.DialTimeout("tcp", to, 3*time.Second) })
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return stream{c, r.t}
}

// runs reads a megabyte.
func (s stream) runs() error {
	s.c.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, err := io.CopyN(io.Discard, s.c, 1<<20)
	return err
}

// stopped: what had arrived comes, and then nothing.
func (s stream) stopped() error {
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); {
		s.c.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := io.CopyN(io.Discard, s.c, 64<<10); err != nil {
			return nil
		}
	}
	return fmt.Errorf("it still runs")
}

const (
	toLAN1 = `{"id":1,"name":"web","nat_type":"dnat","protocol":"tcp","destination":"self","destination_port":"8080","translate_to":"10.77.1.10","translate_port":"8000"}`
	toLAN2 = `{"id":1,"name":"web","nat_type":"dnat","protocol":"tcp","destination":"self","destination_port":"8080","translate_to":"10.77.2.10","translate_port":"8000"}`
	other  = `{"id":2,"name":"other","nat_type":"dnat","protocol":"tcp","destination":"self","destination_port":"8081","translate_to":"10.77.2.10","translate_port":"8000"}`
	fromA  = `{"id":3,"name":"out","nat_type":"snat","source":"10.77.1.0/24","interface":"wan","translate_to":"203.0.113.60"}`
	fromB  = `{"id":3,"name":"out","nat_type":"snat","source":"10.77.1.0/24","interface":"wan","translate_to":"203.0.113.61"}`
)

func tcpAndUDP(rule string) string { return strings.Replace(rule, `"tcp"`, `"tcp+udp"`, 1) }

// A changed dnat cuts its flows and no others; a changed snat holds for new ones.
func TestChangedNAT(t *testing.T) {
	eachForm(t, func(t *testing.T, r *router) {
		for _, host := range []string{"lan1", "lan2", "inet"} {
			r.pour(host, ":8000")
			r.serve(host, ":8001")
		}
		r.routed("203.0.113.60/32", "203.0.113.61/32")
		r.echo("lan1", ":8000")
		r.echo("lan2", ":8000")
		r.rulesAndNAT(nil, tcpAndUDP(toLAN1), other, fromA)
		r.reload()
		var fixed net.Conn // keeps its port
		var err error
		r.In("inet", func() { fixed, err = net.Dial("udp", "203.0.113.2:8080") })
		if err != nil {
			t.Fatal(err)
		}
		defer fixed.Close()
		answer := func() string {
			b := make([]byte, 100)
			for range 3 {
				fixed.Write(b[:4])
				fixed.SetReadDeadline(time.Now().Add(2 * time.Second))
				if n, err := fixed.Read(b); err == nil {
					return string(b[:n])
				}
			}
			return "nothing"
		}
		for range 20 { // enough for the short way
			if got := answer(); got != "lan1 hears 203.0.113.1" {
				t.Fatal(got)
			}
		}
		cut, kept, out := r.stream("inet", "203.0.113.2:8080"), r.stream("inet", "203.0.113.2:8081"), r.stream("lan1", "203.0.113.1:8000")
		for _, s := range []stream{cut, kept, out} {
			if err := s.runs(); err != nil {
				t.Fatal(err)
			}
		}
		r.says("lan1", "http://203.0.113.1:8001/", "inet hears 203.0.113.60")
		r.rulesAndNAT(nil, tcpAndUDP(toLAN2), other, fromB)
		r.reload()
		if got := answer(); got != "lan2 hears 203.0.113.1" {
			t.Errorf("the same datagrams under the changed rule: %s", got)
		}
		if err := cut.stopped(); err != nil {
			t.Errorf("the changed rule's flow: %v", err)
		}
		if err := kept.runs(); err != nil {
			t.Errorf("another rule's flow: %v", err)
		}
		if err := out.runs(); err != nil {
			t.Errorf("a flow under the former snat: %v", err)
		}
		r.says("lan1", "http://203.0.113.1:8001/", "inet hears 203.0.113.61")
		if err := r.stream("inet", "203.0.113.2:8080").runs(); err != nil {
			t.Errorf("a new flow under the changed rule: %v", err)
		}
		// Of a rule that is gone nothing is left, also after its counter is.
		for range 3 {
			r.rulesAndNAT(nil, tcpAndUDP(toLAN2))
			r.reload()
		}
		if err := out.runs(); err != nil {
			t.Errorf("a flow under a removed snat: %v", err)
		}
		if err := kept.stopped(); err != nil {
			t.Errorf("a flow under a removed dnat: %v", err)
		}
		if n := r.metric(`ngfw_dataplane_faults_total{kind="no_counter"}`); n != 0 {
			t.Errorf("%v packets had no counter", n)
		}

	})
}

// A ping goes on under a changed rule: its conntrack entry does not hold it to the
// former one.
func TestChangedNATOfPings(t *testing.T) {
	r := newRouter(t)
	r.routed("203.0.113.80/32")
	to := func(host string) string {
		return `{"id":1,"name":"ping","nat_type":"dnat","protocol":"icmp","destination":"203.0.113.80","translate_to":"` + host + `"}`
	}
	r.rulesAndNAT(nil, to("10.77.1.10"))
	r.startPolicy()
	r.Exec("lan2", "nft", "add table ip seen; add counter ip seen echo; add chain ip seen in { type filter hook input priority 0; }; add rule ip seen in icmp type echo-request counter name echo")
	pings := exec.Command("ping", "-i", "0.1", "-c", "100", "203.0.113.80")
	wait, err := r.Lab.Lab.Start("inet", pings)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { pings.Process.Kill(); wait() }()
	r.eventually(func() error {
		if n := r.metric(`ngfw_nat_packets_total{rule_id="1"}`); n < 6 {
			return fmt.Errorf("%v packets were translated", n)
		}
		return nil
	})
	r.rulesAndNAT(nil, to("10.77.2.10"))
	r.reload()
	r.eventually(func() error {
		if n := r.counter("lan2", "ip seen echo"); n < 5 {
			return fmt.Errorf("lan2 has got %d of the same pings", n)
		}
		return nil
	})
}

// What counts is every packet of a rule's flows, whichever way it went.
func TestNATCountsAreTrue(t *testing.T) {
	eachForm(t, func(t *testing.T, r *router) {
		const size, rounds = 30_000_000, 5000
		r.serveBytes("lan1", ":8000", size)
		r.echo("lan1", ":8000")
		r.rulesAndNAT([]string{`{"id":3,"name":"in","zone_from":"WAN","zone_to":"LAN","action":"accept"}`}, toLAN1,
			`{"id":2,"name":"udp","nat_type":"dnat","protocol":"udp","destination":"self","destination_port":"8080","translate_to":"10.77.1.10","translate_port":"8000"}`,
			`{"id":5,"name":"inside","nat_type":"snat","protocol":"udp","interface":"lan1","translate_to":"10.77.1.1"}`)
		r.reload()
		before := r.fast()
		r.passes("inet", "curl", "-sS", "-m", "30", "--limit-rate", "15M", "-o", filepath.Join(r.dir, "got"), "http://203.0.113.2:8080/")
		counted, hits := r.metric(`ngfw_nat_packets_total{rule_id="1"}`), r.metric(`ngfw_rule_packets_total{rule_id="3"}`)
		bytes, hitBytes := r.metric(`ngfw_nat_bytes_total{rule_id="1"}`), r.metric(`ngfw_rule_bytes_total{rule_id="3"}`)
		if counted != hits || bytes != hitBytes || counted < size/1460 || bytes < size {
			t.Errorf("the NAT rule counted %v packets of %v bytes, the rule %v of %v", counted, bytes, hits, hitBytes)
		}
		if n := r.fast() - before; n < size/1460/2 {
			t.Errorf("only %v packets went the short way", n)
		}

		// A datagram is one packet, so they can be counted where they arrive.
		r.Exec("lan1", "nft", "add table inet seen; add counter inet seen total; add chain inet seen i { type filter hook input priority 0; }; add chain inet seen o { type filter hook output priority 0; };"+
			"add rule inet seen i udp dport 8000 counter name total; add rule inet seen o udp sport 8000 counter name total")
		var c net.Conn
		var err error
		r.In("inet", func() { c, err = net.Dial("udp", "203.0.113.2:8080") })
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		answer := make([]byte, 100)
		for i := range rounds {
			if _, err := c.Write(answer[:20]); err != nil {
				t.Fatal(err)
			}
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			n, err := c.Read(answer)
			if err != nil {
				t.Fatalf("round %d: %v", i, err)
			}
			if got := string(answer[:n]); got != "lan1 hears 10.77.1.1" {
				t.Fatal(got)
			}
		}
		for id, want := range map[int]float64{2: 2 * rounds, 5: 2 * rounds} {
			if n := r.metric(fmt.Sprintf(`ngfw_nat_packets_total{rule_id="%d"}`, id)); n != want || n != float64(r.counter("lan1", "inet seen total")) {
				t.Errorf("NAT rule %d counted %v packets of %v", id, n, want)
			}
		}
		r.clean()
	})
}

// Somebody else's table translates what we have not judged so: it does not pass.
func TestTranslatedByOthers(t *testing.T) {
	r := newRouter(t)
	r.serve("lan1", ":8000")
	r.serve("lan2", ":8000")
	r.rulesAndNAT([]string{`{"id":4,"name":"in","zone_from":"WAN","zone_to":"LAN","action":"accept"}`}, toLAN1)
	r.startPolicy()
	r.says("inet", "http://203.0.113.2:8080/", "lan1 hears 203.0.113.1")
	r.Exec("rtr", "nft", "add table ip foreign; add chain ip foreign pre { type nat hook prerouting priority -150; }; add rule ip foreign pre tcp dport 8080 dnat to 10.77.2.10:8000")
	r.blocked("inet", glance("http://203.0.113.2:8080/")...)
	if n := r.metric(`ngfw_drops_total{reason="nat_mismatch"}`); n == 0 {
		t.Error("nothing says why")
	}
	r.Exec("rtr", "nft", "flush chain ip foreign pre; add chain ip foreign post { type nat hook postrouting priority 90; }; add rule ip foreign post oifname lan1 snat to 10.77.1.77")
	mismatched := r.metric(`ngfw_drops_total{reason="nat_mismatch"}`)
	r.blocked("inet", glance("http://203.0.113.2:8080/")...)
	if n := r.metric(`ngfw_drops_total{reason="nat_mismatch"}`); n <= mismatched {
		t.Error("another source is not seen")
	}
	r.Exec("rtr", "nft", "delete table ip foreign")
	r.says("inet", "http://203.0.113.2:8080/", "lan1 hears 203.0.113.1")
}

// Flows that are bound to an address end with it.
func TestLostAddress(t *testing.T) {
	eachForm(t, func(t *testing.T, r *router) {
		r.pour("lan1", ":8000")
		r.Exec("rtr", "ip", "addr", "add", "203.0.113.70/24", "dev", "wan")
		r.rulesAndNAT(nil, toLAN1)
		r.reload()
		bound, kept := r.stream("inet", "203.0.113.70:8080"), r.stream("inet", "203.0.113.2:8080")
		for _, s := range []stream{bound, kept} {
			if err := s.runs(); err != nil {
				t.Fatal(err)
			}
		}
		r.Exec("rtr", "ip", "addr", "del", "203.0.113.70/24", "dev", "wan")
		r.eventually(func() error {
			if list := r.connections(8080); len(list) != 1 || list[0].TupleOrig.IP.DestinationAddress.String() != "203.0.113.2" {
				return fmt.Errorf("conntrack holds %d connections", len(list))
			}
			return nil
		})
		if err := bound.stopped(); err != nil {
			t.Error(err)
		}
		if err := kept.runs(); err != nil {
			t.Errorf("another address's flow: %v", err)
		}
	})
}

// serveBytes runs a web server that answers with so many bytes.
func (r *router) serveBytes(host, at string, n int64) {
	r.t.Helper()
	var l net.Listener
	var err error
	r.In(host, func() { l, err = net.Listen("tcp", at) })
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				request := make([]byte, 4096)
				if _, err := c.Read(request); err != nil {
					return
				}
				fmt.Fprintf(c, "HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n", n)
				io.CopyN(c, zeros{}, n)
			}()
		}
	}()
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
