package droplist

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
)

// Line is a cache line of a table.
type Line [8]uint64

// Table is what the programs search (bpf/lib/lists.h). Its first line names
// where a search begins: words Source4 to Destination6. The second is free for
// whoever loads the table.
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
	Names []string // by label, from 1
	Stats Stats
}

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

// Compile makes the table of lists. Where lists overlap, the first in order has
// the address. Lists may be empty; without any the table finds nothing.
func Compile(lists []List) (*Table, error) {
	if len(lists) > MaxLists {
		return nil, fmt.Errorf("%d drop lists, at most %d", len(lists), MaxLists)
	}
	t := &Table{Lines: make([]Line, 2)}
	seen := map[string]bool{}
	same := true
	for _, l := range lists {
		if err := checkList(l); err != nil {
			return nil, err
		}
		if seen[l.Name] {
			return nil, fmt.Errorf("two drop lists are called %q", l.Name)
		}
		seen[l.Name] = true
		t.Names = append(t.Names, l.Name)
		t.Stats.Prefixes += len(l.Prefixes)
		same = same && (l.Match == "" || l.Match == Either)
	}
	b := builder{table: t}
	for side, skip := range []Match{Destination, Source} {
		for family := range 2 {
			root := 2*side + family
			if side == 1 && same {
				t.Lines[0][root] = t.Lines[0][family]
				continue
			}
			initial, cuts := boundaries(spans(lists, skip, family == 0))
			t.Stats.Boundaries += len(cuts)
			ref, err := b.reference(cuts, initial, 0)
			if err != nil {
				return nil, err
			}
			t.Lines[0][root] = ref
		}
	}
	return t, nil
}

// spans are the prefixes of a family of all lists but those that match only skip.
func spans(lists []List, skip Match, v4 bool) []span {
	n := 0
	for _, l := range lists {
		n += len(l.Prefixes)
	}
	out := make([]span, 0, n)
	for i, l := range lists {
		if l.Match == skip {
			continue
		}
		for _, p := range l.Prefixes {
			a, length := p.Addr(), p.Bits()
			if a.Is4In6() && length >= 96 {
				a, length = a.Unmap(), length-96
			}
			if a.Is4() == v4 {
				out = append(out, span{numberOf(a), uint8(length), uint8(i + 1)}.masked())
			}
		}
	}
	return out
}

type builder struct {
	table *Table
	open  [2]struct{ line, used int } // narrow, wide: a line with room for small leaves
}

func constant(label uint8) uint64 { return refConstant | uint64(label)<<8 }

func (b *builder) lines(n int) (first int, err error) {
	first = len(b.table.Lines)
	if (first+n)*64 > MaxBytes {
		return 0, ErrTooLarge
	}
	b.table.Lines = append(b.table.Lines, make([]Line, n)...)
	return first, nil
}

// reference makes what an interval holds that begins with label initial.
func (b *builder) reference(cuts []boundary, initial uint8, depth int) (uint64, error) {
	n := len(cuts)
	if n == 0 {
		return constant(initial), nil
	}
	narrow := true
	for _, c := range cuts {
		if c.at.lo != 0 {
			narrow = false
			break
		}
	}
	switch {
	case narrow && n <= narrowSlots*maxLines:
		return b.leaf(cuts, initial, refNarrow)
	case n <= wideSlots*maxLines:
		return b.leaf(cuts, initial, refWide)
	case depth == maxDepth:
		return 0, fmt.Errorf("the drop lists nest deeper than %d", maxDepth)
	}
	return b.node(cuts, initial, depth)
}

func (b *builder) leaf(cuts []boundary, initial uint8, kind int) (uint64, error) {
	slots := narrowSlots
	if kind == refWide {
		slots = wideSlots
	}
	n := len(cuts)
	room := &b.open[kind-1]
	line, first := room.line, room.used
	if line == 0 || first+n > slots {
		var err error
		if line, err = b.lines((n + slots - 1) / slots); err != nil {
			return 0, err
		}
		first = 0
	}
	if n <= slots {
		room.line, room.used = line, first+n
	}
	for i, c := range cuts {
		l, slot := &b.table.Lines[line+i/slots], first+i%slots
		if kind == refNarrow {
			l[slot] = c.at.hi
			l[7] |= uint64(c.label) << (8 * slot)
		} else {
			l[2*slot], l[2*slot+1] = c.at.hi, c.at.lo
			l[6] |= uint64(c.label) << (8 * slot)
		}
	}
	return uint64(kind) | uint64(first)<<2 | uint64(initial)<<8 | uint64(n)<<16 | uint64(line)<<32, nil
}

// node divides by the first word, or by the second where all have one first.
func (b *builder) node(cuts []boundary, initial uint8, depth int) (uint64, error) {
	n := len(cuts)
	last := cuts[n-1]
	second := uint64(0)
	word := func(c boundary) uint64 { return c.at.hi }
	if cuts[0].at.hi == last.at.hi {
		second = 1
		word = func(c boundary) uint64 { return c.at.lo }
	}
	from, to := word(cuts[0]), word(last)
	// About a part for every third boundary, and not so few that depth grows.
	parts := max(uint64(n)/3, 64)
	shift := max(0, bits.Len64((to-from)/parts))
	parts = (to-from)>>shift + 1
	header, err := b.lines(1 + int((parts+7)/8))
	if err != nil {
		return 0, err
	}
	table := header + 1
	b.table.Lines[header] = Line{uint64(table) | uint64(shift)<<32 | second<<38 | uint64(initial)<<40 | uint64(last.label)<<48, from, to, last.at.hi}
	label := initial
	i := 0
	for part := range parts {
		j := i
		for j < n && (word(cuts[j])-from)>>shift == part {
			j++
		}
		ref, err := b.reference(cuts[i:j], label, depth+1)
		if err != nil {
			return 0, err
		}
		b.table.Lines[table+int(part/8)][part%8] = ref
		if j > i {
			label = cuts[j-1].label
		}
		i = j
	}
	return refNode | uint64(header)<<32, nil
}

// Lookup is the programs' search, in Go: the label of the address, 0 for none.
// side is Source4 or Destination4.
func (t *Table) Lookup(a netip.Addr, side int) uint8 {
	a = a.Unmap()
	if a.Is6() {
		side++
	}
	n := numberOf(a)
	ref := t.Lines[0][side]
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
