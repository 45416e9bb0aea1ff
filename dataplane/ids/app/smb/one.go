package smb

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"

	"ngfw.sh/dataplane/ids/app/tx"
)

// Commands of SMB 1 (MS-CIFS section 2.2.2.1).
const (
	oneClose       = 0x04
	oneRead        = 0x0a
	oneWrite       = 0x0b
	oneLockX       = 0x24
	oneTransaction = 0x25
	oneOpenX       = 0x2d
	oneReadX       = 0x2e
	oneWriteX      = 0x2f
	oneLoginX      = 0x73
	oneTreeX       = 0x75
	oneCreateX     = 0xa2
)

var le = binary.LittleEndian

// message1 takes a message of SMB 1 with the commands chained in it.
func (p *Parser) message1(dir tx.Direction, b []byte) {
	if len(b) < 33 {
		return
	}
	m := &one{p: p, dir: dir, b: b, reply: b[9]&0x80 != 0, unicode: le.Uint16(b[10:])&0x8000 != 0, tid: uint32(le.Uint16(b[24:])), mid: le.Uint16(b[30:])}
	m.id = uint64(m.mid) | uint64(le.Uint16(b[26:]))<<16 | 1<<62
	command, at := b[4], 32
	for range 16 {
		if at >= len(b) {
			return
		}
		words := part(b, at+1, 2*int(b[at]))
		count := at + 1 + 2*int(b[at])
		var data []byte
		if count+2 <= len(b) {
			data = b[count+2:]
		}
		if m.reply {
			m.answered(command, words, data, count+2)
		} else {
			m.asked(command, words, data, count+2)
		}
		switch command {
		case oneOpenX, oneReadX, oneWriteX, oneLoginX, oneTreeX, oneCreateX, oneLockX:
		default:
			return
		}
		if len(words) < 4 || words[0] == 0xff {
			return
		}
		next := int(le.Uint16(words[2:]))
		if next <= at {
			return
		}
		command, at = words[0], next
	}
}

// one is a message.
type one struct {
	p       *Parser
	dir     tx.Direction
	b       []byte
	reply   bool
	unicode bool
	tid     uint32
	mid     uint16
	id      uint64
	// name is that of a file opened earlier in the chain.
	handle string
}

func (m *one) tree() *tree { return m.p.trees[m.tid] }

func handleOne(b []byte) string { return "1:" + strconv.Itoa(int(le.Uint16(b))) }

// text reads a string at a place in the message; in Unicode it is aligned.
func (m *one) text(b []byte, at int) (s string, rest []byte) {
	if !m.unicode {
		s, r, _ := bytes.Cut(b, []byte{0})
		return string(s), r
	}
	if at&1 != 0 && len(b) > 0 {
		b = b[1:]
	}
	for i := 0; i+1 < len(b); i += 2 {
		if b[i] == 0 && b[i+1] == 0 {
			return wide(b[:i]), b[i+2:]
		}
	}
	return wide(b), nil
}

func (m *one) asked(command byte, w, data []byte, at int) {
	p := m.p
	id := m.id | uint64(command)<<32
	switch command {
	case oneLoginX:
		p.login(m.b[min(at, len(m.b)):])
	case oneTreeX:
		if len(w) < 8 {
			return
		}
		password := int(le.Uint16(w[6:]))
		path, rest := m.text(part(data, password, len(data)), at+password)
		service, _, _ := strings.Cut(string(rest), "\x00")
		t := &tree{name: path, pipe: service == "IPC" || strings.HasSuffix(path, `\IPC$`)}
		p.connect(path, t.pipe)
		p.wait(id, &request{tree: t})
	case oneCreateX, oneOpenX:
		size := len(data)
		if command == oneCreateX && len(w) >= 7 {
			size = int(le.Uint16(w[5:])) + at&1
		}
		name, _ := m.text(part(data, 0, size), at)
		p.wait(id, &request{name: strings.TrimPrefix(name, `\`), tree: m.tree()})
	case oneWriteX:
		if len(w) < 24 {
			return
		}
		offset := uint64(le.Uint32(w[6:]))
		if len(w) >= 28 {
			offset |= uint64(le.Uint32(w[24:])) << 32
		}
		size := int(le.Uint16(w[18:]))<<16 | int(le.Uint16(w[20:]))
		h := p.handle(handleOne(w[4:]), m.tree())
		b := part(m.b, int(le.Uint16(w[22:])), size)
		if h.pipe != nil && le.Uint16(w[14:])&8 != 0 && len(b) > 2 && b[0] != 5 {
			b = b[2:] // a message's length, before its first piece
		}
		p.data(tx.ToServer, h, offset, b)
	case oneWrite:
		if len(w) >= 10 && len(data) >= 3 {
			p.data(tx.ToServer, p.handle(handleOne(w), m.tree()), uint64(le.Uint32(w[4:])), part(data, 3, int(le.Uint16(data[1:]))))
		}
	case oneReadX:
		if len(w) < 10 {
			return
		}
		r := &request{offset: uint64(le.Uint32(w[6:])), handle: p.handle(handleOne(w[4:]), m.tree())}
		if len(w) >= 24 {
			r.offset |= uint64(le.Uint32(w[20:])) << 32
		}
		p.wait(id, r)
	case oneRead:
		if len(w) >= 10 {
			p.wait(id, &request{offset: uint64(le.Uint32(w[4:])), handle: p.handle(handleOne(w), m.tree())})
		}
	case oneTransaction:
		if len(w) < 32 {
			return
		}
		h := p.handle(handleOne(w[30:]), &tree{pipe: true})
		if h.pipe == nil {
			h.pipe = p.newPipe()
		}
		p.data(tx.ToServer, h, 0, part(m.b, int(le.Uint16(w[24:])), int(le.Uint16(w[22:]))))
		p.wait(id, &request{handle: h})
	case oneClose:
		if len(w) >= 2 {
			p.closed(handleOne(w))
		}
	}
}

func (m *one) answered(command byte, w, data []byte, at int) {
	p := m.p
	id := m.id | uint64(command)<<32
	switch command {
	case oneLoginX:
		return
	case oneTreeX:
		if r := p.answer(id); r != nil && len(p.trees) < maxOpen {
			p.trees[m.tid] = r.tree
		}
	case oneCreateX:
		if r := p.answer(id); r != nil && len(w) >= 7 {
			p.opened(handleOne(w[5:]), r.name, r.tree)
			m.handle = handleOne(w[5:])
		}
	case oneOpenX:
		if r := p.answer(id); r != nil && len(w) >= 6 {
			p.opened(handleOne(w[4:]), r.name, r.tree)
			m.handle = handleOne(w[4:])
		}
	case oneReadX:
		r := p.answer(id)
		if r == nil || len(w) < 14 {
			return
		}
		h := r.handle
		if m.handle != "" && h != nil && h.name == "" && h.pipe == nil { // opened in the same chain
			h = p.handles[m.handle]
		}
		size := int(le.Uint16(w[10:]))
		if len(w) >= 16 {
			size |= int(le.Uint16(w[14:])) << 16
		}
		p.data(tx.ToClient, h, r.offset, part(m.b, int(le.Uint16(w[12:])), size))
	case oneRead:
		if r := p.answer(id); r != nil && len(data) >= 3 {
			p.data(tx.ToClient, r.handle, r.offset, part(data, 3, int(le.Uint16(data[1:]))))
		}
	case oneTransaction:
		if r := p.answer(id); r != nil && len(w) >= 16 {
			p.data(tx.ToClient, r.handle, 0, part(m.b, int(le.Uint16(w[14:])), int(le.Uint16(w[12:]))))
		}
	}
}
