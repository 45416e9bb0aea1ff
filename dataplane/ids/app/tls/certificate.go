package tls

import (
	"crypto/sha1"
	"errors"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf16"

	"ngfw.sh/dataplane/ids/app/tx"
)

// certificate is what rules ask of an X.509 certificate. The standard library's
// parser refuses what hostile servers send; this one takes what it can.
type certificate struct {
	der                 []byte
	subject, issuer     []byte
	serial, fingerprint []byte
	names               [][]byte // of the subject's alternative names
	notBefore, notAfter int64
	hasDates            bool
}

var errLength = errors.New("certificate_invalid_length")
var errBroken = errors.New("invalid_certificate")

// parse makes c what a certificate says, kept in a store. The error is the event's name.
func (c *certificate) parse(der []byte, texts *tx.Store) error {
	c.der = der
	sum := sha1.Sum(der)
	c.fingerprint = colons(texts, sum[:], false)
	// What claims to be longer than it is has lost its end.
	if len(der) < 2 {
		return errLength
	}
	body, _, ok := exact(der, 0x30)
	if !ok {
		return errLength
	}
	if _, _, _, ok := tx.DERAny(body); !ok {
		return errLength
	}
	tbs, _, ok := exact(body, 0x30)
	if !ok {
		return errBroken
	}
	if _, rest, ok := tx.DER(tbs, 0xa0); ok { // version
		tbs = rest
	}
	serial, rest, ok := tx.DER(tbs, 2)
	if !ok {
		return errBroken
	}
	c.serial = colons(texts, serial, true)
	if _, rest, ok = tx.DER(rest, 0x30); !ok { // algorithm
		return errBroken
	}
	issuer, rest, ok := tx.DER(rest, 0x30)
	if !ok {
		return errBroken
	}
	var room [512]byte
	c.issuer = texts.Keep(distinguished(room[:0], issuer))
	validity, rest, ok := tx.DER(rest, 0x30)
	if !ok {
		return errBroken
	}
	if from, more, ok := date(validity); ok {
		if to, _, ok := date(more); ok {
			c.notBefore, c.notAfter, c.hasDates = from, to, true
		}
	}
	subject, rest, ok := tx.DER(rest, 0x30)
	if !ok {
		return errBroken
	}
	c.subject = texts.Keep(distinguished(room[:0], subject))
	for len(rest) > 0 {
		tag, inner, more, ok := tx.DERAny(rest)
		if !ok {
			return errBroken
		}
		if rest = more; tag == 0xa3 {
			c.extensions(inner)
		}
	}
	return nil
}

// exact takes an element that must be there to its end.
func exact(b []byte, tag byte) (inner, rest []byte, ok bool) {
	inner, rest, ok = tx.DER(b, tag)
	if !ok {
		return nil, b, false
	}
	head := 2
	n := int(b[1])
	if n&0x80 != 0 {
		head += n & 0x7f
		n = 0
		for _, x := range b[2:head] {
			n = n<<8 | int(x)
		}
	}
	return inner, rest, n == len(inner)
}

// colons writes bytes in hexadecimal.
func colons(texts *tx.Store, b []byte, upper bool) []byte {
	digits := "0123456789abcdef"
	if upper {
		digits = "0123456789ABCDEF"
	}
	out := texts.Make(3 * len(b))[:0]
	for i, c := range b {
		if i > 0 {
			out = append(out, ':')
		}
		out = append(out, digits[c>>4], digits[c&15])
	}
	return out
}

func date(b []byte) (unix int64, rest []byte, ok bool) {
	tag, inner, rest, ok := tx.DERAny(b)
	if !ok {
		return 0, nil, false
	}
	form := "060102150405Z"
	if tag == 0x18 {
		form = "20060102150405Z"
	}
	t, err := time.Parse(form, string(inner))
	return t.Unix(), rest, err == nil
}

// attributeNames are the types of names that have short ones.
var attributeNames = map[string]string{
	"\x55\x04\x03": "CN", "\x55\x04\x04": "SN", "\x55\x04\x05": "serialNumber", "\x55\x04\x06": "C", "\x55\x04\x07": "L", "\x55\x04\x08": "ST",
	"\x55\x04\x09": "street", "\x55\x04\x0a": "O", "\x55\x04\x0b": "OU", "\x55\x04\x0c": "title", "\x55\x04\x0d": "description",
	"\x55\x04\x0f": "businessCategory", "\x55\x04\x11": "postalCode", "\x55\x04\x2a": "givenName",
	"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01": "Email", "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19": "DC",
	"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01": "UID",
}

// distinguished writes a name as Suricata does, "C=FR, O=Org, CN=name", to what is empty.
func distinguished(out, b []byte) []byte {
	for len(b) > 0 {
		set, rest, ok := tx.DER(b, 0x31)
		if !ok {
			break
		}
		b = rest
		for first := true; len(set) > 0; first = false {
			pair, more, ok := tx.DER(set, 0x30)
			if !ok {
				break
			}
			set = more
			oid, value, ok := tx.DER(pair, 6)
			if !ok {
				break
			}
			tag, text, _, _ := tx.DERAny(value)
			switch {
			case len(out) == 0:
			case first:
				out = append(out, ", "...)
			default:
				out = append(out, " + "...)
			}
			if name, ok := attributeNames[string(oid)]; ok {
				out = append(out, name...)
			} else {
				out = appendOID(out, oid)
			}
			out = append(out, '=')
			switch tag {
			case 0x1e: // BMPString
				var units []uint16
				for i := 0; i+1 < len(text); i += 2 {
					units = append(units, uint16(text[i])<<8|uint16(text[i+1]))
				}
				out = append(out, string(utf16.Decode(units))...)
			default:
				out = append(out, text...)
			}
		}
	}
	return out
}

func appendOID(out, oid []byte) []byte {
	v, first := uint64(0), true
	for _, c := range oid {
		v = v<<7 | uint64(c&0x7f)
		if c&0x80 != 0 {
			continue
		}
		if first {
			top := min(v/40, 2)
			out = strconv.AppendUint(out, top, 10)
			v -= top * 40
			first = false
		}
		out = strconv.AppendUint(append(out, '.'), v, 10)
		v = 0
	}
	return out
}

func (c *certificate) extensions(b []byte) {
	list, _, ok := tx.DER(b, 0x30)
	for ok && len(list) > 0 {
		var ext []byte
		if ext, list, ok = tx.DER(list, 0x30); !ok {
			return
		}
		oid, rest, ok := tx.DER(ext, 6)
		if !ok || string(oid) != "\x55\x1d\x11" { // subjectAltName
			continue
		}
		if _, more, ok := tx.DER(rest, 1); ok { // critical
			rest = more
		}
		octets, _, _ := tx.DER(rest, 4)
		names, _, _ := tx.DER(octets, 0x30)
		for len(names) > 0 && len(c.names) < 512 {
			tag, name, more, ok := tx.DERAny(names)
			if !ok {
				return
			}
			names = more
			switch tag {
			case 0x81, 0x82, 0x86:
				c.names = append(c.names, name)
			case 0x87:
				if a, ok := netip.AddrFromSlice(name); ok {
					c.names = append(c.names, []byte(a.String()))
				}
			case 0xa4:
				if dn, _, ok := tx.DER(name, 0x30); ok {
					c.names = append(c.names, distinguished(nil, dn))
				}
			}
		}
	}
}
