package policy

import (
	"math"
	"slices"
)

// cube is a part of packet space: source, destination and service.
type cube [3]span

func (c *cube) covers(o *cube) bool {
	return c[0].covers(o[0]) && c[1].covers(o[1]) && c[2].covers(o[2])
}

func (c *cube) meets(o *cube) bool {
	return c[0].meets(o[0]) && c[1].meets(o[1]) && c[2].meets(o[2])
}

// clip takes what c has of o, which it meets.
func (c *cube) clip(o *cube) {
	for side, s := range o {
		c[side] = c[side].common(s)
	}
}

// openWord is the first word in which the addresses of a span differ, the only
// one that can tell them apart by comparing one word; 4 where there is one
// address. All of a span agree in the words above.
func (s span) openWord() int {
	for k := range 4 {
		if s.first.word(k) != s.last.word(k) {
			return k
		}
	}
	return 4
}

// words gives what o has of s in the open word k of s.
func (s *span) words(k int, o *span) (first, last uint32) {
	return most(s.first, o.first).word(k), least(s.last, o.last).word(k)
}

// cut is a way to part a cube: along one side, after each of some values of the
// side's open word.
type cut struct {
	side, word int
	after      []uint32
	cost       float64
}

// part gives the i-th part of the side that is cut.
func (c *cut) part(s span, i int) span {
	if i > 0 {
		s.first = s.last.with(c.word, c.after[i-1]+1, 0)
	}
	if i < len(c.after) {
		s.last = s.first.with(c.word, c.after[i], math.MaxUint32)
	}
	return s
}

// at gives the part in which a value of the open word lies.
func (c *cut) at(value uint32) int {
	i := 0
	for i < len(c.after) && c.after[i] < value {
		i++
	}
	return i
}

// maxSample entries are looked at to choose a cut, and a few more; of a larger
// crowd a sample is drawn.
const maxSample = 1024

// draw gives the entries that a cut is chosen by. Whether an entry is among them
// depends on it and the size of the crowd alone, so that a crowd with an entry
// more or less is mostly cut where it was before.
func (b *treeBuilder) draw(s *builderScratch, ids []uint32) []uint32 {
	if len(ids) <= maxSample {
		return ids
	}
	stride := uint32(1 + len(ids)/maxSample)
	s.sample = s.sample[:0]
	for _, id := range ids {
		if b.boxes[id].salt%stride == 0 {
			s.sample = append(s.sample, id)
		}
	}
	if len(s.sample) < maxSample/8 {
		return ids // their salts are alike
	}
	return s.sample
}

// cutter chooses cuts; it keeps its buffers.
type cutter struct {
	starts, ends, points []uint32
}

// choose gives the best cut of the entries along one side, and false where none
// has a bound inside. Entries that cover the whole side are told apart by no
// cut of it: where they can be moved to another tree they cost their number,
// else they are in every part. Each entry stands for weight of them.
func (c *cutter) choose(boxes []treeBox, ids []uint32, weight float64, s span, side int, movable bool) (cut, bool) {
	best := cut{side: side, word: s.openWord()}
	for {
		k := s.openWord()
		if k == 4 {
			return cut{}, false
		}
		c.starts, c.ends = c.starts[:0], c.ends[:0]
		full := 0
		for _, id := range ids {
			o := &boxes[id].cube[side]
			if o.covers(s) {
				full++
				continue
			}
			first, last := s.words(k, o)
			c.starts, c.ends = append(c.starts, first), append(c.ends, last)
		}
		if len(c.starts) == 0 {
			return cut{}, false
		}
		slices.Sort(c.starts)
		slices.Sort(c.ends)
		if v := c.starts[0]; v == c.ends[len(c.ends)-1] && k < 3 {
			// All lie within one value of this word: cut it out, and judge the
			// side by the words below.
			if best.after == nil {
				best.after = around(v, s.first.word(k), s.last.word(k))
			}
			s = span{most(s.first, s.first.with(k, v, 0)), least(s.last, s.last.with(k, v, math.MaxUint32))}
			continue
		}
		after := c.balance(s.first.word(k))
		if after == nil {
			after = c.spread(s.first.word(k), s.last.word(k))
		}
		if after == nil {
			return cut{}, false
		}
		if best.after == nil {
			best.after = after
		}
		best.cost = weight * c.cost(after, s.first.word(k), full, movable)
		return best, true
	}
}

// around cuts one value out.
func around(v, first, last uint32) []uint32 {
	var after []uint32
	if v > first {
		after = append(after, v-1)
	}
	if v < last {
		after = append(after, v)
	}
	return after
}

// balance cuts where entries start, such that the fullest part is as small as
// it can be; nil where that hardly parts them.
func (c *cutter) balance(first uint32) []uint32 {
	n := len(c.starts)
	low, high := (n+nodeParts-1)/nodeParts, n*7/8
	var best []uint32
	for low <= high {
		limit := (low + high) / 2
		if after, ok := c.pack(first, limit); ok {
			best, high = after, limit-1
		} else {
			low = limit + 1
		}
	}
	return best
}

// pack makes each part as wide as it can be with at most limit entries.
func (c *cutter) pack(first uint32, limit int) ([]uint32, bool) {
	after := make([]uint32, 0, nodeParts-1)
	for {
		ended, _ := slices.BinarySearch(c.ends, first)
		if ended+limit >= len(c.starts) {
			return after, len(after) > 0
		}
		next := c.starts[ended+limit]
		if next <= first || len(after) == nodeParts-1 {
			return nil, false
		}
		after = append(after, next-1)
		first = next
	}
}

// spread cuts at every so many bounds: where entries overlap so much that no
// cut parts them, it makes them cover parts whole, which ends the list of those
// behind them.
func (c *cutter) spread(first, last uint32) []uint32 {
	c.points = c.points[:0]
	for i := range c.starts {
		if c.starts[i] > first {
			c.points = append(c.points, c.starts[i]-1)
		}
		if c.ends[i] < last {
			c.points = append(c.points, c.ends[i])
		}
	}
	slices.Sort(c.points)
	c.points = slices.Compact(c.points)
	n := min(len(c.points), nodeParts-1)
	var after []uint32
	for i := range n {
		after = append(after, c.points[(2*i+1)*len(c.points)/(2*n)])
	}
	return after
}

// cost is the number of entries in the part where a packet lands, if packets
// are where entries are, times what the cut multiplies.
func (c *cutter) cost(after []uint32, first uint32, full int, movable bool) float64 {
	var sum, squares float64
	extra := float64(full)
	if movable {
		extra = 0
	}
	started := 0
	for i := 0; i <= len(after); i++ {
		ended, _ := slices.BinarySearch(c.ends, first)
		started = len(c.starts)
		if i < len(after) {
			first = after[i] + 1
			started, _ = slices.BinarySearch(c.starts, first)
		}
		n := float64(started-ended) + extra
		sum += n
		squares += n * n
	}
	cost, growth := squares/sum, sum/(float64(len(c.starts))+extra)
	if movable {
		return cost*growth + movedCost*float64(full)
	}
	return cost * math.Sqrt(growth)
}
