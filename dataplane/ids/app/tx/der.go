package tx

// DER takes one element with the tag from b: what it holds and what follows it. What is
// longer than b is cut to b.
func DER(b []byte, tag byte) (inner, rest []byte, ok bool) {
	got, inner, rest, ok := DERAny(b)
	if !ok || got != tag {
		return nil, b, false
	}
	return inner, rest, true
}

// DERAny takes one element of whatever tag (one byte: the numbers below 31).
func DERAny(b []byte) (tag byte, inner, rest []byte, ok bool) {
	if len(b) < 2 {
		return 0, nil, b, false
	}
	n, at := int(b[1]), 2
	if n&0x80 != 0 {
		bytes := n & 0x7f
		if bytes == 0 || bytes > 4 || len(b) < 2+bytes {
			return 0, nil, b, false
		}
		n = 0
		for _, c := range b[2 : 2+bytes] {
			n = n<<8 | int(c)
		}
		at += bytes
	}
	end := at + n
	if end > len(b) || end < at {
		end = len(b)
	}
	return b[0], b[at:end], b[end:], true
}

// DERUint reads an INTEGER's or ENUMERATED's content as far as 64 bits hold it.
func DERUint(b []byte) (v uint64) {
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}
