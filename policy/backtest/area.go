package backtest

import (
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

// maxAreas is how many are worth telling; more are put together.
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
	if err != nil {
		return nil, false
	}
	out := make([]Area, 0, len(changes))
	for _, n := range other {
		if translatesDestination(n) {
			out = append(out, translatedBy(n))
		}
	}
	for _, c := range changes {
		// A box is of packets as rules see them: those with a new destination arrived
		// with another.
		box, by := areaOf(c.Box), c.Box.NATRuleID
		if by == 0 {
			out = append(out, box)
		}
		for _, n := range same {
			if translatesDestination(n) && (by == 0 || n.ID == by) {
				if a, ok := box.beforeNAT(n); ok {
					out = append(out, a)
				}
			}
		}
	}
	return fewer(out, maxAreas)
}

func areaOf(b policy.Box) Area {
	a := Area{In: b.In, Out: b.Out, Source: rangeOf(b.Source), Destination: rangeOf(b.Destination), Protocol: -1, PortHi: 65535}
	a.service(b.Protocol, b.Port)
	return a
}

func (a *Area) service(protocol, port string) {
	switch protocol {
	case "tcp", "udp":
		a.Protocol = map[string]int{"tcp": policy.ProtocolTCP, "udp": policy.ProtocolUDP}[protocol]
		a.PortLo, a.PortHi = portsOf(port)
	case "icmp":
		a.Protocol = policy.ProtocolICMP
	case "icmpv6":
		a.Protocol = policy.ProtocolICMPv6
	}
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
