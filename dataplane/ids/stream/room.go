package stream

// rooms are buffers that no half needs at the moment, by size: bytes come and go with each
// packet, and what they were kept in is used again. What they hold is not counted
// in the budget, and is bounded by spareRooms of each size.
type rooms [len(roomSizes)][][]byte

var roomSizes = [...]int{2 << 10, 8 << 10, 32 << 10, 64 << 10}

const spareRooms = 64

// grow is b with room for n bytes in all; b itself is not to be used any more.
func (r *rooms) grow(b []byte, n int) []byte {
	if n <= cap(b) {
		return b
	}
	for i, size := range roomSizes {
		if n > size {
			continue
		}
		var to []byte
		if free := r[i]; len(free) > 0 {
			to, r[i] = free[len(free)-1], free[:len(free)-1]
		} else {
			to = make([]byte, 0, size)
		}
		to = append(to, b...)
		r.put(b)
		return to
	}
	to := append(make([]byte, 0, max(n, 2*cap(b))), b...)
	r.put(b)
	return to
}

// put takes a buffer back.
func (r *rooms) put(b []byte) {
	for i, size := range roomSizes {
		if cap(b) == size && len(r[i]) < spareRooms {
			r[i] = append(r[i], b[:0])
		}
	}
}
