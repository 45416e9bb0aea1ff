package droplist

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
)

// number is an address as the table sees it: 128 bits, IPv4 in the first 32, so
// that both families are searched by their first word.
type number struct{ hi, lo uint64 }

func (n number) compare(m number) int {
	return cmp.Or(cmp.Compare(n.hi, m.hi), cmp.Compare(n.lo, m.lo))
}

func numberOf(a netip.Addr) number {
	if a.Is4() {
		b := a.As4()
		return number{hi: uint64(binary.BigEndian.Uint32(b[:])) << 32}
	}
	b := a.As16()
	return number{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// span is a prefix of a list.
type span struct {
	from  number
	bits  uint8 // of from that count: IPv4's 32 are the first
	label uint8
}

func (s span) masked() span {
	switch {
	case s.bits == 0:
		s.from = number{}
	case s.bits <= 64:
		s.from = number{hi: s.from.hi &^ (1<<(64-s.bits) - 1)}
	default:
		s.from.lo &^= 1<<(128-s.bits) - 1
	}
	return s
}

// end is the first number behind the span; false: there is none.
func (s span) end() (number, bool) {
	switch {
	case s.bits == 0:
		return number{}, false
	case s.bits <= 64:
		hi := s.from.hi + 1<<(64-s.bits)
		return number{hi: hi}, hi != 0
	}
	lo := s.from.lo + 1<<(128-s.bits) // 0 for a carry
	hi := s.from.hi
	if lo == 0 {
		hi++
	}
	return number{hi, lo}, lo != 0 || hi != 0
}

// boundary is where another label begins.
type boundary struct {
	at    number
	label uint8
}

// unlisted is the label of what no span has; one above those of lists. Label 0
// is that of addresses that are on no list whatever lists say, and in a table
// that of both.
const unlisted = 0xff

// boundaries cuts the numbers into intervals of one label: that of the first
// list that has them, 0 for none. The first interval begins at zero with label
// initial. Spans nest or are apart, as prefixes do; they are sorted in place.
func boundaries(spans []span) (initial uint8, cuts []boundary) {
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(a.from.compare(b.from), cmp.Compare(a.bits, b.bits), cmp.Compare(a.label, b.label))
	})
	type open struct {
		end   number
		ends  bool
		label uint8 // in force within
	}
	cuts = make([]boundary, 0, 2*len(spans))
	set := func(at number, label uint8) {
		if label == unlisted {
			label = 0
		}
		if at == (number{}) {
			initial = label
			return
		}
		if n := len(cuts); n > 0 && cuts[n-1].at == at {
			cuts = cuts[:n-1]
		}
		before := initial
		if n := len(cuts); n > 0 {
			before = cuts[n-1].label
		}
		if before != label {
			cuts = append(cuts, boundary{at, label})
		}
	}
	var stack []open
	within := func() uint8 {
		if len(stack) == 0 {
			return unlisted
		}
		return stack[len(stack)-1].label
	}
	closeUntil := func(at number, all bool) {
		for len(stack) > 0 {
			top := stack[len(stack)-1]
			if !top.ends || !all && top.end.compare(at) > 0 {
				return
			}
			stack = stack[:len(stack)-1]
			set(top.end, within())
		}
	}
	for _, s := range spans {
		closeUntil(s.from, false)
		label := min(s.label, within())
		end, ends := s.end()
		stack = append(stack, open{end, ends, label})
		set(s.from, label)
	}
	closeUntil(number{}, true)
	return initial, cuts
}
