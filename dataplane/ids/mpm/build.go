package mpm

import (
	"math/bits"
	"math/rand/v2"
)

// folded makes the pieces of a text the same whatever its case. It makes some bytes that are no letters
// the same too, which the comparison sorts out.
const folded = 0x20202020

// maxList is how many patterns are known by one piece, unless they have no other.
const maxList = 8

// Build makes a set. The seed should differ from process to process.
func Build(patterns []Pattern, seed uint64) *Set {
	s := &Set{patterns: make([]entry, len(patterns)), mult: uint32(seed)<<1 | 1}
	if bits.OnesCount32(s.mult) < 8 {
		s.mult ^= 0x9e3779b0 // keeps it odd
	}
	b := &builder{set: s, random: rand.New(rand.NewPCG(seed, 0)), use: map[uint32]int32{}}
	for i, p := range patterns {
		e := entry{bytes: p.Bytes, fold: p.NoCase && hasLetter(p.Bytes)}
		if e.fold {
			e.bytes = lower(p.Bytes)
		}
		s.patterns[i] = e
		s.longest = max(s.longest, len(e.bytes))
		if len(e.bytes) >= 4 {
			for j := 0; j+4 <= min(len(e.bytes), maxLook); j++ {
				b.use[key(e.bytes[j:], 4)]++
			}
		}
	}
	by := [5]map[uint32][]int32{2: {}, 3: {}, 4: {}}
	for i := range s.patterns {
		e := &s.patterns[i]
		size := min(len(e.bytes), 4)
		if size == 1 {
			s.single = append(s.single, single{e.bytes[0], int32(i)})
			if e.fold {
				s.single = append(s.single, single{e.bytes[0] - 32, int32(i)})
			}
			continue
		}
		e.offset = uint16(b.choose(e.bytes, size, by[size]))
		k := key(e.bytes[e.offset:], size)
		by[size][k] = append(by[size][k], int32(i))
	}
	s.four, s.three, s.two = s.makeTable(by[4]), s.makeTable(by[3]), s.makeTable(by[2])
	s.mark(by)
	s.pairs = s.makePairs()
	return s
}

// expanded is how many bits a 3-byte piece takes in the bitmap of 4-byte ones: one for each byte
// that may follow, whatever its case.
const expanded = 128

// mark fills the bitmaps. The first is as small as lets few places through by chance.
func (s *Set) mark(by [5]map[uint32][]int32) {
	n := len(by[4]) + expanded*len(by[3])
	var words []uint64
	shift := 0
	switch {
	case n == 0:
	case n <= 1<<smallBits/64:
		s.small = new([smallWords]uint64)
		words, shift = s.small[:], 32-smallBits
	case n <= 1<<mediumBits/64:
		s.medium = new([mediumWords]uint64)
		words, shift = s.medium[:], 32-mediumBits
	default:
		s.large = new([largeWords]uint64)
		words, shift = s.large[:], 32-largeBits
	}
	set := func(k uint32) {
		h := k * s.mult >> shift
		words[h>>6] |= 1 << (h & 63)
	}
	for k := range by[4] {
		set(k)
	}
	for k := range by[3] {
		for c := range uint32(256) {
			if c&0x20 != 0 {
				set(k | c<<24)
			}
		}
	}
	if len(by[2]) > 0 {
		s.two16 = new([1 << 10]uint64)
		for k := range by[2] {
			s.two16[k>>6] |= 1 << (k & 63)
		}
	}
}

func (s *Set) makeTable(by map[uint32][]int32) table {
	if len(by) == 0 {
		return table{}
	}
	n := bits.Len(uint(len(by) * 2))
	t := table{slots: make([]slot, 1<<n), shift: uint8(32 - n)}
	mask := uint32(len(t.slots) - 1)
	for k, list := range by {
		i := (k * s.mult) >> t.shift
		for t.slots[i&mask].n != 0 {
			i++
		}
		t.slots[i&mask] = slot{k, uint32(len(t.list)), uint32(len(list))}
		t.list = append(t.list, list...)
	}
	return t
}

// key is the piece that b begins with, whatever its case.
func key(b []byte, size int) uint32 {
	switch size {
	case 4:
		return (uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24) | folded
	case 3:
		return (uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16) | folded&0xffffff
	}
	return (uint32(b[0]) | uint32(b[1])<<8) | folded&0xffff
}

func hasLetter(b []byte) bool {
	for _, c := range b {
		if c |= 32; c >= 'a' && c <= 'z' {
			return true
		}
	}
	return false
}

func lower(b []byte) []byte {
	l := make([]byte, len(b))
	for i, c := range b {
		l[i] = foldTable[c]
	}
	return l
}

var foldTable = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
		if i >= 'A' && i <= 'Z' {
			t[i] += 32
		}
	}
	return t
}()
