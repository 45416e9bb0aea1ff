package policy

import "net/netip"

// SystemRule is a rule that stands before all others, so that no policy can
// cut what a router needs to work. The numbers are ids of Deciders and so
// never change.
type SystemRule uint8

const (
	// SystemNeighbourDiscovery accepts router and neighbour solicitations and
	// advertisements (ICMPv6 133–136, RFC 4861) where one end is SELF.
	SystemNeighbourDiscovery SystemRule = 1
	// SystemMLD accepts multicast listener messages (ICMPv6 130–132 and 143,
	// RFC 2710 and 3810) where one end is SELF.
	SystemMLD SystemRule = 2
	// SystemDHCPClient accepts replies to the router's own DHCP client: UDP 67
	// to 68 over IPv4, 547 to 546 over IPv6, to SELF.
	SystemDHCPClient SystemRule = 3
	// SystemCloud accepts the agent's own connections from SELF: TCP to one of
	// Env.Cloud.
	SystemCloud SystemRule = 4
	// SystemICMPError accepts ICMP errors of known flows. Conntrack knows those;
	// nothing that judges a flow's first packet matches it.
	SystemICMPError SystemRule = 5
	// SystemReset accepts the router's own answer to a connection that it
	// refuses. Only the packet programs know those.
	SystemReset SystemRule = 6
)

var systemNames = map[SystemRule]string{
	SystemNeighbourDiscovery: "neighbour-discovery",
	SystemMLD:                "mld",
	SystemDHCPClient:         "dhcp-client",
	SystemCloud:              "cloud",
	SystemICMPError:          "icmp-error",
	SystemReset:              "reset",
}

func (r SystemRule) String() string {
	if name, ok := systemNames[r]; ok {
		return name
	}
	return "unknown"
}

// SystemRules is the set of system rules that hold: bit n is SystemRule n.
type SystemRules uint32

// SystemSet makes a set.
func SystemSet(rules ...SystemRule) SystemRules {
	var s SystemRules
	for _, r := range rules {
		s |= 1 << r
	}
	return s
}

// RouterSystem are the system rules that a router's image holds.
var RouterSystem = SystemSet(SystemNeighbourDiscovery, SystemMLD, SystemDHCPClient)

func (s SystemRules) Has(r SystemRule) bool { return s&(1<<r) != 0 }

// Env is what a policy's meaning depends on beside the policy.
type Env struct {
	// SelfAddresses are the router's own, beside Policy.SelfAddresses.
	SelfAddresses []netip.Addr
	// System are the system rules that hold.
	System SystemRules
	// Cloud are the ends of the agent's own connections, for SystemCloud.
	Cloud []netip.AddrPort
	// Countries knows which addresses are where; nil knows of none.
	Countries Countries
	// ClockUnsynchronised says that the time of day cannot be trusted.
	ClockUnsynchronised bool
}
