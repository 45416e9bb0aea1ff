// Package hello owns the two hellos of TLS (RFC 5246 section 7.4.1, RFC 8446 section
// 4.1) and the fingerprints made of them. TLS over TCP and QUIC share it.
//
// Parsing is lenient: what is cut short is kept as far as it goes.
package hello

import "encoding/binary"

// Client is a ClientHello.
type Client struct {
	Version    uint16
	Random     []byte
	SessionID  []byte
	Ciphers    []uint16
	Extensions []uint16
	Groups     []uint16
	Formats    []uint8
	Versions   []uint16 // of supported_versions
	Signatures []uint16
	ALPN       [][]byte
	SNI        []byte
	// QUIC are the transport parameters (RFC 9000 section 18).
	UserAgent []byte
	// Odd are events about it, by Suricata's names.
	Odd []string
}

// Server is a ServerHello.
type Server struct {
	Version    uint16
	Random     []byte
	Cipher     uint16
	Extensions []uint16
	Selected   uint16 // of supported_versions, 0 without it
	ALPN       []byte
}

// Extensions that are looked into.
const (
	extSNI        = 0
	extGroups     = 10
	extFormats    = 11
	extSignatures = 13
	extALPN       = 16
	extVersions   = 43
	extQUIC       = 57
	extQUICDraft  = 0xffa5
)

type cursor struct {
	b  []byte
	ok bool
}

func (c *cursor) take(n int) []byte {
	if n > len(c.b) {
		c.ok = false
		n = len(c.b)
	}
	v := c.b[:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) u8() int {
	if v := c.take(1); len(v) == 1 {
		return int(v[0])
	}
	return 0
}

func (c *cursor) u16() uint16 {
	if v := c.take(2); len(v) == 2 {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (c *cursor) vec8() cursor  { return cursor{c.take(c.u8()), true} }
func (c *cursor) vec16() cursor { return cursor{c.take(int(c.u16())), true} }

// ParseClient reads the body of a ClientHello. It keeps parts of b.
func ParseClient(b []byte) (h *Client, ok bool) {
	h = &Client{}
	return h, h.Parse(b)
}

// Parse makes h what the body of a ClientHello says. It keeps parts of b.
func (h *Client) Parse(b []byte) (ok bool) {
	c := &cursor{b, true}
	*h = Client{
		Ciphers: h.Ciphers[:0], Extensions: h.Extensions[:0], Groups: h.Groups[:0], Versions: h.Versions[:0], Signatures: h.Signatures[:0],
		ALPN: h.ALPN[:0], Odd: h.Odd[:0],
	}
	h.Version = c.u16()
	h.Random = c.take(32)
	id := c.vec8()
	h.SessionID = id.b
	ciphers := c.vec16()
	for len(ciphers.b) >= 2 {
		h.Ciphers = append(h.Ciphers, ciphers.u16())
	}
	c.vec8() // compression
	if !c.ok || len(c.b) == 0 {
		return c.ok
	}
	exts := c.vec16()
	sni := 0
	for len(exts.b) >= 4 {
		kind := exts.u16()
		e := exts.vec16()
		h.Extensions = append(h.Extensions, kind)
		switch kind {
		case extSNI:
			if sni++; sni > 1 {
				h.Odd = append(h.Odd, "multiple_sni_extensions")
				continue
			}
			h.serverName(e)
		case extGroups:
			list := e.vec16()
			for len(list.b) >= 2 {
				h.Groups = append(h.Groups, list.u16())
			}
		case extFormats:
			list := e.vec8()
			h.Formats = list.b
		case extSignatures:
			list := e.vec16()
			for len(list.b) >= 2 {
				h.Signatures = append(h.Signatures, list.u16())
			}
		case extALPN:
			list := e.vec16()
			for len(list.b) > 0 {
				name := list.vec8()
				h.ALPN = append(h.ALPN, name.b)
			}
		case extVersions:
			list := e.vec8()
			for len(list.b) >= 2 {
				h.Versions = append(h.Versions, list.u16())
			}
		case extQUIC, extQUICDraft:
			h.transportParameters(e)
		}
	}
	return c.ok && exts.ok
}

func (h *Client) serverName(e cursor) {
	if len(e.b) == 0 {
		return
	}
	list := e.vec16()
	if kind := list.u8(); kind != 0 {
		h.Odd = append(h.Odd, "invalid_sni_type")
		return
	}
	name := list.vec16()
	if !list.ok || len(name.b) > 255 {
		h.Odd = append(h.Odd, "invalid_sni_length")
		return
	}
	h.SNI = name.b
}

// transportParameters finds Google's user agent among them.
func (h *Client) transportParameters(e cursor) {
	for len(e.b) > 0 {
		id, n := e.varint(), e.varint()
		v := e.take(int(min(n, uint64(len(e.b)))))
		if id == 0x3129 {
			h.UserAgent = v
		}
	}
}

// varint reads a number of QUIC (RFC 9000 section 16).
func (c *cursor) varint() uint64 {
	if len(c.b) == 0 {
		return 0
	}
	n := 1 << (c.b[0] >> 6)
	v := c.take(n)
	x := uint64(v[0] & 0x3f)
	for _, b := range v[1:] {
		x = x<<8 | uint64(b)
	}
	return x
}

// ParseServer reads the body of a ServerHello.
func ParseServer(b []byte) (h *Server, ok bool) {
	h = &Server{}
	return h, h.Parse(b)
}

// Parse makes h what the body of a ServerHello says. It keeps parts of b.
func (h *Server) Parse(b []byte) (ok bool) {
	c := &cursor{b, true}
	*h = Server{Extensions: h.Extensions[:0]}
	h.Version = c.u16()
	h.Random = c.take(32)
	c.vec8()
	h.Cipher = c.u16()
	c.u8()
	if !c.ok || len(c.b) == 0 {
		return c.ok
	}
	exts := c.vec16()
	for len(exts.b) >= 4 {
		kind := exts.u16()
		e := exts.vec16()
		h.Extensions = append(h.Extensions, kind)
		switch kind {
		case extVersions:
			h.Selected = e.u16()
		case extALPN:
			list := e.vec16()
			name := list.vec8()
			h.ALPN = name.b
		}
	}
	return c.ok && exts.ok
}
