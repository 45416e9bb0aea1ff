package mpm

import (
	"bytes"
	"encoding/binary"
)

// Scan adds the patterns in data to the hits.
func (s *Set) Scan(data []byte, h *Hits) {
	switch {
	case s.large != nil:
		s.scanLarge(data, h)
	case s.medium != nil:
		s.scanMedium(data, h)
	case s.small != nil:
		s.scanSmall(data, h)
	}
	if n := len(data) - 3; n >= 0 && s.three.slots != nil {
		s.check(&s.three, key(data[n:], 3), data, n, h) // where no fourth byte follows
	}
	switch {
	case s.pairs != nil:
		s.scanPairs(data, h)
	case s.two16 != nil:
		s.scanTwo(data, h)
	}
	for _, p := range s.single {
		if h.seen[p.number] != h.epoch && bytes.IndexByte(data, p.c) >= 0 {
			h.add(p.number)
		}
	}
}

// The loops below look at five places for every eight bytes loaded. They are written out for the sake of
// the compiler: the size of the bitmap must be a constant for it to leave checks of bounds out.

func (s *Set) scanSmall(data []byte, hits *Hits) {
	m, mult, rest := s.small, s.mult, data
	for len(rest) >= 8 {
		w := binary.LittleEndian.Uint64(rest) | folded<<32 | folded
		if h := uint32(w) * mult >> (32 - smallBits); m[h>>6]&(1<<(h&63)) != 0 {
			s.checkFour(uint32(w), data, len(data)-len(rest), hits)
		}
		w >>= 8
		if h := uint32(w) * mult >> (32 - smallBits); m[h>>6]&(1<<(h&63)) != 0 {
			s.checkFour(uint32(w), data, len(data)-len(rest)+1, hits)
		}
		w >>= 8
		if h := uint32(w) * mult >> (32 - smallBits); m[h>>6]&(1<<(h&63)) != 0 {
			s.checkFour(uint32(w), data, len(data)-len(rest)+2, hits)
		}
		w >>= 8
		if h := uint32(w) * mult >> (32 - smallBits); m[h>>6]&(1<<(h&63)) != 0 {
			s.checkFour(uint32(w), data, len(data)-len(rest)+3, hits)
		}
		w >>= 8
		if h := uint32(w) * mult >> (32 - smallBits); m[h>>6]&(1<<(h&63)) != 0 {
			s.checkFour(uint32(w), data, len(data)-len(rest)+4, hits)
		}
		rest = rest[5:]
	}
	for ; len(rest) >= 4; rest = rest[1:] {
		k := binary.LittleEndian.Uint32(rest) | folded
		if h := k * mult >> (32 - smallBits); m[h>>6]&(1<<(h&63)) != 0 {
			s.checkFour(k, data, len(data)-len(rest), hits)
		}
	}
}

func (s *Set) scanMedium(data []byte, hits *Hits) {
	m, mult, rest := s.medium, s.mult, data
	for len(rest) >= 8 {
		w := binary.LittleEndian.Uint64(rest) | folded<<32 | folded
		if h := uint32(w) * mult >> (32 - mediumBits); m[h>>6]&(1<<(h&63)) != 0 {
			s.checkFour(uint32(w), data, len(data)-len(rest), hits)
		}
		w >>= 8
		if h := uint32(w) * mult >> (32 - mediumBits); m[h>>6]&(1<<(h&63)) != 0 {
			s.checkFour(uint32(w), data, len(data)-len(rest)+1, hits)
		}
		w >>= 8
		if h := uint32(w) * mult >> (32 - mediumBits); m[h>>6]&(1<<(h&63)) != 0 {
			s.checkFour(uint32(w), data, len(data)-len(rest)+2, hits)
		}
		w >>= 8
		if h := uint32(w) * mult >> (32 - mediumBits); m[h>>6]&(1<<(h&63)) != 0 {
			s.checkFour(uint32(w), data, len(data)-len(rest)+3, hits)
		}
		w >>= 8
		if h := uint32(w) * mult >> (32 - mediumBits); m[h>>6]&(1<<(h&63)) != 0 {
			s.checkFour(uint32(w), data, len(data)-len(rest)+4, hits)
		}
		rest = rest[5:]
	}
	for ; len(rest) >= 4; rest = rest[1:] {
		k := binary.LittleEndian.Uint32(rest) | folded
		if h := k * mult >> (32 - mediumBits); m[h>>6]&(1<<(h&63)) != 0 {
			s.checkFour(k, data, len(data)-len(rest), hits)
		}
	}
}

func (s *Set) scanLarge(data []byte, hits *Hits) {
	m, mult, rest := s.large, s.mult, data
	for len(rest) >= 8 {
		w := binary.LittleEndian.Uint64(rest) | folded<<32 | folded
		if h := uint32(w) * mult >> (32 - largeBits); m[h>>6]&(1<<(h&63)) != 0 {
			s.checkFour(uint32(w), data, len(data)-len(rest), hits)
		}
		w >>= 8
		if h := uint32(w) * mult >> (32 - largeBits); m[h>>6]&(1<<(h&63)) != 0 {
			s.checkFour(uint32(w), data, len(data)-len(rest)+1, hits)
		}
		w >>= 8
		if h := uint32(w) * mult >> (32 - largeBits); m[h>>6]&(1<<(h&63)) != 0 {
			s.checkFour(uint32(w), data, len(data)-len(rest)+2, hits)
		}
		w >>= 8
		if h := uint32(w) * mult >> (32 - largeBits); m[h>>6]&(1<<(h&63)) != 0 {
			s.checkFour(uint32(w), data, len(data)-len(rest)+3, hits)
		}
		w >>= 8
		if h := uint32(w) * mult >> (32 - largeBits); m[h>>6]&(1<<(h&63)) != 0 {
			s.checkFour(uint32(w), data, len(data)-len(rest)+4, hits)
		}
		rest = rest[5:]
	}
	for ; len(rest) >= 4; rest = rest[1:] {
		k := binary.LittleEndian.Uint32(rest) | folded
		if h := k * mult >> (32 - largeBits); m[h>>6]&(1<<(h&63)) != 0 {
			s.checkFour(k, data, len(data)-len(rest), hits)
		}
	}
}

// checkFour compares the patterns known by the four bytes at a place, and by the first three of them.
func (s *Set) checkFour(k uint32, data []byte, at int, h *Hits) {
	if s.four.slots != nil {
		s.check(&s.four, k, data, at, h)
	}
	if s.three.slots != nil {
		s.check(&s.three, k&0xffffff, data, at, h)
	}
}

func (s *Set) scanTwo(data []byte, hits *Hits) {
	m, rest := s.two16, data
	for len(rest) >= 8 {
		w := binary.LittleEndian.Uint64(rest) | folded<<32 | folded
		for n := range 7 {
			if k := uint16(w); m[k>>6]&(1<<(k&63)) != 0 {
				s.check(&s.two, uint32(k), data, len(data)-len(rest)+n, hits)
			}
			w >>= 8
		}
		rest = rest[7:]
	}
	for ; len(rest) >= 2; rest = rest[1:] {
		k := uint16(key(rest, 2))
		if m[k>>6]&(1<<(k&63)) != 0 {
			s.check(&s.two, uint32(k), data, len(data)-len(rest), hits)
		}
	}
}

// check compares the patterns known by the piece at a place.
func (s *Set) check(t *table, key uint32, data []byte, at int, h *Hits) {
	for _, n := range t.find(key, s.mult) {
		if h.seen[n] == h.epoch {
			continue
		}
		p := &s.patterns[n]
		from := at - int(p.offset)
		if from < 0 || from+len(p.bytes) > len(data) {
			continue
		}
		d := data[from : from+len(p.bytes)]
		if p.fold {
			if !equalFold(d, p.bytes) {
				continue
			}
		} else if !bytes.Equal(d, p.bytes) {
			continue
		}
		h.add(n)
	}
}

// equalFold compares from the end, since patterns that share a piece often begin alike.
func equalFold(d, p []byte) bool {
	for i := len(p) - 1; i >= 0; i-- {
		if foldTable[d[i]] != p[i] {
			return false
		}
	}
	return true
}
