package tx

// Store keeps copies of short texts that live as long as each other: many in one
// allocation. The zero Store is empty.
type Store struct{ free []byte }

const (
	storeBlock = 512
	storeLarge = 256 // what would waste much of a block has an allocation of its own
)

// Keep is a copy of b. It may be appended to: it has no room beyond its end.
func (s *Store) Keep(b []byte) []byte {
	to := s.Make(len(b))
	copy(to, b)
	return to
}

// Make is room for n bytes.
func (s *Store) Make(n int) []byte {
	if n > len(s.free) {
		if n > storeLarge {
			return make([]byte, n)
		}
		s.free = make([]byte, storeBlock)
	}
	b := s.free[:n:n]
	s.free = s.free[n:]
	return b
}
