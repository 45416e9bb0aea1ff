package hostile

import (
	"fmt"
	"testing"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// A client that opens flow after flow keeps nobody out for long, and ends none.
func TestFullFlowTable(t *testing.T) {
	const room = 1024
	r := newRouter(t, usual, fmt.Sprintf("flow: {max_flows: %d, update_interval: 1s}", room))
	client, seen := established(t, r)
	flood := func() {
		for i := range uint16(2 * room) {
			r.send(lab.LAN2, packet{src: lan2v4, dst: farv4, proto: tcp, sport: 10000 + i, dport: 80, flags: "S"})
		}
	}
	fresh := packet{src: lan1v6, dst: inetv6, proto: udp, sport: 1, dport: 2}
	flood()
	r.send(lab.LAN1, fresh, client)
	r.send(lab.INET, seen.back())
	labtest.Eventually(t, 10*time.Second, func() error {
		s := r.status()
		if s.Counters.Drops["flow_table_full"] == 0 {
			return fmt.Errorf("drops %v", s.Counters.Drops)
		}
		return nil
	})
	wait := func(host, what string) {
		t.Helper()
		for {
			frame := r.taps[host].next(5 * time.Second)
			if frame == nil {
				t.Fatalf("%s did not come to %s", what, host)
			}
			if describe(frame) == what {
				return
			}
		}
	}
	wait(lab.INET, "udp 203.0.113.2:4000 > 203.0.113.1:4001")
	wait(lab.LAN1, "udp 203.0.113.1:4001 > 10.77.1.10:4000")

	begun := time.Now()
	labtest.Eventually(t, 30*time.Second, func() error {
		fresh.sport++
		r.send(lab.LAN1, fresh)
		for {
			frame := r.taps[lab.INET].next(200 * time.Millisecond)
			if frame == nil {
				return fmt.Errorf("no new flow passes: %v", r.status().Counters)
			}
			if describe(frame) == fmt.Sprintf("udp [%s]:%d > [%s]:2", lan1v6, fresh.sport, inetv6) {
				return nil
			}
		}
	})
	t.Logf("new flows pass again after %v", time.Since(begun))
	r.send(lab.LAN1, client)
	wait(lab.INET, "udp 203.0.113.2:4000 > 203.0.113.1:4001")
}

// A scan of every port is counted whole and told in bounded rows.
func TestRefusedFlood(t *testing.T) {
	const sent = 40_000
	r := newRouter(t, usual)
	for i := range uint16(sent) {
		r.send(lab.INET, packet{src: farv4, dst: wanv4, proto: tcp, sport: 1, dport: 10 + i, flags: "S"})
	}
	r.arrivals(lab.IOT1, lab.INET, false)
	labtest.Eventually(t, 20*time.Second, func() error {
		s := r.status()
		if n := s.Counters.Drops["policy"]; n < sent {
			return fmt.Errorf("%d drops", n)
		}
		if s.Counters.EventsLost > 0 {
			t.Logf("%d events found no room in the ring", s.Counters.EventsLost)
		}
		t.Logf("spool holds %d bytes in %d batches", s.Spool.Bytes, s.Spool.Batches)
		return nil
	})
}
