package detect

import (
	"encoding/binary"
	"math"
	"math/bits"

	"ngfw.sh/dataplane/ids/rule"
)

// number reads a number of the buffer; end is where it ends.
func (w *Worker) number(n *rule.Number, prev int, b *buffer) (v uint64, end int, ok bool) {
	at := w.operand(n.Offset)
	if n.Relative {
		at += int64(prev)
	} else {
		at -= int64(b.base)
	}
	size := w.operand(n.Bytes)
	if at < 0 || size < 0 || size > 23 || at+size > int64(len(b.data)) {
		return 0, 0, false
	}
	if n.Base != 0 {
		if size == 0 {
			size = min(int64(len(b.data))-at, 23)
		}
		v, used, ok := digits(b.data[at:at+size], uint64(n.Base))
		if w.operand(n.Bytes) != 0 {
			used = int(size)
		}
		return w.masked(n, v), int(at) + used, ok
	}
	if size == 0 {
		return 0, int(at), true // of byte_jump alone
	}
	if size > 8 {
		return 0, 0, false
	}
	little := n.Order == rule.LittleEndian
	if n.Order == rule.DCEOrder {
		little = w.dceLittle(b)
	}
	d := b.data[at : at+size]
	switch {
	case size == 1:
		v = uint64(d[0])
	case size == 2 && !little:
		v = uint64(binary.BigEndian.Uint16(d))
	case size == 4 && !little:
		v = uint64(binary.BigEndian.Uint32(d))
	default:
		for i := range d {
			if little {
				v |= uint64(d[i]) << (8 * i)
			} else {
				v = v<<8 | uint64(d[i])
			}
		}
	}
	return w.masked(n, v), int(at + size), true
}

func (w *Worker) masked(n *rule.Number, v uint64) uint64 {
	if n.Mask == 0 {
		return v
	}
	return (v & uint64(n.Mask)) >> bits.TrailingZeros32(n.Mask)
}

// digits reads a number as strtoull does: spaces, a sign, then digits as far as they go.
func digits(s []byte, base uint64) (v uint64, used int, ok bool) {
	i := 0
	for i < len(s) && (s[i] == ' ' || s[i] >= '\t' && s[i] <= '\r') {
		i++
	}
	negative := false
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		negative = s[i] == '-'
		i++
	}
	if base == 16 && i+2 < len(s) && s[i] == '0' && s[i+1]|32 == 'x' {
		i += 2
	}
	for ; i < len(s); i++ {
		c := s[i]
		d := uint64(99)
		switch {
		case c >= '0' && c <= '9':
			d = uint64(c - '0')
		case c|32 >= 'a' && c|32 <= 'f':
			d = uint64(c|32-'a') + 10
		}
		if d >= base {
			break
		}
		high, low := bits.Mul64(v, base)
		if high != 0 || low+d < low {
			return 0, 0, false
		}
		v, ok = low+d, true
	}
	if negative {
		v = -v
	}
	return v, i, ok
}

// dceLittle says which order the header of DCE/RPC gives. The stub data, where the
// keyword is used, does not have the header: most traffic is little endian.
func (w *Worker) dceLittle(b *buffer) bool {
	if w.tx != nil {
		w.numbers = w.tx.Numbers("dcerpc.little_endian", w.txDir, w.numbers[:0])
		if len(w.numbers) > 0 {
			return w.numbers[0] != 0
		}
	}
	return true
}

func (w *Worker) byteTest(t *rule.ByteTest, prev int, b *buffer) bool {
	v, _, ok := w.number(&t.Number, prev, b)
	if !ok {
		return false
	}
	x := uint64(w.operand(t.Value))
	switch t.Op {
	case rule.ByteEqual:
		ok = v == x
	case rule.ByteLess:
		ok = v < x
	case rule.ByteGreater:
		ok = v > x
	case rule.ByteLessEqual:
		ok = v <= x
	case rule.ByteGreaterEqual:
		ok = v >= x
	case rule.ByteAnd:
		ok = v&x != 0
	case rule.ByteXor:
		ok = v^x != 0
	}
	return ok != t.Negated
}

func (w *Worker) byteJump(j *rule.ByteJump, prev int, b *buffer) (int, bool) {
	v, end, ok := w.number(&j.Number, prev, b)
	if !ok || v > math.MaxInt32 {
		return 0, false
	}
	v *= uint64(j.Multiplier)
	if j.Align {
		v = (v + 3) &^ 3
	}
	to := int64(v) + int64(j.PostOffset)
	switch {
	case j.FromBeginning:
		to -= int64(b.base)
	case j.FromEnd:
		to += int64(len(b.data))
	default:
		to += int64(end)
	}
	if to >= int64(len(b.data)) {
		return 0, false
	}
	to = max(to, 0) // a jump to before the beginning ends there
	return int(to), true
}

// What follows an extracted number relatively counts from its end.

func (w *Worker) byteExtract(x *rule.ByteExtract, prev int, b *buffer) (int, bool) {
	v, end, ok := w.number(&x.Number, prev, b)
	if !ok {
		return 0, false
	}
	v *= uint64(x.Multiplier)
	if a := uint64(x.Align); a > 0 {
		v = (v + a - 1) / a * a
	}
	w.vars[x.Variable-1] = v
	return end, true
}

func (w *Worker) byteMath(m *rule.ByteMath, prev int, b *buffer) (int, bool) {
	v, end, ok := w.number(&m.Number, prev, b)
	if !ok {
		return 0, false
	}
	x := uint64(w.operand(m.Value))
	switch m.Op {
	case rule.ByteAdd:
		v += x
	case rule.ByteSubtract:
		v -= x
	case rule.ByteMultiply:
		v *= x
	case rule.ByteDivide:
		if x == 0 {
			return 0, false
		}
		v /= x
	case rule.ByteShiftLeft:
		v <<= x
	case rule.ByteShiftRight:
		v >>= x
	}
	w.vars[m.Variable-1] = v
	return end, true
}

// entropyMatches compares the Shannon entropy of bytes, in bits a byte.
func entropyMatches(e *rule.Entropy, data []byte) bool {
	if int(e.Offset) >= len(data) {
		return false
	}
	data = data[e.Offset:]
	if e.Bytes > 0 && int(e.Bytes) < len(data) {
		data = data[:e.Bytes]
	}
	var count [256]int
	for _, c := range data {
		count[c]++
	}
	h, n := 0.0, float64(len(data))
	for _, k := range count {
		if k > 0 {
			f := float64(k) / n
			h -= f * math.Log2(f)
		}
	}
	switch e.Op {
	case rule.Equal:
		return h == e.A
	case rule.NotEqual:
		return h != e.A
	case rule.Less:
		return h < e.A
	case rule.LessEqual:
		return h <= e.A
	case rule.Greater:
		return h > e.A
	case rule.GreaterEqual:
		return h >= e.A
	case rule.Inside:
		return h > e.A && h < e.B
	case rule.Outside:
		return h <= e.A || h >= e.B
	}
	return false
}
