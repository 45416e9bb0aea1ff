package inflate

var (
	lengthBase = [29]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthBits = [29]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distBase   = [30]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distBits   = [30]uint8{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
	codeOrder  = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
)

const fastBits = 9

// huffman decodes canonical codes: short ones by a table, others bit by bit.
type huffman struct {
	fast    [1 << fastBits]uint16 // symbol<<4 | length; 0: longer, or no code
	count   [16]uint16
	symbols [288]uint16
}

// build says whether the lengths are those of a code. One that is not complete is taken, as
// zlib takes it of a single symbol; what is missing in it fails when it is met.
func (h *huffman) build(lens []uint8) bool {
	*h = huffman{}
	for _, l := range lens {
		h.count[l]++
	}
	h.count[0] = 0
	left := 1
	var next, offset [16]uint16
	code := uint16(0)
	for l := 1; l < 16; l++ {
		left = left<<1 - int(h.count[l])
		if left < 0 {
			return false
		}
		code = (code + h.count[l-1]) << 1
		next[l] = code
		offset[l] = offset[l-1] + h.count[l-1]
	}
	for s, l := range lens {
		if l == 0 {
			continue
		}
		h.symbols[offset[l]] = uint16(s)
		offset[l]++
		c := next[l]
		next[l]++
		if l <= fastBits {
			var reversed uint16
			for i := range l {
				reversed |= c >> i & 1 << (l - 1 - i)
			}
			for ; reversed < 1<<fastBits; reversed += 1 << l {
				h.fast[reversed] = uint16(s)<<4 | uint16(l)
			}
		}
	}
	return true
}

// decode takes one symbol. Without ok it is 0 when bits are missing, -1 when there is no such code.
func (h *huffman) decode(z *Raw) (symbol int, ok bool) {
	z.need(15) // as many as there are
	if e := h.fast[z.bits&(1<<fastBits-1)]; e != 0 {
		if n := uint(e & 15); n <= z.n {
			z.take(n)
			return int(e >> 4), true
		}
		return 0, false
	}
	code, first, index := 0, 0, 0
	for l := uint(1); l < 16; l++ {
		if l > z.n {
			return 0, false
		}
		code |= int(z.bits >> (l - 1) & 1)
		count := int(h.count[l])
		if code-count < first {
			z.take(l)
			return int(h.symbols[index+code-first]), true
		}
		index += count
		first = (first + count) << 1
		code <<= 1
	}
	return -1, false
}

func (z *Raw) fixed() {
	lens := z.lens[:288]
	for i := range lens {
		switch {
		case i < 144:
			lens[i] = 8
		case i < 256:
			lens[i] = 9
		case i < 280:
			lens[i] = 7
		default:
			lens[i] = 8
		}
	}
	z.lit.build(lens)
	for i := range 30 {
		lens[i] = 5
	}
	z.dist.build(lens[:30])
}

// readLengths reads the lengths of both codes; index counts those of the code of
// lengths first, then the lengths themselves.
func (z *Raw) readLengths() (bool, error) {
	if z.sym == -1 {
		for ; z.index < z.ncode; z.index++ {
			if !z.need(3) {
				return false, nil
			}
			z.lens[codeOrder[z.index]] = uint8(z.take(3))
		}
		if !z.lit.build(z.lens[:19]) {
			return false, ErrCorrupt
		}
		clear(z.lens[:])
		z.sym, z.index = -2, 0
	}
	for z.index < z.nlit+z.ndist {
		if z.sym < 0 {
			s, ok := z.lit.decode(z)
			if !ok {
				if s < 0 {
					return false, ErrCorrupt
				}
				return false, nil
			}
			if s < 16 {
				z.lens[z.index] = uint8(s)
				z.index++
				continue
			}
			z.sym = s
		}
		extra, base := uint(2), 3
		switch z.sym {
		case 17:
			extra = 3
		case 18:
			extra, base = 7, 11
		}
		if !z.need(extra) {
			return false, nil
		}
		repeat, value := base+z.take(extra), uint8(0)
		if z.sym == 16 {
			if z.index == 0 {
				return false, ErrCorrupt
			}
			value = z.lens[z.index-1]
		}
		z.sym = -2
		if z.index+repeat > z.nlit+z.ndist {
			return false, ErrCorrupt
		}
		for range repeat {
			z.lens[z.index] = value
			z.index++
		}
	}
	if z.lens[256] == 0 || !z.lit.build(z.lens[:z.nlit]) || !z.dist.build(z.lens[z.nlit:z.nlit+z.ndist]) {
		return false, ErrCorrupt
	}
	return true, nil
}
