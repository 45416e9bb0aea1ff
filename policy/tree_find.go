package policy

// find searches what root refers to for the first entry that matches the key:
// its order and decider; lineOpen where none does.
func (im *Image) find(root uint32, p ImagePacket) (order, decider uint32) {
	key := p.key()
	s := descent{image: im, lines: im.Lines, key: &key, v6: p.IPv6, mac: p.SourceMAC, order: lineOpen}
	s.local, _ = im.Clock(p.Time)
	if p.From == ZoneIndexSelf {
		s.mac = MAC{}
	}
	if root&refKind != refForest {
		s.tree(root)
		return s.order, s.decider
	}
	trees := &im.Lines[root&refLine]
	for t := 0; t < treeNumber && trees[2*t+1] < s.order; t++ {
		s.tree(trees[2*t])
	}
	return s.order, s.decider
}

// descent is the way of one key through the trees.
type descent struct {
	image          *Image
	local          uint32 // minute of the week
	mac            MAC
	lines          []Line
	key            *[keyWords]uint32
	v6             bool
	order, decider uint32 // the first match so far
}

func (s *descent) tree(ref uint32) {
	for ref&refKind == refNode {
		node := &s.lines[ref&refLine]
		key, part := s.key[node[0]], 0
		for _, last := range node[1:nodeParts] {
			if last < key {
				part++
			}
		}
		ref = node[nodeParts+part]
	}
	first, count := ref&refLine, ref>>refCountShift&refCount
	if ref&refKind == refLong {
		count = s.lines[first][0]
		first++
	}
	for i := uint32(0); i < count; i++ {
		if s.entry(first, i, count) {
			return
		}
	}
}

// entry tries the i-th entry of a leaf; true where those behind it cannot be
// the answer.
func (s *descent) entry(first, i, count uint32) bool {
	if s.v6 {
		return s.entry6(first, i, count)
	}
	e := s.lines[first+i/2][i%2*8:]
	if e[7] >= s.order {
		return true
	}
	source, destination, service := s.key[keySource+3], s.key[keyDestination+3], s.key[keyService]
	if source < e[0] || source > e[1] || destination < e[2] || destination > e[3] || service < e[4] || service > e[5] {
		return false
	}
	return s.match(e[7], e[6])
}

// match takes an entry in whose box the key lies, if its condition holds.
func (s *descent) match(order, decider uint32) bool {
	if order&orderConditional != 0 {
		var ok bool
		if decider, ok = s.holds(decider, order); !ok {
			return false
		}
	}
	s.order, s.decider = order, decider
	return true
}

func (s *descent) entry6(first, i, count uint32) bool {
	e := s.lines[first+i/4][i%4*4:]
	if e[3] >= s.order {
		return true
	}
	if service := s.key[keyService]; service < e[0] || service > e[1] {
		return false
	}
	box := &s.lines[first+(count+3)/4+i]
	source, destination := s.address(keySource), s.address(keyDestination)
	if source.compare(box.number(0)) < 0 || source.compare(box.number(1)) > 0 ||
		destination.compare(box.number(2)) < 0 || destination.compare(box.number(3)) > 0 {
		return false
	}
	return s.match(e[3], e[2])
}

func (s *descent) address(at int) uint128 {
	w := s.key[at : at+4]
	return uint128{uint64(w[0])<<32 | uint64(w[1]), uint64(w[2])<<32 | uint64(w[3])}
}

// number gives the i-th 128-bit number of a line.
func (l *Line) number(i int) uint128 {
	w := l[4*i : 4*i+4]
	return uint128{uint64(w[1])<<32 | uint64(w[0]), uint64(w[3])<<32 | uint64(w[2])}
}

func (l *Line) setNumber(i int, n uint128) {
	w := l[4*i : 4*i+4]
	w[0], w[1], w[2], w[3] = uint32(n.hi), uint32(n.hi>>32), uint32(n.lo), uint32(n.lo>>32)
}
