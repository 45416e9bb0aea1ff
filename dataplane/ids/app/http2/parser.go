// Package http2 owns HTTP/2 (RFC 9113): frames, header blocks, bodies with their
// encodings, and DNS within it (RFC 8484). A stream is a transaction; each
// frame of the connection itself (stream 0) is one of its own, as in Suricata.
package http2

import (
	"bytes"
	"encoding/binary"
	"strings"

	"golang.org/x/net/http2/hpack"

	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

// Types of frames (RFC 9113 section 6).
const (
	frameData         = 0
	frameHeaders      = 1
	framePriority     = 2
	frameReset        = 3
	frameSettings     = 4
	framePush         = 5
	framePing         = 6
	frameGoAway       = 7
	frameWindow       = 8
	frameContinuation = 9

	flagEndStream  = 1
	flagAck        = 1
	flagEndHeaders = 4
	flagPadded     = 8
	flagPriority   = 32

	headSize   = 9
	maxBlock   = 64 << 10
	maxControl = 16 << 10 // of a frame that is no data
)

var (
	preface  = []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	protoH2  = tx.Proto("http2")
	protoDoH = tx.Proto("doh2")
)

// Parser parses one connection.
type Parser struct {
	limits tx.Limits
	tx.FrameLog
	list    tx.List[*Transaction]
	streams map[uint32]*Transaction
	sides   [2]side
	files   uint32
	doh     bool
}

type side struct {
	pending tx.Pending
	at      uint64
	begun   bool
	lost    bool
	decoder *hpack.Decoder
	fields  []hpack.HeaderField
	block   []byte // of headers not whole
	blockOf uint32
	ends    bool // the block's frame ended the stream
	data    int  // bytes of a data frame yet to come
	pad     int  // of them, padding
	dataOf  *Transaction
	dataEnd bool
}

// New makes a parser.
func New(limits tx.Limits) *Parser {
	p := &Parser{limits: limits.Filled(), FrameLog: tx.NewFrameLog(limits), streams: map[uint32]*Transaction{}}
	for dir := range p.sides {
		s := &p.sides[dir]
		s.decoder = hpack.NewDecoder(4096, func(f hpack.HeaderField) {
			if len(s.fields) < p.limits.Headers {
				s.fields = append(s.fields, f)
			}
		})
		s.decoder.SetMaxStringLength(32 << 10)
		s.decoder.SetAllowedMaxDynamicTableSize(p.limits.HTTP2Table)
	}
	return p
}

func (p *Parser) Protocol() rule.Protocol {
	if p.doh {
		return protoDoH
	}
	return protoH2
}
func (p *Parser) Begin(id uint64)                { p.list.Begin(id) }
func (p *Parser) Count() uint64                  { return p.list.Count() }
func (p *Parser) Transactions() []tx.Transaction { return p.list.Transactions() }

// Free forgets transactions, and the streams they were.
func (p *Parser) Free(id uint64) {
	for stream, t := range p.streams {
		if t.ID() < id {
			delete(p.streams, stream)
		}
	}
	p.list.Free(id)
}

func (p *Parser) Done() tx.Done {
	if p.sides[0].lost && p.sides[1].lost {
		return tx.GaveUp
	}
	return tx.NotDone
}

// Upgraded gives stream 1 its request: the one of HTTP/1 that asked for the upgrade.
func (p *Parser) Upgraded(past []tx.Transaction) {
	t := p.stream(1)
	if len(past) > 0 {
		if old, ok := past[len(past)-1].(interface {
			Request(func(name, value []byte)) (method, uri []byte)
		}); ok {
			var fields []hpack.HeaderField
			method, uri := old.Request(func(name, value []byte) {
				f := hpack.HeaderField{Name: string(name), Value: string(value)}
				if strings.EqualFold(f.Name, "host") {
					f.Name = ":authority"
				}
				fields = append(fields, f)
			})
			t.takeHeaders(tx.ToServer, append([]hpack.HeaderField{{Name: ":method", Value: string(method)}, {Name: ":path", Value: string(uri)}}, fields...))
		}
	}
	t.Ended[tx.ToServer] = true
}

// Gap is harmless in a body.
func (p *Parser) Gap(dir tx.Direction, n int) {
	s := &p.sides[dir]
	if s.data > n {
		s.data -= n
		if s.dataOf != nil {
			s.dataOf.gap(dir)
		}
		return
	}
	p.lose(dir)
}

func (p *Parser) lose(dir tx.Direction) {
	p.sides[dir].lost = true
	p.sides[dir].pending.Drop()
	p.Close(dir)
}

// Close ends the streams.
func (p *Parser) Close(dir tx.Direction) {
	for _, t := range p.list.All() {
		if !t.Ended[dir] {
			t.end(dir, tx.FileTruncated)
		}
	}
}

// stream finds one, or opens it.
func (p *Parser) stream(id uint32) *Transaction {
	if id != 0 {
		if t := p.streams[id]; t != nil {
			return t
		}
	}
	t := &Transaction{p: p, stream: id}
	if len(p.list.All()) >= p.limits.Transactions {
		if last := p.list.Last(); last != nil {
			last.Event("too_many_streams")
		}
		t.dropped = true
		return t
	}
	p.list.Add(t)
	if id != 0 {
		p.streams[id] = t
	}
	return t
}

// Feed takes the next bytes.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	s := &p.sides[dir]
	if s.lost {
		return
	}
	b := s.pending.Join(data)
	for len(b) > 0 && !s.lost {
		n := p.step(dir, b)
		if n == 0 {
			break
		}
		s.at += uint64(n)
		b = b[n:]
	}
	if s.lost {
		return
	}
	s.pending.Keep(b)
}

func (p *Parser) step(dir tx.Direction, b []byte) int {
	s := &p.sides[dir]
	if !s.begun && dir == tx.ToServer {
		n := min(len(b), len(preface))
		if bytes.Equal(b[:n], preface[:n]) {
			if n < len(preface) {
				return 0
			}
			s.begun = true
			return n
		}
		s.begun = true
		if len(p.list.All()) == 0 && bytes.HasPrefix(b, []byte("PRI")) {
			p.stream(0).Event("invalid_client_magic")
		}
	}
	if s.data > 0 {
		n := min(s.data, len(b))
		p.body(dir, b[:n])
		return n
	}
	if len(b) < headSize {
		return 0
	}
	size := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	kind, flags, id := b[3], b[4], binary.BigEndian.Uint32(b[5:])&0x7fffffff
	if kind == frameData {
		return p.dataFrame(dir, b, size, flags, id)
	}
	if size > maxControl {
		p.stream(0).Event("long_frame_data")
		p.lose(dir)
		return len(b)
	}
	if len(b) < headSize+size {
		return 0
	}
	p.Note(dir, "hdr", b[:headSize])
	p.Note(dir, "pdu", b[:headSize+size])
	if size > 0 {
		p.Note(dir, "data", b[headSize:headSize+size])
	}
	p.frame(dir, kind, flags, id, b[headSize:headSize+size])
	return headSize + size
}

func (p *Parser) dataFrame(dir tx.Direction, b []byte, size int, flags byte, id uint32) int {
	s := &p.sides[dir]
	head := headSize
	if flags&flagPadded != 0 && size > 0 {
		if len(b) < headSize+1 {
			return 0
		}
		s.pad = min(int(b[headSize]), size-1)
		size--
		head++
	} else {
		s.pad = 0
	}
	t := p.stream(id)
	if id == 0 {
		t.Event("data_stream_zero")
	}
	t.frameSeen(dir, frameData)
	p.Note(dir, "hdr", b[:headSize])
	s.data, s.dataOf, s.dataEnd = size, t, flags&flagEndStream != 0
	if size == 0 {
		p.body(dir, nil)
	}
	return head
}

// body takes a piece of a data frame.
func (p *Parser) body(dir tx.Direction, b []byte) {
	s := &p.sides[dir]
	s.data -= len(b)
	// The padding is at the frame's end.
	real := len(b) - max(0, s.pad-s.data)
	if real > 0 {
		s.dataOf.body(dir, b[:real])
		if s.data < s.pad {
			s.pad = s.data
		}
	} else if s.data < s.pad {
		s.pad = s.data
	}
	if s.data == 0 && s.dataEnd {
		s.dataOf.end(dir, tx.FileClosed)
	}
}

func (p *Parser) frame(dir tx.Direction, kind, flags byte, id uint32, b []byte) {
	s := &p.sides[dir]
	if s.block != nil && (kind != frameContinuation || id != s.blockOf) {
		s.block = nil
	}
	t := p.stream(id)
	t.frameSeen(dir, kind)
	switch kind {
	case frameHeaders, framePush:
		if flags&flagPadded != 0 {
			if len(b) < 1 || int(b[0]) > len(b)-1 {
				t.Event("invalid_frame_data")
				return
			}
			b = b[1 : len(b)-int(b[0])]
		}
		if kind == frameHeaders && flags&flagPriority != 0 {
			if len(b) < 5 {
				t.Event("invalid_frame_data")
				return
			}
			t.number(dir, "http2.priority", uint64(b[4]))
			b = b[5:]
		}
		if kind == framePush {
			if len(b) < 4 {
				t.Event("invalid_frame_data")
				return
			}
			b = b[4:]
		}
		s.ends = kind == frameHeaders && flags&flagEndStream != 0
		p.headers(dir, t, b, flags&flagEndHeaders != 0, id)
	case frameContinuation:
		if s.block == nil {
			t.Event("invalid_frame_header")
			return
		}
		p.headers(dir, t, b, flags&flagEndHeaders != 0, id)
	case framePriority:
		if len(b) >= 5 {
			t.number(dir, "http2.priority", uint64(b[4]))
		}
	case frameReset:
		if len(b) >= 4 {
			t.number(dir, "http2.errorcode", uint64(binary.BigEndian.Uint32(b)))
		}
		t.end(tx.ToServer, tx.FileTruncated)
		t.end(tx.ToClient, tx.FileTruncated)
	case frameSettings:
		if len(b)%6 != 0 {
			t.Event("invalid_frame_length")
		}
		for ; len(b) >= 6; b = b[6:] {
			t.settings[dir] = append(t.settings[dir], setting{binary.BigEndian.Uint16(b), binary.BigEndian.Uint32(b[2:])})
		}
	case frameGoAway:
		if len(b) >= 8 {
			t.number(dir, "http2.errorcode", uint64(binary.BigEndian.Uint32(b[4:])))
		}
	case frameWindow:
		if len(b) >= 4 {
			t.number(dir, "http2.window", uint64(binary.BigEndian.Uint32(b)&0x7fffffff))
		}
	}
	if id == 0 {
		t.Ended = [2]bool{true, true}
	}
}

// headers takes a header block or a piece of one.
func (p *Parser) headers(dir tx.Direction, t *Transaction, b []byte, whole bool, id uint32) {
	s := &p.sides[dir]
	if len(s.block)+len(b) > maxBlock {
		t.Event("reassembly_limit_reached")
		s.block = nil
		return
	}
	s.block, s.blockOf = append(s.block, b...), id
	if s.block == nil {
		s.block = []byte{}
	}
	if !whole {
		return
	}
	block := s.block
	s.block = nil
	t.sizeUpdates(dir, block)
	s.fields = s.fields[:0]
	_, err := s.decoder.Write(block)
	if err == nil {
		err = s.decoder.Close()
	} else {
		s.decoder.Close()
	}
	if err != nil {
		t.Event("invalid_header")
	}
	t.takeHeaders(dir, s.fields)
	if s.ends {
		s.ends = false
		t.end(dir, tx.FileClosed)
	}
}
