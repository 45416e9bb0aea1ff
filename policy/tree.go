package policy

import "net/netip"

// A pair's entries are searched through decision trees, one set for IPv4 and
// one for IPv6, which live in an image's lines. A line is 64 bytes, a cache
// line, and is one of:
//
//	node    [0] which word of the key decides; [1…7] the last values of its
//	        first seven parts, ascending, the unused ones lineOpen; [8…15] a
//	        reference for each part
//	forest  [2i] a reference to tree i, [2i+1] the order of its first entry;
//	        ascending, the unused ones lineOpen
//	leaf    IPv4: two entries a line, each of source first and last, destination
//	        first and last, service first and last, decider, order.
//	        IPv6: lines of four entries each (service first and last, decider,
//	        order), then a line an entry: source first and last, destination
//	        first and last, each of two 64-bit numbers, the lower 32 bits of
//	        which stand first
//
// A reference is a kind in the upper two bits, for a leaf its number of entries
// in four more, and a line. A leaf that is longer than leafEntries begins a line
// later; the first word of its first line is its number of entries.
//
// The key of a packet is twelve words: its source and destination in four words
// each, of which IPv4 uses the last, and in the last word its service. A service
// is the protocol and its port or ICMP type and code as one number, so that
// every entry is a range of services.
//
// The order of an entry is its place among the entries of its pair, above the
// bits that say what it decides: the lowest order that matches is the answer,
// in whatever tree it was found. Where the order says that there is a condition,
// its number stands in the decider's place. bpf/lib/classify.h and find are twins.
type Line [16]uint32

// Limits of the trees, which bound what a packet can cost: bpf/abi has the same
// numbers.
const (
	// MaxLines bounds the trees of an image: 64 MB.
	MaxLines = 1 << 20

	// MaxLeaf bounds the entries that are walked one by one where no tree can
	// tell them apart at a bearable size; a policy beyond it does not compile.
	MaxLeaf = 4096

	treeDepth   = 24
	treeNumber  = 8 // of a forest
	nodeParts   = 8
	leafEntries = 15

	lineOpen = 0xffffffff
)

const (
	refLeaf   = 0 << 30 // the zero reference is the empty leaf
	refNode   = 1 << 30
	refForest = 2 << 30
	refLong   = 3 << 30

	refKind       = 3 << 30
	refCountShift = 26
	refCount      = 0xf
	refLine       = 1<<26 - 1
)

// Words of the key.
const (
	keySource      = 0
	keyDestination = 4
	keyService     = 11
	keyWords       = 12
)

// The lower bits of an order.
const (
	orderAction      = 3
	orderLog         = 4
	orderConditional = 8
	orderShift       = 4
)

var orderActions = [...]Action{1: Accept, 2: Drop, 3: Reject}

func orderOf(place int, v Verdict) uint32 {
	order := uint32(place) << orderShift
	if v.Log {
		order |= orderLog
	}
	for n, a := range orderActions {
		if a == v.Action {
			order |= uint32(n)
		}
	}
	return order
}

func serviceKey(protocol uint8, port uint16) uint32 { return uint32(protocol)<<16 | uint32(port) }

// key gives the words of a packet.
func (p ImagePacket) key() (key [keyWords]uint32) {
	s, d := numberOf(netip.AddrFrom16(p.Source)), numberOf(netip.AddrFrom16(p.Destination))
	for k := range 4 {
		key[keySource+k], key[keyDestination+k] = s.word(k), d.word(k)
	}
	key[keyService] = serviceKey(p.Protocol, p.Port)
	return key
}

// word gives the k-th 32 bits from above.
func (n uint128) word(k int) uint32 {
	half := n.hi
	if k >= 2 {
		half = n.lo
	}
	return uint32(half >> (32 * uint(1-k&1)))
}

// with replaces the k-th word and all below it: those by fill.
func (n uint128) with(k int, word uint32, fill uint32) uint128 {
	w := [4]uint32{n.word(0), n.word(1), n.word(2), n.word(3)}
	w[k] = word
	for i := k + 1; i < 4; i++ {
		w[i] = fill
	}
	return uint128{uint64(w[0])<<32 | uint64(w[1]), uint64(w[2])<<32 | uint64(w[3])}
}
