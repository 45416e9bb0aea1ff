package droplist

import (
	"fmt"
	"maps"
	"math/bits"
	"net/netip"
	"slices"
)

// Compile makes the table of lists. Where lists overlap, the first in order has
// the address; what allow holds is on none. Lists may be empty; without any the
// table finds nothing. Lists that hold for several sets of zones are in it once for each.
func Compile(lists []List, allow ...netip.Prefix) (*Table, error) {
	if len(lists) > MaxLists {
		return nil, fmt.Errorf("%d drop lists, at most %d", len(lists), MaxLists)
	}
	t := &Table{Lines: make([]Line, 1+FreeLines), Zones: map[string]Line{}}
	seen := map[string]bool{}
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
		for _, zone := range l.Zones {
			t.Zones[zone] = Line{}
		}
	}
	b := builder{table: t}
	made := map[uint64]Line{} // by which lists it holds
	for _, zone := range append([]string{""}, slices.Sorted(maps.Keys(t.Zones))...) {
		holds := holding(lists, zone)
		roots, ok := made[holds]
		if !ok {
			var err error
			if roots, err = b.roots(lists, holds, allow); err != nil {
				return nil, err
			}
			made[holds] = roots
		}
		if zone == "" {
			t.Lines[0] = roots
		} else {
			t.Zones[zone] = roots
		}
	}
	return t, nil
}

// holding are the lists that hold for packets from a zone, a bit each.
func holding(lists []List, zone string) (mask uint64) {
	for i, l := range lists {
		if len(l.Zones) == 0 || slices.Contains(l.Zones, zone) {
			mask |= 1 << i
		}
	}
	return mask
}

// roots makes the searches of some lists.
func (b *builder) roots(lists []List, holds uint64, allow []netip.Prefix) (roots Line, err error) {
	same := true
	for i, l := range lists {
		same = same && (holds>>i&1 == 0 || l.Match == "" || l.Match == Either)
	}
	for side, skip := range []Match{Destination, Source} {
		for family := range 2 {
			root := 2*side + family
			if side == 1 && same {
				roots[root] = roots[family]
				continue
			}
			initial, cuts := boundaries(spans(lists, holds, skip, allow, family == 0))
			b.table.Stats.Boundaries += len(cuts)
			if roots[root], err = b.reference(cuts, initial, 0); err != nil {
				return roots, err
			}
		}
	}
	return roots, nil
}

// spans are the prefixes of a family of some lists but those that match only skip,
// and those of allow under label 0.
func spans(lists []List, holds uint64, skip Match, allow []netip.Prefix, v4 bool) []span {
	n := len(allow)
	for _, l := range lists {
		n += len(l.Prefixes)
	}
	out := make([]span, 0, n)
	add := func(prefixes []netip.Prefix, label uint8) {
		for _, p := range prefixes {
			if p = unmapped(p); p.Addr().Is4() == v4 {
				out = append(out, span{numberOf(p.Addr()), uint8(p.Bits()), label}.masked())
			}
		}
	}
	add(allow, 0)
	for i, l := range lists {
		if holds>>i&1 == 1 && l.Match != skip {
			add(l.Prefixes, uint8(i+1))
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
