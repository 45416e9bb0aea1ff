package hostile

import (
	"fmt"
	"testing"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// answer has the server send something, and the client acknowledge it.
func (c *conversation) answer(t *testing.T) {
	t.Helper()
	c.in.payload = "something"
	c.passes(t, "data", c.in)
	c.in.seq += uint32(len(c.in.payload))
	c.out.ack = c.in.seq
	c.passes(t, "its acknowledgment", c.out)
}

// What conntrack knows of a connection, and has missed most of, ends it neither too
// soon nor too late.
func TestConntrackMissesMostOfAConnection(t *testing.T) {
	r := newRouter(t, usual, "fast_path: xdp")
	c := connection(t, r)
	t.Run("reset", func(t *testing.T) { r.t = t; resetBehindMuchData(t, c) })
	c.out.dport, c.in.sport = 444, 444
	c.open(t, 1000, 9000)
	t.Run("forgotten", func(t *testing.T) { r.t = t; forgotten(t, c) })
	r.t = t
}

// Of what it sees now and then conntrack sees no acknowledgment: it would forget the
// connection in five minutes (nf_conntrack_tcp_timeout_unacknowledged).
func forgotten(t *testing.T, c conversation) {
	c.quicken(t)
	for until := time.Now().Add(6 * time.Second); time.Now().Before(until); { // behind a renewal
		c.answer(t)
		if left := c.r.remembered(c.in.sport); left < 2*60*60+4*60 { // RFC 5382, REQ-5
			t.Fatalf("conntrack forgets the connection in %d s", left)
		}
	}
}

// The reset of a connection that has carried more than half of all sequence numbers
// since conntrack saw the last: it would take it for one from before.
func resetBehindMuchData(t *testing.T, c conversation) {
	c.quicken(t)
	first := c.in.seq
	for c.in.seq-first < 5<<29 { // as far as segments may be apart
		c.in.seq += 1<<24 - 1000
		c.out.ack = c.in.seq
		c.r.send(lab.INET, c.in)
		c.r.send(lab.LAN1, c.out)
	}
	c.r.arrivals(lab.LAN1, lab.INET, false)
	c.r.arrivals(lab.INET, lab.LAN1, false)
	c.in.flags = "R"
	labtest.Eventually(t, 20*time.Second, func() error {
		for range 20 { // until some have gone the long way
			c.passes(t, "out", c.out)
		}
		if got := c.arrives(c.in); len(got) != 1 {
			return fmt.Errorf("%q arrived, want a reset", got)
		}
		return nil
	})
}
