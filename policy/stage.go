package policy

import (
	"fmt"
	"net/netip"
)

// Stage is one step of judging a packet and what came of it. The last one
// decided.
type Stage struct {
	Stage  string `json:"stage"`  // headers, zone_in, state, zone_out, system, rules, policy, default, nat
	Result string `json:"result"` // pass, accept, drop, reject; for nat also snat, masquerade
	Reason string `json:"reason"`
}

// Explanation is the answer about one packet, with the way to it.
type Explanation struct {
	Action         Action  `json:"action"`
	RuleID         *int64  `json:"rule_id"` // null: no rule decided
	Reason         string  `json:"reason"`
	PolicyRevision int64   `json:"policy_revision"`
	Stages         []Stage `json:"stages"`
}

// Explain puts the image's answer about a packet into words.
func (im *Image) Explain(p Packet, v Verdict) Explanation {
	r := v.Result()
	e := Explanation{Action: r.Action, Reason: r.Reason, PolicyRevision: im.Revision, Stages: im.Stages(p, v)}
	if r.RuleID != 0 {
		e.RuleID = &r.RuleID
	}
	return e
}

// Stages tells how the image's answer about a packet came about, step by step as
// docs/policy.md lists them. v is the verdict, which says which step decided;
// those before it were passed.
func (im *Image) Stages(p Packet, v Verdict) []Stage {
	w := stages{image: im, packet: p, verdict: v, from: im.zoneOf(p.In), to: im.zoneOf(p.Out)}
	reason := DropReason(0)
	if v.Decider.Kind() == DeciderReason {
		reason = DropReason(v.Decider.ID())
	}
	zoneIn, zoneOut := reason == DropNoZone && w.from == ZoneIndexNone, reason == DropNoZone && w.from != ZoneIndexNone
	switch {
	case w.step("headers", reason == DropMalformed, "addresses that no packet may have", "well-formed"):
	case w.step("zone_in", zoneIn, p.In+" is in no zone", w.link(p.In, w.from)):
	case w.step("state", reason == DropNoState, w.stateless(), "the first packet of a flow"):
	case w.step("zone_out", zoneOut, p.Out+" is in no zone", w.link(p.Out, w.to)):
	case w.step("system", v.Decider.Kind() == DeciderSystem, "system rule "+SystemRule(v.Decider.ID()).String(), "no system rule is for it"):
	case w.translated():
	case w.step("rules", v.Decider.Kind() == DeciderRule, w.rule(), w.count()):
	case w.natAccepts():
	case w.step("policy", v.Decider.Kind() == DeciderPolicy, fmt.Sprintf("the policy from %s to %s", im.Zones[w.from], im.Zones[w.to]),
		fmt.Sprintf("there is none from %s to %s", im.Zones[w.from], im.Zones[w.to])):
	case w.step("default", v.Decider.Kind() == DeciderDefault, "nothing accepts it", ""):
	}
	switch t := v.NAT; {
	case t.SourceRule != 0 && t.Masquerade:
		w.out = append(w.out, Stage{"nat", "masquerade", fmt.Sprintf("%s gives it the address of %s as source", w.natRule(t.SourceRule), p.Out)})
	case t.SourceRule != 0:
		w.out = append(w.out, Stage{"nat", "snat", w.natRule(t.SourceRule) + " gives it another source"})
	case t.Masquerade:
		w.out = append(w.out, Stage{"nat", "masquerade", fmt.Sprintf("zone %s gives IPv4 its own source address", im.Zones[w.to])})
	}
	return w.out
}

func (w *stages) natRule(id int64) string { return w.image.natText(id) }

func (im *Image) natText(id int64) string {
	return fmt.Sprintf("NAT rule %d (%s)", id, im.Legend.NAT[id])
}

// stateless is why a packet that begins nothing belongs to nothing. Simulation
// knows ICMP errors alone: it takes TCP packets for first ones.
func (w *stages) stateless() string {
	if w.packet.Protocol == ProtocolTCP {
		return "a TCP packet that begins no connection, and no flow is known that it belongs to"
	}
	return "an ICMP error, and no flow is known that it belongs to"
}

// translated tells of a new destination; it decides nothing.
func (w *stages) translated() bool {
	t := w.verdict.NAT
	if t.Rule == 0 {
		return false
	}
	to := t.Destination.String()
	if HasPorts(w.packet.Protocol) {
		to = netip.AddrPortFrom(t.Destination, t.Port).String()
	}
	return w.step("nat", false, "", w.natRule(t.Rule)+" sends it to "+to)
}

func (w *stages) natAccepts() bool {
	if w.verdict.Decider.Kind() != DeciderNAT {
		return false
	}
	return w.step("nat", true, w.natRule(int64(w.verdict.Decider.ID()))+" accepts what it translates", "")
}

type stages struct {
	image    *Image
	packet   Packet
	verdict  Verdict
	from, to uint8
	out      []Stage
}

// step adds a stage; true: it decided.
func (w *stages) step(name string, decided bool, why, passed string) bool {
	s := Stage{name, "pass", passed}
	if decided {
		s.Result, s.Reason = string(w.verdict.Action), why
	}
	w.out = append(w.out, s)
	return decided
}

func (w *stages) link(name string, zone uint8) string {
	if zone == ZoneIndexSelf {
		return "the router itself, zone " + ZoneSelf
	}
	return fmt.Sprintf("%s is in zone %s", name, w.image.Zones[zone])
}

// linkText is link for a name alone.
func (im *Image) linkText(name string) string {
	zone := im.zoneOf(name)
	if zone == ZoneIndexNone {
		return name + ", which is in no zone"
	}
	return (&stages{image: im}).link(name, zone)
}

func (w *stages) rule() string { return w.image.ruleText(w.verdict.Decider) }

func (im *Image) ruleText(d Decider) string {
	id := int64(d.ID())
	text := fmt.Sprintf("rule %d (%s)", id, im.Legend.Rules[id])
	for _, c := range im.Conditional {
		if c.Decider == d && c.Scheduled {
			return text + ", which has a schedule"
		}
	}
	return text
}

func (w *stages) count() string {
	return fmt.Sprintf("none matches from %s to %s", w.image.Zones[w.from], w.image.Zones[w.to])
}
