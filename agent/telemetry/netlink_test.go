package telemetry

import (
	"context"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ti-mo/conntrack"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// inNamespace moves the test's goroutine into a network namespace of its own,
// which ends with the goroutine's thread.
func inNamespace(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root for a network namespace")
	}
	runtime.LockOSThread() // never unlocked: the runtime ends the thread
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
}

// must stops the test at an error of its preparation.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// cable makes the veth pair a–b, both up, a with 192.0.2.1/24 and 2001:db8::1/64
// and a neighbour 192.0.2.2 behind b.
func cable(t testing.TB) {
	t.Helper()
	must(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "a", MTU: 1400}, PeerName: "b"}))
	a, err := netlink.LinkByName("a")
	must(t, err)
	b, err := netlink.LinkByName("b")
	must(t, err)
	for _, cidr := range []string{"192.0.2.1/24", "2001:db8::1/64"} {
		addr, err := netlink.ParseAddr(cidr)
		must(t, err)
		addr.Flags = unix.IFA_F_NODAD
		must(t, netlink.AddrAdd(a, addr))
	}
	must(t, netlink.LinkSetUp(a))
	must(t, netlink.LinkSetUp(b))
	must(t, netlink.NeighAdd(&netlink.Neigh{
		LinkIndex: a.Attrs().Index, State: netlink.NUD_PERMANENT, IP: net.IPv4(192, 0, 2, 2), HardwareAddr: b.Attrs().HardwareAddr,
	}))
}

func openNetlink(t testing.TB) *Netlink {
	t.Helper()
	n, err := OpenNetlink()
	must(t, err)
	t.Cleanup(n.Close)
	return n
}

func find(t *testing.T, n *Netlink, name string) Link {
	t.Helper()
	links, err := n.Links()
	must(t, err)
	i := slices.IndexFunc(links, func(l Link) bool { return l.Name == name })
	if i < 0 {
		t.Fatalf("no %s in %v", name, links)
	}
	return links[i]
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestLinksOfNamespace(t *testing.T) {
	inNamespace(t)
	must(t, func() error { lo, err := netlink.LinkByName("lo"); must(t, err); return netlink.LinkSetUp(lo) }())
	cable(t)
	n := openNetlink(t)
	eventually(t, "a is up", func() bool { return find(t, n, "a").State == Up })

	links, err := n.Links()
	must(t, err)
	if len(links) != 2 || links[0].Name != "a" || links[1].Name != "b" {
		t.Fatalf("links %v, want a and b without lo", links)
	}
	a := links[0]
	if a.MTU != 1400 || !a.Carrier || len(a.MAC) != 17 {
		t.Errorf("a: %+v", a)
	}
	if ip, ip6 := *a.shown(true), *a.shown(false); ip != "192.0.2.1/24" || ip6 != "2001:db8::1/64" {
		t.Errorf("a has %s and %s", ip, ip6)
	}
	s, err := n.Settings("a")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(LinkSettings{Driver: "veth", Speed: 10000, Duplex: "full"}, s); d != "" {
		t.Errorf("settings of a (-want +got):\n%s", d)
	}
	if _, err := n.Settings("nosuch"); err == nil {
		t.Error("settings of an interface that is not there")
	}

	b, err := netlink.LinkByName("b")
	must(t, err)
	must(t, netlink.LinkSetDown(b))
	eventually(t, "both ends are down", func() bool {
		return find(t, n, "a").State == Down && find(t, n, "b").State == Down && !find(t, n, "a").Carrier
	})
}

func TestDefaultRouteOfNamespace(t *testing.T) {
	inNamespace(t)
	cable(t)
	n := openNetlink(t)
	if index, err := n.DefaultRoute(); index != 0 || err != nil {
		t.Fatalf("index %d, err %v without a route", index, err)
	}
	a, b := find(t, n, "a"), find(t, n, "b")
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: b.Index, Scope: netlink.SCOPE_LINK, Priority: 200, Dst: everywhere}))
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: a.Index, Gw: net.IPv4(192, 0, 2, 2), Priority: 100, Dst: everywhere}))
	if index, err := n.DefaultRoute(); index != a.Index || err != nil {
		t.Errorf("index %d, err %v; want a's %d, of the lower metric", index, err, a.Index)
	}
	c, _, _ := clockAndTree(n)
	if ip := c.Status(context.Background()).GetWanIp(); ip != "192.0.2.1" {
		t.Errorf("wan_ip %q", ip)
	}
}

var everywhere = &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}

func TestRatesOfRealTraffic(t *testing.T) {
	inNamespace(t)
	cable(t)
	n := openNetlink(t)
	c, _, now := clockAndTree(n)
	eventually(t, "a is up", func() bool { return find(t, n, "a").State == Up })
	before := find(t, n, "b").Received.Bytes
	c.take()

	const datagrams, payload = 200, 1000
	const frame = payload + 8 + 20 + 14 // UDP, IPv4, Ethernet
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.2:9")))
	must(t, err)
	defer conn.Close()
	for range datagrams {
		_, err := conn.Write(make([]byte, payload))
		must(t, err)
	}
	eventually(t, "b received all", func() bool { return find(t, n, "b").Received.Bytes-before >= datagrams*frame })

	*now = now.Add(2 * time.Second)
	c.take()
	m := c.Metrics(context.Background())
	const least, most = datagrams * frame / 2, (datagrams*frame + 4096) / 2 // some neighbour discovery passes too
	if r := m.Interfaces["a"]; r.TxRate < least || r.TxRate > most {
		t.Errorf("a sends %d bytes/s, want %d to %d", r.TxRate, least, most)
	}
	if r := m.Interfaces["b"]; r.RxRate < least || r.RxRate > most {
		t.Errorf("b receives %d bytes/s, want %d to %d", r.RxRate, least, most)
	}
}

// track puts connections into the table of the namespace.
func track(t testing.TB, protocol uint8, count int) {
	t.Helper()
	c, err := conntrack.Dial(nil)
	must(t, err)
	defer c.Close()
	for i := range count {
		src := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		f := conntrack.NewFlow(protocol, conntrack.StatusConfirmed, src, netip.MustParseAddr("192.0.2.9"), 1000, 443, 600, 0)
		if protocol == unix.IPPROTO_TCP {
			f.ProtoInfo.TCP = &conntrack.ProtoInfoTCP{State: 3}
		}
		must(t, c.Create(f))
	}
}

func TestConntrackOfNamespace(t *testing.T) {
	inNamespace(t)
	n := openNetlink(t)
	ctx := context.Background()
	p, err := n.Protocols(ctx)
	must(t, err)
	if d := cmp.Diff(Protocols{}, p); d != "" {
		t.Errorf("an empty table (-want +got):\n%s", d)
	}
	track(t, unix.IPPROTO_TCP, 700) // more than one message holds
	track(t, unix.IPPROTO_UDP, 300)
	for range 2 {
		p, err := n.Protocols(ctx)
		must(t, err)
		if d := cmp.Diff(Protocols{TCP: 700, UDP: 300}, p); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
	// A walk given up midway does not spoil the next.
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := n.Protocols(gone); err == nil {
		t.Error("a cancelled walk succeeded")
	}
	eventually(t, "a walk after a cancelled one", func() bool {
		p, err := n.Protocols(ctx)
		return err == nil && p == Protocols{TCP: 700, UDP: 300}
	})
}

func BenchmarkConntrackWalk100k(b *testing.B) {
	inNamespace(b)
	n := openNetlink(b)
	track(b, unix.IPPROTO_UDP, 100_000)
	for b.Loop() {
		p, err := n.Protocols(context.Background())
		must(b, err)
		if p.UDP < 100_000 {
			b.Fatal(p)
		}
	}
}
