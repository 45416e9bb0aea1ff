// Package websocket owns WebSocket (RFC 6455) after its handshake: each frame is a
// transaction; what fragments carry is given out, whole, with the last.
package websocket

import (
	"encoding/binary"

	"ngfw.sh/dataplane/ids/app/inflate"
	"ngfw.sh/dataplane/ids/app/tx"
)

const maxPayload = 64 << 10 // Suricata's max-payload-size is 0xffff

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{Frames: []string{"websocket.header", "websocket.pdu", "websocket.data"}, Kinds: []string{"websocket.payload"}, Keywords: []string{"websocket.opcode", "websocket.mask", "websocket.flags"}}
}

// Parser parses one connection.
type Parser struct {
	tx.PlainList
	tx.FrameLog
	sides [2]side
}

type side struct {
	pending tx.Pending
	at      uint64
	skip    uint64
	message []byte // of fragments so far
	packed  bool   // the message is compressed
}

// New makes a parser.
func New(limits tx.Limits) *Parser {
	return &Parser{PlainList: tx.PlainList{Spoken: tx.Proto("websocket"), Limits: limits.Filled()}, FrameLog: tx.NewFrameLog(limits)}
}

// Feed takes the next bytes.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	if p.Lost[dir] {
		return
	}
	s := &p.sides[dir]
	b := s.pending.Join(data)
	for len(b) > 0 {
		if s.skip > 0 {
			n := min(s.skip, uint64(len(b)))
			s.skip -= n
			s.at += n
			b = b[n:]
			continue
		}
		n := p.frame(dir, b)
		if n == 0 {
			break
		}
		s.at += uint64(n)
		b = b[n:]
	}
	s.pending.Keep(b)
}

// frame takes a frame, or gives 0 if it is not whole.
func (p *Parser) frame(dir tx.Direction, b []byte) int {
	if len(b) < 2 {
		return 0
	}
	head, size := 2, uint64(b[1]&0x7f)
	switch size {
	case 126:
		if len(b) < 4 {
			return 0
		}
		head, size = 4, uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if len(b) < 10 {
			return 0
		}
		head, size = 10, binary.BigEndian.Uint64(b[2:])
	}
	var mask []byte
	if b[1]&0x80 != 0 {
		if len(b) < head+4 {
			return 0
		}
		mask = b[head : head+4]
		head += 4
	}
	take := int(min(size, maxPayload))
	if len(b) < head+take {
		return 0
	}
	s := &p.sides[dir]
	p.Note(dir, "header", b[:head])
	p.Note(dir, "pdu", b[:head+take])
	p.Note(dir, "data", b[head:head+take])
	payload := append([]byte(nil), b[head:head+take]...)
	for i := range payload {
		if mask != nil {
			payload[i] ^= mask[i&3]
		}
	}
	p.payload(dir, b[0], mask, payload, size > uint64(take))
	s.skip = size - uint64(take)
	return head + take
}

func (p *Parser) payload(dir tx.Direction, first byte, mask, b []byte, cut bool) {
	s := &p.sides[dir]
	opcode := first & 15
	t := p.Message("websocket")
	t.Side(dir)
	t.Number(dir, "websocket.opcode", uint64(opcode))
	t.Number(dir, "websocket.flags", uint64(first&0xf0))
	if mask != nil {
		t.Number(dir, "websocket.mask", uint64(binary.BigEndian.Uint32(mask)))
	}
	t.Field("opcode", opcode)
	t.Field("fin", first&0x80 != 0)
	if cut {
		t.Event("skip_end_of_payload")
	}
	if opcode >= 8 { // control: within a message, not of it
		t.Put(dir, "websocket.payload", b)
		return
	}
	if opcode != 0 {
		s.message, s.packed = nil, first&0x40 != 0
	}
	if first&0x80 == 0 || opcode == 0 {
		if len(s.message)+len(b) > maxPayload {
			t.Event("reassembly_limit_reached")
			b = b[:max(0, maxPayload-len(s.message))]
		}
		s.message = append(s.message, b...)
		if first&0x80 == 0 {
			return
		}
		b = s.message
		s.message = nil
	}
	if s.packed {
		var raw inflate.Raw
		var out []byte
		raw.Write(append(b, 0, 0, 0xff, 0xff), func(piece []byte) bool {
			out = append(out, piece...)
			return len(out) < maxPayload
		})
		if len(out) > 0 {
			b = out
		}
	}
	t.Put(dir, "websocket.payload", b)
}
