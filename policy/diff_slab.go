package policy

import "slices"

// maxWorkOfSlabs bounds the search for a shorter list of one pair's parts.
const maxWorkOfSlabs = 200_000

// fewest writes parts, which are disjoint, with as few boxes as it can find: as
// they are, joined, or sliced along the dimensions in each order.
func fewest(parts []part) []part {
	best := joined(parts)
	if len(best) < 3 {
		return best
	}
	for _, order := range [][]int{
		{atService, atSource, atDestination}, {atService, atDestination, atSource}, {atSource, atDestination, atService},
		{atSource, atService, atDestination}, {atDestination, atSource, atService}, {atDestination, atService, atSource},
	} {
		s := slicing{left: maxWorkOfSlabs}
		sliced := joined(s.slice(best, append(order, atSourcePort)))
		if s.left >= 0 && len(sliced) < len(best) {
			best = sliced
		}
	}
	return best
}

// slicing cuts parts into slabs along one dimension after the other, and joins
// neighbouring slabs that hold the same.
type slicing struct{ left int }

func (s *slicing) slice(parts []part, order []int) []part {
	if len(order) == 0 {
		return parts[:1] // they are disjoint, so there is one
	}
	d := order[0]
	starts := make([]uint128, 0, 2*len(parts)) // of slabs
	for _, p := range parts {
		starts = append(starts, p.region[d].first)
		if p.region[d].last != highest {
			starts = append(starts, p.region[d].last.next())
		}
	}
	slices.SortFunc(starts, uint128.compare)
	starts = slices.Compact(starts)
	var out []part
	var open []part // the slab being joined, without its extent in d
	var extent span
	flush := func() {
		for _, p := range open {
			p.region[d] = extent
			out = append(out, p)
		}
		open = nil
	}
	for i, start := range starts {
		if s.left -= len(parts); s.left < 0 {
			return nil
		}
		var held []part
		for _, p := range parts {
			if p.region[d].has(start) {
				p.region[d] = span{}
				held = append(held, p)
			}
		}
		end := highest
		if i+1 < len(starts) {
			end = starts[i+1].prev()
		}
		if len(held) == 0 {
			flush()
			continue
		}
		inner := s.slice(held, order[1:])
		if s.left < 0 {
			return nil
		}
		if open != nil && extent.last.next() == start && slices.Equal(open, inner) {
			extent.last = end
			continue
		}
		flush()
		open, extent = inner, span{start, end}
	}
	flush()
	return out
}

// joined makes one of parts that lie side by side and change alike, as far as
// that goes.
func joined(parts []part) []part {
	for n := len(parts) + 1; len(parts) < n; {
		n = len(parts)
		for d := range dimensions {
			parts = joinedAlong(d, parts)
		}
	}
	return parts
}

func joinedAlong(d int, parts []part) []part {
	type row struct {
		place int // of its first part, so that the order stays
		part
	}
	rows := map[part][]row{}
	for i, p := range parts {
		key := p
		key.region[d] = span{}
		rows[key] = append(rows[key], row{i, p})
	}
	var out []row
	for _, r := range rows {
		slices.SortFunc(r, func(x, y row) int { return x.region[d].first.compare(y.region[d].first) })
		for i, p := range r {
			if n := len(out); i > 0 && out[n-1].region[d].last.next() == p.region[d].first {
				out[n-1].region[d].last, out[n-1].place = p.region[d].last, min(out[n-1].place, p.place)
				continue
			}
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(x, y row) int { return x.place - y.place })
	parts = parts[:0]
	for _, r := range out {
		parts = append(parts, r.part)
	}
	return parts
}
