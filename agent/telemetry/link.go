package telemetry

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// Network shows the interfaces and routes of one network namespace. Netlink is
// the real one.
type Network interface {
	Links() ([]Link, error)                     // without loopback, by name
	DefaultRoute() (index int, err error)       // of the interface; 0: there is none
	Settings(name string) (LinkSettings, error) // of an interface's hardware
}

// Link is an interface as the kernel shows it.
type Link struct {
	Index     int
	Name      string
	MAC       string // "" for an interface without link-layer address
	MTU       int
	State     LinkState
	Carrier   bool
	Addresses []Address
	Received  Traffic
	Sent      Traffic
}

// LinkState is the operational state (RFC 2863). Interfaces without a notion of
// carrier (tun, WireGuard) are unknown while they work.
type LinkState string

const (
	Up      LinkState = "up"
	Down    LinkState = "down"
	Unknown LinkState = "unknown"
)

// Traffic is what an interface counts in one direction.
type Traffic struct{ Bytes, Packets, Errors, Dropped uint64 }

// Address is an interface's address.
type Address struct {
	Prefix     netip.Prefix // the address with its prefix length, not masked
	LinkLocal  bool         // scope link or host, not global
	Unusable   bool         // tentative or a duplicate of another machine's
	Deprecated bool         // no longer for new connections
	Secondary  bool         // another address of the same subnet came first
}

// LinkSettings is what ethtool knows of an interface.
type LinkSettings struct {
	Driver string // "" when the interface has none
	Speed  int    // Mbit/s, 0: unknown
	Duplex string // "full", "half", "": unknown
}

// best is the address to show of a family: the most widely usable one, in
// the kernel's order among equals.
func (l Link) best(is4 bool) (Address, bool) {
	var of []Address
	for _, a := range l.Addresses {
		if a.Prefix.Addr().Is4() == is4 {
			of = append(of, a)
		}
	}
	if len(of) == 0 {
		return Address{}, false
	}
	return slices.MinFunc(of, func(a, b Address) int { return cmp.Compare(a.rank(), b.rank()) }), true
}

// rank is lower for what other machines can rather use. Unique local addresses
// (RFC 4193) are of global scope but no peer beyond the site reaches them.
func (a Address) rank() int {
	r := 0
	for i, worse := range []bool{a.Secondary, a.Deprecated, a.Prefix.Addr().Is6() && a.Prefix.Addr().IsPrivate(), a.LinkLocal, a.Unusable} {
		if worse {
			r |= 1 << i
		}
	}
	return r
}

// wanAddress is the router's address towards the internet, "" without one: of
// the interfaces of zone WAN, else of the default route's. IPv4 comes first.
func (c *Collector) wanAddress(links []Link) (string, error) {
	var outer []Link
	if c.deps.WANInterfaces != nil {
		for _, name := range c.deps.WANInterfaces() {
			if i := slices.IndexFunc(links, func(l Link) bool { return l.Name == name }); i >= 0 {
				outer = append(outer, links[i])
			}
		}
	}
	if len(outer) == 0 {
		index, err := c.deps.Network.DefaultRoute()
		if err != nil {
			return "", fmt.Errorf("find the default route: %w", err)
		}
		if i := slices.IndexFunc(links, func(l Link) bool { return l.Index == index }); index != 0 && i >= 0 {
			outer = append(outer, links[i])
		}
	}
	for _, is4 := range []bool{true, false} {
		for _, l := range outer {
			if a, ok := l.best(is4); ok && !a.LinkLocal && !a.Unusable {
				return a.Prefix.Addr().String(), nil
			}
		}
	}
	return "", nil
}
