// Package rfb owns RFB's handshake (RFC 6143), the protocol of VNC. What follows it is pictures, which
// nobody looks at. A connection is a transaction.
package rfb

import (
	"bytes"
	"encoding/binary"

	"ngfw.sh/dataplane/ids/app/tx"
)

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{Frames: []string{"rfb.pdu"}, Kinds: []string{"rfb.name"}, Keywords: []string{"rfb.sectype", "rfb.secresult"}}
}

type stage uint8

const (
	version stage = iota
	types
	choice
	challenge
	response
	result
	reason
	initial
	over
)

const vnc = 2 // a security type: a challenge

// Parser parses one connection.
type Parser struct {
	tx.PlainList
	tx.FrameLog
	pending [2]tx.Pending
	at      [2]uint64
	t       *tx.Plain
	sides   [2]stage
	minor   int
	chosen  uint32
}

// New makes a parser.
func New(limits tx.Limits) *Parser {
	return &Parser{PlainList: tx.PlainList{Spoken: tx.Proto("rfb"), Limits: limits.Filled()}, FrameLog: tx.NewFrameLog(limits)}
}

// Feed takes the next bytes.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	if p.Lost[dir] || p.sides[dir] == over {
		return
	}
	if p.t == nil {
		p.t = p.Add(&tx.Plain{Key: "rfb"})
	}
	b := p.pending[dir].Join(data)
	for len(b) > 0 && p.sides[dir] != over {
		next := p.client
		if dir == tx.ToClient {
			next = p.server
		}
		n := next(b)
		if n == 0 {
			break
		}
		p.Note(dir, "pdu", b[:n])
		p.at[dir] += uint64(n)
		b = b[n:]
	}
	if p.sides[dir] == over || len(b) > 64<<10 {
		p.sides[dir] = over
		p.pending[dir].Drop()
		p.t.Ended[dir] = true
		return
	}
	p.pending[dir].Keep(b)
}

func (p *Parser) Done() tx.Done {
	if p.sides[0] == over && p.sides[1] == over {
		return tx.GaveUp
	}
	return p.PlainList.Done()
}

// client takes what the client says next.
func (p *Parser) client(b []byte) int {
	s := &p.sides[tx.ToServer]
	switch *s {
	case version:
		if len(b) < 12 {
			return 0
		}
		if bytes.HasPrefix(b, []byte("RFB 003.")) {
			p.minor = int(b[8]-'0')*100 + int(b[9]-'0')*10 + int(b[10]-'0')
		}
		*s = choice
		if p.minor < 7 {
			*s = response
		}
		return 12
	case choice:
		p.choose(uint32(b[0]))
		*s = response
		return 1
	case response:
		// Without a challenge there is none, and the server's answer tells which it is.
		if p.chosen == vnc {
			if len(b) < 16 {
				return 0
			}
			*s = initial
			return 16
		}
		*s = initial
		return p.client(b)
	case initial:
		*s = over
		p.sides[tx.ToServer] = over
		return 1
	}
	return 0
}

func (p *Parser) choose(kind uint32) {
	p.chosen = kind
	p.t.Number(tx.ToServer, "rfb.sectype", uint64(kind))
	p.t.Number(tx.ToClient, "rfb.sectype", uint64(kind))
	p.t.Field("security_type", kind)
}

// server takes what the server says next.
func (p *Parser) server(b []byte) int {
	s := &p.sides[tx.ToClient]
	switch *s {
	case version:
		if len(b) < 12 {
			return 0
		}
		*s = types
		return 12
	case types:
		if p.minor < 7 && p.sides[tx.ToServer] != version {
			if len(b) < 4 {
				return 0
			}
			p.choose(binary.BigEndian.Uint32(b))
			*s = p.afterTypes()
			return 4
		}
		if len(b) < 1+int(b[0]) {
			return 0
		}
		n := 1 + int(b[0])
		if b[0] == 0 {
			*s = reason
		} else {
			*s = challenge
		}
		return n
	case challenge:
		if p.chosen != vnc {
			*s = p.afterTypes()
			return p.server(b)
		}
		if len(b) < 16 {
			return 0
		}
		*s = result
		return 16
	case result:
		if len(b) < 4 {
			return 0
		}
		v := binary.BigEndian.Uint32(b)
		p.t.Number(tx.ToClient, "rfb.secresult", uint64(v))
		p.t.Number(tx.ToServer, "rfb.secresult", uint64(v))
		*s = initial
		if v != 0 {
			*s = reason
		}
		return 4
	case reason:
		if len(b) < 4 {
			return 0
		}
		n := 4 + int(binary.BigEndian.Uint32(b)&0xffff)
		if len(b) < n {
			return 0
		}
		*s = over
		return n
	case initial:
		if len(b) < 24 {
			return 0
		}
		n := 24 + int(binary.BigEndian.Uint32(b[20:])&0xffff)
		if len(b) < n {
			return 0
		}
		p.t.Put(tx.ToClient, "rfb.name", b[24:n])
		p.t.Field("name", string(b[24:n]))
		*s = over
		return n
	}
	return 0
}

func (p *Parser) afterTypes() stage {
	switch {
	case p.chosen == vnc:
		return challenge
	case p.chosen == 0:
		return reason
	case p.minor >= 8:
		return result
	}
	return initial
}
