package dataplane

import (
	"fmt"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// watchGroups are the kernel's announcements of what a packet meets on its way,
// by netlink's protocols: links and their queues, neighbours, addresses, routes,
// switches of forwarding; everybody's nftables; IPsec's policies.
var watchGroups = map[int][]uint{
	unix.NETLINK_ROUTE: {
		unix.RTNLGRP_LINK, unix.RTNLGRP_TC, unix.RTNLGRP_NEIGH, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE,
		unix.RTNLGRP_NEXTHOP, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF,
	},
	unix.NETLINK_NETFILTER: {unix.NFNLGRP_NFTABLES},
	unix.NETLINK_XFRM:      {xfrmPolicies},
}

// xfrmPolicies is XFRMNLGRP_POLICY of linux/xfrm.h.
const xfrmPolicies = 4

// kernelState is what is known of the kernel, where being told of it does not say
// that it is another: neighbours are told of whenever they are asked whether they
// are still there.
type kernelState struct {
	neighbours map[neighbour]string // their addresses on the link
	links      map[int]linkState
}

type neighbour struct {
	link int
	addr netip.Addr
}

// linkState is of a link what its packets can tell.
type linkState struct {
	mtu, master int
	flags       uint32
	address     string
}

func newKernelState() kernelState {
	return kernelState{map[neighbour]string{}, map[int]linkState{}}
}

// list asks the kernel for all of it.
func (k kernelState) list() error {
	clear(k.neighbours)
	clear(k.links)
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	for _, l := range links {
		k.link(l.Attrs())
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		all, err := netlink.NeighList(0, family)
		if err != nil {
			return fmt.Errorf("list neighbours: %w", err)
		}
		for _, n := range all {
			k.neighbour(&n, false)
		}
	}
	return nil
}

// changes says whether messages tell of something that ends ways.
func (k kernelState) changes(protocol int, messages []syscall.NetlinkMessage) (any bool) {
	for _, m := range messages {
		if protocol != unix.NETLINK_ROUTE || k.routing(m) {
			any = true
		}
	}
	return any
}

// routing is about one of rtnetlink's. What cannot be read is a change.
func (k kernelState) routing(m syscall.NetlinkMessage) bool {
	switch m.Header.Type {
	case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
		n, err := netlink.NeighDeserialize(m.Data)
		return err != nil || k.neighbour(n, m.Header.Type == unix.RTM_DELNEIGH)
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		header := unix.NlMsghdr(m.Header)
		l, err := netlink.LinkDeserialize(&header, m.Data)
		if err != nil {
			return true
		}
		if m.Header.Type == unix.RTM_DELLINK {
			delete(k.links, l.Attrs().Index)
			return true
		}
		return k.link(l.Attrs())
	case unix.RTM_NEWADDR: // its routes are told of, too
		return false
	case unix.RTM_NEWTCLASS, unix.RTM_DELTCLASS, unix.RTM_NEWTFILTER, unix.RTM_DELTFILTER:
		return false // of a queue that is told of itself
	}
	return true
}

// usable is NUD_VALID of net/neighbour.h.
const usable = netlink.NUD_PERMANENT | netlink.NUD_NOARP | netlink.NUD_REACHABLE | netlink.NUD_PROBE | netlink.NUD_STALE | netlink.NUD_DELAY

// neighbour notes one, and says whether packets to it go elsewhere now. One that
// was not known has no ways.
func (k kernelState) neighbour(n *netlink.Neigh, gone bool) bool {
	addr, ok := netip.AddrFromSlice(n.IP)
	if !ok || (n.Family != unix.AF_INET && n.Family != unix.AF_INET6) {
		return false
	}
	key := neighbour{n.LinkIndex, addr.Unmap()}
	was, known := k.neighbours[key]
	if gone || n.State&usable == 0 {
		delete(k.neighbours, key)
		return known
	}
	k.neighbours[key] = string(n.HardwareAddr)
	return known && was != string(n.HardwareAddr)
}

// link notes one, and says whether it is another than before.
func (k kernelState) link(a *netlink.LinkAttrs) bool {
	is := linkState{a.MTU, a.MasterIndex, a.RawFlags & (unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOWER_UP), string(a.HardwareAddr)}
	was, known := k.links[a.Index]
	k.links[a.Index] = is
	return known && was != is
}
