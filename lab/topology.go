package lab

import (
	"net"
	"net/netip"
)

// The hosts of a lab.
const (
	LAN1 = "lan1" // client, zone LAN
	LAN2 = "lan2" // client, zone LAN
	IOT1 = "iot1" // client, zone IOT
	RTR  = "rtr"  // the router
	INET = "inet" // everything beyond WAN
	MGMT = "mgmt" // the router's way to its cloud
)

// Hosts lists all hosts; the order is that of creation.
var Hosts = []string{RTR, LAN1, LAN2, IOT1, INET, MGMT}

// HostPort is the one interface of every host that is not the router.
const HostPort = "eth0"

// Segment is one cable: a host's eth0 and the router's port it ends in.
type Segment struct {
	Host       string // namespace at the far end
	RouterPort string // interface name in rtr
	Host4      netip.Prefix
	Router4    netip.Prefix
	Host6      netip.Prefix // invalid where the segment has no IPv6
	Router6    netip.Prefix
	HostMAC    net.HardwareAddr
	RouterMAC  net.HardwareAddr
}

// Segments are the lab's cables. Addresses and MACs are the same in every lab:
// labs share no link, and fixed values make captures and tests repeatable.
var Segments = []Segment{
	segment(1, LAN1, "lan1", "10.77.1.10/24", "10.77.1.1/24", "2001:db8:77:1::10/64", "2001:db8:77:1::1/64"),
	segment(2, LAN2, "lan2", "10.77.2.10/24", "10.77.2.1/24", "2001:db8:77:2::10/64", "2001:db8:77:2::1/64"),
	segment(3, IOT1, "iot1", "10.77.3.10/24", "10.77.3.1/24", "2001:db8:77:3::10/64", "2001:db8:77:3::1/64"),
	segment(4, INET, "wan", "203.0.113.1/24", "203.0.113.2/24", "2001:db8:ff::1/64", "2001:db8:ff::2/64"),
	segment(5, MGMT, "mgmt0", "198.18.0.2/30", "198.18.0.1/30", "", ""),
}

// Far are further addresses of inet, more than one hop from the router.
var Far = []netip.Addr{
	netip.MustParseAddr("198.51.100.10"),
	netip.MustParseAddr("198.51.100.11"),
	netip.MustParseAddr("198.51.100.12"),
	netip.MustParseAddr("2001:db8:f00::10"),
	netip.MustParseAddr("2001:db8:f00::11"),
	netip.MustParseAddr("2001:db8:f00::12"),
}

// Zones are the router's zones and their ports, as a firewall should see them.
var Zones = []struct {
	Name       string
	Ports      []string
	Masquerade bool
}{
	{"WAN", []string{"wan"}, true},
	{"LAN", []string{"lan1", "lan2"}, false},
	{"IOT", []string{"iot1"}, false},
}

func segment(n byte, host, port, host4, router4, host6, router6 string) Segment {
	s := Segment{
		Host: host, RouterPort: port,
		Host4: netip.MustParsePrefix(host4), Router4: netip.MustParsePrefix(router4),
		// 02: locally administered, unicast.
		HostMAC:   net.HardwareAddr{0x02, 0x6e, 0x67, 0x66, n, 0x10},
		RouterMAC: net.HardwareAddr{0x02, 0x6e, 0x67, 0x66, n, 0x01},
	}
	if host6 != "" {
		s.Host6, s.Router6 = netip.MustParsePrefix(host6), netip.MustParsePrefix(router6)
	}
	return s
}

// SegmentOf returns the cable of a host other than the router.
func SegmentOf(host string) (Segment, bool) {
	for _, s := range Segments {
		if s.Host == host {
			return s, true
		}
	}
	return Segment{}, false
}

// IP4 is a host's IPv4 address; the router's is its WAN one.
func IP4(host string) netip.Addr {
	if host == RTR {
		s, _ := SegmentOf(INET)
		return s.Router4.Addr()
	}
	s, _ := SegmentOf(host)
	return s.Host4.Addr()
}

// IP6 is a host's IPv6 address; the router's is its WAN one. mgmt has none.
func IP6(host string) netip.Addr {
	if host == RTR {
		s, _ := SegmentOf(INET)
		return s.Router6.Addr()
	}
	s, _ := SegmentOf(host)
	return s.Host6.Addr()
}
