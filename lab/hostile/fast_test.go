package hostile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ti-mo/conntrack"

	"ngfw.sh/dataplane/netfilter"
	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// forms of the fast path: auto is TC in a lab.
var forms = []string{"auto", "xdp"}

// eachForm attacks a router with either form of the fast path.
func eachForm(t *testing.T, attack func(*testing.T, *router), more ...string) {
	for _, form := range forms {
		t.Run(form, func(t *testing.T) {
			r := newRouter(t, usual, append([]string{"fast_path: " + form}, more...)...)
			attack(t, r)
			r.auditConntrack(t)
		})
	}
}

// One router bears them all, one after the other: each has a flow of its own.
func TestFastPathUnderAttack(t *testing.T) {
	eachForm(t, func(t *testing.T, r *router) {
		for i, a := range []struct {
			name   string
			attack func(*testing.T, *router)
		}{
			{"from another zone", fromAnotherZone}, {"not plain", notPlain}, {"half closed", halfClosed},
			{"conntrack flushed", flushedConntrack}, {"another route", anotherRoute}, {"a smaller MTU", smallerMTU},
		} {
			r.flow = 4000 + uint16(i)
			t.Run(a.name, func(t *testing.T) {
				r.t = t
				a.attack(t, r)
			})
		}
		r.t = t
	})
}

// conversation is a flow between lan1 and inet, as either side sends it.
type conversation struct {
	r       *router
	out, in packet
}

func datagrams(r *router) conversation {
	return conversation{r,
		packet{src: lan1v4, dst: inetv4, proto: udp, sport: r.flow, dport: 4001},
		packet{src: inetv4, dst: wanv4, proto: udp, sport: 4001, dport: r.flow}}
}

// connection opens a TCP one.
func connection(t *testing.T, r *router) conversation {
	t.Helper()
	c := conversation{r,
		packet{src: lan1v4, dst: inetv4, proto: tcp, sport: 6000, dport: 443},
		packet{src: inetv4, dst: wanv4, proto: tcp, sport: 443, dport: 6000}}
	c.open(t, 1000, 9000)
	return c
}

// open shakes hands.
func (c *conversation) open(t *testing.T, client, server uint32) {
	t.Helper()
	c.out.flags, c.out.seq, c.out.ack = "S", client, 0
	c.in.flags, c.in.seq, c.in.ack = "SA", server, client+1
	c.passes(t, "syn", c.out)
	c.passes(t, "syn and ack", c.in)
	c.out.flags, c.out.seq, c.out.ack = "A", client+1, server+1
	c.in.flags, c.in.seq = "A", server+1
	c.passes(t, "ack", c.out)
}

func (c *conversation) ends(p packet) (from, to string) {
	if p.src == c.in.src {
		return lab.INET, lab.LAN1
	}
	return lab.LAN1, lab.INET
}

// arrives sends a packet and says what came of it to the other side.
func (c *conversation) arrives(p packet) []string {
	c.r.t.Helper()
	from, to := c.ends(p)
	c.r.send(from, p)
	return c.r.arrivals(from, to, strings.Contains(p.src, ":"))
}

func (c *conversation) passes(t *testing.T, what string, p packet) {
	t.Helper()
	if got := c.arrives(p); len(got) != 1 {
		t.Fatalf("%s: %q arrived, want one packet", what, got)
	}
}

// quicken talks both ways until packets go the short way.
func (c *conversation) quicken(t *testing.T) {
	t.Helper()
	before := c.r.status().Counters.FastPath
	labtest.Eventually(t, 20*time.Second, func() error {
		for range 5 {
			c.passes(t, "out", c.out)
			c.passes(t, "in", c.in)
		}
		if n := c.r.status().Counters.FastPath - before; n < 12 {
			return fmt.Errorf("%d packets went the short way", n)
		}
		return nil
	})
}

// auditConntrack fails if a packet that conntrack calls invalid came past the
// packet programs, or if what it knows of closed connections stays for long.
func (r *router) auditConntrack(t *testing.T) {
	t.Helper()
	r.In(lab.RTR, func() {
		drops, err := netfilter.Drops()
		if err != nil {
			t.Error(err)
		}
		if n := drops["invalid"]; n > 0 {
			t.Errorf("conntrack called %d packets invalid", n)
		}
	})
	for _, f := range r.connections(t) {
		if f.ProtoInfo.TCP != nil && f.ProtoInfo.TCP.State > 4 && f.Timeout > 120 {
			t.Errorf("a connection that ends stays for %d s: %+v", f.Timeout, f.TupleOrig)
		}
	}
}

func (r *router) connections(t *testing.T) (all []conntrack.Flow) {
	t.Helper()
	r.conntrack(t, func(c *conntrack.Conn) (err error) { all, err = c.Dump(nil); return err })
	return all
}

func (r *router) conntrack(t *testing.T, f func(*conntrack.Conn) error) {
	t.Helper()
	r.In(lab.RTR, func() {
		c, err := conntrack.Dial(nil)
		if err == nil {
			defer c.Close()
			err = f(c)
		}
		if err != nil {
			t.Error(err)
		}
	})
}

// Who knows a fast flow's tuple is not in it: from another zone, with another
// destination card, it does not pass, and the flow goes on.
func fromAnotherZone(t *testing.T, r *router) {
	c := datagrams(r)
	c.quicken(t)
	for range 3 {
		r.send(lab.IOT1, c.out)
		equal(t, "from another zone", r.arrivals(lab.IOT1, lab.INET, false), nil)
		r.send(lab.LAN2, c.out)
		got := r.arrivals(lab.LAN2, lab.INET, false)
		for _, s := range got { // of the same zone it may, as the policy says, and translated
			if !strings.HasPrefix(s, "udp 203.0.113.2:") {
				t.Errorf("from the zone's other port: %s", s)
			}
		}
		r.send(lab.IOT1, c.in)
		equal(t, "answer from another zone", r.arrivals(lab.IOT1, lab.LAN1, true), nil)
		frame := ethernet(t, lab.LAN1, c.out.ip(t))
		frame[5] ^= 0x40 // another's card
		r.raw(lab.LAN1, frame)
		equal(t, "another's frame", r.arrivals(lab.LAN1, lab.INET, false), nil)
	}
	c.quicken(t)
}

// patched is the frame of a packet with an IPv4 header changed and summed again.
func patched(t *testing.T, host string, p packet, change func(ip []byte)) []byte {
	ip := p.ip(t)
	change(ip)
	ip[10], ip[11] = 0, 0
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum+sum>>16))
	return ethernet(t, host, ip)
}

// What is not plain is the kernel's to answer, in a fast flow too.
func notPlain(t *testing.T, r *router) {
	c := datagrams(r)
	c.quicken(t)
	c.out.payload = strings.Repeat("x", 900)
	r.raw(lab.LAN1, patched(t, lab.LAN1, c.out, func(ip []byte) { ip[8] = 1 }))
	equal(t, "last hop", r.arrivals(lab.LAN1, lab.INET, false), nil)
	equal(t, "its answer", r.arrivals(lab.INET, lab.LAN1, false), []string{"icmp 11/0 10.77.1.1 > 10.77.1.10"})
	r.raw(lab.LAN1, patched(t, lab.LAN1, c.out, func(ip []byte) { ip[8] = 2 }))
	equal(t, "last hop but one", r.arrivals(lab.LAN1, lab.INET, false), []string{fmt.Sprintf("udp 203.0.113.2:%d > 203.0.113.1:4001", r.flow)})
	for _, f := range r.frames {
		if f[22] != 1 {
			t.Errorf("it came with %d hops left", f[22])
		}
	}
	// Fragments are put together and leave translated, and their order is nobody's.
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		parts := fragments(c.out.ip(t), uint16(100+order[0]), 0, 400)
		for _, i := range order {
			r.raw(lab.LAN1, ethernet(t, lab.LAN1, parts[i]))
		}
		r.arrivals(lab.LAN1, lab.INET, false)
		var whole []byte
		for _, f := range r.frames {
			if !bytes.Equal(f[26:30], []byte{203, 0, 113, 2}) {
				t.Errorf("a fragment left as % x", f[26:30])
			}
			whole = append(whole, f[34:]...)
		}
		if n := bytes.Count(whole, []byte("x")); n != 900 {
			t.Errorf("fragments %v: %d of 900 bytes came", order, n)
		}
	}
	// A checksum that is wrong stays wrong: nothing is mended on the way.
	frame := ethernet(t, lab.LAN1, c.out.ip(t))
	frame[len(frame)-1] ^= 0xff
	r.raw(lab.LAN1, frame)
	r.arrivals(lab.LAN1, lab.INET, false)
	for _, f := range r.frames {
		var sum uint32 = 17 + uint32(len(f)-34)
		for i := 26; i < len(f); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(f[i:]))
		}
		for sum > 0xffff {
			sum = sum>>16 + sum&0xffff
		}
		if sum == 0xffff {
			t.Error("a damaged datagram arrived with a good checksum")
		}
	}
	c.out.payload = ""
	c.quicken(t)
}

// A smaller MTU holds as soon as the kernel has told of it.
func smallerMTU(t *testing.T, r *router) {
	c := datagrams(r)
	c.quicken(t)
	c.out.payload = strings.Repeat("x", 1300)
	c.passes(t, "before", c.out)
	r.Exec(lab.RTR, "ip", "link", "set", "wan", "mtu", "1000")
	labtest.Eventually(t, 20*time.Second, func() error {
		r.raw(lab.LAN1, patched(t, lab.LAN1, c.out, func(ip []byte) { ip[6] |= 0x40 }))
		if got := r.arrivals(lab.LAN1, lab.INET, false); len(got) > 0 {
			return errArrived(got)
		}
		return nil
	})
}

// A route that goes elsewhere, into another zone, takes the flow off its way.
func anotherRoute(t *testing.T, r *router) {
	c := datagrams(r)
	c.quicken(t)
	r.Exec(lab.RTR, "ip", "route", "add", inetv4+"/32", "via", lab.IP4(lab.IOT1).String())
	gone := time.Now()
	labtest.Eventually(t, 20*time.Second, func() error {
		// The packet that would have renewed the way goes first; the way ends
		// a quarter of a second behind it.
		for range 20 {
			r.send(lab.LAN1, c.out)
			// The end mark's own way is gone too, so it goes by IPv6.
			if got := r.arrivals(lab.LAN1, lab.INET, true); len(got) > 0 {
				return errArrived(got)
			}
		}
		return nil
	})
	t.Logf("it left its way after %v", time.Since(gone))
	for range 3 {
		r.send(lab.LAN1, c.out)
		equal(t, "behind the route", r.arrivals(lab.LAN1, lab.INET, true), nil)
	}
	r.Exec(lab.RTR, "ip", "route", "del", inetv4+"/32")
	// What conntrack learnt of it on the wrong way is forgotten: it would leave
	// untranslated.
	equal(t, "on its way again", c.arrives(c.out), []string{fmt.Sprintf("udp 203.0.113.2:%d > 203.0.113.1:4001", r.flow)})
	c.quicken(t)
}

// Conntrack loses all it knows, again and again, under flows that are fast.
// Nothing leaves untranslated, and flows that may begin go on.
func flushedConntrack(t *testing.T, r *router) {
	c := datagrams(r)
	c.quicken(t)
	for range 4 {
		r.conntrack(t, func(c *conntrack.Conn) error { return c.Flush() })
		for range 30 {
			r.send(lab.LAN1, c.out)
			for _, s := range r.arrivals(lab.LAN1, lab.INET, false) {
				if !strings.HasPrefix(s, "udp 203.0.113.2:") {
					t.Errorf("left as %s", s)
				}
			}
		}
	}
	// The answers may need another port now.
	labtest.Eventually(t, 20*time.Second, func() error {
		r.send(lab.LAN1, c.out)
		got := r.arrivals(lab.LAN1, lab.INET, false)
		if len(got) != 1 {
			return fmt.Errorf("%q arrived", got)
		}
		_, err := fmt.Sscanf(got[0], "udp 203.0.113.2:%d >", &c.in.dport)
		return err
	})
	c.quicken(t)
}

// One side has said all it will, the other goes on; then the tuple is used again.
func halfClosed(t *testing.T, r *router) {
	c := connection(t, r)
	c.quicken(t)
	fin := c.out
	fin.flags = "FA"
	c.passes(t, "fin", fin)
	c.out.seq++
	c.in.ack = c.out.seq
	before := r.status().Counters.FastPath
	for i := range 20 {
		c.in.payload = fmt.Sprint("more ", i)
		c.passes(t, "data behind the other's fin", c.in)
		c.in.seq += uint32(len(c.in.payload))
		c.out.ack = c.in.seq
		c.passes(t, "its acknowledgment", c.out)
	}
	// What carries the marks in between is not the connection's.
	if n := r.status().Counters.FastPath - before; n > 0 {
		t.Errorf("%d packets went the short way behind a fin", n)
	}
	c.in.payload = ""
	fin = c.in
	fin.flags = "FA"
	c.passes(t, "the other fin", fin)
	c.out.ack++
	c.passes(t, "the last acknowledgment", c.out)
	for _, f := range r.connections(t) {
		if f.TupleOrig.Proto.DestinationPort == 443 && f.Timeout > 120 {
			t.Errorf("the closed connection stays for %d s: %+v", f.Timeout, f.ProtoInfo.TCP)
		}
	}
	c.open(t, 500_000, 700_000)
	c.quicken(t)
}

// More flows than there is room for: those that are fast stay, those that find
// no room go the long way, and all pass.
func TestMoreFlowsThanTheFastTableHolds(t *testing.T) {
	eachForm(t, func(t *testing.T, r *router) {
		r.flow = 4000
		c := datagrams(r)
		c.quicken(t)
		for n := range uint16(900) {
			p := c.out
			p.sport = 20000 + n
			r.send(lab.LAN1, p)
			if n%100 == 99 {
				if got := r.arrivals(lab.LAN1, lab.INET, false); len(got) != 100 {
					t.Fatalf("%d of 100 flows passed", len(got))
				}
			}
		}
		for n := range uint16(900) {
			back := c.in
			back.dport = 20000 + n
			r.send(lab.INET, back)
			if n%100 == 99 {
				if got := r.arrivals(lab.INET, lab.LAN1, false); len(got) != 100 {
					t.Fatalf("%d of 100 answers passed", len(got))
				}
			}
		}
		before := r.status().Counters.FastPath
		for range 3 {
			for n := range uint16(300) {
				p := c.out
				p.sport = 20000 + n
				for range 4 {
					r.send(lab.LAN1, p)
				}
				if n%50 == 49 {
					if got := r.arrivals(lab.LAN1, lab.INET, false); len(got) != 200 {
						t.Fatalf("%d of 200 packets passed", len(got))
					}
				}
			}
		}
		if n := r.status().Counters.FastPath - before; n < 100 {
			t.Errorf("only %d packets went the short way", n)
		}
		c.quicken(t)
	}, "flow: {max_flows: 1024, update_interval: 1s}")
}
