package droplist

import (
	"errors"
	"net/netip"
)

// Line is a cache line of a table.
type Line [8]uint64

// Table is what the programs search (bpf/lib/lists.h). Its first line names
// where a search begins: words Source4 to Destination6. Zones that lists are
// bound to have such a line of their own. Further FreeLines are for whoever loads
// the table.
//
// A reference says what an interval of numbers holds, in its lowest bits:
//
//	constant  one label
//	narrow    a leaf of boundaries that are whole first words
//	wide      a leaf of boundaries of both words
//	node      further references, one for each part of the interval
//
// A leaf is some of the slots of a line, or up to eight lines. A narrow line has
// seven boundaries and their labels in the last word, a wide one three and their
// labels in word 6. A label holds from its boundary on.
//
// A node has a line of its own: what it divides, from and to, by which shift,
// and the labels before and behind. It divides the first word, or the second of
// one value of the first.
type Table struct {
	Lines []Line
	Names []string        // by label, from 1
	Zones map[string]Line // what line 0 is for packets that come from elsewhere
	Stats Stats
}

// FreeLines follow line 0.
const FreeLines = 16

// Stats of a table.
type Stats struct {
	Prefixes   int // as given
	Boundaries int
}

// Bytes of kernel memory that the table takes.
func (t *Table) Bytes() int { return len(t.Lines) * 64 }

// Words of the first line.
const (
	Source4 = iota
	Source6
	Destination4
	Destination6
)

// As in bpf/lib/lists.h.
const (
	refConstant = 0
	refNarrow   = 1
	refWide     = 2
	refNode     = 3

	narrowSlots = 7
	wideSlots   = 3
	maxLines    = 8 // of a leaf

	maxDepth = 28
)

// MaxBytes of a table. A million scattered prefixes take 20 to 40 MB.
const MaxBytes = 256 << 20

// ErrTooLarge refuses lists whose table would exceed MaxBytes.
var ErrTooLarge = errors.New("the drop lists need more than 256 MiB of kernel memory")

// Lookup is the programs' search, in Go: the label of the address, 0 for none.
// side is Source4 or Destination4.
func (t *Table) Lookup(a netip.Addr, side int) uint8 { return t.LookupFrom("", a, side) }

// LookupFrom is Lookup for a packet from a zone.
func (t *Table) LookupFrom(zone string, a netip.Addr, side int) uint8 {
	a = a.Unmap()
	if a.Is6() {
		side++
	}
	n := numberOf(a)
	roots, ok := t.Zones[zone]
	if !ok {
		roots = t.Lines[0]
	}
	ref := roots[side]
	for range maxDepth + 1 {
		switch ref & 3 {
		case refConstant:
			return uint8(ref >> 8)
		case refNarrow, refWide:
			return t.search(ref, n)
		}
		h := t.Lines[ref>>32]
		key := n.hi
		before, behind := uint8(h[0]>>40), uint8(h[0]>>48)
		if h[0]>>38&1 == 1 {
			if n.hi != h[3] {
				if n.hi < h[3] {
					return before
				}
				return behind
			}
			key = n.lo
		}
		if key < h[1] {
			return before
		}
		if key > h[2] {
			return behind
		}
		part := (key - h[1]) >> (h[0] >> 32 & 63)
		ref = t.Lines[uint64(uint32(h[0]))+part/8][part%8]
	}
	return 0
}

func (t *Table) search(ref uint64, n number) uint8 {
	slots, at := narrowSlots, func(l Line, i int) number { return number{hi: l[i]} }
	labels := 7
	if ref&3 == refWide {
		slots, at = wideSlots, func(l Line, i int) number { return number{l[2*i], l[2*i+1]} }
		labels = 6
	}
	line, first, count := int(ref>>32), int(ref>>2&7), int(ref>>16&0xff)
	label := uint8(ref >> 8)
	for i := range count {
		l, slot := t.Lines[line+i/slots], first+i%slots
		if at(l, slot).compare(n) > 0 {
			break
		}
		label = uint8(l[labels] >> (8 * slot))
	}
	return label
}
