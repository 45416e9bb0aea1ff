package mpm

import "bytes"

// pair is a pattern of two bytes, one of which is searched for.
type pair struct {
	c, other byte
	step     int // from c to other: 1 or -1
	number   int32
}

// maxPairs is how many patterns of two bytes are searched for one by one: each costs little where its rarer
// byte is rare.
const maxPairs = 6

// makePairs is nil where patterns of two bytes are better searched for together.
func (s *Set) makePairs() []pair {
	var all []pair
	for i := range s.patterns {
		p := &s.patterns[i]
		if len(p.bytes) != 2 {
			continue
		}
		if p.fold || len(all) == maxPairs {
			return nil
		}
		x := pair{p.bytes[0], p.bytes[1], 1, int32(i)}
		if common[x.other] < common[x.c] {
			x.c, x.other, x.step = x.other, x.c, -1
		}
		all = append(all, x)
	}
	return all
}

// scanPairs searches for each pair. If one of the bytes turns out to be frequent, all are searched
// for together, so that who sends that byte again and again gains nothing.
func (s *Set) scanPairs(data []byte, h *Hits) {
	left := 16 + len(data)/64
	for i := range s.pairs {
		p := &s.pairs[i]
		if h.seen[p.number] == h.epoch {
			continue
		}
		for at := 0; ; at++ {
			j := bytes.IndexByte(data[at:], p.c)
			if j < 0 {
				break
			}
			at += j
			if k := at + p.step; k >= 0 && k < len(data) && data[k] == p.other {
				h.add(p.number)
				break
			}
			if left--; left < 0 {
				s.scanTwo(data, h)
				return
			}
		}
	}
}
