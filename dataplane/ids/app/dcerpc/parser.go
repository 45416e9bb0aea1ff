// Package dcerpc owns DCE RPC (C706) over TCP and UDP, and the parts of it that
// named pipes of SMB carry. A call with its answer is a transaction; so is a bind.
package dcerpc

import (
	"encoding/binary"

	"ngfw.sh/dataplane/ids/app/tx"
)

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{Frames: []string{"dcerpc.hdr", "dcerpc.pdu", "dcerpc.data"}, Kinds: []string{"dcerpc.stub_data"}, Keywords: []string{"dcerpc.iface", "dcerpc.opnum"}}
}

// Parser parses one flow.
type Parser struct {
	tx.PlainList
	tx.FrameLog
	datagrams bool
	pending   [2]tx.Pending
	ifaces    Interfaces
	calls     map[uint32]*open
}

type open struct {
	Call
	t *tx.Plain
}

// New makes a parser.
func New(datagrams bool, limits tx.Limits) *Parser {
	return &Parser{PlainList: tx.PlainList{Spoken: tx.Proto("dcerpc"), Limits: limits.Filled()}, FrameLog: tx.NewFrameLog(limits), datagrams: datagrams, calls: map[uint32]*open{}}
}

// Feed takes a datagram, or the next of a stream.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	if p.datagrams {
		p.datagram(dir, data)
		return
	}
	if p.Lost[dir] {
		return
	}
	b := p.pending[dir].Join(data)
	for len(b) >= HeaderSize {
		h, ok := ParseHeader(b)
		if !ok {
			p.Lost[dir] = true
			p.pending[dir].Drop()
			return
		}
		if len(b) < h.Size {
			break
		}
		p.Note(dir, "hdr", b[:HeaderSize])
		p.Note(dir, "pdu", b[:h.Size])
		if h.Size > HeaderSize {
			p.Note(dir, "data", b[HeaderSize:h.Size])
		}
		p.packet(dir, h, b[HeaderSize:h.Size])
		b = b[h.Size:]
	}
	p.pending[dir].Keep(b)
}

func (p *Parser) call(id uint32) *open {
	c := p.calls[id]
	if c == nil || c.t.Ended[tx.ToClient] {
		if p.Full() || len(p.calls) > p.Limits.Transactions {
			return nil
		}
		c = &open{Call: Call{ID: id}, t: &tx.Plain{Key: "dcerpc"}}
		c.t.Match = func(keyword string, args []string, _ tx.Direction) (bool, bool) {
			return c.Words(&p.ifaces, keyword, args)
		}
		p.Add(c.t)
		p.calls[id] = c
	}
	return c
}

func (p *Parser) packet(dir tx.Direction, h Header, b []byte) {
	switch h.Type {
	case Bind, AlterContext:
		p.ifaces.Bind(h, b)
	case BindAck, AlterAck:
		p.ifaces.Answer(h, b)
	}
	c := p.call(h.Call)
	if c == nil {
		return
	}
	c.t.Field("call_id", h.Call)
	switch h.Type {
	case Request, Response:
		c.Part(h, b, c.t, dir)
		if h.Type == Request {
			c.t.Field("req", map[string]any{"opnum": c.Operation})
		}
	}
	switch h.Type {
	case Request:
		c.t.Ended[tx.ToServer] = h.Last()
	case Response:
		c.t.Ended[tx.ToClient] = h.Last()
	case Fault, BindAck, BindNak, AlterAck:
		c.t.Ended = [2]bool{true, true}
	}
	if c.t.Ended[tx.ToClient] {
		c.t.Ended[tx.ToServer] = true
		delete(p.calls, h.Call)
	}
}

// datagram takes a packet of version 4 (C706 section 12.5).
func (p *Parser) datagram(dir tx.Direction, b []byte) {
	if len(b) < 80 || b[0] != 4 || p.Full() {
		return
	}
	order := binary.ByteOrder(binary.BigEndian)
	if b[4]&0x10 != 0 {
		order = binary.LittleEndian
	}
	id, version, op := uuid(order, b[24:40]), uint16(order.Uint32(b[60:])), order.Uint16(b[68:])
	size := min(int(order.Uint16(b[74:])), len(b)-80)
	request := b[1] == 0
	first := order.Uint16(b[76:]) == 0
	t := &tx.Plain{Key: "dcerpc"}
	p.Add(t)
	t.Put(dir, "dcerpc.stub_data", b[80:80+size])
	t.Match = func(keyword string, args []string, _ tx.Direction) (bool, bool) {
		switch keyword {
		case "dcerpc.iface":
			return matches(args, id, version, first), true
		case "dcerpc.opnum":
			return request && Operation(args, op), true
		}
		return false, false
	}
	t.End()
}
