package agent_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// TestQueuesUnderTraffic: each discipline that this kernel has holds its classes'
// rates with real TCP, and what its own statistics say stands in ours: what it is,
// what waits, what it drops, and what it marks of flows that understand marks.
func TestQueuesUnderTraffic(t *testing.T) {
	for _, kind := range []string{"fq_codel", "cake"} {
		t.Run(kind, func(t *testing.T) {
			r := fastRouter(t, "auto")
			if out, err := r.TryExec("iot1", "tc", "qdisc", "add", "dev", "eth0", "root", kind); err != nil {
				t.Skipf("SKIPPED: this kernel has no %s: %v %s", kind, err, out)
			}
			r.Exec("iot1", "tc", "qdisc", "del", "dev", "eth0", "root")
			queuesUnderTraffic(t, r, kind)
		})
	}
}

func queuesUnderTraffic(t *testing.T, r *router, kind string) {
	r.rules()
	up, down, voice := 6.0, 8.0, 2.0
	if patient {
		up, down, voice = 0.9, 1.2, 0.3
		for _, port := range []string{"wan", "lan1", "iot1"} { // at such rates a packet of 64 KB is half a second
			r.Exec("rtr", "ethtool", "-K", port, "gro", "off")
		}
	}
	r.shape(fmt.Sprintf(`{"enabled":true,"upload_mbps":%g,"download_mbps":%g,"scheduler":%q,
"classes":[{"id":1,"name":"voice","priority":7,"guaranteed_mbps":%g,"dscp_markings":["EF"]}]}`, up, down, kind, voice))
	r.startPolicy()
	if s := r.mustStatus(); strings.Contains(strings.Join(s.Degraded, "\n"), "the kernel has no") || len(s.QoS) == 0 {
		t.Fatalf("%d queues, degraded %q", len(s.QoS), s.Degraded)
	}
	for _, q := range r.mustStatus().QoS {
		if q.Queue != kind || q.Marked != 0 {
			t.Errorf("%+v, want %s that has marked nothing", q, kind)
		}
	}
	const other = 9000
	ecn := func(value string) {
		for _, host := range []string{"lan1", "iot1", "inet"} {
			r.Exec(host, "sh", "-c", "echo "+value+" > /proc/sys/net/ipv4/tcp_ecn")
		}
	}
	ecn("1")
	r.holds("link, upload", []float64{up}, shapedStream{host: "lan1", port: other})
	r.holds("link, download", []float64{down}, shapedStream{host: "lan1", port: other, download: true})
	for _, direction := range []string{"upload", "download"} {
		if q := r.queueOf(direction, ""); q.Marked == 0 || q.Packets == 0 {
			t.Errorf("%s, flows that understand marks: %+v", direction, q)
		}
	}
	ecn("0")
	r.holds("guarantee, upload", []float64{voice, up - voice}, shapedStream{host: "lan1", port: 9002, codepoint: 46}, shapedStream{host: "iot1", port: other})
	r.holds("guarantee, download", []float64{voice, down - voice}, shapedStream{host: "lan1", port: 9002, codepoint: 46, download: true}, shapedStream{host: "iot1", port: other, download: true})

	// One that never yields: it waits, and is dropped.
	before := r.queueOf("upload", "")
	var c net.Conn
	var err error
	r.In("lan1", func() { c, err = net.Dial("udp", inet4+":9") })
	if err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		defer c.Close()
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for packet := make([]byte, 1200); ; {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			for range 6 {
				c.Write(packet) // inet says that nobody listens: that is no matter
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	r.eventually(func() error {
		q := r.queueOf("upload", "")
		if q.Backlog == 0 || q.Dropped <= before.Dropped {
			return fmt.Errorf("nothing waits, or nothing was dropped: %+v, before %+v", q, before)
		}
		return nil
	})
	// Beside it others pass: each flow has its queue (fifos would hold them up).
	r.passes("iot1", curl(web4)...)
	if m := r.metric(`ngfw_qos_marked_total{class_id="0",direction="upload",interface="wan"}`); m == 0 {
		t.Error("the metrics know of no mark")
	}
}
