package mpm

import (
	"bytes"
	"encoding/binary"
	"math/bits"
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
	if s.two16 != nil {
		s.scanTwo(data, h)
	}
	for _, p := range s.single {
		if h.seen[p.number] != h.epoch && bytes.IndexByte(data, p.c) >= 0 {
			h.add(p.number)
		}
	}
}

// The loops below look at five places for every eight bytes loaded. They differ in the
// size of the bitmap alone, which must be known to the compiler.

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
		if (b0|b1|b2|b3|b4)&1 != 0 {
			s.checkFive(uint8(b0&1|b1&1<<1|b2&1<<2|b3&1<<3|b4&1<<4), w, data, i, h)
		}
	}
	for ; i+4 <= len(data); i++ {
		k := binary.LittleEndian.Uint32(data[i:]) | folded
		if b := k * mult >> (32 - smallBits); m[b>>6]&(1<<(b&63)) != 0 {
			s.checkFour(k, data, i, h)
		}
	}
}

func (s *Set) scanMedium(data []byte, h *Hits) {
	m, mult := s.medium, s.mult
	i := 0
	for ; i+8 <= len(data); i += 5 {
		w := binary.LittleEndian.Uint64(data[i:]) | folded<<32 | folded
		h0 := uint32(w) * mult >> (32 - mediumBits)
		h1 := uint32(w>>8) * mult >> (32 - mediumBits)
		h2 := uint32(w>>16) * mult >> (32 - mediumBits)
		h3 := uint32(w>>24) * mult >> (32 - mediumBits)
		h4 := uint32(w>>32) * mult >> (32 - mediumBits)
		b0 := m[h0>>6] >> (h0 & 63)
		b1 := m[h1>>6] >> (h1 & 63)
		b2 := m[h2>>6] >> (h2 & 63)
		b3 := m[h3>>6] >> (h3 & 63)
		b4 := m[h4>>6] >> (h4 & 63)
		if (b0|b1|b2|b3|b4)&1 != 0 {
			s.checkFive(uint8(b0&1|b1&1<<1|b2&1<<2|b3&1<<3|b4&1<<4), w, data, i, h)
		}
	}
	for ; i+4 <= len(data); i++ {
		k := binary.LittleEndian.Uint32(data[i:]) | folded
		if b := k * mult >> (32 - mediumBits); m[b>>6]&(1<<(b&63)) != 0 {
			s.checkFour(k, data, i, h)
		}
	}
}

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
		if (b0|b1|b2|b3|b4)&1 != 0 {
			s.checkFive(uint8(b0&1|b1&1<<1|b2&1<<2|b3&1<<3|b4&1<<4), w, data, i, h)
		}
	}
	for ; i+4 <= len(data); i++ {
		k := binary.LittleEndian.Uint32(data[i:]) | folded
		if b := k * mult >> (32 - largeBits); m[b>>6]&(1<<(b&63)) != 0 {
			s.checkFour(k, data, i, h)
		}
	}
}

func (s *Set) checkFive(places uint8, w uint64, data []byte, at int, h *Hits) {
	for ; places != 0; places &= places - 1 {
		n := bits.TrailingZeros8(places)
		s.checkFour(uint32(w>>(8*n)), data, at+n, h)
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

func (s *Set) scanTwo(data []byte, h *Hits) {
	m := s.two16
	i := 0
	for ; i+8 <= len(data); i += 7 {
		w := binary.LittleEndian.Uint64(data[i:]) | folded<<32 | folded
		b0 := m[uint16(w)>>6] >> (w & 63)
		b1 := m[uint16(w>>8)>>6] >> (w >> 8 & 63)
		b2 := m[uint16(w>>16)>>6] >> (w >> 16 & 63)
		b3 := m[uint16(w>>24)>>6] >> (w >> 24 & 63)
		b4 := m[uint16(w>>32)>>6] >> (w >> 32 & 63)
		b5 := m[uint16(w>>40)>>6] >> (w >> 40 & 63)
		b6 := m[uint16(w>>48)>>6] >> (w >> 48 & 63)
		if (b0|b1|b2|b3|b4|b5|b6)&1 == 0 {
			continue
		}
		places := uint8(b0&1 | b1&1<<1 | b2&1<<2 | b3&1<<3 | b4&1<<4 | b5&1<<5 | b6&1<<6)
		for ; places != 0; places &= places - 1 {
			n := bits.TrailingZeros8(places)
			s.check(&s.two, uint32(uint16(w>>(8*n))), data, i+n, h)
		}
	}
	for ; i+2 <= len(data); i++ {
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
