// Package inflate owns decompression of DEFLATE (RFC 1951) whose input comes in
// pieces: it takes what there is and gives out all that follows from it, without
// waiting for the rest, so that what a broken or unfinished stream has told so far is
// seen. The containers gzip (RFC 1952) and zlib (RFC 1950) are Stream's.
//
// Checksums are not looked at: receivers differ in whether they do. Memory is a
// window of 64 KiB. For one goroutine.
package inflate

import "errors"

// ErrCorrupt says that the input is no DEFLATE from here on.
var ErrCorrupt = errors.New("corrupt deflate stream")

type step uint8

const (
	blockHead step = iota
	storedHead
	stored
	tableHead
	tableLengths
	symbol
	lengthExtra
	distSymbol
	distExtra
	finished
)

const (
	history = 32 << 10
	keep    = 2 * history
)

// Raw inflates a bare stream. Its zero value is ready.
type Raw struct {
	src  []byte
	bits uint64
	n    uint

	step  step
	last  bool
	left  int // of a stored block
	nlit  int
	ndist int
	ncode int
	index int
	sym   int
	len   int
	lens  [320]uint8
	lit   huffman
	dist  huffman
	out   []byte // history, then what was not emitted
	sent  int
	ahead int // bytes of what follows that came with an earlier Write
}

// Reset makes it ready for another stream.
func (z *Raw) Reset() {
	z.src, z.bits, z.n, z.step, z.last, z.out, z.sent, z.ahead = nil, 0, 0, blockHead, false, z.out[:0], 0, 0
}

// Done says that the stream's end was reached.
func (z *Raw) Done() bool { return z.step == finished }

func (z *Raw) need(n uint) bool {
	for z.n < n {
		if len(z.src) == 0 {
			return false
		}
		z.bits |= uint64(z.src[0]) << z.n
		z.src = z.src[1:]
		z.n += 8
	}
	return true
}

func (z *Raw) take(n uint) int {
	v := int(z.bits & (1<<n - 1))
	z.bits >>= n
	z.n -= n
	return v
}

// Write takes input and calls emit with what it makes of it, in order; emit returns
// false to stop. What follows the stream's end is in rest.
func (z *Raw) Write(in []byte, emit func([]byte) bool) (rest []byte, err error) {
	z.src = in
	for {
		more, err := z.advance()
		if len(z.out)-z.sent >= history || !more || err != nil {
			if z.sent < len(z.out) && !emit(z.out[z.sent:]) {
				z.src = nil
				return nil, nil
			}
			z.sent = len(z.out)
			if len(z.out) >= keep {
				z.out = z.out[:copy(z.out, z.out[len(z.out)-history:])]
				z.sent = len(z.out)
			}
		}
		if err != nil {
			return nil, err
		}
		if !more {
			rest, z.src = z.src, nil
			if z.step == finished {
				// Whole bytes that were taken ahead belong to what follows.
				ahead := int(z.n / 8)
				back := min(ahead, len(in)-len(rest))
				rest = in[len(in)-len(rest)-back:]
				z.ahead, z.n = ahead-back, 0
			}
			return rest, nil
		}
	}
}

// advance goes on until it has made a history's worth, or can go no further.
func (z *Raw) advance() (more bool, err error) {
	for {
		if len(z.out)-z.sent >= history {
			return true, nil
		}
		switch z.step {
		case blockHead:
			if z.last {
				z.step = finished
				continue
			}
			if !z.need(3) {
				return false, nil
			}
			z.last = z.take(1) == 1
			switch z.take(2) {
			case 0:
				z.take(z.n & 7)
				z.step = storedHead
			case 1:
				z.fixed()
				z.step = symbol
			case 2:
				z.step = tableHead
			default:
				return false, ErrCorrupt
			}
		case storedHead:
			if !z.need(32) {
				return false, nil
			}
			z.left = z.take(16)
			if z.take(16) != z.left^0xffff {
				return false, ErrCorrupt
			}
			z.step = stored
		case stored:
			for z.left > 0 && z.n >= 8 {
				z.out = append(z.out, byte(z.take(8)))
				z.left--
			}
			n := min(z.left, len(z.src), history)
			z.out = append(z.out, z.src[:n]...)
			z.src = z.src[n:]
			if z.left -= n; z.left > 0 {
				if len(z.src) == 0 {
					return false, nil
				}
				continue
			}
			z.step = blockHead
		case tableHead:
			if !z.need(14) {
				return false, nil
			}
			z.nlit, z.ndist, z.ncode, z.index = z.take(5)+257, z.take(5)+1, z.take(4)+4, 0
			if z.nlit > 286 || z.ndist > 30 {
				return false, ErrCorrupt
			}
			clear(z.lens[:])
			z.step = tableLengths
			z.sym = -1
		case tableLengths:
			ok, err := z.readLengths()
			if !ok || err != nil {
				return false, err
			}
			z.step = symbol
		case symbol:
			s, ok := z.lit.decode(z)
			if !ok {
				if s < 0 {
					return false, ErrCorrupt
				}
				return false, nil
			}
			switch {
			case s < 256:
				z.out = append(z.out, byte(s))
			case s == 256:
				z.step = blockHead
			case s > 285:
				return false, ErrCorrupt
			default:
				z.sym, z.step = s-257, lengthExtra
			}
		case lengthExtra:
			if !z.need(uint(lengthBits[z.sym])) {
				return false, nil
			}
			z.len = int(lengthBase[z.sym]) + z.take(uint(lengthBits[z.sym]))
			z.step = distSymbol
		case distSymbol:
			s, ok := z.dist.decode(z)
			if !ok {
				if s < 0 {
					return false, ErrCorrupt
				}
				return false, nil
			}
			if s > 29 {
				return false, ErrCorrupt
			}
			z.sym, z.step = s, distExtra
		case distExtra:
			if !z.need(uint(distBits[z.sym])) {
				return false, nil
			}
			d := int(distBase[z.sym]) + z.take(uint(distBits[z.sym]))
			if d > len(z.out) {
				return false, ErrCorrupt
			}
			for from := len(z.out) - d; z.len > 0; z.len-- {
				z.out = append(z.out, z.out[from])
				from++
			}
			z.step = symbol
		case finished:
			return false, nil
		}
	}
}
