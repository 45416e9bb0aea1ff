package tx

// Store keeps copies of short texts that live as long as each other: many in one
// allocation. The zero Store is empty.
type Store struct {
	free  []byte
	small pieces // of storeBlock
	large pieces // of one text each
}

// pieces are what a Store has allocated; those from next on are free.
type pieces struct {
	all  [][]byte
	next int
}

const (
	storeBlock = 512
	storeLarge = 256 // what would waste much of a block has a piece of its own
	// storeKept bounds what a Store keeps when it is emptied.
	storeKept = 4 << 10
)

// Keep is a copy of b. It may be appended to: it has no room beyond its end.
func (s *Store) Keep(b []byte) []byte {
	to := s.Make(len(b))
	copy(to, b)
	return to
}

// Make is room for n bytes, whatever they are now.
func (s *Store) Make(n int) []byte {
	if n > len(s.free) {
		if n > storeLarge {
			return s.large.take(n)[:n:n]
		}
		s.free = s.small.take(storeBlock)
	}
	b := s.free[:n:n]
	s.free = s.free[n:]
	return b
}

// Reset empties the store: nobody knows what was kept any more.
func (s *Store) Reset() {
	held := 0
	for _, p := range [...]*pieces{&s.small, &s.large} {
		for _, b := range p.all {
			held += len(b)
		}
	}
	if held > storeKept {
		*s = Store{}
	}
	s.free, s.small.next, s.large.next = nil, 0, 0
}

// take is a free piece of n bytes or more.
func (p *pieces) take(n int) []byte {
	if p.next == len(p.all) {
		p.all = append(p.all, nil)
	}
	b := p.all[p.next]
	if len(b) < n {
		b = make([]byte, (n+storeBlock-1)/storeBlock*storeBlock)
		p.all[p.next] = b
	}
	p.next++
	return b
}
