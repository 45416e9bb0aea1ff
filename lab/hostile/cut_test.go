package hostile

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// refusing is the usual policy, but the web is rejected.
var refusing = strings.Replace(usual, `"rules": [`, `"rules": [
    {"id": 7, "name": "no web", "zone_from": "LAN", "zone_to": "WAN", "protocol": "tcp", "port": "443", "action": "reject"},`, 1)

// change has the agent read another policy.
func (r *router) change(policy string) {
	r.t.Helper()
	before := r.status().PolicyRevision
	r.write("policy.json", policy)
	if err := r.agent.Process.Signal(syscall.SIGHUP); err != nil {
		r.t.Fatal(err)
	}
	labtest.Eventually(r.t, 10*time.Second, func() error {
		if now := r.status().PolicyRevision; now == before {
			return fmt.Errorf("still revision %d", now)
		}
		return nil
	})
}

// numbers are a segment's, and whether its checksums are right.
func numbers(t *testing.T, frame []byte) (seq, ack uint32, flags string) {
	t.Helper()
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	l, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if !ok {
		t.Fatalf("no TCP: %v", p)
	}
	if len(l.Payload) != 0 {
		t.Errorf("a reset carries %q", l.Payload)
	}
	for _, layer := range p.Layers() {
		if l, ok := layer.(interface {
			VerifyChecksum() (error, gopacket.ChecksumVerificationResult)
		}); ok {
			if tcp, isTCP := layer.(*layers.TCP); isTCP {
				tcp.SetNetworkLayerForChecksum(p.NetworkLayer())
			}
			if err, result := l.VerifyChecksum(); err != nil || !result.Valid {
				t.Errorf("%v: checksum %+v, %v", layer.LayerType(), result, err)
			}
		}
	}
	if l.RST {
		flags = "R"
	}
	return l.Seq, l.Ack, flags
}

// A connection that a changed policy rejects is reset for both ends at once, from
// whichever side its next packet comes, with numbers that both believe; one that
// still passes is undisturbed.
func TestCutByRejectResetsBothEnds(t *testing.T) {
	r := newRouter(t, usual)
	for _, v6 := range []bool{false, true} {
		for _, outside := range []bool{false, true} {
			t.Run(fmt.Sprintf("v6=%v/outside=%v", v6, outside), func(t *testing.T) {
				out := packet{src: lan1v4, dst: inetv4, proto: tcp, sport: 6000, dport: 443, flags: "S", seq: 1000}
				in := packet{src: inetv4, dst: wanv4, proto: tcp, sport: 443, dport: 6000, flags: "SA", seq: 9000, ack: 1001}
				if v6 {
					out.src, out.dst, in.src, in.dst = lan1v6, inetv6, inetv6, lan1v6
				}
				if outside {
					out.sport, in.dport = 6001, 6001
				}
				other, otherIn := out, in
				other.dport, otherIn.sport = 8443, 8443
				open := func(out, in packet) (packet, packet) {
					r.send(lab.LAN1, out)
					r.arrivals(lab.LAN1, lab.INET, v6)
					r.send(lab.INET, in)
					r.arrivals(lab.INET, lab.LAN1, v6)
					out.flags, out.seq, out.ack, out.payload = "AP", 1001, 9001, "question"
					in.flags, in.seq, in.ack, in.payload = "AP", 9001, 1001, "an answer"
					r.send(lab.LAN1, out)
					if got := r.arrivals(lab.LAN1, lab.INET, v6); len(got) != 1 {
						t.Fatalf("opened: %q", got)
					}
					out.seq += 8
					in.ack += 8
					return out, in
				}
				out, in = open(out, in)
				other, otherIn = open(other, otherIn)

				r.change(refusing)
				defer r.change(usual)
				from, to, p, reply := lab.LAN1, lab.INET, out, in
				if outside {
					from, to, p, reply = lab.INET, lab.LAN1, in, out
				}
				r.send(from, p)
				forward := r.arrivals(from, to, v6)
				if len(forward) != 1 || !strings.HasPrefix(forward[0], "tcp RA ") {
					t.Fatalf("the receiver got %q", forward)
				}
				seq, ack, flags := numbers(t, r.frames[0])
				equal(t, "to the receiver", []any{seq, ack, flags}, []any{p.seq, p.ack, "R"})
				back := r.arrivals(to, from, v6)
				if len(back) != 1 || !strings.HasPrefix(back[0], "tcp RA ") {
					t.Fatalf("the sender got %q", back)
				}
				seq, ack, flags = numbers(t, r.frames[0])
				equal(t, "to the sender", []any{seq, ack, flags}, []any{p.ack, p.seq + uint32(len(p.payload)), "R"})
				// It is over: whoever goes on is answered by a reset, and heard by nobody.
				r.send(to, reply)
				equal(t, "goes on", r.arrivals(to, from, v6), nil)

				data := func(got []string) bool {
					return slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "tcp A ") })
				}
				r.send(lab.LAN1, other)
				if got := r.arrivals(lab.LAN1, lab.INET, v6); !data(got) {
					t.Errorf("the other connection: %q", got)
				}
				r.send(lab.INET, otherIn)
				if got := r.arrivals(lab.INET, lab.LAN1, v6); !data(got) {
					t.Errorf("the other connection's answer: %q", got)
				}
			})
		}
	}
}
