package dataplane

import (
	"context"
	"errors"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"ngfw.sh/dataplane/internal/bpfobj"
)

// watching has the programs believe in a watch for so long.
func (k *kernel) watching(lease time.Duration) *watch {
	k.t.Helper()
	w, err := newWatch(k.tc.FastWatched)
	if err == nil {
		err = w.renew(lease)
	}
	if err != nil {
		k.t.Fatal(err)
	}
	return w
}

// A way that was learnt under a watch holds longer, and no longer than any other
// once nobody watches.
func TestFastPathWatched(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.allowFast()
	ticks := func(d time.Duration) uint32 { return uint32(d >> tickShift) }
	for _, form := range forms {
		for _, c := range []struct {
			name  string
			lease time.Duration
			left  time.Duration // until the way is due, of five seconds; it ends 250 ms later
			want  []bool
		}{
			{"fresh", time.Minute, 4800 * time.Millisecond, []bool{true, true}},
			{"old", time.Minute, time.Second, []bool{true, true}},
			{"due", time.Minute, -time.Millisecond, []bool{false, true}},
			{"over", time.Minute, -time.Second, []bool{false, false}},
			{"fresh, unwatched", 0, 4800 * time.Millisecond, []bool{true, true}},
			{"due, unwatched", 0, 3900 * time.Millisecond, []bool{false, true}},
			{"over, unwatched", 0, 3 * time.Second, []bool{false, false}},
		} {
			k.watching(c.lease)
			k.way(masqueraded, form.bit, func(e *bpfobj.TcFast) {
				e.Way.Form |= fastWatched
				e.Due = tick(t) + ticks(c.left)
				e.Way.Until = e.Due + ticks(250*time.Millisecond)
			})
			var fast []bool
			for range c.want {
				redirected, _ := form.run(k, masqueraded.arrives(t))
				fast = append(fast, redirected)
			}
			equal(t, form.name+" "+c.name, fast, c.want)
		}
		// One that was not asks for no watch.
		k.watching(0)
		k.way(masqueraded, form.bit, nil)
		if redirected, _ := form.run(k, masqueraded.arrives(t)); !redirected {
			t.Errorf("%s: a way that needs no watch went without one", form.name)
		}
	}
}

// A change ends all ways at once, those behind it within the pause, and they end
// once more behind the last.
func TestChangesEndWays(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.allowFast()
	w := k.watching(time.Minute)
	changed := w.changed
	now := time.Now()
	for _, step := range []struct {
		name  string
		tell  func(time.Time) error
		after time.Duration
		ends  bool
	}{
		{"nothing", w.overdue, 0, false},
		{"a change", changed, 0, true},
		{"another at once", changed, time.Millisecond, false},
		{"within the pause", w.overdue, watchPause / 2, false},
		{"behind the pause", w.overdue, watchPause, true},
		{"nothing more", w.overdue, time.Hour, false},
		{"the next", changed, time.Hour, true},
	} {
		for _, form := range forms {
			k.way(masqueraded, form.bit, func(e *bpfobj.TcFast) { e.Way.Active ^= uint64(w.told.Changes&0xffff) << 48 })
		}
		if redirected, _ := k.runTC(masqueraded.arrives(t), skb{ifindex: k.lan}); !redirected {
			t.Fatalf("%s: not fast before it", step.name)
		}
		now = now.Add(step.after)
		if err := step.tell(now); err != nil {
			t.Fatal(err)
		}
		if redirected, _ := k.runTC(masqueraded.arrives(t), skb{ifindex: k.lan}); redirected == step.ends {
			t.Errorf("%s: ended %v, want %v", step.name, !redirected, step.ends)
		}
	}
	again, err := newWatch(k.tc.FastWatched)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "another process goes on", again.told.Changes, w.told.Changes)
}

func TestWhatChangesAWay(t *testing.T) {
	mac := func(n byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, n} }
	at := func(ip string, state int, a net.HardwareAddr) *netlink.Neigh {
		parsed := net.ParseIP(ip)
		family := unix.AF_INET6
		if v4 := parsed.To4(); v4 != nil {
			parsed, family = v4, unix.AF_INET
		}
		return &netlink.Neigh{LinkIndex: 3, Family: family, State: state, IP: parsed, HardwareAddr: a}
	}
	k := newKernelState()
	for _, c := range []struct {
		name string
		n    *netlink.Neigh
		gone bool
		want bool
	}{
		{"asked for", at("192.0.2.1", netlink.NUD_INCOMPLETE, nil), false, false},
		{"answers not", at("192.0.2.1", netlink.NUD_FAILED, nil), false, false},
		{"answers", at("192.0.2.1", netlink.NUD_REACHABLE, mac(1)), false, false},
		{"is silent", at("192.0.2.1", netlink.NUD_STALE, mac(1)), false, false},
		{"is asked again", at("192.0.2.1", netlink.NUD_PROBE, mac(1)), false, false},
		{"has another card", at("192.0.2.1", netlink.NUD_REACHABLE, mac(2)), false, true},
		{"still has it", at("192.0.2.1", netlink.NUD_STALE, mac(2)), false, false},
		{"another with the first card", at("192.0.2.2", netlink.NUD_STALE, mac(1)), false, false},
		{"went", at("192.0.2.1", netlink.NUD_FAILED, nil), false, true},
		{"is still gone", at("192.0.2.1", netlink.NUD_FAILED, nil), false, false},
		{"the other is removed", at("192.0.2.2", netlink.NUD_STALE, mac(1)), true, true},
		{"IPv6", at("2001:db8::1", netlink.NUD_PERMANENT, mac(1)), false, false},
		{"IPv6 elsewhere", at("2001:db8::1", netlink.NUD_PERMANENT, mac(9)), false, true},
	} {
		if got := k.neighbour(c.n, c.gone); got != c.want {
			t.Errorf("a neighbour that %s: %v, want %v", c.name, got, c.want)
		}
	}
	kind := func(number uint16) []syscall.NetlinkMessage {
		return []syscall.NetlinkMessage{{Header: syscall.NlMsghdr{Type: number}}}
	}
	for number, want := range map[uint16]bool{
		unix.RTM_NEWROUTE: true, unix.RTM_DELROUTE: true, unix.RTM_NEWRULE: true, unix.RTM_DELADDR: true, unix.RTM_NEWQDISC: true,
		unix.RTM_NEWNEXTHOP: true, unix.RTM_NEWNETCONF: true, unix.RTM_NEWADDR: false, unix.RTM_NEWTFILTER: false,
	} {
		if got := k.changes(unix.NETLINK_ROUTE, kind(number)); got != want {
			t.Errorf("message %d: %v, want %v", number, got, want)
		}
	}
	if !k.changes(unix.NETLINK_NETFILTER, kind(0)) {
		t.Error("another's rules change nothing")
	}
}

// The kernel tells of all that the fast path passes by.
func TestKernelTellsOfChanges(t *testing.T) {
	needRoot(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	come, ready := make(chan news), make(chan error)
	var h *netlink.Handle
	var rules *nftables.Conn
	state := newKernelState()
	go func() {
		runtime.LockOSThread() // for good: the thread ends with its namespace
		ready <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return err
			}
			if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "one"}, PeerName: "two"}); err != nil {
				return err
			}
			ns, err := netns.Get()
			if err != nil {
				return err
			}
			if h, err = netlink.NewHandleAt(ns); err != nil {
				return err
			}
			if rules, err = nftables.New(nftables.WithNetNSFd(int(ns))); err != nil {
				return err
			}
			all, err := watchSockets()
			if err != nil {
				return err
			}
			context.AfterFunc(ctx, all.close)
			for protocol, s := range all {
				go receive(ctx, protocol, s, come)
			}
			return state.list()
		}()
		<-ctx.Done()
	}()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	link, err := h.LinkByName("one")
	if err != nil {
		t.Fatal(err)
	}
	peer, err := h.LinkByName("two")
	if err != nil {
		t.Fatal(err)
	}
	address, err := netlink.ParseAddr("192.0.2.1/24")
	if err != nil {
		t.Fatal(err)
	}
	index := link.Attrs().Index
	_, far, _ := net.ParseCIDR("198.51.100.0/24")
	_, far6, _ := net.ParseCIDR("2001:db8:5::/48")
	next := func(last byte) *netlink.Neigh {
		return &netlink.Neigh{LinkIndex: index, IP: net.IPv4(192, 0, 2, 9).To4(), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 9, last}, State: netlink.NUD_PERMANENT}
	}
	rule := netlink.NewRule()
	rule.Src, rule.Table = far, 77
	for _, step := range []struct {
		name string
		make func() error
	}{
		{"a link comes up", func() error { return h.LinkSetUp(link) }},
		{"and its other end", func() error { return h.LinkSetUp(peer) }},
		{"an address", func() error { return h.AddrAdd(link, address) }}, // by its routes
		{"a route", func() error { return h.RouteAdd(&netlink.Route{LinkIndex: index, Dst: far}) }},
		{"a route, v6", func() error { return h.RouteAdd(&netlink.Route{LinkIndex: index, Dst: far6}) }},
		{"a rule", func() error { return h.RuleAdd(rule) }},
		{"another card", func() error {
			if err := h.NeighSet(next(1)); err != nil {
				return err
			}
			return h.NeighSet(next(2))
		}},
		{"a neighbour less", func() error { return h.NeighDel(next(2)) }},
		{"an MTU", func() error { return h.LinkSetMTU(link, 1400) }},
		{"another name", func() error { // zones know it by that; it stays up
			err := h.LinkSetName(link, "other")
			if errors.Is(err, unix.EBUSY) { // Linux before 6.2
				err = errors.Join(h.LinkSetDown(link), h.LinkSetName(link, "other"), h.LinkSetUp(link))
			}
			return err
		}},
		{"a queue", func() error {
			return h.QdiscAdd(&netlink.GenericQdisc{QdiscType: "pfifo", QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT}})
		}},
		{"rules of another", func() error {
			rules.AddTable(&nftables.Table{Name: "theirs", Family: nftables.TableFamilyIPv4})
			return rules.Flush()
		}},
		{"no route", func() error { return h.RouteDel(&netlink.Route{LinkIndex: index, Dst: far}) }},
		{"no address", func() error { return h.AddrDel(link, address) }},
		{"no link", func() error { return h.LinkDel(link) }},
	} {
		// What the step before has told besides.
		for quiet := false; !quiet; {
			select {
			case n := <-come:
				state.changes(n.protocol, n.messages)
			case <-time.After(50 * time.Millisecond):
				quiet = true
			}
		}
		if err := step.make(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		patience := time.After(20 * time.Second)
		for told := false; !told; {
			select {
			case n := <-come:
				told = n.lost || state.changes(n.protocol, n.messages)
			case <-patience:
				t.Fatalf("%s: nobody told", step.name)
			}
		}
	}
}
