package policy

import "net/netip"

// NAT has two steps. The destination is decided as a packet arrives, before
// the rules are asked: they see the new one. The source is decided as it
// leaves. In each step the first box that holds the packet translates it.

// NATBox is a set of packets and what becomes of them: a part of a NAT rule.
// Addresses are 128 bits, IPv4 as ::ffff:a.b.c.d; bounds are included.
type NATBox struct {
	Rule                         uint32     // the rule's id
	SourceLo, SourceHi           netip.Addr // As16 form
	DestinationLo, DestinationHi netip.Addr
	SourceSet, DestinationSet    NATList // addresses of the box's family, within its bounds, that alone are meant
	MACs                         NATList // the frame's source is one of these
	NotMACs                      bool    // or none of them
	SourcePortLo, SourcePortHi   uint16  // 0 … 65535 where any
	PortLo, PortHi               uint16  // destination port; type<<8|code for ICMP
	Protocol                     uint8
	AnyProtocol                  bool
	Port                         uint8 // NAT port that it arrives or leaves by; 0: any
	Turn                         NATTurn
	Hairpin                      bool // where it turns, its source is translated too
	Accept                       bool // what no rule decides is accepted
	Log                          bool
	Target                       NATTarget
	Told                         uint8 // of the source step: what nftables is told, as it cannot see it; 0: it sees by itself
}

// NATList is a sorted list in an image's lines: spans of addresses of a family, or
// MAC addresses. One without elements restricts nothing. What a rule says of countries
// is too much for a box for each of its spans.
type NATList struct{ First, Count uint32 }

// asks says whether the box wants more than its bounds say.
func (b *NATBox) asks() bool {
	return b.SourceSet.Count > 0 || b.DestinationSet.Count > 0 || b.MACs.Count > 0
}

// NATTurn is what a box wants of a packet's zones. A packet turns that would
// leave, translated, for the zone it came from.
type NATTurn uint8

const (
	NATEither NATTurn = iota
	NATTurning
	NATPassing
)

// NATTarget is what an address and port become. Targets of the destination step
// are told to nftables by Number.
type NATTarget struct {
	Number     uint16     // of the destination step, from 1
	Masquerade bool       // the address of the interface that it leaves by
	To, Last   netip.Addr // As16 form; Last differs for a pool of sources
	Host       netip.Addr // bits that the address keeps; none for a single one
	Ports      NATPorts
	ToPort     uint16 // the first of the new ports
	LastPort   uint16 // NATPool
	FromPort   uint16 // NATShift: what ToPort stands for
}

// NATPorts is what becomes of a port.
type NATPorts uint8

const (
	NATKeep  NATPorts = iota
	NATOne            // ToPort
	NATShift          // as far behind ToPort as it was behind FromPort
	NATPool           // any of ToPort … LastPort: sources alone
)

// NATTold is what becomes of the source of a packet for which a packet program has
// found a box that nftables cannot judge.
type NATTold struct {
	Interface string // that it leaves by; "": any
	Target    NATTarget
}

// NATTable is the NAT rules compiled. It feeds the packet programs and
// nftables.
type NATTable struct {
	Destination, Source []NATBox         // in order
	Trees               [4]uint32        // of destination for IPv4 and IPv6, of source: find the first box by address and service
	Ports               map[string]uint8 // interfaces that rules name, from 1
	Targets             []NATTarget      // by Number-1
	Told                []NATTold        // by Told-1
	Generation          uint8            // tells the numbers of this table from those of the one before
}

// Limits of NAT. bpf/abi has the same numbers.
const (
	MaxNATBoxes = 4096 // of a step
	MaxNATGoals = 4095 // different destinations
	MaxNATPorts = 63   // interfaces that rules name
	MaxNATTries = 16   // boxes whose turn a packet may miss before it is dropped
	MaxNATTold  = 255  // different sources that rules with countries or MAC addresses translate to
	maxNATShift = 1024 // ports that a range of ports is moved by nftables, one by one
)

// Translation is what NAT does to a packet, its zero value nothing.
type Translation struct {
	Rule        int64      // that translates the destination; 0: none
	Destination netip.Addr // as the rules see it, where Rule is not 0
	Port        uint16
	SourceRule  int64 // that translates the source; 0: none, or the zone's masquerading
	Masquerade  bool  // the source becomes the interface's address
}

// Numbers of NATTable.Trees.
const (
	natDestination = 0
	natSource      = 2
)

// Equal compares two.
func (t Translation) Equal(o Translation) bool { return t == o }
