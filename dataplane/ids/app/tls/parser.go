// Package tls owns TLS and SSL up to the point where they encrypt: records,
// the handshake put together of them, hellos, certificates and fingerprints.
//
// A flow is one transaction. When both sides have gone over to encryption, there is
// nothing left to parse, and the parser says so.
package tls

import (
	"encoding/binary"

	"ngfw.sh/dataplane/ids/app/hello"
	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

var protocol = tx.Proto("tls")

// Types of records and of handshake messages (RFC 8446 section 4 and 5.1).
const (
	changeCipher = 20
	alert        = 21
	handshake    = 22
	application  = 23
	heartbeat    = 24

	clientHello       = 1
	serverHello       = 2
	certificateList   = 11
	serverKeyExchange = 12
	serverHelloDone   = 14
	clientKeyExchange = 16
)

const maxHandshake = 64 << 10

// Parser parses one flow.
type Parser struct {
	tx.FrameLog
	list  tx.List[*Transaction]
	t     *Transaction
	sides [2]side
	done  tx.Done
	spare *Transaction // for the next flow
}

type side struct {
	pending   tx.Pending // a record not whole
	messages  []byte     // handshake bytes not yet parsed
	skip      int        // bytes of a record that is not looked into
	encrypted bool
	first     bool // a record has been seen
	lost      bool
	deaf      bool // a message was broken: what follows is not to be placed
	asked     int  // the size of a heartbeat that was answered with more than was asked
}

// New makes a parser.
func New(l tx.Limits) *Parser { return &Parser{FrameLog: tx.NewFrameLog(l)} }

func (p *Parser) Protocol() rule.Protocol        { return protocol }
func (p *Parser) Begin(id uint64)                { p.list.Begin(id) }
func (p *Parser) Count() uint64                  { return p.list.Count() }
func (p *Parser) Transactions() []tx.Transaction { return p.list.Transactions() }
func (p *Parser) Done() tx.Done                  { return p.done }

// Free forgets the transaction, if it is before id.
func (p *Parser) Free(id uint64) {
	if p.t != nil && p.t.ID() < id {
		// More may yet be said of it: it is used again when the flow is over.
		p.list.Free(id)
	}
}

// Forget gives back what the flow, which is over, was kept in. The parser is of no use until
// Renew.
func (p *Parser) Forget() {
	if p.t != nil {
		p.spare = p.t
	}
	p.t = nil
	p.list.Renew()
}

// Renew makes it the parser of another flow.
func (p *Parser) Renew(l tx.Limits) {
	p.FrameLog, p.done = tx.NewFrameLog(l), tx.NotDone
	for i := range p.sides {
		s := &p.sides[i]
		s.pending.Drop()
		*s = side{pending: s.pending, messages: s.messages[:0]}
		if cap(s.messages) > keptMessages {
			s.messages = nil
		}
	}
}

// keptMessages is how much memory is kept for messages of the next flow.
const keptMessages = 4 << 10

// Gap gives the side up, unless it falls into data nobody reads.
func (p *Parser) Gap(dir tx.Direction, n int) {
	s := &p.sides[dir]
	if s.skip >= n && s.skip > 0 {
		s.skip -= n
		return
	}
	s.lost = true
	if p.t != nil {
		p.t.Ended[dir] = true
	}
}

// Close ends the transaction.
func (p *Parser) Close(dir tx.Direction) {
	if p.t != nil {
		p.t.Ended[dir] = true
	}
}

// Feed takes the next bytes.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	s := &p.sides[dir]
	if s.lost || p.done == tx.GaveUp {
		return
	}
	if p.t == nil {
		t := p.spare
		if p.spare = nil; t == nil {
			t = &Transaction{}
		} else {
			t.renew()
		}
		p.t = p.list.Add(t)
	}
	p.t.heard[dir] = true
	b := s.pending.Join(data)
	for len(b) > 0 && !s.lost {
		if s.skip > 0 {
			n := min(s.skip, len(b))
			s.skip -= n
			b = b[n:]
			continue
		}
		n := p.record(dir, b)
		if n == 0 {
			break
		}
		b = b[n:]
	}
	if s.lost {
		s.pending.Drop()
		if p.sides[0].lost && p.sides[1].lost {
			p.done = tx.GaveUp
		}
		return
	}
	s.pending.Keep(b)
	if p.sides[0].encrypted && p.sides[1].encrypted {
		p.done = tx.Encrypted
		p.t.Ended = [2]bool{true, true}
	}
}

// record takes a record, or 0 if it is not whole.
func (p *Parser) record(dir tx.Direction, b []byte) int {
	s := &p.sides[dir]
	if !s.first && b[0]&0x80 != 0 && (len(b) < 3 || b[2] == 1 || b[2] == 4) {
		return p.sslv2(dir, b)
	}
	if len(b) < 5 {
		return 0
	}
	kind, version, size := b[0], binary.BigEndian.Uint16(b[1:]), int(binary.BigEndian.Uint16(b[3:]))
	if version>>8 != 3 || version&0xff > 4 {
		p.t.Event("invalid_record_version")
		if !s.first {
			p.t.Event("invalid_tls_header")
		}
		p.giveUp(dir)
		return len(b)
	}
	s.first = true
	if p.t.recordVersion[dir] == 0 || kind == handshake && !s.encrypted {
		p.t.recordVersion[dir] = version
	}
	if size > 1<<14+2048 {
		p.t.Event("invalid_ssl_record")
		p.giveUp(dir)
		return len(b)
	}
	if whole := 5 + size; p.Wanted() && len(b) >= whole {
		p.Note(dir, "hdr", b[:5])
		p.Note(dir, "pdu", b[:whole])
		p.Note(dir, "data", b[5:whole])
		if kind == alert {
			p.Note(dir, "alert", b[:whole])
		}
	} else if p.Wanted() && size <= 1<<14 {
		return 0 // a frame is told of when it is whole
	}
	switch kind {
	case changeCipher:
		s.encrypted = true
		p.t.progress(dir, settled)
	case application:
		if s.encrypted || p.t.server != nil && p.t.server.Selected == 0x0304 {
			s.encrypted = true
			p.t.progress(dir, settled)
		}
	case handshake:
		if s.encrypted {
			break
		}
		if len(b) < 5+size {
			return 0
		}
		p.handshake(dir, b[5:5+size])
		return 5 + size
	case alert:
		if !s.encrypted && len(b) >= 7 && size == 2 && b[5] == 2 {
			p.t.Event("error_message_encountered")
		} else if !s.encrypted && len(b) < 7 && size == 2 {
			return 0
		}
	case heartbeat:
		if n := 5 + min(size, 3); len(b) < n {
			return 0
		}
		p.heartbeat(dir, b[5:5+min(size, 3)], size)
	default:
		p.t.Event("invalid_record_type")
		p.giveUp(dir)
		return len(b)
	}
	s.skip = size
	return 5
}

func (p *Parser) giveUp(dir tx.Direction) {
	p.sides[dir].lost = true
	p.t.Ended[dir] = true
	p.t.progress(dir, settled)
}

// heartbeat looks for the answer that is larger than what was sent (CVE-2014-0160).
func (p *Parser) heartbeat(dir tx.Direction, b []byte, size int) {
	s := &p.sides[dir]
	p.t.Event("heartbeat_message")
	if s.encrypted {
		if other := &p.sides[dir.Other()]; other.asked > 0 && size > other.asked {
			p.t.Event("dataleak_heartbeat_mismatch")
		}
		s.asked = size
		return
	}
	if len(b) < 3 || b[0] != 1 && b[0] != 2 {
		p.t.Event("invalid_heartbeat_message")
		return
	}
	if n := int(binary.BigEndian.Uint16(b[1:])); b[0] == 1 && n+3 > size {
		p.t.Event("overflow_heartbeat_message")
	}
}

// handshake takes bytes of messages.
func (p *Parser) handshake(dir tx.Direction, b []byte) {
	s := &p.sides[dir]
	if s.deaf {
		return
	}
	if len(s.messages) > 0 {
		s.messages = append(s.messages, b...)
		b = s.messages
	}
	for !s.deaf && len(b) >= 4 {
		m := b
		n := int(m[1])<<16 | int(binary.BigEndian.Uint16(m[2:]))
		if n > maxHandshake || m[0] > 24 && m[0] != 67 && m[0] != 203 && m[0] != 254 {
			p.t.Event("handshake_invalid_length")
			s.messages = s.messages[:0]
			return
		}
		if len(m) < 4+n {
			break
		}
		p.message(dir, m[0], p.t.texts.Keep(m[4:4+n]))
		b = m[4+n:]
	}
	s.messages = append(s.messages[:0], b...)
}

func (p *Parser) message(dir tx.Direction, kind byte, b []byte) {
	t := p.t
	switch kind {
	case clientHello:
		h := &t.clientRoom
		if t.client != nil {
			h = &hello.Client{} // the first one counts
		}
		ok := h.Parse(b)
		for _, e := range h.Odd {
			t.Event(e)
		}
		if !ok {
			t.Event("invalid_handshake_message")
		}
		if t.client == nil {
			t.client, t.states = h, t.states|stateClientHello
		}
		t.progress(tx.ToServer, helloSeen)
	case serverHello:
		h := &t.serverRoom
		if t.server != nil {
			h = &hello.Server{}
		}
		ok := h.Parse(b)
		if !ok {
			t.Event("invalid_handshake_message")
		}
		if t.server == nil || t.server.Selected == 0 {
			t.server, t.states = h, t.states|stateServerHello
		}
		t.progress(tx.ToClient, helloSeen)
		if h.Selected == 0x0304 {
			t.progress(tx.ToClient, settled)
			t.progress(tx.ToServer, settled)
		}
	case certificateList:
		if !t.certificates(dir, b) {
			t.Event("invalid_handshake_message")
			p.sides[dir].deaf = true
		}
	case serverKeyExchange:
		t.states |= stateServerKey
		t.progress(tx.ToClient, certificatesSeen)
	case serverHelloDone:
		t.progress(tx.ToClient, settled)
	case clientKeyExchange:
		t.states |= stateClientKey
		t.progress(tx.ToServer, certificatesSeen)
	}
}

// sslv2 takes the hello of the old form.
func (p *Parser) sslv2(dir tx.Direction, b []byte) int {
	if len(b) < 5 {
		return 0
	}
	size := int(b[0]&0x7f)<<8 | int(b[1])
	if size < 9 {
		p.t.Event("invalid_sslv2_header")
		p.giveUp(dir)
		return len(b)
	}
	if len(b) < 2+size {
		return 0
	}
	m := b[2 : 2+size]
	p.sides[dir].first = true
	p.t.recordVersion[dir] = 0x0002
	if m[0] == 1 && dir == tx.ToServer {
		p.t.client = &hello.Client{Version: binary.BigEndian.Uint16(m[1:])}
		p.t.states |= stateClientHello
		n, id, challenge := int(binary.BigEndian.Uint16(m[3:])), int(binary.BigEndian.Uint16(m[5:])), int(binary.BigEndian.Uint16(m[7:]))
		rest := m[9:]
		for i := 0; i+2 < min(n, len(rest)); i += 3 {
			p.t.client.Ciphers = append(p.t.client.Ciphers, binary.BigEndian.Uint16(rest[i+1:]))
		}
		if n+id+challenge <= len(rest) {
			p.t.client.Random = append([]byte(nil), rest[n+id:n+id+challenge]...)
		}
		p.t.progress(tx.ToServer, helloSeen)
	}
	return 2 + size
}
