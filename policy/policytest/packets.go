package policytest

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"

	"ngfw.sh/policy"
)

var (
	icmpTypes = []uint8{0, 1, 2, 3, 4, 5, 8, 11, 12, 127, 128, 129, 130, 132, 133, 134, 135, 136, 137, 143, 255}
	icmpCodes = []uint8{0, 1, 4, 255}
)

// Packets draws packets for a policy. Half of them aim at one of its rules:
// its zones, its protocol, and addresses and ports at or beside the bounds that
// it names. An eighth are what system rules are about, or nearly. The others are
// anything. A few are malformed, a few come from or go to an interface in no
// zone.
func Packets(p policy.Policy, env policy.Env) *rapid.Generator[policy.Packet] {
	return rapid.Custom(func(t *rapid.T) policy.Packet {
		if rare(t, "system", 3) {
			return systemPacket(t, p, env)
		}
		if len(p.NAT) > 0 && rapid.Bool().Draw(t, "for nat") {
			return forNAT(t, p, env, rapid.SampledFrom(p.NAT).Draw(t, "of nat"))
		}
		if len(p.Rules) > 0 && rapid.Bool().Draw(t, "aimed") {
			return aimed(t, p, env, rapid.SampledFrom(p.Rules).Draw(t, "at"))
		}
		return anyPacket(t, p, env)
	})
}

func anyPacket(t *rapid.T, p policy.Policy, env policy.Env) policy.Packet {
	near := newBounds(p, env)
	for _, r := range p.Rules {
		near.addresses(r.Source, 0)
		near.addresses(r.Destination, 0)
	}
	v6 := rapid.Bool().Draw(t, "v6")
	k := policy.Packet{
		In:       link(t, "in", p, policy.ZoneAny),
		Out:      link(t, "out", p, policy.ZoneAny),
		Src:      near.draw(t, "src", v6),
		Dst:      near.draw(t, "dst", v6 != rare(t, "mixed", 5)),
		Protocol: rapid.SampledFrom(protocols).Draw(t, "protocol"),
		SrcPort:  rapid.SampledFrom(ports).Draw(t, "sport"),
		DstPort:  rapid.SampledFrom(ports).Draw(t, "dport"),
		ICMPType: rapid.SampledFrom(icmpTypes).Draw(t, "icmp_type"),
		ICMPCode: rapid.SampledFrom(icmpCodes).Draw(t, "icmp_code"),
		Time:     time.Unix(rapid.Int64Range(0, 2_000_000_000).Draw(t, "time"), 0),
	}
	return notToItself(k)
}

// aimed draws what the rule decides, or just misses.
func aimed(t *rapid.T, p policy.Policy, env policy.Env, r policy.Rule) policy.Packet {
	source, destination := newBounds(p, env), newBounds(p, env)
	source.addresses(r.Source, 0)
	destination.addresses(r.Destination, 0)
	k := anyPacket(t, p, env)
	k.In, k.Out = link(t, "in", p, r.ZoneFrom), link(t, "out", p, r.ZoneTo)
	v6 := k.Src.Is6()
	k.Src, k.Dst = source.draw(t, "src", v6), destination.draw(t, "dst", v6)
	if !rare(t, "other protocol", 3) {
		switch r.Protocol {
		case "all":
		case "tcp+udp":
			k.Protocol = rapid.SampledFrom([]uint8{policy.ProtocolTCP, policy.ProtocolUDP}).Draw(t, "protocol")
		default:
			k.Protocol = numbers[r.Protocol]
		}
	}
	if near := newBounds(p, env); r.Port != "*" {
		near.ports(r.Port, 0)
		if len(near.port) > 0 {
			k.DstPort = rapid.SampledFrom(near.port).Draw(t, "dport")
		}
	}
	if len(r.ICMPTypes) > 0 {
		kind, _, _ := strings.Cut(rapid.SampledFrom(r.ICMPTypes).Draw(t, "icmp type"), "/")
		n, _ := strconv.Atoi(kind)
		k.ICMPType = uint8(n)
	}
	return notToItself(k)
}

// systemPacket draws what the router needs to work, or just not that: each
// property is drawn away now and then.
func systemPacket(t *rapid.T, p policy.Policy, env policy.Env) policy.Packet {
	k := anyPacket(t, p, env)
	toSelf := rapid.Bool().Draw(t, "to self")
	k.In, k.Out = policy.InterfaceSelf, link(t, "out", p, policy.ZoneAny)
	if toSelf {
		k.In, k.Out = k.Out, k.In
	}
	miss := func(label string) bool { return rare(t, "no "+label, 3) }
	switch rapid.SampledFrom([]policy.SystemRule{
		policy.SystemNeighbourDiscovery, policy.SystemMLD, policy.SystemDHCPClient, policy.SystemCloud,
	}).Draw(t, "rule") {
	case policy.SystemNeighbourDiscovery, policy.SystemMLD:
		if !miss("icmpv6") {
			k.Protocol = policy.ProtocolICMPv6
			k.Src, k.Dst = within(blocks6[1], 1), within(blocks6[0], 2)
		}
		k.ICMPType = rapid.Uint8Range(129, 144).Draw(t, "icmp_type")
	case policy.SystemDHCPClient:
		if !miss("udp") {
			k.Protocol = policy.ProtocolUDP
		}
		k.SrcPort, k.DstPort = 67, 68
		if k.Src.Is6() != miss("family's ports") {
			k.SrcPort, k.DstPort = 547, 546
		}
	case policy.SystemCloud:
		if !miss("tcp") {
			k.Protocol = policy.ProtocolTCP
		}
		if len(env.Cloud) > 0 {
			end := rapid.SampledFrom(env.Cloud).Draw(t, "end")
			k.Dst, k.DstPort = end.Addr(), end.Port()
			if k.Src.Is4() != k.Dst.Is4() {
				k.Src = k.Dst.Prev()
				if !k.Src.IsValid() {
					k.Src = k.Dst
				}
			}
		}
	}
	return notToItself(k)
}

var numbers = map[string]uint8{
	"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58, "gre": 47, "esp": 50, "ah": 51, "sctp": 132,
	"0": 0, "6": 6, "17": 17, "58": 58, "253": 253, "255": 255,
}

func notToItself(k policy.Packet) policy.Packet {
	if k.In == policy.InterfaceSelf && k.Out == policy.InterfaceSelf {
		k.Out = interfaces[0]
	}
	return k
}

// rare is true once in 2^bits.
func rare(t *rapid.T, label string, bits int) bool {
	for range bits {
		if !rapid.Bool().Draw(t, label) {
			return false
		}
	}
	return true
}

// link draws an interface of the zone, of any zone or the router for any, and
// rarely one in no zone.
func link(t *rapid.T, label string, p policy.Policy, zone string) string {
	if rare(t, label+" stray", 4) {
		return rapid.SampledFrom(append([]string{"tun9"}, interfaces...)).Draw(t, label)
	}
	var links []string
	if zone == policy.ZoneSelf || zone == policy.ZoneAny {
		links = append(links, policy.InterfaceSelf)
	}
	for _, z := range p.Zones {
		if zone == z.Name || zone == policy.ZoneAny {
			links = append(links, z.Interfaces...)
		}
	}
	if len(links) == 0 {
		return interfaces[0]
	}
	return rapid.SampledFrom(links).Draw(t, label)
}

// bounds are the values at and beside the ends of what is named.
type bounds struct {
	groups map[string]policy.Group
	self   []netip.Addr
	v4, v6 []netip.Addr
	port   []uint16
}

func newBounds(p policy.Policy, env policy.Env) *bounds {
	b := &bounds{groups: map[string]policy.Group{}, self: slices.Clone(env.SelfAddresses)}
	for _, g := range p.Groups {
		b.groups[g.Name] = g
	}
	for _, s := range p.SelfAddresses {
		b.self = append(b.self, netip.MustParseAddr(s))
	}
	for _, end := range env.Cloud {
		b.add(end.Addr())
	}
	return b
}

func (b *bounds) add(a netip.Addr) {
	for _, n := range []netip.Addr{a, a.Prev(), a.Next()} {
		switch {
		case !n.IsValid():
		case n.Is4():
			b.v4 = append(b.v4, n)
		default:
			b.v6 = append(b.v6, n)
		}
	}
}

func (b *bounds) addresses(list string, depth int) {
	for item := range strings.SplitSeq(strings.TrimPrefix(list, "!"), ",") {
		if name, ok := strings.CutPrefix(item, "@"); ok && depth < 4 {
			for _, m := range b.groups[name].Members {
				b.addresses(m, depth+1)
			}
			continue
		}
		if item == "self" {
			for _, a := range b.self {
				b.add(a)
			}
			continue
		}
		if prefix, err := netip.ParsePrefix(item); err == nil {
			b.add(prefix.Addr())
			b.add(last(prefix))
			continue
		}
		for text := range strings.SplitSeq(item, "-") {
			if a, err := netip.ParseAddr(text); err == nil {
				b.add(a)
			}
		}
	}
}

func (b *bounds) ports(list string, depth int) {
	for item := range strings.SplitSeq(list, ",") {
		if name, ok := strings.CutPrefix(item, "@"); ok && depth < 4 {
			for _, m := range b.groups[name].Members {
				b.ports(m, depth+1)
			}
			continue
		}
		for text := range strings.SplitSeq(item, "-") {
			if n, err := strconv.Atoi(text); err == nil {
				b.port = append(b.port, uint16(n), uint16(n-1), uint16(n+1))
			}
		}
	}
}

func (b *bounds) draw(t *rapid.T, label string, v6 bool) netip.Addr {
	near, far, strange := b.v4, blocks4, odd4
	if v6 {
		near, far, strange = b.v6, blocks6, odd6
	}
	switch {
	case rare(t, label+" odd", 5):
		return rapid.SampledFrom(strange).Draw(t, label)
	case len(near) > 0 && !rare(t, label+" elsewhere", 2):
		return rapid.SampledFrom(near).Draw(t, label)
	}
	return within(rapid.SampledFrom(far).Draw(t, label+" block"), rapid.IntRange(0, 15).Draw(t, label+" host"))
}

// Addresses that packets cannot have, or hardly.
var (
	odd4 = []netip.Addr{
		netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.255.255.255"), netip.MustParseAddr("128.0.0.0"),
		netip.MustParseAddr("126.255.255.255"), netip.MustParseAddr("224.0.0.1"), netip.MustParseAddr("239.255.255.255"),
		netip.MustParseAddr("240.0.0.0"), netip.MustParseAddr("255.255.255.255"), netip.MustParseAddr("0.0.0.0"),
	}
	odd6 = []netip.Addr{
		netip.MustParseAddr("::"), netip.MustParseAddr("::1"), netip.MustParseAddr("ff02::1"), netip.MustParseAddr("feff::"),
		netip.MustParseAddr("::ffff:10.0.0.1"), netip.MustParseAddr("::ffff:0.0.0.0"), netip.MustParseAddr("::ffff:255.255.255.255"),
	}
)

func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
