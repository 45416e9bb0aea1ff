package dns

import (
	"encoding/binary"
	"errors"

	"ngfw.sh/dataplane/ids/app/tx"
)

var (
	errShort = errors.New("message is cut short")
	errNone  = errors.New("no message")
)

// message is a DNS message (RFC 1035 section 4).
type message struct {
	texts     tx.Store
	room      [2]record // for the usual ones
	id        uint16
	flags     uint16
	questions []record
	answers   []record
	authority []record
	extra     []record
}

type record struct {
	name  []byte
	kind  uint16
	class uint16
	ttl   uint32
	rdata []byte
	// target is the name in rdata, of types that have one.
	target []byte
	// soa are the numbers after the names of a SOA.
	soa [5]uint32
}

const (
	maxRecords = 1024
	maxName    = 1025 // of its text, as Suricata keeps it
)

type reader struct {
	b  []byte
	at int
	t  *Transaction
}

func (r *reader) u16() (uint16, error) {
	if r.at+2 > len(r.b) {
		return 0, errShort
	}
	v := binary.BigEndian.Uint16(r.b[r.at:])
	r.at += 2
	return v, nil
}

func (r *reader) u32() (uint32, error) {
	if r.at+4 > len(r.b) {
		return 0, errShort
	}
	v := binary.BigEndian.Uint32(r.b[r.at:])
	r.at += 4
	return v, nil
}

// name reads a name with its compression at at; next is what follows it there.
func (r *reader) name(at int) (_ []byte, next int, err error) {
	var room [256]byte
	text, next, err := r.expand(room[:0], at)
	return r.t.texts.Keep(text), next, err
}

// expand appends the labels of a name.
func (r *reader) expand(text []byte, at int) (_ []byte, next int, err error) {
	next = -1
	for jumps := 0; ; {
		if at >= len(r.b) {
			return text, at, errShort
		}
		n := int(r.b[at])
		switch {
		case n == 0:
			if next < 0 {
				next = at + 1
			}
			return text, next, nil
		case n&0xc0 == 0xc0:
			if at+2 > len(r.b) {
				return text, at, errShort
			}
			if next < 0 {
				next = at + 2
			}
			at = n&0x3f<<8 | int(r.b[at+1])
			if jumps++; jumps > 255 {
				r.t.Event("infinite_loop")
				return text, next, nil
			}
		case n > 63:
			return text, at, errShort
		default:
			if at+1+n > len(r.b) {
				return text, at, errShort
			}
			if len(text) > 0 {
				text = append(text, '.')
			}
			if len(text)+n > maxName {
				r.t.Event("name_too_long")
				text = append(text, r.b[at+1:at+1+max(0, maxName-len(text))]...)
				if next < 0 {
					next = skipName(r.b, at)
				}
				return text, next, nil
			}
			text = append(text, r.b[at+1:at+1+n]...)
			at += 1 + n
		}
	}
}

func skipName(b []byte, at int) int {
	for at < len(b) {
		n := int(b[at])
		switch {
		case n == 0:
			return at + 1
		case n&0xc0 == 0xc0:
			return at + 2
		}
		at += 1 + n
	}
	return len(b)
}

func (r *reader) question() (q record, err error) {
	if q.name, r.at, err = r.name(r.at); err != nil {
		return q, err
	}
	if q.kind, err = r.u16(); err != nil {
		return q, err
	}
	q.class, err = r.u16()
	return q, err
}

func (r *reader) record() (q record, err error) {
	if q, err = r.question(); err != nil {
		return q, err
	}
	if q.ttl, err = r.u32(); err != nil {
		return q, err
	}
	n, err := r.u16()
	if err != nil {
		return q, err
	}
	if r.at+int(n) > len(r.b) {
		return q, errShort
	}
	q.rdata = r.b[r.at : r.at+int(n) : r.at+int(n)]
	if n > 0 {
		at := r.at
		switch q.kind {
		case typeNS, typeCNAME, typePTR, typeSOA:
			var next int
			q.target, next, _ = r.name(at)
			if q.kind == typeSOA && next > 0 && next <= len(r.b) {
				if _, next, err := r.name(next); err == nil && next+20 <= len(r.b) {
					for i := range q.soa {
						q.soa[i] = binary.BigEndian.Uint32(r.b[next+4*i:])
					}
				}
			}
		case typeMX:
			if n > 2 {
				q.target, _, _ = r.name(at + 2)
			}
		case typeSRV:
			if n > 6 {
				q.target, _, _ = r.name(at + 6)
			}
		}
	}
	r.at += int(n)
	return q, nil
}

const (
	typeA     = 1
	typeNS    = 2
	typeCNAME = 5
	typeSOA   = 6
	typePTR   = 12
	typeMX    = 15
	typeTXT   = 16
	typeAAAA  = 28
	typeSRV   = 33
	typeOPT   = 41
)

// parse reads a message as far as it goes; what was read before an error is kept.
func (t *Transaction) parse(b []byte) error {
	m := &t.message
	if len(b) < 12 {
		return errNone
	}
	m.id, m.flags = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	if m.questions == nil {
		m.questions, m.answers = m.room[:0:1], m.room[1:1:2]
	}
	r := &reader{b: b, at: 12, t: t}
	var counts [4]int
	for i := range counts {
		counts[i] = int(binary.BigEndian.Uint16(b[4+2*i:]))
	}
	for range min(counts[0], maxRecords) {
		q, err := r.question()
		if err != nil {
			return err
		}
		m.questions = append(m.questions, q)
	}
	for i, section := range []*[]record{&m.answers, &m.authority, &m.extra} {
		for range min(counts[i+1], maxRecords) {
			q, err := r.record()
			if err != nil {
				return err
			}
			*section = append(*section, q)
		}
	}
	return nil
}
