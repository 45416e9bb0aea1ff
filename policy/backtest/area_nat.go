package backtest

import (
	"slices"
	"strconv"
	"strings"

	"ngfw.sh/policy"
)

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
	a := Area{AnyInterface: true, Protocol: -1, PortHi: 65535}
	if n.Type == policy.NATDestination || n.Type == policy.NATOneToOne {
		a.Source, a.Destination = rangeOf(n.Source), rangeOf(n.Destination)
		a.service(n.Protocol, n.DestinationPort)
	}
	return a
}

// beforeNAT is, of packets that rules see in the area, those that this rule brought
// there, as they arrived; false: there is none.
func (a Area) beforeNAT(n policy.NATRule) (Area, bool) {
	if n.Interface != "" && !n.Hairpin {
		if !slices.Contains(a.In, n.Interface) {
			return a, false
		}
		a.In = []string{n.Interface}
	}
	arrived := Area{Protocol: -1, PortHi: 65535}
	arrived.service(n.Protocol, n.DestinationPort)
	switch {
	case a.Protocol < 0:
		a.Protocol = arrived.Protocol
	case arrived.Protocol >= 0 && arrived.Protocol != a.Protocol:
		return a, false
	}
	if n.Type != policy.NATDestination && n.Type != policy.NATOneToOne {
		a.Destination = Range{} // ports stay as they are
		return a, true
	}
	if _, ok := a.Destination.and(rangeOf(strings.TrimSpace(n.TranslateTo))); !ok {
		return a, false
	}
	var ok bool
	if a.Source, ok = a.Source.and(rangeOf(n.Source)); !ok {
		return a, false
	}
	a.Destination = rangeOf(n.Destination)
	if n.Type == policy.NATDestination {
		return a.portBeforeNAT(n)
	}
	return a, true
}

// portBeforeNAT is beforeNAT of the port.
func (a Area) portBeforeNAT(n policy.NATRule) (Area, bool) {
	if a.Protocol != policy.ProtocolTCP && a.Protocol != policy.ProtocolUDP {
		return a, true
	}
	lo, hi := portsOf(n.DestinationPort)
	if n.TranslatePort == "" {
		a.PortLo, a.PortHi = max(a.PortLo, lo), min(a.PortHi, hi)
		return a, a.PortLo <= a.PortHi
	}
	if to, err := strconv.ParseUint(strings.TrimSpace(n.TranslatePort), 10, 16); err == nil && (uint16(to) < a.PortLo || uint16(to) > a.PortHi) {
		return a, false
	}
	a.PortLo, a.PortHi = lo, hi
	return a, true
}
