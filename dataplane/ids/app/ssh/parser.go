// Package ssh owns SSH up to its key exchange: banners, and of the first packet the
// lists of algorithms, which make a fingerprint (hassh).
package ssh

import (
	"bytes"
	"encoding/binary"

	"ngfw.sh/dataplane/ids/app/hello"
	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

var protocol = tx.Proto("ssh")

const (
	maxBanner = 8 << 10
	maxPacket = 64 << 10
	kexInit   = 20
	newKeys   = 21
)

// Parser parses one flow: one transaction.
type Parser struct {
	tx.FrameLog
	list  tx.List[*Transaction]
	t     *Transaction
	sides [2]side
}

type side struct {
	pending   tx.Pending
	banner    bool
	encrypted bool
	lost      bool
	skip      int
}

// New makes a parser.
func New(l tx.Limits) *Parser { return &Parser{FrameLog: tx.NewFrameLog(l)} }

func (p *Parser) Protocol() rule.Protocol        { return protocol }
func (p *Parser) Begin(id uint64)                { p.list.Begin(id) }
func (p *Parser) Count() uint64                  { return p.list.Count() }
func (p *Parser) Transactions() []tx.Transaction { return p.list.Transactions() }
func (p *Parser) Free(id uint64)                 { p.list.Free(id) }

func (p *Parser) Done() tx.Done {
	switch {
	case p.sides[0].encrypted && p.sides[1].encrypted:
		return tx.Encrypted
	case (p.sides[0].lost || p.sides[0].encrypted) && (p.sides[1].lost || p.sides[1].encrypted):
		return tx.GaveUp
	}
	return tx.NotDone
}

func (p *Parser) Gap(dir tx.Direction, _ int) {
	p.sides[dir].lost = true
	p.Close(dir)
}

func (p *Parser) Close(dir tx.Direction) {
	if p.t != nil {
		p.t.Ended[dir] = true
	}
}

// Feed takes the next bytes.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	s := &p.sides[dir]
	if s.lost || s.encrypted {
		return
	}
	if p.t == nil {
		p.t = p.list.Add(&Transaction{})
	}
	b := s.pending.Join(data)
	for len(b) > 0 && !s.lost && !s.encrypted {
		n := 0
		switch {
		case s.skip > 0:
			n = min(s.skip, len(b))
			s.skip -= n
		case !s.banner:
			n = p.bannerLine(dir, b)
		default:
			n = p.packet(dir, b)
		}
		if n == 0 {
			break
		}
		b = b[n:]
	}
	if s.lost || s.encrypted {
		s.pending.Drop()
		p.t.Ended[dir] = true
		return
	}
	s.pending.Keep(b)
}

// bannerLine takes "SSH-2.0-software comment"; lines before it are the server's to say.
func (p *Parser) bannerLine(dir tx.Direction, b []byte) int {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		if len(b) > maxBanner {
			p.t.Event("long_banner")
			p.sides[dir].lost = true
			return len(b)
		}
		return 0
	}
	line := bytes.TrimRight(b[:i], "\r")
	if !bytes.HasPrefix(line, []byte("SSH-")) {
		return i + 1
	}
	p.sides[dir].banner = true
	h := &p.t.halves[dir]
	proto, software, ok := bytes.Cut(line[4:], []byte("-"))
	if !ok || len(proto) == 0 {
		p.t.Event("invalid_banner")
		p.sides[dir].lost = true
		return i + 1
	}
	h.proto, h.seen = bytes.Clone(proto), true
	h.software = bytes.Clone(software)
	if len(line) > 255 {
		p.t.Event("long_banner")
	}
	if h.proto[0] == '1' && !bytes.Equal(h.proto, []byte("1.99")) {
		p.sides[dir].encrypted = true // SSH 1 has other packets
	}
	return i + 1
}

func (p *Parser) packet(dir tx.Direction, b []byte) int {
	s := &p.sides[dir]
	if len(b) < 6 {
		return 0
	}
	size := int(binary.BigEndian.Uint32(b))
	if size < 2 || size > maxPacket {
		p.t.Event("invalid_record")
		s.lost = true
		return len(b)
	}
	switch b[5] {
	case kexInit:
		if len(b) < 4+size {
			return 0
		}
		p.Note(dir, "record_hdr", b[:6])
		p.Note(dir, "record_pdu", b[:4+size])
		p.Note(dir, "record_data", b[6:4+size])
		body := b[6 : 4+size]
		body = body[:max(0, len(body)-int(b[4]))]
		p.t.halves[dir].exchange(body, dir)
		return 4 + size
	case newKeys:
		s.encrypted = true
	}
	s.skip = size - 2
	return 6
}

// exchange makes the fingerprint of the first packet's lists (RFC 4253 section 7.1).
func (h *half) exchange(b []byte, dir tx.Direction) {
	if len(b) < 16 || h.lists != nil {
		return
	}
	b = b[16:]
	var lists [10][]byte
	for i := range lists {
		if len(b) < 4 {
			return
		}
		n := int(binary.BigEndian.Uint32(b))
		if n < 0 || n > len(b)-4 {
			return
		}
		lists[i] = b[4 : 4+n]
		b = b[4+n:]
	}
	// Key exchange, then the direction's own encryption, MAC and compression.
	chosen := [4]int{0, 2, 4, 6}
	if dir == tx.ToClient {
		chosen = [4]int{0, 3, 5, 7}
	}
	h.lists = []byte{}
	for i, c := range chosen {
		if i > 0 {
			h.lists = append(h.lists, ';')
		}
		h.lists = append(h.lists, lists[c]...)
	}
	h.hash = hello.MD5(nil, h.lists)
}
