// Package policytest owns random policies and packets for property tests: the
// same ones for the evaluator, the compiled tables and the packet programs.
//
// Everything is drawn from a small space, so that rules overlap, shadow each
// other and are hit: a handful of zones and interfaces, addresses from a few
// tight blocks of both families and from the ends of the address space, a dozen
// ports. Policies are valid and use the whole language that Compile accepts;
// packets lie on and beside the bounds that the policy names. It is for tests
// alone.
package policytest

import (
	"net/netip"

	"pgregory.net/rapid"

	"ngfw.sh/policy"
)

// Envs draws what a policy depends on: own addresses, system rules, countries,
// and whether the clock is right.
func Envs() *rapid.Generator[policy.Env] {
	return rapid.Custom(func(t *rapid.T) policy.Env {
		var env policy.Env
		for rule := policy.SystemNeighbourDiscovery; rule <= policy.SystemReset; rule++ {
			if rapid.Bool().Draw(t, rule.String()) {
				env.System |= policy.SystemSet(rule)
			}
		}
		env.SelfAddresses = rapid.SliceOfN(Addresses(), 0, 2).Draw(t, "self")
		for _, a := range rapid.SliceOfN(Addresses(), 0, 1).Draw(t, "cloud") {
			env.Cloud = append(env.Cloud, netip.AddrPortFrom(a, rapid.SampledFrom(ports).Draw(t, "cloud port")))
		}
		if !rare(t, "no database of countries", 3) {
			env.Countries = Atlases().Draw(t, "countries")
		}
		env.ClockUnsynchronised = rare(t, "unsynchronised", 3)
		return env
	})
}

var (
	interfaces = []string{"eth0", "eth1", "eth2", "eth3", "br0"}
	zoneNames  = []string{"LAN", "WAN", "GUEST", "Iot"}
	ports      = []uint16{0, 1, 22, 53, 67, 68, 79, 80, 81, 443, 546, 547, 8000, 8080, 65534, 65535}
	protocols  = []uint8{0, 1, 6, 17, 47, 50, 51, 58, 132, 253, 255}

	// What ends and begins in the address space, and tight blocks between.
	blocks4 = []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/28"),
		netip.MustParsePrefix("10.0.0.240/28"),
		netip.MustParsePrefix("192.168.1.0/29"),
		netip.MustParsePrefix("0.0.0.0/30"),
		netip.MustParsePrefix("223.255.255.252/30"),
		netip.MustParsePrefix("255.255.255.252/30"),
	}
	blocks6 = []netip.Prefix{
		netip.MustParsePrefix("2001:db8::/124"),
		netip.MustParsePrefix("fe80::/126"),
		netip.MustParsePrefix("::/125"),
		netip.MustParsePrefix("::fffe:ffff:fffc/126"), // below the mapped addresses
		netip.MustParsePrefix("::1:0:0:0/126"),        // above them
		netip.MustParsePrefix("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffc/126"),
	}
)

// Addresses draws from the blocks, of both families.
func Addresses() *rapid.Generator[netip.Addr] {
	return rapid.Custom(func(t *rapid.T) netip.Addr {
		blocks := blocks4
		if rapid.Bool().Draw(t, "v6") {
			blocks = blocks6
		}
		return within(rapid.SampledFrom(blocks).Draw(t, "block"), rapid.IntRange(0, 15).Draw(t, "host"))
	})
}

// within gives the n-th address of a block, modulo its size.
func within(block netip.Prefix, n int) netip.Addr {
	b := block.Addr().AsSlice()
	b[len(b)-1] |= byte(n) & (1<<(len(b)*8-block.Bits()) - 1)
	a, _ := netip.AddrFromSlice(b)
	return a
}
