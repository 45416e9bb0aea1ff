// Package ike owns IKE, versions 1 and 2 (RFC 2409, RFC 7296), as far as it is not
// encrypted: each message is a transaction.
package ike

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"

	"ngfw.sh/dataplane/ids/app/tx"
)

// Types of payloads that are looked into.
const (
	oneSA       = 1
	oneExchange = 4
	oneNonce    = 10
	oneVendor   = 13
	twoSA       = 33
	twoExchange = 34
	twoNonce    = 40
	twoVendor   = 43
	twoSealed   = 46
)

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{
		Kinds:    []string{"ike.init_spi", "ike.resp_spi", "ike.vendor", "ike.key_exchange_payload", "ike.nonce_payload"},
		Keywords: []string{"ike.exchtype", "ike.key_exchange_payload_length", "ike.nonce_payload_length", "ike.chosen_sa_attribute"},
	}
}

// Parser parses one flow.
type Parser struct{ tx.PlainList }

// New makes a parser.
func New(limits tx.Limits) *Parser {
	return &Parser{tx.PlainList{Spoken: tx.Proto("ike"), Limits: limits.Filled()}}
}

// Feed takes a message.
func (p *Parser) Feed(dir tx.Direction, b []byte) {
	if len(b) > 4 && binary.BigEndian.Uint32(b) == 0 {
		b = b[4:] // the mark of NAT traversal
	}
	if len(b) < 28 {
		return
	}
	t := p.Message("ike")
	t.Side(dir)
	version, kind, flags := b[17]>>4, b[18], b[19]
	// Each side's messages are asked for its own id.
	if dir == tx.ToServer {
		t.Put(dir, "ike.init_spi", hex.AppendEncode(nil, b[:8]))
	} else {
		t.Put(dir, "ike.resp_spi", hex.AppendEncode(nil, b[8:16]))
	}
	t.Number(dir, "ike.exchtype", uint64(kind))
	t.Field("init_spi", hex.EncodeToString(b[:8]))
	t.Field("resp_spi", hex.EncodeToString(b[8:16]))
	t.Field("exchange_type", kind)
	t.Field("version_major", version)
	size := min(int(binary.BigEndian.Uint32(b[24:])), len(b))
	if version == 1 && flags&1 != 0 || size < 28 {
		return // encrypted
	}
	next, body := b[16], b[28:size]
	for n := 0; next != 0 && len(body) >= 4 && n < 64; n++ {
		length := int(binary.BigEndian.Uint16(body[2:]))
		if length < 4 || length > len(body) {
			t.Event("payload_extra_data")
			return
		}
		data := body[4:length]
		switch {
		case version == 1 && next == oneExchange:
			keyExchange(t, dir, data)
		case version == 2 && next == twoExchange && len(data) >= 4:
			keyExchange(t, dir, data[4:])
			weakGroup(t, binary.BigEndian.Uint16(data))
		case version == 1 && next == oneNonce, version == 2 && next == twoNonce:
			t.Put(dir, "ike.nonce_payload", data)
			t.Number(dir, "ike.nonce_payload_length", uint64(len(data)))
		case version == 1 && next == oneVendor, version == 2 && next == twoVendor:
			if dir == tx.ToServer {
				t.Put(dir, "ike.vendor", hex.AppendEncode(nil, data))
			}
		case version == 1 && next == oneSA:
			p.attributes(t, dir, data)
		case version == 2 && next == twoSA:
			p.proposals(t, data)
		case version == 2 && next == twoSealed:
			return
		}
		next, body = body[0], body[length:]
	}
}

func keyExchange(t *tx.Plain, dir tx.Direction, b []byte) {
	t.Put(dir, "ike.key_exchange_payload", b)
	t.Number(dir, "ike.key_exchange_payload_length", uint64(len(b)))
}

func weakGroup(t *tx.Plain, group uint16) {
	switch group {
	case 0:
		t.Event("weak_crypto_no_dh")
	case 1, 2, 5, 22, 23, 24:
		t.Event("weak_crypto_dh")
	}
}

// proposals looks for weak choices (RFC 7296 section 3.3).
func (p *Parser) proposals(t *tx.Plain, b []byte) {
	for len(b) >= 8 {
		length := int(binary.BigEndian.Uint16(b[2:]))
		if length < 8 || length > len(b) {
			return
		}
		rest := b[min(8+int(b[6]), length):length]
		for len(rest) >= 8 {
			n := int(binary.BigEndian.Uint16(rest[2:]))
			if n < 8 || n > len(rest) {
				break
			}
			id := binary.BigEndian.Uint16(rest[6:])
			switch rest[4] {
			case 1:
				if id <= 3 || id == 6 || id == 9 || id == 11 {
					t.Event("weak_crypto_enc")
				}
			case 2:
				if id == 1 {
					t.Event("weak_crypto_prf")
				}
			case 3:
				if id <= 2 || id == 3 || id == 6 {
					t.Event("weak_crypto_auth")
				}
			case 4:
				weakGroup(t, id)
			}
			rest = rest[n:]
		}
		b = b[length:]
	}
}

var attributeNames = map[string]uint16{
	"alg_enc": 1, "alg_hash": 2, "alg_auth": 3, "alg_dh": 4, "alg_prf": 13, "sa_group_type": 5, "sa_life_type": 11, "sa_life_duration": 12,
	"sa_key_length": 14, "sa_field_size": 15,
}

// attributes are those of the transforms (RFC 2409 appendix A): what the responder sends is its choice.
func (p *Parser) attributes(t *tx.Plain, dir tx.Direction, b []byte) {
	found := map[uint16]uint64{}
	if len(b) >= 16 { // DOI, situation, and the first proposal's header
		rest := b[min(len(b), 8+8+int(b[14])):]
		for len(rest) >= 8 {
			n := int(binary.BigEndian.Uint16(rest[2:]))
			if n < 8 || n > len(rest) {
				break
			}
			for a := rest[8:n]; len(a) >= 4; {
				kind, v := binary.BigEndian.Uint16(a), uint64(binary.BigEndian.Uint16(a[2:]))
				if kind&0x8000 != 0 {
					a = a[4:]
				} else {
					size := int(v)
					if 4+size > len(a) {
						break
					}
					v = tx.DERUint(a[4 : 4+size])
					a = a[4+size:]
				}
				if _, ok := found[kind&0x7fff]; !ok {
					found[kind&0x7fff] = v
				}
			}
			rest = rest[n:]
		}
	}
	t.Match = func(keyword string, args []string, of tx.Direction) (bool, bool) {
		if keyword != "ike.chosen_sa_attribute" || len(args) != 1 {
			return false, false
		}
		name, value, _ := strings.Cut(args[0], "=")
		want, err := strconv.ParseUint(strings.TrimSpace(value), 0, 64)
		v, ok := found[attributeNames[strings.TrimSpace(name)]]
		return err == nil && ok && v == want && of == dir && dir == tx.ToClient, true
	}
}
