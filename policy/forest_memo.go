package policy

// forestMemo is what is remembered of the trees of a pair and family: the trees,
// and which handles the boxes in them have.
type forestMemo struct {
	trees  []*treeNode
	boxes  []treeBox // by handle, within the family's addresses
	places map[*shape]*memoPlace
	turn   uint32 // counts compilations
	live   int    // handles of this turn's shapes
	used   bool   // by this turn

	// By handle, this turn: the orders of entries, and their deciders or the
	// numbers of their conditions.
	orders, says []uint32
}

// memoPlace is the handles of a shape: they follow each other.
type memoPlace struct{ first, turn uint32 }

// compactAbove keeps small tables from being compacted all the time.
const compactAbove = 1024

func (m *forestMemo) begin() {
	if m.places == nil {
		m.places = map[*shape]*memoPlace{}
	}
	m.turn++
	m.live = 0
}

// place gives the handle of a shape's first box. One that is new gets handles
// that no tree names.
func (m *forestMemo) place(s *shape, f *treeFamily) uint32 {
	m.live += len(s.boxes)
	if p := m.places[s]; p != nil {
		p.turn = m.turn
		return p.first
	}
	p := &memoPlace{uint32(len(m.boxes)), m.turn}
	m.places[s] = p
	for i := range s.boxes {
		b := s.boxes[i].treeBox
		if f.has(&b.cube) {
			b.cube.clip(&f.world)
		}
		m.boxes = append(m.boxes, b)
	}
	m.orders = append(m.orders, make([]uint32, len(s.boxes))...)
	m.says = append(m.says, make([]uint32, len(s.boxes))...)
	return p.first
}

// end keeps the trees of this turn and forgets the shapes that are gone.
func (m *forestMemo) end(trees []*treeNode) {
	m.trees = trees
	for s, p := range m.places {
		if p.turn != m.turn {
			delete(m.places, s)
		}
	}
}

// compact gives the boxes new handles where most have no use any more. The trees
// are written by then.
func (m *forestMemo) compact() {
	if m.places == nil || len(m.boxes) < 2*m.live+compactAbove {
		return
	}
	to := make([]uint32, len(m.boxes))
	boxes := make([]treeBox, 0, m.live)
	for s, p := range m.places {
		first := uint32(len(boxes))
		for i := range uint32(len(s.boxes)) {
			to[p.first+i] = first + i
		}
		boxes = append(boxes, m.boxes[p.first:int(p.first)+len(s.boxes)]...)
		p.first = first
	}
	for _, t := range m.trees {
		t.renumber(to)
	}
	m.boxes, m.orders, m.says = boxes, make([]uint32, len(boxes)), make([]uint32, len(boxes))
}
