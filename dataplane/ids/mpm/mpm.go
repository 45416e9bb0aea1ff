// Package mpm owns the search for many patterns at once: which of thousands of byte
// strings are in a piece of traffic.
//
// Each pattern is known by one of its 4-byte pieces (3 or 2 for shorter ones), the one
// that is rarest in traffic and among the other patterns. A bitmap over hashes of such
// pieces turns most positions of a text away after one look; the rest lead to a short
// list of patterns, which are compared in full. So a search costs about the same
// whatever the patterns, needs little memory, and compiles in a moment.
//
// Who sends traffic knows the rules, and would repeat a piece that many patterns are
// known by. Hence lists are kept short by choosing another piece, the choice and the hash depend
// on a seed of the process, and a pattern that has been found is not compared again.
//
// A Set is immutable and shared; Hits are for one goroutine and do not allocate once they
// have the size of the set.
package mpm

// Pattern is what to search for. It must not be empty.
type Pattern struct {
	Bytes  []byte
	NoCase bool // letters of ASCII match in either case
}

// Set searches for patterns. A pattern's number is its index in what Build was given.
type Set struct {
	patterns []entry
	large    *[largeWords]uint64 // bitmap of 4-byte pieces: one of the three
	medium   *[mediumWords]uint64
	small    *[smallWords]uint64
	four     table
	three    table
	two      table
	two16    *[1 << 10]uint64 // bitmap of 2-byte pieces, each its own bit
	pairs    []pair           // patterns of two bytes, if they are few
	single   []single
	mult     uint32
	longest  int
}

// entry is a pattern as it is compared.
type entry struct {
	bytes  []byte // in lower case if fold
	fold   bool
	offset uint16 // of the piece in the pattern
}

type single struct {
	c      byte
	number int32
}

const (
	largeBits   = 21
	largeWords  = 1 << (largeBits - 6)
	mediumBits  = 18
	mediumWords = 1 << (mediumBits - 6)
	smallBits   = 15
	smallWords  = 1 << (smallBits - 6)
)

// Len is how many patterns there are.
func (s *Set) Len() int { return len(s.patterns) }

// Longest is the length of the longest pattern.
func (s *Set) Longest() int { return s.longest }

// Bytes is about how much memory the set takes.
func (s *Set) Bytes() int {
	n := 0
	if s.large != nil {
		n += 8 * largeWords
	}
	if s.medium != nil {
		n += 8 * mediumWords
	}
	if s.small != nil {
		n += 8 * smallWords
	}
	n += (len(s.four.slots) + len(s.three.slots) + len(s.two.slots)) * 12
	for _, p := range s.patterns {
		n += 32 + len(p.bytes) + 4
	}
	return n
}

// table leads from a piece to the patterns known by it.
type table struct {
	slots []slot // power of two
	shift uint8
	list  []int32
}

type slot struct {
	key  uint32
	from uint32
	n    uint32 // 0: empty
}

func (t *table) find(key, mult uint32) []int32 {
	mask := uint32(len(t.slots) - 1)
	for i := (key * mult) >> t.shift; ; i++ {
		s := &t.slots[i&mask]
		if s.n == 0 {
			return nil
		}
		if s.key == key {
			return t.list[s.from : s.from+s.n]
		}
	}
}

// Hits are the patterns found, each once.
type Hits struct {
	Numbers []int32
	seen    []uint32
	epoch   uint32
}

// Reset empties the hits for a search in a set.
func (h *Hits) Reset(s *Set) {
	h.Numbers = h.Numbers[:0]
	if len(h.seen) < len(s.patterns) {
		h.seen = make([]uint32, len(s.patterns))
		h.Numbers = make([]int32, 0, 64)
		h.epoch = 0
	}
	if h.epoch++; h.epoch == 0 {
		clear(h.seen)
		h.epoch = 1
	}
}

func (h *Hits) add(n int32) {
	if h.seen[n] != h.epoch {
		h.seen[n] = h.epoch
		h.Numbers = append(h.Numbers, n)
	}
}
