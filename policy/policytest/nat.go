package policytest

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"pgregory.net/rapid"

	"ngfw.sh/policy"
)

// natRule draws a valid NAT rule of any type.
func (d drawing) natRule(id int64) policy.NATRule {
	n := policy.NATRule{
		ID: id, Name: fmt.Sprintf("nat %d", id), Enabled: !rare(d.T, "nat disabled", 3), Protocol: "all", Source: "any", Destination: "any",
		Type:    rapid.SampledFrom([]string{policy.NATDestination, policy.NATDestination, policy.NATSource, policy.NATOneToOne, policy.NATMasquerade, policy.NATNetmap}).Draw(d.T, "nat_type"),
		Hairpin: rapid.Bool().Draw(d.T, "hairpin"), Log: rapid.Bool().Draw(d.T, "nat log"),
	}
	if rapid.Bool().Draw(d.T, "by interface") {
		n.Interface = rapid.SampledFrom(interfaces).Draw(d.T, "interface")
	}
	n.Protocol = rapid.SampledFrom([]string{"all", "tcp", "udp", "tcp+udp", "icmp", "icmpv6", "sctp", "58"}).Draw(d.T, "nat protocol")
	if n.Type == policy.NATOneToOne || n.Type == policy.NATNetmap {
		d.network(&n)
		return n
	}
	n.Source, n.Destination = d.addresses("nat source", true), d.addresses("nat destination", false)
	ported := n.Protocol == "tcp" || n.Protocol == "udp" || n.Protocol == "tcp+udp" || n.Protocol == "sctp"
	if ported {
		if rapid.Bool().Draw(d.T, "from port") {
			n.SourcePort = d.ports()
		}
		if rapid.Bool().Draw(d.T, "to port") {
			n.DestinationPort = d.ports()
		}
	}
	if n.Type == policy.NATMasquerade {
		return n
	}
	to := usable(d.T)
	n.TranslateTo = to.String()
	if family := familyOf(n.Source); family != 0 && (family == 4) != to.Is4() {
		n.Source = "any"
	}
	if family := familyOf(n.Destination); family != 0 && (family == 4) != to.Is4() {
		n.Destination = "any"
	}
	if !ported || rapid.Bool().Draw(d.T, "port stays") {
		return n
	}
	port := rapid.SampledFrom([]int{1, 53, 80, 8000, 65000}).Draw(d.T, "translate_port")
	n.TranslatePort = strconv.Itoa(port)
	if rapid.Bool().Draw(d.T, "ports moved") {
		first, length := rapid.SampledFrom([]int{1, 22, 79, 8000}).Draw(d.T, "first"), rapid.IntRange(1, 100).Draw(d.T, "length")
		n.DestinationPort = fmt.Sprintf("%d-%d", first, first+length)
		n.TranslatePort = fmt.Sprintf("%d-%d", port, port+length)
	}
	return n
}

// network makes two networks of one size stand for each other.
func (d drawing) network(n *policy.NATRule) {
	inside, outside := usable(d.T), usable(d.T)
	if inside.Is4() != outside.Is4() {
		outside = inside
	}
	bits := inside.BitLen() - rapid.IntRange(0, 4).Draw(d.T, "host bits")
	a, b := netip.PrefixFrom(inside, bits).Masked(), netip.PrefixFrom(outside, bits).Masked()
	if !translatable(a.Addr()) || !translatable(b.Addr()) {
		a, b = netip.PrefixFrom(inside, inside.BitLen()), netip.PrefixFrom(outside, outside.BitLen())
	}
	peers := d.addresses("peers", true)
	if family := familyOf(peers); family != 0 && (family == 4) != inside.Is4() {
		peers = "any"
	}
	n.TranslateTo, n.Destination, n.Source = a.String(), b.String(), peers
	if n.Type == policy.NATNetmap && rapid.Bool().Draw(d.T, "by source") {
		n.Source, n.Destination = b.String(), "any"
	}
}

// usable draws an address that something may be translated to.
func usable(t *rapid.T) netip.Addr {
	return rapid.Custom(func(t *rapid.T) netip.Addr {
		blocks := []netip.Prefix{blocks4[0], blocks4[1], blocks4[2], blocks6[0]}
		return within(rapid.SampledFrom(blocks).Draw(t, "block"), rapid.IntRange(0, 15).Draw(t, "host"))
	}).Draw(t, "usable")
}

func translatable(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback()
}

// familyOf is 4 or 6 where a list names addresses of one family alone.
func familyOf(list string) int {
	family := 0
	for item := range strings.SplitSeq(list, ",") {
		first, _, _ := strings.Cut(item, "-")
		first, _, _ = strings.Cut(first, "/")
		a, err := netip.ParseAddr(first)
		if err != nil {
			return 0
		}
		this := 6
		if a.Is4() {
			this = 4
		}
		if family != 0 && family != this {
			return 0
		}
		family = this
	}
	return family
}

// forNAT draws what a NAT rule translates, one way or the other, or just misses.
func forNAT(t *rapid.T, p policy.Policy, env policy.Env, n policy.NATRule) policy.Packet {
	source, destination := newBounds(p, env), newBounds(p, env)
	source.addresses(n.Source, 0)
	destination.addresses(n.Destination, 0)
	if rare(t, "backwards", 2) { // the mirrored way of networks
		source.addresses(n.TranslateTo, 0)
		destination.addresses(n.TranslateTo, 0)
	}
	k := anyPacket(t, p, env)
	v6 := strings.Contains(n.TranslateTo, ":")
	if n.TranslateTo == "" {
		v6 = k.Src.Is6()
	}
	k.Src, k.Dst = source.draw(t, "src", v6), destination.draw(t, "dst", v6)
	if n.Interface != "" && !rare(t, "elsewhere", 2) {
		if n.Type == policy.NATDestination || rapid.Bool().Draw(t, "inwards") {
			k.In = n.Interface
		} else {
			k.Out = n.Interface
		}
	}
	if rare(t, "turns", 2) {
		k.Out = k.In
	}
	if k.In == policy.InterfaceSelf && k.Out == policy.InterfaceSelf {
		k.In = interfaces[0]
	}
	if numbers[n.Protocol] != 0 {
		k.Protocol = numbers[n.Protocol]
	} else if n.Protocol == "tcp+udp" {
		k.Protocol = policy.ProtocolTCP
	}
	near := newBounds(p, env)
	near.ports(n.DestinationPort, 0)
	if len(near.port) > 0 {
		k.DstPort = rapid.SampledFrom(near.port).Draw(t, "dport")
	}
	near = newBounds(p, env)
	near.ports(n.SourcePort, 0)
	if len(near.port) > 0 {
		k.SrcPort = rapid.SampledFrom(near.port).Draw(t, "sport")
	}
	return k
}
