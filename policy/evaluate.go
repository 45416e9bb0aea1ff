package policy

import (
	"fmt"
	"net/netip"
	"slices"

	"ngfw.sh/internal/fault"
)

// Evaluate says what a valid policy means for the first packet of a flow, as
// far as policy and packet tell: no connection is known before it. It is the
// reference that the compiled tables are held against, so it reads the policy
// as it is written, rule by rule, shares no matching with the compiler, and
// makes no attempt to be fast.
//
// The error is about the input: a packet from the router to itself, or a policy
// that Validate refuses.
func Evaluate(p Policy, env Env, packet Packet) (Result, error) {
	if packet.In == InterfaceSelf && packet.Out == InterfaceSelf {
		return Result{}, fault.Invalid("out", "what the router sends to itself is not judged: name an interface")
	}
	e := evaluation{policy: p, env: env, packet: packet}
	if err := e.readSelf(); err != nil {
		return Result{}, err
	}
	e.from, e.to = e.zoneOf(packet.In), e.zoneOf(packet.Out)
	switch {
	case e.malformed():
		return e.dropFor(DropMalformed), nil
	case e.from == "":
		return e.dropFor(DropNoZone), nil
	case e.isICMPError():
		return e.dropFor(DropNoState), nil
	case e.to == "":
		return e.dropFor(DropNoZone), nil
	}
	if err := e.translateDestination(); err != nil {
		return Result{}, err
	}
	r, err := e.answer()
	if err != nil {
		return Result{}, err
	}
	return e.translated(r)
}

// evaluation is the judging of one packet.
type evaluation struct {
	policy   Policy
	env      Env
	packet   Packet
	self     []netip.Addr
	from, to string   // zones, "" for none
	nat      *NATRule // that has translated the destination
}

// answer judges the packet, whose destination is translated by now.
func (e *evaluation) answer() (Result, error) {
	for _, rule := range []SystemRule{SystemNeighbourDiscovery, SystemMLD, SystemDHCPClient, SystemCloud} {
		if e.env.System.Has(rule) && e.isFor(rule) {
			return Result{
				Action: Accept, Reason: "system:" + rule.String(),
				Decider: NewDecider(DeciderSystem, uint32(rule)),
			}, nil
		}
	}
	for i, rule := range e.policy.Rules {
		matched, err := e.matches(rule)
		if err != nil {
			return Result{}, fmt.Errorf("evaluate rules[%d]: %w", i, err)
		}
		if matched {
			return Result{
				Action: e.actionOf(rule.Action), RuleID: rule.ID, Reason: "rule", Log: rule.Log,
				Decider: NewDecider(DeciderRule, uint32(rule.ID)),
			}, nil
		}
	}
	if e.nat != nil && (e.nat.Type == NATDestination || e.nat.Type == NATOneToOne) {
		d := NewDecider(DeciderNAT, uint32(e.nat.ID))
		return Result{Action: Accept, Reason: d.Reason(), Log: e.nat.Log, Decider: d}, nil
	}
	return e.byPolicy(), nil
}

func (e *evaluation) dropFor(reason DropReason) Result {
	return Result{Action: Drop, Reason: reason.String(), Decider: NewDecider(DeciderReason, uint32(reason))}
}

// actionOf: the router does not reject its own packets.
func (e *evaluation) actionOf(a Action) Action {
	if a == Reject && e.from == ZoneSelf {
		return Drop
	}
	return a
}

func (e *evaluation) byPolicy() Result {
	d, ok := e.policy.PairPolicy(e.from, e.to)
	if !ok {
		return Result{Action: Drop, Reason: "default", Decider: NewDecider(DeciderDefault, 0)}
	}
	return Result{Action: e.actionOf(d.Action), Reason: "policy", Log: d.Log, Decider: NewDecider(DeciderPolicy, 0)}
}

// PairPolicy is the policy for a pair of zones: the pair's own, else the one
// from this zone to any, else from any to that zone, else from any to any. None:
// what no rule matches is dropped.
func (p *Policy) PairPolicy(from, to string) (Default, bool) {
	tries := [][2]string{{from, to}}
	if to != ZoneSelf {
		tries = append(tries, [2]string{from, ZoneAny})
	}
	if from != ZoneSelf {
		tries = append(tries, [2]string{ZoneAny, to})
	}
	if from != ZoneSelf && to != ZoneSelf {
		tries = append(tries, [2]string{ZoneAny, ZoneAny})
	}
	for _, pair := range tries {
		for _, d := range p.Policies {
			if d.From == pair[0] && d.To == pair[1] {
				return d, true
			}
		}
	}
	return Default{}, false
}

func (e *evaluation) zoneOf(name string) string {
	if name == InterfaceSelf {
		return ZoneSelf
	}
	for _, z := range e.policy.Zones {
		if slices.Contains(z.Interfaces, name) {
			return z.Name
		}
	}
	return ""
}

func (e *evaluation) readSelf() error {
	for _, a := range e.env.SelfAddresses {
		e.self = append(e.self, a.Unmap().WithZone(""))
	}
	for _, s := range e.policy.SelfAddresses {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return fmt.Errorf("evaluate self_addresses: %w", err)
		}
		e.self = append(e.self, a)
	}
	return nil
}

// malformed: addresses that no packet can have.
func (e *evaluation) malformed() bool {
	src, dst := e.packet.Src, e.packet.Dst
	return !src.IsValid() || !dst.IsValid() ||
		src.Is4() != dst.Is4() ||
		src.Is4In6() || dst.Is4In6() ||
		src.IsMulticast() || src == netip.AddrFrom4([4]byte{255, 255, 255, 255}) ||
		src.IsLoopback() || dst.IsLoopback()
}

// isICMPError: destination unreachable, source quench, redirect, time exceeded
// and parameter problem (RFC 792); in ICMPv6 every type below 128 (RFC 4443,
// 2.1).
func (e *evaluation) isICMPError() bool {
	if e.packet.Src.Is4() {
		return e.packet.Protocol == ProtocolICMP && slices.Contains([]uint8{3, 4, 5, 11, 12}, e.packet.ICMPType)
	}
	return e.packet.Protocol == ProtocolICMPv6 && e.packet.ICMPType >= 1 && e.packet.ICMPType <= 127
}

func (e *evaluation) isFor(rule SystemRule) bool {
	p := e.packet
	icmpv6 := p.Src.Is6() && p.Protocol == ProtocolICMPv6
	oneEndSelf := e.from == ZoneSelf || e.to == ZoneSelf
	switch rule {
	case SystemNeighbourDiscovery:
		return icmpv6 && oneEndSelf && slices.Contains([]uint8{133, 134, 135, 136}, p.ICMPType)
	case SystemMLD:
		return icmpv6 && oneEndSelf && slices.Contains([]uint8{130, 131, 132, 143}, p.ICMPType)
	case SystemDHCPClient:
		v4 := p.Src.Is4() && p.SrcPort == 67 && p.DstPort == 68
		v6 := p.Src.Is6() && p.SrcPort == 547 && p.DstPort == 546
		return e.to == ZoneSelf && p.Protocol == ProtocolUDP && (v4 || v6)
	case SystemCloud:
		return e.from == ZoneSelf && p.Protocol == ProtocolTCP &&
			slices.ContainsFunc(e.env.Cloud, func(end netip.AddrPort) bool {
				return end.Addr().Unmap().WithZone("") == p.Dst && end.Port() == p.DstPort
			})
	}
	return false
}
