package agent_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What IPv6 is translated by in these tests, and the rules that its flows pass by.
const (
	prefix6  = `{"id":1,"name":"prefix","nat_type":"netmap","source":"2001:db8:77:1::/64","translate_to":"2001:db8:aaaa::/64","interface":"wan"}`
	hidden6  = `{"id":2,"name":"hidden","nat_type":"masquerade","source":"2001:db8:77:2::/64","interface":"wan"}`
	forward6 = `{"id":3,"name":"forward","nat_type":"dnat","protocol":"tcp+udp","destination":"2001:db8:ff::2","destination_port":"8080","translate_to":"2001:db8:77:1::10","translate_port":"8000"}`
	outward  = `{"id":3,"name":"out","zone_from":"LAN","zone_to":"WAN","action":"accept"}`
	inward   = `{"id":4,"name":"in","zone_from":"WAN","zone_to":"LAN","action":"accept"}`
	inside   = `{"id":5,"name":"inside","zone_from":"LAN","zone_to":"LAN","action":"accept"}`
)

// content is what serveContent answers with: no two places are alike.
var content = func() []byte {
	b := make([]byte, 12_000_000)
	rand.NewChaCha8([32]byte{6}).Read(b)
	return b
}()

// serveContent runs a web server in a host whose /bytes/N is so much of content.
func (r *router) serveContent(host, at string) {
	r.t.Helper()
	var l net.Listener
	var err error
	r.In(host, func() { l, err = net.Listen("tcp", at) })
	if err != nil {
		r.t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		n, err := strconv.Atoi(strings.TrimPrefix(req.URL.Path, "/bytes/"))
		if err != nil || n > len(content) {
			http.NotFound(w, req)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(n))
		w.Write(content[:n])
	})}
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(l) }()
	r.t.Cleanup(func() { server.Close(); <-done })
}

// dialogue asks an echo server again and again through one socket.
type dialogue struct {
	c    net.Conn
	size int
}

func (r *router) dialogue(host, to string) *dialogue {
	r.t.Helper()
	var c net.Conn
	var err error
	r.In(host, func() { c, err = net.Dial("udp", to) })
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return &dialogue{c: c}
}

func (d *dialogue) ask(patience time.Duration) (answer string, err error) {
	d.size = d.size%150 + 1 // odd ones too
	b := make([]byte, 200)
	d.c.Write(b[:d.size])
	d.c.SetReadDeadline(time.Now().Add(patience))
	n, err := d.c.Read(b)
	return string(b[:n]), err
}

func (d *dialogue) answer() string {
	for range 3 {
		if answer, err := d.ask(2 * time.Second); err == nil {
			return answer
		}
	}
	return "nothing"
}

// quick asks until the short way carries nearly all of so many questions and their
// answers, which are to be this or any, and tells how many it has asked in all.
func (r *router) quick(d *dialogue, questions int, want string) (asked int) {
	r.t.Helper()
	r.eventually(func() error {
		before := r.fast()
		for range questions {
			asked++
			if got := d.answer(); got != want && want != "" {
				return fmt.Errorf("%s, want %s", got, want)
			}
		}
		if n := r.fast() - before; n < 0.9*2*float64(questions) {
			return fmt.Errorf("%v of %d packets went the short way", n, 2*questions)
		}
		return nil
	})
	return asked
}

func (r *router) natPackets(rule int) float64 {
	r.t.Helper()
	return r.metric(fmt.Sprintf(`ngfw_nat_packets_total{rule_id="%d"}`, rule))
}

// translated6 is a kind of translation, tried from either side.
var translated6 = []struct {
	name, client, to, server, hears string
	nat, rule                       int
}{
	{"prefix, out", "lan1", "[2001:db8:ff::1]:8000", "inet", "2001:db8:aaaa::10", 1, 3},
	{"prefix, in", "inet", "[2001:db8:aaaa::10]:8000", "lan1", "2001:db8:ff::1", 1, 4},
	{"masquerade", "lan2", "[2001:db8:ff::1]:8000", "inet", "2001:db8:ff::2", 2, 3},
	{"forward", "inet", "[2001:db8:ff::2]:8080", "lan1", "2001:db8:ff::1", 3, 4},
	{"forward, turned", "lan2", "[2001:db8:ff::2]:8080", "lan1", "2001:db8:77:1::1", 3, 5},
}

// Every packet comes through whole, by the short way, and counts for its NAT rule.
func TestFastPathTranslatesIPv6(t *testing.T) {
	eachForm(t, func(t *testing.T, r *router) {
		for _, host := range []string{"lan1", "inet"} {
			r.serveContent(host, ":8000")
			r.echo(host, ":8000")
		}
		r.routed("2001:db8:aaaa::/64")
		r.rulesAndNAT([]string{outward, inward, inside}, prefix6, hidden6, forward6)
		r.reload()
		for _, c := range translated6 {
			hits := func() float64 { return r.metric(fmt.Sprintf(`ngfw_rule_packets_total{rule_id="%d"}`, c.rule)) }
			counted, hit := r.natPackets(c.nat), hits()
			judged := r.metric("ngfw_packets_total")
			get, end := r.connection(c.client, "http://"+c.to)
			r.eventually(func() error { // a change that the kernel tells of has all flows learnt anew
				before, judged := r.fast(), r.metric("ngfw_packets_total")
				if got := get(len(content)); !bytes.Equal(got, content) {
					t.Errorf("%s: %d bytes came, or others than were sent", c.name, len(got))
				}
				fast, all := r.fast()-before, r.metric("ngfw_packets_total")-judged
				if fast < 0.9*all || all < float64(len(content)/1448) {
					return fmt.Errorf("%s: %v of %v packets went the short way", c.name, fast, all)
				}
				return nil
			})
			end()
			all := r.metric("ngfw_packets_total") - judged
			r.eventually(func() error { // the last ones may be under way
				if n, h := r.natPackets(c.nat)-counted, hits()-hit; n != h || n < 0.99*all {
					return fmt.Errorf("%s: the NAT rule counted %v packets, the rule %v of %v", c.name, n, h, all)
				}
				return nil
			})

			counted, hit = r.natPackets(c.nat), hits()
			d := r.dialogue(c.client, c.to)
			asked := r.quick(d, 1000, c.server+" hears "+c.hears)
			want := float64(2 * asked)
			if n, h := r.natPackets(c.nat)-counted, hits()-hit; n != want || h != want {
				t.Errorf("%s: the NAT rule counted %v packets of %v, the rule %v", c.name, n, want, h)
			}
		}
		r.noneInvalid()
		r.clean()
	})
}

// Checksums yet to be filled in bear a translation too.
func TestFastPathTranslatesIPv6WithSenderOffload(t *testing.T) {
	r := fastRouter(t, "auto")
	r.serveContent("lan1", ":8000")
	r.serveContent("inet", ":8000")
	r.routed("2001:db8:aaaa::/64")
	r.rulesAndNAT([]string{outward, inward, inside}, prefix6, hidden6, forward6)
	r.startPolicy()
	r.sender("on")
	for _, c := range translated6 {
		get, end := r.connection(c.client, "http://"+c.to)
		r.eventually(func() error { // how soon the way is learnt depends on how busy the machine is
			before := r.fast()
			if got := get(len(content)); !bytes.Equal(got, content) {
				t.Errorf("%s: %d bytes came, or others than were sent", c.name, len(got))
			}
			if n := r.fast() - before; n < 0.9*float64(len(content)/1448) {
				return fmt.Errorf("%s: %v packets went the short way", c.name, n)
			}
			return nil
		})
		end()
	}
	r.noneInvalid()
}

// A route that takes less than it did is told of to who sends too much, under
// the address that he knows.
func TestFastPathTranslatesIPv6OfAnySize(t *testing.T) {
	eachForm(t, func(t *testing.T, r *router) {
		r.serveContent("lan1", ":8000")
		r.rulesAndNAT([]string{outward, inward}, forward6)
		r.reload()
		r.Exec("lan1", "nft", "add table ip6 seen; add counter ip6 seen toobig; add chain ip6 seen in { type filter hook input priority 0; }; add rule ip6 seen in icmpv6 type packet-too-big counter name toobig")
		get, end := r.connection("inet", "http://[2001:db8:ff::2]:8080")
		defer end()
		quick := func() error {
			before := r.fast()
			if got := get(1_000_000); !bytes.Equal(got, content[:len(got)]) {
				t.Error("other bytes came than were sent")
			}
			if n := r.fast() - before; n < 500 {
				return fmt.Errorf("only %v packets went the short way", n)
			}
			return nil
		}
		r.eventually(quick)
		if n := r.counter("lan1", "ip6 seen toobig"); n != 0 {
			t.Fatalf("%d packets were too big for a route that takes as much as any", n)
		}
		r.Exec("rtr", "ip", "-6", "route", "replace", "2001:db8:ff::1/128", "dev", "wan", "mtu", "lock", "1300")
		r.eventually(func() error {
			if got := get(len(content)); !bytes.Equal(got, content) {
				t.Errorf("%d bytes came, or others than were sent", len(got))
			}
			if r.counter("lan1", "ip6 seen toobig") == 0 {
				return errors.New("nobody told the sender that its packets were too big")
			}
			return nil
		})
		r.eventually(quick)
		r.noneInvalid()
	})
}

// A changed rule, a changed next hop and a lost address are followed.
func TestFastPathTranslatesIPv6AsThingsAre(t *testing.T) {
	eachForm(t, func(t *testing.T, r *router) {
		for _, host := range []string{"lan1", "lan2", "inet"} {
			r.echo(host, ":8000")
		}
		r.rulesAndNAT([]string{outward, inward}, hidden6, forward6)
		r.reload()
		in, out := r.dialogue("inet", "[2001:db8:ff::2]:8080"), r.dialogue("lan2", "[2001:db8:ff::1]:8000")
		r.quick(in, 100, "")
		r.quick(out, 100, "")

		const card = "02:00:5e:00:53:77"
		r.Exec("inet", "ip", "link", "set", "eth0", "address", card)
		r.Exec("rtr", "ip", "neigh", "replace", "2001:db8:ff::1", "lladdr", card, "dev", "wan")
		r.quick(out, 100, "inet hears 2001:db8:ff::2")
		r.quick(in, 100, "lan1 hears 2001:db8:ff::1")
		r.noneInvalid() // of what follows, packets under way may find that their flow is gone

		r.rulesAndNAT([]string{outward, inward}, hidden6, strings.Replace(forward6, "2001:db8:77:1::10", "2001:db8:77:2::10", 1))
		r.reload()
		if got := in.answer(); got != "lan2 hears 2001:db8:ff::1" {
			t.Errorf("under the changed rule: %s", got)
		}
		r.quick(in, 100, "")
		if got := out.answer(); got != "inet hears 2001:db8:ff::2" {
			t.Errorf("another rule's flow: %s", got)
		}

		r.Exec("rtr", "ip", "addr", "add", "2001:db8:ff::9/64", "dev", "wan", "nodad")
		r.Exec("rtr", "ip", "addr", "del", "2001:db8:ff::2/64", "dev", "wan")
		// What was learnt while the kernel still forgot its translations ends a second later.
		r.quick(out, 200, "inet hears 2001:db8:ff::9")

		r.rulesAndNAT([]string{inward, strings.Replace(outward, "accept", "drop", 1)}, hidden6)
		r.reload()
		fast := r.fast()
		if got, err := out.ask(time.Second); err == nil {
			t.Errorf("a flow that the new policy forbids: %s", got)
		}
		if n := r.fast() - fast; n != 0 {
			t.Errorf("%v of its packets went the short way", n)
		}
	})
}

// A trace tells how such a packet leaves.
func TestTraceOfTranslatedIPv6(t *testing.T) {
	r := fastRouter(t, "xdp")
	r.echo("inet", ":8000")
	r.rulesAndNAT([]string{outward}, hidden6)
	r.startPolicy()
	out := r.dialogue("lan2", "[2001:db8:ff::1]:8000")
	r.quick(out, 100, "")
	stream := r.trace("--host", "2001:db8:77:2::10", "--protocol", "udp")
	r.quick(out, 100, "")
	fast := stream.await("a packet of the fast path", func(p traced) bool { return p.Direction != "reply" }, "xdp/fast_path=redirect")
	if fast.Leaves == nil || fast.Leaves.Src != "2001:db8:ff::2" || fast.Leaves.Out != "wan" {
		t.Errorf("a packet of the fast path: %+v", fast)
	}
	answer := stream.await("an answer", func(p traced) bool { return p.Direction == "reply" }, "xdp/fast_path=redirect")
	if answer.Leaves == nil || answer.Leaves.Dst != "2001:db8:77:2::10" || answer.Leaves.Out != "lan2" {
		t.Errorf("an answer: %+v", answer)
	}
	if stream.cmd.Process.Signal(os.Interrupt) != nil {
		t.Error("cannot interrupt the trace")
	}
	stream.end()
}
