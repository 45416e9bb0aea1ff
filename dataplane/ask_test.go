package dataplane

import (
	"testing"

	"github.com/vishvananda/netlink"

	"ngfw.sh/dataplane/internal/bpfobj"
)

// worthAWay has p begin a flow from lan that is answered and old enough for the fast path.
func (k *kernel) worthAWay(p packet) {
	k.t.Helper()
	k.in(func() {
		l, err := netlink.LinkByName("lan")
		if err == nil {
			err = netlink.LinkSetHardwareAddr(l, routerMAC)
		}
		if err != nil {
			k.t.Error(err)
		}
	})
	k.arrive(k.lan, p.frame(k.t))
	k.change(func(f *bpfobj.TcFlow) {
		f.Flags |= flowReplyKnown | flowSeenReply
		f.Packets = [2]uint64{8, 8}
	})
}

// A way that a change has ended is asked for by the next packet, however shortly before
// it was learnt. One that is not learnt then, or never was, is asked for now and then.
func TestEndedWaysAreAskedForAtOnce(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.allowFast()
	p := packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 4000}
	k.worthAWay(p)
	asks := func() bool { return k.arrive(k.lan, p.frame(t)).Mark&markLearn != 0 }
	learnt := func(active uint64) {
		k.forgetWays(t, 0)
		k.way(journey{p, p, 64}, 0, func(e *bpfobj.TcFast) {
			e.Id, e.Way.Active, e.Asked = k.flow().Id, active, tick(t)
		})
	}
	learnt(k.active())
	equal(t, "just learnt", asks(), false)
	learnt(0)
	equal(t, "just asked for, never learnt", asks(), false)
	learnt(k.active() ^ 1<<48)
	equal(t, "ended", asks(), true)
	equal(t, "ended, and asked for", asks(), false)
}
