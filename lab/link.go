package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// routerIndex is where the interface indexes of the router's ports start.
const routerIndex = 100

// cable makes one veth pair between the router and a host, and gives both ends
// their addresses.
func (l *Lab) cable(s Segment) error {
	host, err := netns.GetFromName(l.Namespace(s.Host))
	if err != nil {
		return fmt.Errorf("open namespace of %s: %w", s.Host, err)
	}
	defer host.Close()

	attrs := netlink.NewLinkAttrs()
	attrs.Name = s.RouterPort
	attrs.HardwareAddr = s.RouterMAC
	// Unlike the host's: the kernel activates a port at once if its index differs
	// from its peer's, and otherwise up to a second later (linkwatch).
	attrs.Index = routerIndex + int(s.HostMAC[4])
	// One queue each way at both ends: the driver refuses native XDP where the
	// peer has more sending queues than this side has receiving ones.
	attrs.NumTxQueues, attrs.NumRxQueues = 1, 1
	pair := netlink.NewVeth(attrs)
	pair.PeerName = HostPort
	pair.PeerHardwareAddr = s.HostMAC
	pair.PeerNamespace = netlink.NsFd(int(host))
	pair.PeerNumTxQueues, pair.PeerNumRxQueues = 1, 1

	err = l.In(RTR, func() error {
		if err := netlink.LinkAdd(pair); err != nil {
			return fmt.Errorf("make %s: %w", s.RouterPort, err)
		}
		// Without GRO or an XDP program of its own a veth refuses the frames
		// that XDP redirects into it.
		return setOffload(s.RouterPort, offloadGRO, true)
	})
	if err != nil {
		return err
	}
	err = l.In(s.Host, func() error {
		if err := setOffload(HostPort, offloadGRO, true); err != nil {
			return err
		}
		// Frames with a checksum still to be filled in do not survive an XDP
		// redirect between veth ports.
		if err := setOffload(HostPort, offloadTxChecksum, false); err != nil {
			return err
		}
		return address(HostPort, s.Host4, s.Host6)
	})
	if err != nil {
		return err
	}
	// Set up last: a veth learns what its peer takes as it is set up.
	return l.In(RTR, func() error { return address(s.RouterPort, s.Router4, s.Router6) })
}

// address gives an interface its addresses and sets it up. One without an IPv6
// address has no IPv6 at all, not even a link-local address.
func address(port string, prefixes ...netip.Prefix) error {
	link, err := netlink.LinkByName(port)
	if err != nil {
		return fmt.Errorf("find %s: %w", port, err)
	}
	for _, p := range prefixes {
		if !p.IsValid() {
			if err := writeSysctls(map[string]string{"net.ipv6.conf." + port + ".disable_ipv6": "1"}); err != nil {
				return err
			}
			continue
		}
		addr := &netlink.Addr{IPNet: ipNet(p)}
		if p.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("give %s the address %s: %w", port, p, err)
		}
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", port, err)
	}
	return nil
}

// defaultRoutes sends everything to the given gateways.
func defaultRoutes(gateways ...netip.Addr) error {
	for _, gw := range gateways {
		all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if gw.Is6() {
			all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		if err := route(all, gw); err != nil {
			return err
		}
	}
	return nil
}

func route(to netip.Prefix, via netip.Addr) error {
	if err := netlink.RouteAdd(&netlink.Route{Dst: ipNet(to), Gw: via.AsSlice()}); err != nil {
		return fmt.Errorf("route %s via %s: %w", to, via, err)
	}
	return nil
}

// waitForLinks returns when the ports of the current namespace carry traffic:
// the kernel activates a new link a moment after it was set up and drops
// packets until then.
func waitForLinks(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		links, err := netlink.LinkList()
		if err != nil {
			return fmt.Errorf("list links: %w", err)
		}
		waiting := ""
		for _, link := range links {
			if a := link.Attrs(); link.Type() == "veth" && a.OperState != netlink.OperUp {
				waiting = a.Name
			}
		}
		if waiting == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not come up: %w", waiting, ctx.Err())
		case <-tick.C:
		}
	}
}

// removeLinks deletes the veth pairs of the current namespace, so that they are
// gone at once and not only when the kernel has taken the namespace down.
func removeLinks() error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	var failed error
	for _, link := range links {
		if link.Type() != "veth" {
			continue
		}
		var gone netlink.LinkNotFoundError
		err := netlink.LinkDel(link)
		if err != nil && !errors.As(err, &gone) && !errors.Is(err, unix.ENODEV) {
			failed = errors.Join(failed, fmt.Errorf("delete %s: %w", link.Attrs().Name, err))
		}
	}
	return failed
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
