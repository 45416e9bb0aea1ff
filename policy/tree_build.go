package policy

import (
	"math"
	"runtime"
	"slices"
	"sync"
)

// How trees are built: found by trial on the families of rule sets that package
// policytest makes. Larger leaves make smaller trees; moving entries in smaller
// cubes makes fewer copies and more trees.
const (
	leafTarget  = 8    // entries up to which a leaf is not cut
	moveAbove   = 512  // entries from which a cube's wide ones move to the next tree
	shadowBelow = 48   // entries up to which each is compared with each
	movedCost   = 0.5  // of an entry that moves, in entries of the part where a packet lands
	apartAbove  = 1024 // entries of a part that is worth a goroutine
)

// treeBox is an entry as trees are built of it. What it decides is none of
// their business.
type treeBox struct {
	cube   cube
	salt   uint32 // by which samples are drawn
	closes bool   // no entry behind it can be the answer where it matches
}

// treeBuilder builds the trees of one pair and family.
//
// Each node cuts its cube along one side into up to eight parts. An entry that
// spans most of the parts would be copied into all of them: high in the tree it
// moves to the next tree instead, so copies stay few and a packet searches a
// few trees. The lines of every tree are bounded from its root down: where a
// cut would go beyond its share the entries stay together in a long leaf.
//
// What is built depends on the entries' boxes and their order alone, and not on
// how many cores build it.
type treeBuilder struct {
	boxes []treeBox // by handle
	v6    bool
	last  bool          // there is no next tree
	cores chan struct{} // holds a token for each further goroutine
}

// builderScratch is what one goroutine builds with.
type builderScratch struct {
	cutter
	sample []uint32
	ranges [][2]uint8
	moving []uint32
}

// forest builds the trees of at least one box. before is what was built of
// boxes like these, and what of it still fits is taken as it is.
func (b *treeBuilder) forest(all []uint32, world cube, budget int, before []*treeNode) (trees []*treeNode) {
	b.cores = make(chan struct{}, runtime.GOMAXPROCS(0)-1)
	var moved []bool
	for rest := all; len(rest) > 0; {
		b.last = len(trees) == treeNumber-1
		share := budget
		if !b.last {
			share = budget / 10 * 7 // something is left for the next
		}
		var old *treeNode
		if len(trees) < len(before) {
			old = before[len(trees)]
		}
		tree := b.build(new(builderScratch), old, slices.Clone(rest), world, 0, share)
		budget -= tree.lines
		trees = append(trees, tree)
		if moved == nil {
			moved = make([]bool, len(b.boxes))
		}
		clear(moved)
		tree.mark(moved)
		var next []uint32
		for _, id := range rest {
			if moved[id] {
				next = append(next, id)
			}
		}
		rest = next
	}
	return trees
}

// build makes what searches the entries within a cube, in at most budget lines
// or one leaf. It keeps ids.
func (b *treeBuilder) build(s *builderScratch, old *treeNode, ids []uint32, within cube, depth, budget int) *treeNode {
	if len(ids) == 0 {
		return nil
	}
	if old.fits(ids, budget) {
		return old
	}
	n := &treeNode{ids: ids, least: math.MinInt, most: math.MaxInt}
	if len(ids) <= shadowBelow {
		ids = b.unshadowed(ids, &within)
	}
	if len(ids) <= leafTarget || depth == treeDepth {
		return b.leaf(n, ids)
	}
	movable := !b.last && len(ids) > moveAbove
	chosen, ok := b.best(s, ids, &within, movable)
	if !ok {
		return b.leaf(n, ids)
	}
	if len(ids) <= leafEntries && chosen.cost > 0.8*float64(len(ids)) {
		return b.leaf(n, ids)
	}
	parts, total := b.part(s, ids, &within, &chosen, movable)
	if n.most = leafLines(total, b.v6); n.most >= budget {
		return b.leaf(n, ids)
	}
	n.least, n.most = n.most+1, math.MaxInt
	n.after, n.word, n.held, n.lines = chosen.after, chosen.keyWord(), slices.Clone(s.moving), 1
	n.parts = make([]*treeNode, len(chosen.after)+1)
	var others sync.WaitGroup
	for i := range n.parts {
		inside := within
		inside[chosen.side] = chosen.part(within[chosen.side], i)
		share := (budget - 1) * len(parts[i]) / max(total, 1)
		below := old.part(i, &chosen)
		if len(parts[i]) > apartAbove {
			select {
			case b.cores <- struct{}{}:
				others.Go(func() {
					defer func() { <-b.cores }()
					n.parts[i] = b.build(new(builderScratch), below, parts[i], inside, depth+1, share)
				})
				continue
			default:
			}
		}
		n.parts[i] = b.build(s, below, parts[i], inside, depth+1, share)
	}
	others.Wait()
	for i, p := range n.parts {
		if p != nil {
			n.lines += p.lines
		}
		n.bound(p, len(parts[i]), total)
	}
	return n
}

// leaf makes n one of entries to be walked in order.
func (b *treeBuilder) leaf(n *treeNode, ids []uint32) *treeNode {
	n.held, n.lines = ids, leafLines(len(ids), b.v6)
	if len(ids) > leafEntries {
		n.lines++
	}
	return n
}

// leafLines is how many lines entries take.
func leafLines(n int, v6 bool) int {
	if v6 {
		return n + (n+3)/4
	}
	return (n + 1) / 2
}

// best gives the best cut of all sides.
func (b *treeBuilder) best(s *builderScratch, ids []uint32, within *cube, movable bool) (chosen cut, ok bool) {
	sample := b.draw(s, ids)
	weight := float64(len(ids)) / float64(len(sample))
	for side, extent := range within {
		if c, found := s.choose(b.boxes, sample, weight, extent, side, movable); found && (!ok || c.cost < chosen.cost) {
			chosen, ok = c, true
		}
	}
	return chosen, ok
}

// part gives the entries of each part, without those behind one that covers
// the part whole, and how many there are in all. What spans most parts is in
// s.moving instead, if it is movable.
func (b *treeBuilder) part(s *builderScratch, ids []uint32, within *cube, c *cut, movable bool) (parts [nodeParts][]uint32, total int) {
	side := within[c.side]
	n := len(c.after) + 1
	var sides [nodeParts]span
	for i := range n {
		sides[i] = c.part(side, i)
	}
	s.moving, s.ranges = s.moving[:0], s.ranges[:0]
	var counts [nodeParts]int
	for _, id := range ids {
		extent := &b.boxes[id].cube[c.side]
		first, last := side.words(c.word, extent)
		from, to := c.at(first), c.at(last)
		if movable && (extent.covers(side) || to-from >= 2 && 2*(to-from+1) > n) {
			s.moving = append(s.moving, id)
			s.ranges = append(s.ranges, [2]uint8{1, 0})
			continue
		}
		s.ranges = append(s.ranges, [2]uint8{uint8(from), uint8(to)})
		for i := from; i <= to; i++ {
			counts[i]++
		}
	}
	sum := 0
	for _, count := range counts {
		sum += count
	}
	room := make([]uint32, sum)
	for i, count := range counts {
		parts[i], room = room[0:0:count], room[count:]
	}
	var closed [nodeParts]bool
	for j, id := range ids {
		box := &b.boxes[id]
		whole := box.closes
		for other := range box.cube {
			whole = whole && (other == c.side || box.cube[other].covers(within[other]))
		}
		for i := int(s.ranges[j][0]); i <= int(s.ranges[j][1]); i++ {
			if !closed[i] {
				parts[i] = append(parts[i], id)
				closed[i] = whole && box.cube[c.side].covers(sides[i])
			}
		}
	}
	for _, p := range parts {
		total += len(p)
	}
	return parts, total
}

// unshadowed leaves out what can never be the first match within a cube,
// because one entry before covers what it has of it.
func (b *treeBuilder) unshadowed(ids []uint32, within *cube) []uint32 {
	var kept [shadowBelow]uint32
	n := 0
next:
	for _, id := range ids {
		own := b.boxes[id].cube
		own.clip(within)
		for _, earlier := range kept[:n] {
			if b.boxes[earlier].closes && b.boxes[earlier].cube.covers(&own) {
				continue next
			}
		}
		kept[n] = id
		n++
	}
	if n == len(ids) {
		return ids
	}
	return slices.Clone(kept[:n])
}
