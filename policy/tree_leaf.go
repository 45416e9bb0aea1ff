package policy

// leaf writes entries to be walked in order.
func (b *treeBuilder) leaf(ids []uint32) uint32 {
	n := len(ids)
	if n == 0 {
		return refLeaf
	}
	b.first, b.long = min(b.first, b.boxes[ids[0]].order), max(b.long, n)
	for _, id := range ids {
		b.copies[id]++
	}
	if n > MaxLeaf {
		return refLeaf // the policy does not compile
	}
	ref := uint32(refLeaf | n<<refCountShift)
	if n > leafEntries {
		ref = refLong
	}
	ref |= uint32(len(*b.lines))
	if n > leafEntries {
		b.append(Line{uint32(n)})
	}
	if b.v6 {
		b.leaf6(ids)
	} else {
		b.leaf4(ids)
	}
	return ref
}

// leafLines is how many lines entries take.
func (b *treeBuilder) leafLines(n int) int {
	if b.v6 {
		return n + (n+3)/4
	}
	return (n + 1) / 2
}

func (b *treeBuilder) leaf4(ids []uint32) {
	var line Line
	for i, id := range ids {
		box := &b.boxes[id]
		e := line[i%2*8:]
		for side, s := range box.cube {
			e[2*side], e[2*side+1] = s.first.word(3), s.last.word(3)
		}
		e[6], e[7] = box.decider, box.order
		if i%2 == 1 || i == len(ids)-1 {
			b.append(line)
			line = Line{}
		}
	}
}

func (b *treeBuilder) leaf6(ids []uint32) {
	var line Line
	for i, id := range ids {
		box := &b.boxes[id]
		e := line[i%4*4:]
		e[0], e[1], e[2], e[3] = box.cube[2].first.word(3), box.cube[2].last.word(3), box.decider, box.order
		if i%4 == 3 || i == len(ids)-1 {
			b.append(line)
			line = Line{}
		}
	}
	for _, id := range ids {
		source, destination := b.boxes[id].cube[0], b.boxes[id].cube[1]
		line.setNumber(0, source.first)
		line.setNumber(1, source.last)
		line.setNumber(2, destination.first)
		line.setNumber(3, destination.last)
		b.append(line)
	}
}
