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
	In, Out             []string
	Source, Destination Range
	Protocol            int // -1: any
	PortLo, PortHi      uint16
}

// Range is addresses of one family, bounds included; zero: any.
type Range struct{ First, Last netip.Addr }

// maxAreas is how many are worth telling: beyond that the whole record is read.
const maxAreas = 32

// areas finds where two policies differ; false: anywhere.
func areas(before, after policy.Policy, env policy.Env) ([]Area, bool) {
	// What rules see is not what is recorded then, or not all of it.
	if len(before.NAT)+len(after.NAT) > 0 || policy.Scheduled(before) || policy.Scheduled(after) ||
		len(policy.MACs(before))+len(policy.MACs(after)) > 0 {
		return nil, false
	}
	changes, err := policy.Diff(before, after, env)
	if err != nil || len(changes) > maxAreas {
		return nil, false
	}
	out := make([]Area, 0, len(changes))
	for _, c := range changes {
		a := Area{In: c.Box.In, Out: c.Box.Out, Source: rangeOf(c.Box.Source), Destination: rangeOf(c.Box.Destination), Protocol: -1, PortHi: 65535}
		switch c.Box.Protocol {
		case "tcp", "udp":
			a.Protocol = map[string]int{"tcp": 6, "udp": 17}[c.Box.Protocol]
			a.PortLo, a.PortHi = portsOf(c.Box.Port)
		case "icmp":
			a.Protocol = 1
		case "icmpv6":
			a.Protocol = 58
		}
		out = append(out, a)
	}
	return out, true
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
	return slices.Contains(a.In, p.In) && slices.Contains(a.Out, p.Out) && a.Source.holds(p.Src) && a.Destination.holds(p.Dst) &&
		(a.Protocol < 0 || int(p.Protocol) == a.Protocol && p.DstPort >= a.PortLo && p.DstPort <= a.PortHi)
}

func (r Range) holds(a netip.Addr) bool {
	return !r.First.IsValid() || a.Is4() == r.First.Is4() && r.First.Compare(a) <= 0 && a.Compare(r.Last) <= 0
}
