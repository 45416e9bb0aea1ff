package policy

import "slices"

// How trees are built: found by trial on the families of rule sets that package
// policytest makes. Larger leaves make smaller trees; moving entries in smaller
// cubes makes fewer copies and more trees.
const (
	leafTarget  = 8   // entries up to which a leaf is not cut
	moveAbove   = 768 // entries from which a cube's wide ones move to the next tree
	shadowBelow = 48  // entries up to which each is compared with each
	movedCost   = 0.5 // of an entry that moves, in entries of the part where a packet lands
)

// treeBox is an entry as a tree holds it.
type treeBox struct {
	cube           cube
	order, decider uint32
}

// closes says whether no entry behind it can be the answer where it matches.
func (b *treeBox) closes() bool { return b.order&orderConditional == 0 }

// treeBuilder builds the trees of one pair and family.
//
// Each node cuts its cube along one side into up to eight parts. An entry that
// spans most of the parts would be copied into all of them: high in the tree it
// moves to the next tree instead, so copies stay few and a packet searches a
// few trees. The lines of every tree are bounded from its root down: where a
// cut would go beyond its share the entries stay together in a long leaf.
type treeBuilder struct {
	cutter
	lines *[]Line
	boxes []treeBox // by order
	v6    bool

	ids    []uint32 // a stack of the lists of nodes under way
	ranges [][2]uint8
	moving []uint32 // what a cut would move to the next tree
	moved  []bool   // what was
	copies []uint32 // in leaves
	last   bool     // there is no next tree
	first  uint32   // lowest order of the tree
	long   int      // entries of the longest leaf
}

// forest writes the trees of at least one box and gives a reference to them, the
// number of entries of the longest leaf, which is to be at most MaxLeaf, and
// the box that was copied most.
func (b *treeBuilder) forest(world cube, budget int) (ref uint32, long, costliest int) {
	b.moved, b.copies = make([]bool, len(b.boxes)), make([]uint32, len(b.boxes))
	type tree struct{ ref, first uint32 }
	var trees []tree
	rest := make([]uint32, len(b.boxes))
	for i := range rest {
		rest[i] = uint32(i)
	}
	for len(rest) > 0 {
		b.last, b.first = len(trees) == treeNumber-1, lineOpen
		clear(b.moved)
		spent, share := len(*b.lines), budget
		if !b.last {
			share = budget / 10 * 7 // something is left for the next
		}
		ref := b.build(rest, world, 0, share)
		budget -= len(*b.lines) - spent
		trees = append(trees, tree{ref, b.first})
		rest = rest[:0]
		for i, m := range b.moved {
			if m {
				rest = append(rest, uint32(i))
			}
		}
	}
	for i, n := range b.copies {
		if n > b.copies[costliest] {
			costliest = i
		}
	}
	if len(trees) == 1 {
		return trees[0].ref, b.long, costliest
	}
	slices.SortFunc(trees, func(x, y tree) int { return int(int64(x.first) - int64(y.first)) })
	var line Line
	for i := range treeNumber {
		line[2*i+1] = lineOpen
		if i < len(trees) {
			line[2*i], line[2*i+1] = trees[i].ref, trees[i].first
		}
	}
	return refForest | b.append(line), b.long, costliest
}

func (b *treeBuilder) append(lines ...Line) uint32 {
	at := len(*b.lines)
	*b.lines = append(*b.lines, lines...)
	return uint32(at)
}

// build writes what searches the entries within a cube, in at most budget lines
// or one leaf.
func (b *treeBuilder) build(ids []uint32, within cube, depth, budget int) uint32 {
	base := len(b.ids)
	defer func() { b.ids = b.ids[:base] }()
	if len(ids) <= shadowBelow {
		ids = b.unshadowed(ids, &within)
	}
	if len(ids) <= leafTarget || depth == treeDepth {
		return b.leaf(ids)
	}
	movable := !b.last && len(ids) > moveAbove
	chosen, ok := b.best(ids, &within, movable)
	if !ok {
		return b.leaf(ids)
	}
	if len(ids) <= leafEntries && chosen.cost > 0.8*float64(len(ids)) {
		return b.leaf(ids)
	}
	parts, total := b.part(ids, &within, &chosen, movable)
	if b.leafLines(total) >= budget {
		return b.leaf(ids)
	}
	for _, id := range b.moving {
		b.moved[id] = true
	}
	node := Line{0: uint32(4*chosen.side + chosen.word)}
	for i := range nodeParts - 1 {
		node[1+i] = lineOpen
		if i < len(chosen.after) {
			node[1+i] = chosen.after[i]
		}
	}
	at := b.append(node)
	for i := range len(chosen.after) + 1 {
		inside := within
		inside[chosen.side] = chosen.part(within[chosen.side], i)
		ref := b.build(parts[i], inside, depth+1, (budget-1)*len(parts[i])/max(total, 1))
		(*b.lines)[at][nodeParts+i] = ref
	}
	return refNode | at
}

// best gives the best cut of all sides.
func (b *treeBuilder) best(ids []uint32, within *cube, movable bool) (chosen cut, ok bool) {
	for side, s := range within {
		if c, found := b.choose(b.boxes, ids, s, side, movable); found && (!ok || c.cost < chosen.cost) {
			chosen, ok = c, true
		}
	}
	return chosen, ok
}

// part gives the entries of each part, without those behind one that covers
// the part whole, and how many there are in all. What spans most parts is in
// b.moving instead, if it is movable.
func (b *treeBuilder) part(ids []uint32, within *cube, c *cut, movable bool) (parts [nodeParts][]uint32, total int) {
	side := within[c.side]
	n := len(c.after) + 1
	var sides [nodeParts]span
	for i := range n {
		sides[i] = c.part(side, i)
	}
	b.moving, b.ranges = b.moving[:0], b.ranges[:0]
	var counts [nodeParts]int
	for _, id := range ids {
		s := b.boxes[id].cube[c.side]
		first, last := side.words(c.word, s)
		from, to := c.at(first), c.at(last)
		if movable && (s.covers(side) || to-from >= 2 && 2*(to-from+1) > n) {
			b.moving = append(b.moving, id)
			b.ranges = append(b.ranges, [2]uint8{1, 0})
			continue
		}
		b.ranges = append(b.ranges, [2]uint8{uint8(from), uint8(to)})
		for i := from; i <= to; i++ {
			counts[i]++
		}
	}
	for i, count := range counts {
		at := len(b.ids)
		b.ids = slices.Grow(b.ids, count)[:at+count]
		parts[i] = b.ids[at : at : at+count]
	}
	var closed [nodeParts]bool
	for j, id := range ids {
		box := &b.boxes[id].cube
		whole := true
		for other := range box {
			whole = whole && (other == c.side || box[other].covers(within[other]))
		}
		for i := int(b.ranges[j][0]); i <= int(b.ranges[j][1]); i++ {
			if !closed[i] {
				parts[i] = append(parts[i], id)
				closed[i] = whole && box[c.side].covers(sides[i]) && b.boxes[id].closes()
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
			if b.boxes[earlier].closes() && b.boxes[earlier].cube.covers(&own) {
				continue next
			}
		}
		kept[n] = id
		n++
	}
	if n == len(ids) {
		return ids
	}
	at := len(b.ids)
	b.ids = append(b.ids, kept[:n]...)
	return b.ids[at:]
}
