package policy

import "strconv"

// DropReason is why a packet was dropped before any rule was asked; the id of
// a Decider of kind DeciderReason. The packet programs have further ones, with
// numbers above these.
type DropReason uint32

const (
	DropMalformed DropReason = 1 // no such packet may exist
	DropNoZone    DropReason = 2 // the interface it comes from or leaves by is in no zone
	DropNoState   DropReason = 3 // it belongs to a flow, and none is known
)

func (r DropReason) String() string {
	switch r {
	case DropMalformed:
		return "malformed"
	case DropNoZone:
		return "no_zone"
	case DropNoState:
		return "no_state"
	}
	return "unknown"
}

// Result is the answer about one packet.
type Result struct {
	Action  Action
	RuleID  int64  // where a rule decided, else 0
	Reason  string // what decided, in words: see Decider.Reason
	Decider Decider
	Log     bool
	NAT     Translation
}

// Reason names what decided: rule, policy, default, nat:ID, system:NAME, or
// the name of a DropReason.
func (d Decider) Reason() string {
	switch d.Kind() {
	case DeciderRule:
		return "rule"
	case DeciderPolicy:
		return "policy"
	case DeciderDefault:
		return "default"
	case DeciderSystem:
		return "system:" + SystemRule(d.ID()).String()
	case DeciderNAT:
		return "nat:" + strconv.FormatUint(uint64(d.ID()), 10)
	case DeciderReason:
		return DropReason(d.ID()).String()
	}
	return "none"
}

// Result puts a verdict into words.
func (v Verdict) Result() Result {
	r := Result{Action: v.Action, Reason: v.Decider.Reason(), Decider: v.Decider, Log: v.Log, NAT: v.NAT}
	if v.Decider.Kind() == DeciderRule {
		r.RuleID = int64(v.Decider.ID())
	}
	return r
}

func dropped(r DropReason) Verdict {
	return Verdict{Action: Drop, Decider: NewDecider(DeciderReason, uint32(r))}
}
