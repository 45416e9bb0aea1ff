package hostile

import (
	"fmt"
	"testing"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// Conntrack is liberal with connections of the fast path, so it would believe a
// guess. The packet programs do not, also when the connection has been silent.
func TestGuessedEndOfFastConnection(t *testing.T) {
	for _, form := range []string{"auto", "xdp"} {
		t.Run(form, func(t *testing.T) {
			r := newRouter(t, usual, "fast_path: "+form)
			out := packet{src: lan1v4, dst: inetv4, proto: tcp, sport: 6000, dport: 443, flags: "S", seq: 1000}
			in := packet{src: inetv4, dst: wanv4, proto: tcp, sport: 443, dport: 6000, flags: "SA", seq: 9000, ack: 1001}
			r.send(lab.LAN1, out)
			r.arrivals(lab.LAN1, lab.INET, false)
			r.send(lab.INET, in)
			r.arrivals(lab.INET, lab.LAN1, false)
			out.flags, out.seq, out.ack = "A", 1001, 9001
			in.flags, in.seq = "A", 9001
			wantOut, wantIn := []string{"tcp A 203.0.113.2:6000 > 203.0.113.1:443"}, []string{"tcp A 203.0.113.1:443 > 10.77.1.10:6000"}
			say := func(when string) {
				t.Helper()
				r.send(lab.LAN1, out)
				equal(t, when+": out", r.arrivals(lab.LAN1, lab.INET, false), wantOut)
				r.send(lab.INET, in)
				equal(t, when+": in", r.arrivals(lab.INET, lab.LAN1, false), wantIn)
			}
			before := r.status().Counters.FastPath
			labtest.Eventually(t, 20*time.Second, func() error {
				say("before")
				if n := r.status().Counters.FastPath - before; n < 10 {
					return fmt.Errorf("%d packets went the short way", n)
				}
				return nil
			})
			r.Exec(lab.RTR, "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_timeout_close=1", "net.netfilter.nf_conntrack_tcp_timeout_fin_wait=1", "net.netfilter.nf_conntrack_tcp_timeout_close_wait=1")
			guess := in
			refused := func(flags string, seq uint32) {
				t.Helper()
				guess.flags, guess.seq, guess.ack = flags, seq, 0
				if flags == "FA" {
					guess.ack = 1001
				}
				r.send(lab.INET, guess)
				equal(t, fmt.Sprintf("%s %d", flags, seq), r.arrivals(lab.INET, lab.LAN1, false), nil)
				if left := r.remembered(443); left < 60 {
					t.Errorf("%s %d: conntrack forgets the connection in %d s", flags, seq, left)
				}
			}
			refused("R", 2_000_000_000)
			refused("R", 9002)
			refused("R", 9000)
			refused("FA", 2_000_000_000)
			refused("FA", 8000)
			say("behind guesses")
			// The true end still ends it.
			guess.flags, guess.seq, guess.ack = "R", 9001, 0
			r.send(lab.INET, guess)
			equal(t, "true", r.arrivals(lab.INET, lab.LAN1, false), []string{"tcp R 203.0.113.1:443 > 10.77.1.10:6000"})
			labtest.Eventually(t, 20*time.Second, func() error {
				if left := r.remembered(443); left > 1 {
					return fmt.Errorf("conntrack remembers it for %d s", left)
				}
				return nil
			})
		})
	}
}

// Until both sides have been heard on their way conntrack judges by itself: of the
// side that is silent nothing is noted that a guess could be told by.
func TestGuessedEndOfOneSidedConnection(t *testing.T) {
	r := newRouter(t, usual, "fast_path: xdp")
	c := connection(t, r)
	for range 100 {
		c.passes(t, "from one side", c.out)
	}
	r.Exec(lab.RTR, "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_timeout_close=1", "net.netfilter.nf_conntrack_tcp_timeout_fin_wait=1", "net.netfilter.nf_conntrack_tcp_timeout_close_wait=1")
	for _, flags := range []string{"R", "FA"} {
		guess := c.in
		guess.flags, guess.seq = flags, 2_000_000_000
		if flags == "R" {
			guess.ack = 0
		}
		equal(t, flags, c.arrives(guess), nil)
		if left := r.remembered(443); left < 60 {
			t.Errorf("%s: conntrack forgets the connection in %d s", flags, left)
		}
	}
	c.quicken(t)
}
