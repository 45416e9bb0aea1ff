package mpm

import (
	"bytes"
	"encoding/binary"
)

// Scan adds the patterns in data to the hits.
func (s *Set) Scan(data []byte, h *Hits) {
	if s.large != nil {
		s.scanLarge(data, h)
	} else if s.small != nil {
		s.scanSmall(data, h)
	}
	if s.three16 != nil {
		s.scanThree(data, h)
	}
	if s.two16 != nil {
		s.scanTwo(data, h)
	}
	for _, p := range s.single {
		if h.seen[p.number] != h.epoch && bytes.IndexByte(data, p.c) >= 0 {
			h.add(p.number)
		}
	}
}

// The loops below look at five places for every eight bytes loaded.

func (s *Set) scanLarge(data []byte, h *Hits) {
	m, mult := s.large, s.mult
	i := 0
	for ; i+8 <= len(data); i += 5 {
		w := binary.LittleEndian.Uint64(data[i:]) | folded<<32 | folded
		h0 := uint32(w) * mult >> (32 - largeBits)
		h1 := uint32(w>>8) * mult >> (32 - largeBits)
		h2 := uint32(w>>16) * mult >> (32 - largeBits)
		h3 := uint32(w>>24) * mult >> (32 - largeBits)
		h4 := uint32(w>>32) * mult >> (32 - largeBits)
		b0 := m[h0>>6] >> (h0 & 63)
		b1 := m[h1>>6] >> (h1 & 63)
		b2 := m[h2>>6] >> (h2 & 63)
		b3 := m[h3>>6] >> (h3 & 63)
		b4 := m[h4>>6] >> (h4 & 63)
		if (b0|b1|b2|b3|b4)&1 == 0 {
			continue
		}
		if b0&1 != 0 {
			s.check(&s.four, uint32(w), data, i, h)
		}
		if b1&1 != 0 {
			s.check(&s.four, uint32(w>>8), data, i+1, h)
		}
		if b2&1 != 0 {
			s.check(&s.four, uint32(w>>16), data, i+2, h)
		}
		if b3&1 != 0 {
			s.check(&s.four, uint32(w>>24), data, i+3, h)
		}
		if b4&1 != 0 {
			s.check(&s.four, uint32(w>>32), data, i+4, h)
		}
	}
	for ; i+4 <= len(data); i++ {
		k := binary.LittleEndian.Uint32(data[i:]) | folded
		if b := k * mult >> (32 - largeBits); m[b>>6]&(1<<(b&63)) != 0 {
			s.check(&s.four, k, data, i, h)
		}
	}
}

func (s *Set) scanSmall(data []byte, h *Hits) {
	m, mult := s.small, s.mult
	i := 0
	for ; i+8 <= len(data); i += 5 {
		w := binary.LittleEndian.Uint64(data[i:]) | folded<<32 | folded
		h0 := uint32(w) * mult >> (32 - smallBits)
		h1 := uint32(w>>8) * mult >> (32 - smallBits)
		h2 := uint32(w>>16) * mult >> (32 - smallBits)
		h3 := uint32(w>>24) * mult >> (32 - smallBits)
		h4 := uint32(w>>32) * mult >> (32 - smallBits)
		b0 := m[h0>>6] >> (h0 & 63)
		b1 := m[h1>>6] >> (h1 & 63)
		b2 := m[h2>>6] >> (h2 & 63)
		b3 := m[h3>>6] >> (h3 & 63)
		b4 := m[h4>>6] >> (h4 & 63)
		if (b0|b1|b2|b3|b4)&1 == 0 {
			continue
		}
		if b0&1 != 0 {
			s.check(&s.four, uint32(w), data, i, h)
		}
		if b1&1 != 0 {
			s.check(&s.four, uint32(w>>8), data, i+1, h)
		}
		if b2&1 != 0 {
			s.check(&s.four, uint32(w>>16), data, i+2, h)
		}
		if b3&1 != 0 {
			s.check(&s.four, uint32(w>>24), data, i+3, h)
		}
		if b4&1 != 0 {
			s.check(&s.four, uint32(w>>32), data, i+4, h)
		}
	}
	for ; i+4 <= len(data); i++ {
		k := binary.LittleEndian.Uint32(data[i:]) | folded
		if b := k * mult >> (32 - smallBits); m[b>>6]&(1<<(b&63)) != 0 {
			s.check(&s.four, k, data, i, h)
		}
	}
}

func (s *Set) scanThree(data []byte, h *Hits) {
	m, mult := s.three16, s.mult
	for i := 0; i+3 <= len(data); i++ {
		k := key(data[i:], 3)
		if b := k * mult >> 16; m[b>>6]&(1<<(b&63)) != 0 {
			s.check(&s.three, k, data, i, h)
		}
	}
}

func (s *Set) scanTwo(data []byte, h *Hits) {
	m := s.two16
	for i := 0; i+2 <= len(data); i++ {
		k := key(data[i:], 2)
		if b := k & 0xffff; m[b>>6]&(1<<(b&63)) != 0 {
			s.check(&s.two, k, data, i, h)
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
