// Package dnp3 owns DNP3 (IEEE 1815) over TCP: frames, the application message put together of
// them, and the objects in it. A request and a response are a transaction each.
package dnp3

import (
	"encoding/binary"
	"strconv"
	"strings"

	"ngfw.sh/dataplane/ids/app/tx"
)

const (
	linkHead   = 10
	maxMessage = 64 << 10
)

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{Kinds: []string{"dnp3_data"}, Keywords: []string{"dnp3_func", "dnp3_ind", "dnp3_obj"}}
}

// Parser parses one connection.
type Parser struct {
	tx.PlainList
	pending [2]tx.Pending
	message [2][]byte
}

// New makes a parser.
func New(limits tx.Limits) *Parser {
	return &Parser{PlainList: tx.PlainList{Spoken: tx.Proto("dnp3"), Limits: limits.Filled()}}
}

// Feed takes the next bytes.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	if p.Lost[dir] {
		return
	}
	b := p.pending[dir].Join(data)
	for len(b) >= 3 {
		if b[0] != 5 || b[1] != 0x64 {
			p.Lost[dir] = true
			p.pending[dir].Drop()
			return
		}
		if b[2] < 5 {
			t := p.Message("dnp3")
			t.Side(dir)
			t.Event("len_too_small")
			p.Lost[dir] = true
			return
		}
		user := int(b[2]) - 5
		size := linkHead + user + 2*((user+15)/16)
		if len(b) < size {
			break
		}
		p.frame(dir, b[:size], user)
		b = b[size:]
	}
	p.pending[dir].Keep(b)
}

// frame takes one; its blocks have checksums.
func (p *Parser) frame(dir tx.Direction, b []byte, user int) {
	odd := ""
	if crc(b[:8]) != binary.LittleEndian.Uint16(b[8:]) {
		odd = "bad_link_crc"
	}
	var text []byte
	for rest := b[linkHead:]; user > 0; {
		n := min(user, 16)
		if crc(rest[:n]) != binary.LittleEndian.Uint16(rest[n:]) {
			odd = "bad_transport_crc"
		}
		text = append(text, rest[:n]...)
		rest = rest[n+2:]
		user -= n
	}
	if odd != "" {
		t := p.Message("dnp3")
		t.Side(dir)
		t.Event(odd)
		return
	}
	if len(text) < 2 {
		return
	}
	const final, first = 0x80, 0x40
	if text[0]&first != 0 {
		p.message[dir] = nil
	} else if p.message[dir] == nil {
		return
	}
	if len(p.message[dir])+len(text) < maxMessage {
		p.message[dir] = append(p.message[dir], text[1:]...)
	}
	if text[0]&final != 0 {
		p.application(dir, p.message[dir])
		p.message[dir] = nil
	}
}

func crc(b []byte) uint16 {
	v := uint16(0)
	for _, c := range b {
		v ^= uint16(c)
		for range 8 {
			if v&1 != 0 {
				v = v>>1 ^ 0xa6bc
			} else {
				v >>= 1
			}
		}
	}
	return ^v
}

type object struct{ group, variation byte }

func (p *Parser) application(dir tx.Direction, b []byte) {
	if len(b) < 2 {
		return
	}
	t := p.Message("dnp3")
	t.Side(dir)
	function, indicators := b[1], -1
	rest := b[2:]
	if function >= 129 {
		if len(rest) < 2 {
			return
		}
		indicators = int(binary.BigEndian.Uint16(rest))
		rest = rest[2:]
	}
	t.Put(dir, "dnp3_data", b)
	t.Field("function_code", function)
	objects := p.objects(t, rest)
	t.Match = func(keyword string, args []string, of tx.Direction) (bool, bool) {
		if of != dir {
			return false, keyword == "dnp3_func" || keyword == "dnp3_ind" || keyword == "dnp3_obj"
		}
		switch keyword {
		case "dnp3_func":
			return len(args) == 1 && isFunction(args[0], function), true
		case "dnp3_ind":
			for _, arg := range args {
				if bit, ok := indicatorBits[strings.ToLower(arg)]; ok && indicators >= 0 && indicators&bit != 0 {
					return true, true
				}
			}
			return false, true
		case "dnp3_obj":
			if len(args) != 2 {
				return false, true
			}
			group, err1 := strconv.ParseUint(args[0], 10, 8)
			variation, err2 := strconv.ParseUint(args[1], 10, 8)
			for _, o := range objects {
				if err1 == nil && err2 == nil && o == (object{byte(group), byte(variation)}) {
					return true, true
				}
			}
			return false, true
		}
		return false, false
	}
}

// objects reads the headers of objects; where the size of what follows is not known,
// the rest is left.
func (p *Parser) objects(t *tx.Plain, b []byte) (all []object) {
	points := 0
	for len(b) >= 3 {
		if len(all) >= p.Limits.DNP3Objects {
			t.Event("too_many_objects")
			return all
		}
		o := object{b[0], b[1]}
		prefix, span := b[2]>>4&7, b[2]&15
		b = b[3:]
		all = append(all, o)
		count, n := 0, 0
		switch span {
		case 0: // start and stop, of 1, 2 or 4 bytes
			if n = 2; len(b) >= 2 {
				count = int(b[1]) - int(b[0]) + 1
			}
		case 1:
			if n = 4; len(b) >= 4 {
				count = int(binary.LittleEndian.Uint16(b[2:])) - int(binary.LittleEndian.Uint16(b)) + 1
			}
		case 2:
			if n = 8; len(b) >= 8 {
				count = int(int32(binary.LittleEndian.Uint32(b[4:]))) - int(int32(binary.LittleEndian.Uint32(b))) + 1
			}
		case 6: // all points
		case 7, 0xb:
			if n = 1; len(b) >= 1 {
				count = int(b[0])
			}
		case 8:
			if n = 2; len(b) >= 2 {
				count = int(binary.LittleEndian.Uint16(b))
			}
		case 9:
			if n = 4; len(b) >= 4 {
				count = int(int32(binary.LittleEndian.Uint32(b)))
			}
		default:
			return all
		}
		if len(b) < n || count < 0 {
			return all
		}
		b = b[n:]
		if points += count; points > p.Limits.DNP3Points {
			t.Event("too_many_points")
			return all
		}
		for range count {
			size := [8]int{0, 1, 2, 4, 1, 2, 4, 0}[prefix]
			if len(b) < size {
				return all
			}
			if prefix >= 4 && prefix <= 6 { // the object's size
				length := [3]int{}
				length[0] = int(b[0])
				if prefix == 5 {
					length[0] = int(binary.LittleEndian.Uint16(b))
				} else if prefix == 6 {
					length[0] = int(binary.LittleEndian.Uint32(b) & 0xffffff)
				}
				if b = b[size:]; len(b) < length[0] {
					return all
				}
				b = b[length[0]:]
				continue
			}
			b = b[size:]
			fixed, known := sizes[o]
			if !known {
				if len(b) > 0 && !emptyGroups[o.group] {
					t.Event("unknown_object")
				}
				return all
			}
			if fixed < 0 { // bits: together
				break
			}
			if len(b) < fixed {
				return all
			}
			b = b[fixed:]
		}
		if fixed, known := sizes[o]; known && fixed < 0 && prefix == 0 {
			n := (count*-fixed + 7) / 8
			if len(b) < n {
				return all
			}
			b = b[n:]
		}
	}
	return all
}

func isFunction(arg string, function byte) bool {
	if n, err := strconv.ParseUint(arg, 10, 8); err == nil {
		return byte(n) == function
	}
	v, ok := functions[strings.ToLower(arg)]
	return ok && v == function
}
