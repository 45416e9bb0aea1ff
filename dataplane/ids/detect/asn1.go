package detect

import (
	"strconv"
	"strings"

	"ngfw.sh/dataplane/ids/rule"
)

// asn1Check looks for broken or overlong encodings (manual, "asn1").
type asn1Check struct {
	bits, double bool
	oversize     uint64 // 0: not asked for
	offset       int
	relative     bool
}

func (c *compiler) asn1(s *signature, x *rule.Words) error {
	a := &asn1Check{}
	for _, arg := range x.Args {
		name, value, _ := strings.Cut(arg, " ")
		n, _ := strconv.ParseInt(value, 0, 64)
		switch name {
		case "bitstring_overflow":
			a.bits = true
		case "double_overflow":
			a.double = true
		case "oversize_length":
			a.oversize = uint64(n)
		case "absolute_offset":
			a.offset = int(n)
		case "relative_offset":
			a.offset, a.relative = int(n), true
		}
	}
	s.asn1 = a
	return nil
}

// match walks the encoding (X.690, section 8.1) that begins at an offset.
func (a *asn1Check) match(data []byte, prev int) bool {
	at := a.offset
	if a.relative {
		at += prev
	}
	if at < 0 || at >= len(data) {
		return false
	}
	return a.walk(data[at:], 0)
}

const maxASN1 = 30 // frames looked into

func (a *asn1Check) walk(d []byte, depth int) bool {
	for n := 0; len(d) >= 2 && n < 256 && depth < maxASN1; n++ {
		tag, i := d[0], 1
		if tag&0x1f == 0x1f {
			for i < len(d) && d[i]&0x80 != 0 {
				i++
			}
			i++
		}
		if i >= len(d) {
			return false
		}
		length := uint64(d[i])
		i++
		if length&0x80 != 0 {
			k := int(length & 0x7f)
			if k == 0 || k > 8 || i+k > len(d) {
				return false
			}
			length = 0
			for _, c := range d[i : i+k] {
				length = length<<8 | uint64(c)
			}
			i += k
		}
		if a.oversize > 0 && length > a.oversize {
			return true
		}
		body := d[i:]
		if length < uint64(len(body)) {
			body = body[:length]
		}
		switch tag {
		case 3: // bit string: more unused bits than there are
			if a.bits && len(body) > 0 && (length-1)*8 < uint64(body[0]) {
				return true
			}
		case 9: // real, in a form of text that does not end
			if a.double && len(body) > 0 && body[0]&0xc0 == 0 && length > 256 {
				return true
			}
		}
		if tag&0x20 != 0 && a.walk(body, depth+1) {
			return true
		}
		if length > uint64(len(d)-i) {
			return false
		}
		d = d[i+int(length):]
	}
	return false
}
