package detect

import "ngfw.sh/dataplane/ids/rule"

// base64Value is a byte's value in the alphabet, 64 for padding, 255 for others.
var base64Value = func() (t [256]byte) {
	for i := range t {
		t[i] = 255
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = byte(i)
	}
	t['='] = 64
	return t
}()

// decodeBase64 appends what encoded bytes mean. In the strict mode a byte that is no
// part of the alphabet spoils all; in that of RFC 2045 it is skipped (section 6.8); in that of RFC 4648
// it ends what is decoded (section 3.3).
func decodeBase64(to, from []byte, mode rule.Base64Mode) ([]byte, bool) {
	var word uint32
	n, pad := 0, 0
loop:
	for _, c := range from {
		v := base64Value[c]
		if v == 64 {
			if pad++; n+pad == 4 {
				break loop
			}
			continue
		}
		if v > 64 || pad > 0 {
			switch {
			case mode == rule.Strict:
				return to, false
			case mode == rule.RFC2045 && pad == 0:
				continue
			}
			break loop
		}
		word = word<<6 | uint32(v)
		if n++; n == 4 {
			to = append(to, byte(word>>16), byte(word>>8), byte(word))
			n, word = 0, 0
		}
	}
	if mode == rule.Strict && n > 0 && n+pad != 4 {
		return to, false
	}
	switch n {
	case 2:
		to = append(to, byte(word>>4))
	case 3:
		to = append(to, byte(word>>10), byte(word>>2))
	}
	return to, true
}

// base64 decodes a part of the buffer and matches what follows in what it means.
func (w *Worker) base64(s *step, prev int, b *buffer) bool {
	at := w.operand(s.decode.Offset)
	if s.decode.Relative {
		at += int64(prev)
	}
	if at < 0 || at >= int64(len(b.data)) {
		return false
	}
	from := b.data[at:]
	if n := w.operand(s.decode.Bytes); n > 0 && n < int64(len(from)) {
		from = from[:n]
	}
	if len(from) > maxEncoded {
		from = from[:maxEncoded]
	}
	decoded, _ := decodeBase64(w.decoded[:0], from, rule.RFC4648)
	w.decoded = decoded
	if len(decoded) == 0 {
		return false
	}
	if s.decoded == nil {
		return true
	}
	return w.from(s.decoded, 0, 0, &buffer{data: decoded, whole: true}) == matched
}

// maxEncoded bounds what base64_decode looks at (base64-decode-max of the manual is as much).
const maxEncoded = 65535
