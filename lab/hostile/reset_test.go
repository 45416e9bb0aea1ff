package hostile

import (
	"testing"

	"github.com/ti-mo/conntrack"

	"ngfw.sh/lab"
)

// A reset whose sequence number is a guess ends no connection.
func TestGuessedReset(t *testing.T) {
	r := newRouter(t, usual)
	out := packet{src: lan1v4, dst: inetv4, proto: tcp, sport: 6000, dport: 443, flags: "S", seq: 1000}
	in := packet{src: inetv4, dst: wanv4, proto: tcp, sport: 443, dport: 6000, flags: "SA", seq: 9000, ack: 1001}
	r.send(lab.LAN1, out)
	r.arrivals(lab.LAN1, lab.INET, false)
	r.send(lab.INET, in)
	r.arrivals(lab.INET, lab.LAN1, false)
	out.flags, out.seq, out.ack = "A", 1001, 9001
	in.flags, in.seq = "A", 9001
	say := func(when string) {
		t.Helper()
		r.send(lab.LAN1, out)
		equal(t, when+": out", r.arrivals(lab.LAN1, lab.INET, false), []string{"tcp A 203.0.113.2:6000 > 203.0.113.1:443"})
		r.send(lab.INET, in)
		equal(t, when+": in", r.arrivals(lab.INET, lab.LAN1, false), []string{"tcp A 203.0.113.1:443 > 10.77.1.10:6000"})
	}
	say("before")
	guess := in
	guess.flags, guess.seq, guess.ack = "R", 2_000_000_000, 0
	r.send(lab.INET, guess)
	r.arrivals(lab.INET, lab.LAN1, false)
	say("after")
	// What conntrack takes for reset it forgets within ten seconds of silence.
	r.Exec(lab.RTR, "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_timeout_close=1")
	r.send(lab.INET, guess)
	equal(t, "guessed", r.arrivals(lab.INET, lab.LAN1, false), nil)
	if left := r.remembered(443); left < 60 {
		t.Errorf("conntrack forgets the connection in %d s", left)
	}
	say("later")
	// The true end still ends it.
	guess.seq = 9001
	r.send(lab.INET, guess)
	equal(t, "true", r.arrivals(lab.INET, lab.LAN1, false), []string{"tcp R 203.0.113.1:443 > 10.77.1.10:6000"})
}

// remembered is for how many seconds conntrack will know of a connection to the
// port if nothing comes.
func (r *router) remembered(port uint16) (seconds uint32) {
	r.In(lab.RTR, func() {
		conn, err := conntrack.Dial(nil)
		if err != nil {
			r.t.Fatal(err)
		}
		defer conn.Close()
		flows, err := conn.Dump(nil)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, f := range flows {
			if f.TupleOrig.Proto.DestinationPort == port {
				seconds = f.Timeout
			}
		}
	})
	return seconds
}
