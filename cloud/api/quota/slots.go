package quota

import "sync"

// Slots bounds how many things an owner holds at once. Several holds of one
// thing (a socket that changes from one call to the next) take one slot.
type Slots struct {
	mu   sync.Mutex
	held map[string]map[string]int // owner → thing → holds
}

// NewSlots makes empty slots.
func NewSlots() *Slots { return &Slots{held: map[string]map[string]int{}} }

// Hold takes a slot for the thing, unless its owner holds limit others. used is
// the number of slots taken afterwards; release gives this hold back, once.
func (s *Slots) Hold(owner, thing string, limit int) (release func(), used int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	things := s.held[owner]
	if things[thing] == 0 && len(things) >= limit {
		return nil, len(things), false
	}
	if things == nil {
		things = map[string]int{}
		s.held[owner] = things
	}
	things[thing]++
	return sync.OnceFunc(func() { s.release(owner, thing) }), len(things), true
}

// Holding says whether the thing has a slot of its owner's.
func (s *Slots) Holding(owner, thing string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[owner][thing] > 0
}

func (s *Slots) release(owner, thing string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	things := s.held[owner]
	if things[thing]--; things[thing] > 0 {
		return
	}
	delete(things, thing)
	if len(things) == 0 {
		delete(s.held, owner)
	}
}
