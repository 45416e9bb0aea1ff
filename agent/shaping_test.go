package agent_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ngfw.sh/agent/control"
	"ngfw.sh/config/qos"
)

// A device of the lab.
const (
	lan2MAC = "02:6e:67:66:02:10"
	lan2v4  = "10.77.2.10"
)

// shape stores a section qos as the agent keeps it.
func (r *router) shape(doc string) {
	r.t.Helper()
	if _, err := qos.Decode([]byte(doc)); err != nil {
		r.t.Fatal(err)
	}
	state, err := json.Marshal(map[string]any{"format": 1, "version": 1, "document": json.RawMessage(doc)})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(r.dir, "state"), 0o700); err != nil {
		r.t.Fatal(err)
	}
	r.write(filepath.Join(r.dir, "state", "qos.json"), string(state))
}

// shapedStream is a TCP connection from a host to inet, or another, that sends as fast
// as it may.
type shapedStream struct {
	host, to  string
	port      int
	download  bool
	codepoint int
}

// Rates are measured over span, once the first burst has passed, and hold within
// tolerance; on a slow machine (as labtest.Eventually) both are wider.
var settling, span, tolerance = func() (time.Duration, time.Duration, float64) {
	if patient {
		return 3 * time.Second, 8 * time.Second, 0.15
	}
	return 500 * time.Millisecond, 800 * time.Millisecond, 0.1
}()

// measure runs streams side by side and answers what arrives of each, in Mbit/s of
// full frames.
func (r *router) measure(streams ...shapedStream) []float64 {
	r.t.Helper()
	got := make([]float64, len(streams))
	var all sync.WaitGroup
	start := make(chan struct{})
	for i, s := range streams {
		sender, receiver := r.connect(s)
		if s.download {
			sender, receiver = receiver, sender
		}
		all.Go(func() {
			defer sender.Close()
			<-start
			sender.SetWriteDeadline(time.Now().Add(settling + span + 5*time.Second))
			chunk := make([]byte, 16<<10)
			for {
				if _, err := sender.Write(chunk); err != nil {
					return // the receiver has seen enough
				}
			}
		})
		all.Go(func() {
			defer receiver.Close()
			<-start
			read := func(while time.Duration) time.Duration {
				began := time.Now()
				receiver.SetReadDeadline(began.Add(while))
				io.Copy(io.Discard, receiver)
				return time.Since(began)
			}
			read(settling)
			before := r.segments(receiver)
			took := read(span)
			got[i] = float64(r.segments(receiver)-before) * 1514 * 8 / took.Seconds() / 1e6
		})
	}
	close(start)
	all.Wait()
	return got
}

// segments are those with data that have arrived, in whichever order: what is read
// comes in bursts, as lost ones come again.
func (r *router) segments(c net.Conn) uint32 {
	var info *unix.TCPInfo
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err == nil {
		err = errors.Join(err, raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }))
	}
	if err != nil {
		r.t.Error(err)
		return 0
	}
	return info.Data_segs_in
}

// connect answers both ends: the host's and inet's.
func (r *router) connect(s shapedStream) (near, far net.Conn) {
	r.t.Helper()
	var listener net.Listener
	var err error
	address, to := inet4, "inet"
	if s.to != "" {
		address, to = lan2v4, s.to
	}
	r.In(to, func() { listener, err = net.Listen("tcp4", net.JoinHostPort(address, strconv.Itoa(s.port))) })
	if err != nil {
		r.t.Fatal(err)
	}
	defer listener.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := listener.Accept()
		accepted <- c
	}()
	dialer := net.Dialer{Timeout: 10 * time.Second, Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TOS, s.codepoint<<2)
		})
	}}
	r.In(s.host, func() { near, err = dialer.Dial("tcp4", net.JoinHostPort(address, strconv.Itoa(s.port))) })
	if err != nil {
		r.t.Fatal(err)
	}
	far = <-accepted
	if far == nil {
		r.t.Fatal("nothing was accepted")
	}
	return near, far
}

// holds compares what was measured with what is wanted, within the tolerance. A loaded
// machine may send less for a while, so it is looked at again a few times.
func (r *router) holds(what string, want []float64, streams ...shapedStream) {
	r.t.Helper()
	for try := 1; ; try++ {
		got := r.measure(streams...)
		text, ok := "", true
		for i := range got {
			text += fmt.Sprintf(" %.2f of %g;", got[i], want[i])
			ok = ok && got[i] > want[i]*(1-tolerance) && got[i] < want[i]*(1+tolerance)
		}
		if ok {
			r.t.Logf("%s, Mbit/s:%s", what, text)
			return
		}
		if try == 5 {
			r.t.Errorf("%s, Mbit/s:%s want each within %g of it", what, text, tolerance)
			return
		}
		r.t.Logf("%s, once more, Mbit/s:%s", what, text)
	}
}

func (r *router) queueOf(direction, class string) control.Queue {
	r.t.Helper()
	for _, q := range r.mustStatus().QoS {
		if q.Direction == direction && q.Class == class && q.Device == "" {
			return q
		}
	}
	r.t.Fatalf("no queue of %q for %s: %+v", class, direction, r.mustStatus().QoS)
	return control.Queue{}
}

// disciplines are the router's, as tc shows them.
func (r *router) disciplines() string { return r.Exec("rtr", "tc", "qdisc", "show") }

// poke changes an interface, so that nobody waits for the next regular look.
func (r *router) poke() {
	r.Exec("rtr", "ip", "link", "set", "dev", "mgmt0", "alias", strconv.FormatInt(time.Now().UnixNano(), 36))
}

// leftovers are devices and queues of ours.
func (r *router) leftovers() string {
	var out []string
	for _, line := range strings.Split(r.disciplines()+"\n"+r.Exec("rtr", "ip", "-o", "link", "show"), "\n") {
		if strings.Contains(line, "6e67:") || strings.Contains(line, "ngfw-q") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

const shapes = `{"enabled":true,"upload_mbps":16,"download_mbps":24,"scheduler":"fq_codel",
"classes":[{"id":1,"name":"voice","priority":7,"guaranteed_mbps":4,"dscp_markings":["EF"]},
	{"id":2,"name":"bulk","priority":5,"max_mbps":6,"ports":[9001]}],
"device_limits":[{"mac":"` + lan2MAC + `","upload_mbps":5,"download_mbps":8}]}`

// TestShaped: rates hold with real TCP, in both directions: the link's, a class's
// guarantee while another class wants all, a class's and a device's bound.
func TestShaped(t *testing.T) {
	r := fastRouter(t, "xdp")
	r.rulesAndNAT([]string{`{"id":1,"name":"forwarded","zone_from":"WAN","zone_to":"LAN","protocol":"tcp","port":"80","action":"accept"}`},
		`{"id":1,"name":"web","external_port":8080,"internal_ip":"10.77.1.10","internal_port":80,"protocol":"tcp"}`)
	r.serve("lan1", ":80")
	r.shape(shapes)
	r.startPolicy()
	if log := r.log.String(); strings.Contains(log, "qos is not in force") {
		t.Fatal("the section was refused")
	}
	// The way through the ifb loses nothing that others have noted of a packet.
	r.says("inet", "http://203.0.113.2:8080", "lan1 hears 203.0.113.1")
	r.passes("lan1", "ping", "-c", "1", "-W", "3", "-s", "4000", inet4)
	r.passes("lan2", "ping", "-c", "1", "-W", "3", "-s", "4000", inet6)
	const other, bulk = 9000, 9001
	r.holds("link, upload", []float64{16}, shapedStream{host: "lan1", port: other})
	r.holds("link, download", []float64{24}, shapedStream{host: "lan1", port: other, download: true})
	// Voice has the lower priority here: what it gets is its guarantee alone.
	r.holds("guarantee, upload", []float64{4, 12}, shapedStream{host: "lan1", port: 9002, codepoint: 46}, shapedStream{host: "iot1", port: other})
	r.holds("guarantee, download", []float64{4, 20}, shapedStream{host: "lan1", port: 9002, codepoint: 46, download: true}, shapedStream{host: "iot1", port: other, download: true})
	// One direction at a time: without fq_codel acknowledgements wait behind data.
	r.holds("bounds of class and device, upload", []float64{6, 5}, shapedStream{host: "lan1", port: bulk}, shapedStream{host: "lan2", port: other})
	r.holds("bounds of class and device, download", []float64{6, 8},
		shapedStream{host: "lan1", port: bulk, download: true}, shapedStream{host: "lan2", port: other, download: true})
	for _, direction := range []string{"upload", "download"} {
		if q := r.queueOf(direction, "bulk"); q.Packets == 0 || q.Bytes < 500_000 || q.ClassID != 2 || q.Ceil != 6e6 {
			t.Errorf("%s of bulk: %+v", direction, q)
		}
	}
	if got := r.fast(); got != 0 {
		t.Errorf("%v packets took the fast path, past the queues", got)
	}
	// Between inner zones nothing is shaped, limited device or not, and the fast path open.
	if got := r.measure(shapedStream{host: "lan1", to: "lan2", port: bulk})[0]; got < 30 || r.fast() < 100 {
		t.Errorf("inside: %.1f Mbit/s, %v packets by the fast path", got, r.fast())
	}
}

// TestShapingStays: what is shaped is so without the agent, the next one takes it
// over untouched, interfaces that come late get their queues, and QoS off leaves
// nothing.
func TestShapingStays(t *testing.T) {
	r := fastRouter(t, "auto")
	r.rules()
	if got := r.leftovers(); got != "" {
		t.Fatal(got)
	}
	r.shape(shapes)
	r.startPolicy()
	classes := func() string { return r.Exec("rtr", "tc", "class", "show", "dev", "wan") }
	before := classes()
	if n := strings.Count(before, "class htb 6e67:"); n != 4 { // the link, two classes, what matches none
		t.Fatalf("%d classes on wan:\n%s", n, before)
	}
	r.Exec("lan1", "ping", "-c", "1", "-W", "2", inet4)
	sent := r.queueOf("upload", "").Packets
	if sent == 0 {
		t.Error("the ping was not counted")
	}

	r.kill()
	if got := classes(); got != before {
		t.Errorf("the agent is dead:\n%s\nbefore:\n%s", got, before)
	}
	r.holds("no agent, upload", []float64{16}, shapedStream{host: "lan1", port: 9000})
	r.startPolicy()
	if got := classes(); got != before {
		t.Errorf("after a restart:\n%s\nbefore:\n%s", got, before)
	}
	if got := r.queueOf("upload", "").Packets; got <= sent {
		t.Errorf("%d packets after a restart, %d before", got, sent)
	}

	// An uplink and a device's interface that come late, and a tree that somebody took away.
	r.edit(func(p string) string {
		return strings.Replace(p, `"interfaces":["wan"]`, `"interfaces":["wan","wan2"]`, 1)
	})
	r.reload()
	r.Exec("rtr", "ip", "link", "add", "wan2", "type", "veth", "peer", "name", "wan2-peer")
	r.Exec("rtr", "ip", "link", "add", "late", "type", "veth", "peer", "name", "late-peer")
	r.Exec("rtr", "tc", "qdisc", "del", "dev", "lan1", "root")
	r.eventually(func() error {
		r.poke()
		shown := r.disciplines()
		for _, device := range []string{"wan2", "late", "lan1"} {
			if !strings.Contains(shown, "qdisc htb 6e67: dev "+device+" root") {
				return fmt.Errorf("nothing on %s:\n%s", device, shown)
			}
		}
		return nil
	})
	if got := classes(); got != before {
		t.Errorf("others came, and the tree of wan is another:\n%s\nbefore:\n%s", got, before)
	}

	r.kill()
	r.shape(`{"enabled":false}`)
	r.startPolicy()
	if got := r.leftovers(); got != "" {
		t.Errorf("QoS is off, and left:\n%s", got)
	}
}

// TestShapingByTheLink: the section comes from the cloud, whole or not at all, and is
// taken back if the cloud is not heard after it.
func TestShapingByTheLink(t *testing.T) {
	r := newRouter(t)
	r.rules()
	c := newCloud(r)
	c.start(r)
	if got := c.push(r, 1, r.read(r.policy)); got != "1 applied" {
		t.Fatal(got)
	}
	if got := c.pushSection(r, "qos", 1, shapes); got != "1 applied" {
		t.Fatal(got)
	}
	if n := len(r.mustStatus().QoS); n < 6 || r.metric("ngfw_qos_enabled") != 1 {
		t.Errorf("%d queues, enabled %v", n, r.metric("ngfw_qos_enabled"))
	}
	before := r.disciplines()
	if got := c.pushSection(r, "qos", 2, `{"enabled":true,"upload_mbps":20,"download_mbps":20,"classes":[{"id":1,"name":"a","guaranteed_mbps":30}]}`); !strings.Contains(got, "2 failed") || !strings.Contains(got, "guarantees") {
		t.Error(got)
	}
	r.Exec("rtr", "tc", "qdisc", "replace", "dev", "iot1", "root", "handle", "7:", "tbf", "rate", "1gbit", "burst", "100k", "limit", "1m")
	if got := c.pushSection(r, "qos", 3, strings.Replace(shapes, `"download_mbps":24`, `"download_mbps":30`, 1)); !strings.Contains(got, "somebody else") {
		t.Error(got)
	}
	r.Exec("rtr", "tc", "qdisc", "del", "dev", "iot1", "root")
	r.eventually(func() error { // the tree of iot1 comes back by itself
		r.poke()
		if got := r.disciplines(); strings.Count(got, "6e67:") != strings.Count(before, "6e67:") {
			return fmt.Errorf("%s", got)
		}
		return nil
	})
	c.mute.Store(true)
	if got := c.pushSection(r, "qos", 4, `{"enabled":false}`); !strings.Contains(got, "taken back") {
		t.Error(got)
	}
	if got := r.disciplines(); strings.Count(got, "6e67:") != strings.Count(before, "6e67:") {
		t.Errorf("taken back:\n%s\nbefore:\n%s", got, before)
	}
	c.mute.Store(false)
	if got := c.pushSection(r, "qos", 5, `{"enabled":false}`); got != "5 applied" {
		t.Error(got)
	}
	if got := r.leftovers(); got != "" || r.metric("ngfw_qos_enabled") != 0 {
		t.Error(got)
	}
}

// TestShapedByAFile: without a cloud a file says how the uplinks are shared. It is read
// again with the policy, a bad one leaves the queues as they are, and who starts the
// agent without it has none.
func TestShapedByAFile(t *testing.T) {
	r := newRouter(t)
	r.rules()
	file := filepath.Join(r.dir, "qos-section.json")
	section := func(upload string) {
		r.write(file, `{"enabled":true,"upload_mbps":`+upload+`,"download_mbps":30,"classes":[{"id":1,"name":"voice","priority":0,"ports":["tcp/5202"]}]}`)
	}
	ceiling := func() uint64 {
		for _, q := range r.mustStatus().QoS {
			if q.Direction == "upload" && q.Class == "voice" {
				return q.Ceil
			}
		}
		return 0
	}
	section("20")
	r.start("--policy", r.policy, "--qos", file)
	if got := ceiling(); got != 20e6 {
		t.Fatalf("%d bit/s, want 20 Mbit/s", got)
	}
	section("10")
	r.reload()
	r.eventually(func() error {
		if got := ceiling(); got != 10e6 {
			return fmt.Errorf("%d bit/s, want 10 Mbit/s", got)
		}
		return nil
	})
	section("-1")
	r.reload() // the policy is read all the same
	if got := ceiling(); got != 10e6 {
		t.Errorf("%d bit/s after a bad file, want 10 Mbit/s", got)
	}
	r.kill()
	r.startPolicy()
	if got := ceiling(); got != 0 {
		t.Errorf("%d bit/s without a file", got)
	}
}
