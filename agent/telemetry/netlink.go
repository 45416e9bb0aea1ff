package telemetry

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Netlink is the Network and Conntrack of the network namespace in which it was
// opened. It is safe for concurrent use.
type Netlink struct {
	route  *netlink.Handle
	ioctl  int // any socket will do for ethtool requests
	tables *conntrackSocket
}

// OpenNetlink opens the sockets in the calling thread's network namespace.
func OpenNetlink() (_ *Netlink, err error) {
	n := &Netlink{ioctl: -1}
	defer func() {
		if err != nil {
			n.Close()
		}
	}()
	if n.route, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("open route netlink: %w", err)
	}
	if n.ioctl, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("open ethtool socket: %w", err)
	}
	if n.tables, err = openConntrack(); err != nil {
		return nil, err
	}
	return n, nil
}

// Close releases the sockets.
func (n *Netlink) Close() {
	if n.route != nil {
		n.route.Close()
	}
	if n.ioctl >= 0 {
		unix.Close(n.ioctl)
	}
	if n.tables != nil {
		n.tables.close()
	}
}

// Links lists all interfaces but loopback, by name.
func (n *Netlink) Links() ([]Link, error) {
	found, err := consistent(n.route.LinkList)
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	addresses, err := consistent(func() ([]netlink.Addr, error) { return n.route.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	of := map[int][]Address{}
	for _, a := range addresses {
		if p, ok := prefixOf(a.IPNet); ok {
			of[a.LinkIndex] = append(of[a.LinkIndex], Address{
				Prefix:     p,
				LinkLocal:  a.Scope != int(netlink.SCOPE_UNIVERSE) && a.Scope != int(netlink.SCOPE_SITE),
				Unusable:   a.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) != 0 && a.Flags&unix.IFA_F_OPTIMISTIC == 0,
				Deprecated: a.Flags&unix.IFA_F_DEPRECATED != 0,
				Secondary:  a.Flags&unix.IFA_F_SECONDARY != 0,
			})
		}
	}
	var links []Link
	for _, f := range found {
		a := f.Attrs()
		if a.Flags&net.FlagLoopback != 0 {
			continue
		}
		l := Link{
			// Names are any bytes; messages and metrics hold only UTF-8.
			Index: a.Index, Name: strings.ToValidUTF8(a.Name, "?"), MAC: a.HardwareAddr.String(), MTU: a.MTU,
			State:     linkState(a.OperState),
			Carrier:   a.RawFlags&unix.IFF_LOWER_UP != 0,
			Addresses: of[a.Index],
		}
		if s := a.Statistics; s != nil {
			l.Received = Traffic{s.RxBytes, s.RxPackets, s.RxErrors, s.RxDropped}
			l.Sent = Traffic{s.TxBytes, s.TxPackets, s.TxErrors, s.TxDropped}
		}
		links = append(links, l)
	}
	slices.SortFunc(links, func(a, b Link) int { return cmp.Compare(a.Name, b.Name) })
	return links, nil
}

// DefaultRoute finds the interface of the default route of the main table with
// the lowest metric, IPv4 before IPv6.
func (n *Netlink) DefaultRoute() (int, error) {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		routes, err := consistent(func() ([]netlink.Route, error) { return n.route.RouteList(nil, family) })
		if err != nil {
			return 0, err
		}
		var best *netlink.Route
		for i, r := range routes {
			if r.Dst != nil {
				if ones, _ := r.Dst.Mask.Size(); ones != 0 {
					continue
				}
			}
			if r.Type != unix.RTN_UNICAST {
				continue
			}
			if best == nil || r.Priority < best.Priority {
				best = &routes[i]
			}
		}
		if best == nil {
			continue
		}
		if best.LinkIndex == 0 && len(best.MultiPath) > 0 {
			return best.MultiPath[0].LinkIndex, nil
		}
		return best.LinkIndex, nil
	}
	return 0, nil
}

// consistent repeats a dump during which the kernel's list changed, and takes
// what it has when the list never holds still.
func consistent[T any](dump func() ([]T, error)) (all []T, err error) {
	for range 5 {
		if all, err = dump(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
	return all, nil
}

func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	a, ok := netip.AddrFromSlice(n.IP)
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), ones), ok
}

func linkState(s netlink.LinkOperState) LinkState {
	switch s {
	case netlink.OperUp:
		return Up
	case netlink.OperUnknown, netlink.OperTesting:
		return Unknown
	}
	return Down // down, lower layer down, not present, dormant
}
