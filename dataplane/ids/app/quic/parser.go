// Package quic owns QUIC's initial packets, whose keys anybody can make: the versions 1
// and 2, the drafts, and the unencrypted hellos of Google's own versions. What comes
// after is encrypted.
//
// Packets with a long header are transactions; a hello is told of in the packet that completes it.
package quic

import (
	"encoding/binary"

	"ngfw.sh/dataplane/ids/app/hello"
	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{Kinds: []string{
		"quic.sni", "quic.ua", "quic.version", "quic.cyu.hash", "quic.cyu.string", "ja3.hash", "ja3.string", "ja3s.hash", "ja3s.string", "ja4.hash",
	}}
}

const (
	maxHello   = 64 << 10
	maxPackets = 64 // of a direction, before it is given up
)

// Parser parses one flow.
type Parser struct {
	tx.PlainList
	keys   [2]*opener
	crypto [2]stream
	done   [2]bool
	count  [2]int
}

// stream puts CRYPTO frames in order.
type stream struct {
	data  []byte
	parts map[int][]byte
	size  int
}

// New makes a parser.
func New(limits tx.Limits) *Parser {
	return &Parser{PlainList: tx.PlainList{Spoken: tx.Proto("quic"), Limits: limits.Filled()}}
}

func (p *Parser) Protocol() rule.Protocol { return p.Spoken }

// Gap does not happen to datagrams.
func (p *Parser) Gap(tx.Direction, int) {}

func (p *Parser) Done() tx.Done {
	if p.done[0] && p.done[1] {
		return tx.Encrypted
	}
	return tx.NotDone
}

// Feed takes a datagram, which may hold several packets.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	if p.done[dir] {
		return
	}
	if p.count[dir]++; p.count[dir] > maxPackets {
		p.done[dir] = true
		return
	}
	b := append([]byte(nil), data...)
	for len(b) > 0 && !p.done[dir] {
		n := p.packet(dir, b)
		if n <= 0 || n > len(b) {
			return
		}
		b = b[n:]
	}
}

// packet takes one, and gives its size; 0 when the rest of the datagram is not to be read.
func (p *Parser) packet(dir tx.Direction, b []byte) int {
	if b[0]&0x80 == 0 {
		if b[0]&0x40 != 0 && p.keys[0] != nil { // a short header: encrypted from here on
			p.done[dir] = true
			return 0
		}
		return p.google(dir, b)
	}
	if len(b) < 7 {
		return 0
	}
	number := binary.BigEndian.Uint32(b[1:])
	if number>>24 == 'Q' || number>>24 == 'T' {
		return p.google(dir, b)
	}
	at := 5
	dest, at, ok := id(b, at)
	if !ok {
		return 0
	}
	_, at, ok = id(b, at)
	if !ok {
		return 0
	}
	t := p.begin(dir, number)
	if number == 0 { // negotiation
		return 0
	}
	v, known := versionOf(number)
	if !known {
		return 0
	}
	kind := b[0] >> 4 & 3
	if v.two { // RFC 9369 section 3.2: initial is 1
		kind = (kind + 3) & 3
	}
	const initial, zeroRTT, handshake, retry = 0, 1, 2, 3
	switch kind {
	case retry:
		p.keys = [2]*opener{}
		return 0
	case initial:
		size, after, ok := varint(b, at)
		if !ok || after+size > len(b) {
			return 0
		}
		at = after + size
	}
	size, after, ok := varint(b, at)
	if !ok {
		return 0
	}
	end := min(after+size, len(b))
	if kind != initial {
		if kind == handshake {
			p.done[dir] = true
		}
		return end
	}
	if p.keys[0] == nil && dir == tx.ToServer {
		p.keys = openers(v, dest)
	}
	packet := append([]byte(nil), b[:end]...)
	payload, ok := p.keys[dir].open(packet, after)
	if !ok && dir == tx.ToServer {
		// After a Retry the id is another.
		p.keys = openers(v, dest)
		payload, ok = p.keys[dir].open(append(packet[:0], b[:end]...), after)
	}
	if !ok {
		t.Event("failed_decrypt")
		return end
	}
	p.frames(dir, t, payload)
	return end
}

func (p *Parser) begin(dir tx.Direction, version uint32) *tx.Plain {
	t := p.Message("quic")
	t.Side(dir)
	t.Put(dir, "quic.version", binary.BigEndian.AppendUint32(nil, version))
	t.Field("version", versionName(version))
	return t
}

func versionName(v uint32) string {
	switch {
	case v == v1:
		return "1"
	case v == v2:
		return "v2"
	case v>>24 == 'Q' || v>>24 == 'T':
		return string(binary.BigEndian.AppendUint32(nil, v))
	}
	return "unknown"
}

func id(b []byte, at int) (v []byte, next int, ok bool) {
	if at >= len(b) || at+1+int(b[at]) > len(b) || b[at] > 20 {
		return nil, at, false
	}
	next = at + 1 + int(b[at])
	return b[at+1 : next], next, true
}

func varint(b []byte, at int) (v, next int, ok bool) {
	if at >= len(b) {
		return 0, at, false
	}
	n := 1 << (b[at] >> 6)
	if at+n > len(b) {
		return 0, at, false
	}
	x := uint64(b[at] & 0x3f)
	for _, c := range b[at+1 : at+n] {
		x = x<<8 | uint64(c)
	}
	if x > 1<<20 {
		return 0, at, false
	}
	return int(x), at + n, true
}

// frames takes what an initial packet may have (RFC 9000 section 17.2.2).
func (p *Parser) frames(dir tx.Direction, t *tx.Plain, b []byte) {
	at := 0
	next := func() int {
		v, n, ok := varint(b, at)
		if !ok {
			at = len(b)
			return 0
		}
		at = n
		return v
	}
	for at < len(b) {
		switch kind := b[at]; kind {
		case 0, 1: // padding, ping
			at++
		case 2, 3: // acknowledgement
			at++
			next()
			next()
			for range min(next(), 1024) {
				next()
				next()
			}
			next()
			if kind == 3 {
				next()
				next()
				next()
			}
		case 6:
			at++
			offset, size := next(), next()
			if size > len(b)-at {
				return
			}
			p.crypto[dir].add(offset, b[at:at+size])
			at += size
		default:
			at = len(b)
		}
	}
	p.hello(dir, t)
}

func (s *stream) add(offset int, b []byte) {
	if offset+len(b) > maxHello || s.size > 2*maxHello || len(s.parts) > 1024 {
		return
	}
	if s.parts == nil {
		s.parts = map[int][]byte{}
	}
	if old := s.parts[offset]; len(old) < len(b) {
		s.parts[offset] = append([]byte(nil), b...)
		s.size += len(b)
	}
	for more := true; more; {
		more = false
		for at, part := range s.parts {
			if at > len(s.data) {
				continue
			}
			if end := at + len(part); end > len(s.data) {
				s.data = append(s.data, part[len(s.data)-at:]...)
				more = true
			}
			delete(s.parts, at)
		}
	}
}

// hello reads the handshake's first message when it is whole.
func (p *Parser) hello(dir tx.Direction, t *tx.Plain) {
	b := p.crypto[dir].data
	if len(b) < 4 {
		return
	}
	n := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	if len(b) < 4+n || p.done[dir] {
		return
	}
	p.done[dir] = true
	body := b[4 : 4+n]
	switch {
	case b[0] == 1 && dir == tx.ToServer:
		h, _ := hello.ParseClient(body)
		if len(h.SNI) > 0 {
			t.Put(dir, "quic.sni", h.SNI)
			t.Field("sni", string(h.SNI))
		}
		if len(h.UserAgent) > 0 {
			t.Put(dir, "quic.ua", h.UserAgent)
			t.Field("ua", string(h.UserAgent))
		}
		text := h.JA3(nil)
		t.Put(dir, "ja3.string", text)
		t.Put(dir, "ja3.hash", hello.MD5(nil, text))
		t.Put(dir, "ja4.hash", h.JA4(true))
		t.Field("ja3", map[string]string{"hash": string(hello.MD5(nil, text)), "string": string(text)})
		t.Field("ja4", string(h.JA4(true)))
	case b[0] == 2 && dir == tx.ToClient:
		h, _ := hello.ParseServer(body)
		text := h.JA3S(nil)
		t.Put(dir, "ja3s.string", text)
		t.Put(dir, "ja3s.hash", hello.MD5(nil, text))
		t.Field("ja3s", map[string]string{"hash": string(hello.MD5(nil, text)), "string": string(text)})
	}
}
