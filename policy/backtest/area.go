package backtest

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"ngfw.sh/policy"
)

// Area holds packets whose fate may change. It is never too small, and may be too
// large: what is in one is judged all the same.
type Area struct {
	AnyInterface        bool // else In and Out name them
	In, Out             []string
	Source, Destination Range // of the packet as it arrives
	Protocol            int   // -1: any
	PortLo, PortHi      uint16
}

// Range is addresses of one family, bounds included; zero: any.
type Range struct{ First, Last netip.Addr }

// maxAreas is how many are worth telling: beyond that the whole record is read.
const maxAreas = 64

// areas finds where two policies differ; false: anywhere. Time and the sender's MAC
// address are left aside: a packet that differs at some time, or with some address,
// is in an area.
func areas(before, after policy.Policy, env policy.Env) ([]Area, bool) {
	same, other, ok := compareNAT(before, after)
	if !ok {
		return nil, false
	}
	// A packet that no other rule translates is judged as if there were none.
	before.NAT, after.NAT = same, same
	changes, err := policy.Diff(before, after, env)
	if err != nil || len(changes)+len(other)+len(same) > maxAreas {
		return nil, false
	}
	out := make([]Area, 0, len(changes))
	for _, n := range other {
		if translatesDestination(n) {
			a := translatedBy(n)
			a.AnyInterface = true
			out = append(out, a)
		}
	}
	if len(changes) == 0 {
		return out, true
	}
	// A box is of packets as rules see them: those with a new destination arrived
	// with another.
	var in, leaving []string
	for _, c := range changes {
		out = append(out, areaOf(c.Box))
		in, leaving = append(in, c.Box.In...), append(leaving, c.Box.Out...)
	}
	for _, n := range same {
		if translatesDestination(n) {
			a := translatedBy(n)
			a.In, a.Out = unique(in), unique(leaving)
			out = append(out, a)
		}
	}
	return out, true
}

// compareNAT tells the enabled rules that both policies have, in the same order, from
// those that one has; false: the order differs.
func compareNAT(before, after policy.Policy) (same, other []policy.NATRule, ok bool) {
	var of [2][]policy.NATRule
	for i, side := range [][2]policy.Policy{{before, after}, {after, before}} {
		for _, n := range side[0].NAT {
			switch {
			case !n.Enabled:
			case slices.Contains(side[1].NAT, n):
				of[i] = append(of[i], n)
			default:
				other = append(other, n)
			}
		}
	}
	return of[0], other, slices.Equal(of[0], of[1])
}

// translatesDestination: what only changes sources is asked after the verdict.
func translatesDestination(n policy.NATRule) bool {
	return n.Type != policy.NATSource && n.Type != policy.NATMasquerade
}

// translatedBy is what a rule may give a new destination.
func translatedBy(n policy.NATRule) Area {
	a := Area{Protocol: -1, PortHi: 65535}
	if n.Type == policy.NATDestination || n.Type == policy.NATOneToOne {
		a.Source, a.Destination = rangeOf(n.Source), rangeOf(n.Destination)
		a.service(n.Protocol, n.DestinationPort)
	}
	return a
}

func areaOf(b policy.Box) Area {
	a := Area{In: b.In, Out: b.Out, Source: rangeOf(b.Source), Destination: rangeOf(b.Destination), Protocol: -1, PortHi: 65535}
	a.service(b.Protocol, b.Port)
	return a
}

func (a *Area) service(protocol, port string) {
	switch protocol {
	case "tcp", "udp":
		a.Protocol = map[string]int{"tcp": 6, "udp": 17}[protocol]
		a.PortLo, a.PortHi = portsOf(port)
	case "icmp":
		a.Protocol = 1
	case "icmpv6":
		a.Protocol = 58
	}
}

func unique(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

// rangeOf reads an address, a CIDR or a range; anything else is any.
func rangeOf(s string) Range {
	if first, last, ok := strings.Cut(s, "-"); ok {
		a, errA := netip.ParseAddr(first)
		b, errB := netip.ParseAddr(last)
		if errA == nil && errB == nil {
			return Range{a, b}
		}
		return Range{}
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return Range{p.Masked().Addr(), lastOf(p)}
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return Range{a, a}
	}
	return Range{}
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// portsOf reads a port or a range; anything else is any.
func portsOf(s string) (lo, hi uint16) {
	first, last, ok := strings.Cut(s, "-")
	if !ok {
		last = first
	}
	a, errA := strconv.ParseUint(first, 10, 16)
	b, errB := strconv.ParseUint(last, 10, 16)
	if errA != nil || errB != nil {
		return 0, 65535
	}
	return uint16(a), uint16(b)
}

// Areas are where the verdict on a record can change; false: anywhere. Records outside
// of all of them need not be judged, but for those that lack an interface.
func (t *Test) Areas() ([]Area, bool) { return t.areas, t.bounded }

// Holds says whether a packet is in the area.
func (a Area) Holds(p policy.Packet) bool {
	return (a.AnyInterface || slices.Contains(a.In, p.In) && slices.Contains(a.Out, p.Out)) && a.Source.holds(p.Src) && a.Destination.holds(p.Dst) &&
		(a.Protocol < 0 || int(p.Protocol) == a.Protocol && p.DstPort >= a.PortLo && p.DstPort <= a.PortHi)
}

func (r Range) holds(a netip.Addr) bool {
	return !r.First.IsValid() || a.Is4() == r.First.Is4() && r.First.Compare(a) <= 0 && a.Compare(r.Last) <= 0
}
