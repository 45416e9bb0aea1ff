package policy

import "net/netip"

// Image is a policy compiled to the tables that the packet programs read:
// numbers only, nothing left to parse, the same for enforcement and simulation.
// Package dataplane writes it into BPF maps; Image.Judge walks it in Go exactly
// as the programs do.
type Image struct {
	Revision   int64
	Zones      []string         // index → name; index 0 is no zone, 1 is SELF
	Interfaces map[string]uint8 // interface name → zone index
	Masquerade []bool           // zone index → IPv4 masquerade for what leaves there
	MSSClamp   []bool           // zone index → clamp TCP MSS
	Pairs      []Pair           // from*len(Zones)+to
	Entries    []Entry          // the rules of all pairs, a run each; pairs may share one
	Lines      []Line           // the trees that find them
	NAT        NATTable
	System     SystemRules      // judged before the entries
	Cloud      []netip.AddrPort // what SystemCloud accepts, addresses in As16 form
	Legend     Legend
}

// MaxZones bounds zone indexes: the egress zone travels in six bits of the
// packet mark.
const MaxZones = 64

// MaxEntries bounds the entries of one zone pair; a policy beyond it does not
// compile.
const MaxEntries = 1 << 18

const (
	ZoneIndexNone = 0
	ZoneIndexSelf = 1
)

// Pair is the policy from one zone to another: entries First … First+Count-1 in
// order, then Default. The trees find the entry, those of a family each.
type Pair struct {
	First, Count uint32
	Tree4, Tree6 uint32 // references to lines
	Default      Verdict
}

// Verdict is a decision and who made it.
type Verdict struct {
	Action  Action
	Log     bool
	Decider Decider
	NAT     Translation
}

// Entry is a box in packet space. Addresses are 128 bits, IPv4 as
// ::ffff:a.b.c.d; bounds are included. Zero Protocol is any only when
// AnyProtocol is set (0 is HOPOPT). The port of a packet is its destination
// port for TCP, UDP and SCTP, type<<8|code for the protocols 1 and 58 in either
// family, and 0 for all others.
type Entry struct {
	SourceLo, SourceHi           netip.Addr // As16 form
	DestinationLo, DestinationHi netip.Addr
	PortLo, PortHi               uint16 // destination port; type<<8|code for ICMP
	Protocol                     uint8
	AnyProtocol                  bool
	Verdict                      Verdict
}

// Decider names what decided a flow: a kind in the upper four bits, an id in
// the lower 28. It is stable across revisions, so counters are keyed by it.
type Decider uint32

// Kinds of Decider. bpf/abi has the same numbers.
const (
	DeciderNone    = 0
	DeciderRule    = 1 // id: the rule's
	DeciderPolicy  = 2 // the zone pair's default policy
	DeciderDefault = 3 // nothing matched: drop
	DeciderSystem  = 4 // id: a SystemRule
	DeciderNAT     = 5 // id: the NAT rule's
	DeciderReason  = 6 // id: a drop Reason of the packet programs

	// DeciderTranslation decides nothing: it counts the packets of flows that the
	// NAT rule with this id translates.
	DeciderTranslation = 7
)

// NewDecider joins a kind and an id below 2^28.
func NewDecider(kind uint8, id uint32) Decider { return Decider(uint32(kind)<<28 | id&0x0fffffff) }

func (d Decider) Kind() uint8 { return uint8(d >> 28) }
func (d Decider) ID() uint32  { return uint32(d & 0x0fffffff) }

// Legend gives the names that an image's numbers stand for. The agent keeps
// the legends of past revisions, because flows outlive them.
type Legend struct {
	Revision int64            `json:"revision"`
	Zones    []string         `json:"zones"`
	Rules    map[int64]string `json:"rules"` // id → name
	NAT      map[int64]string `json:"nat,omitempty"`
}

// Zone names a zone index; "" where it is none.
func (l Legend) Zone(index uint8) string {
	if int(index) < len(l.Zones) {
		return l.Zones[index]
	}
	return ""
}
