// Package ldap owns LDAP 3 (RFC 4511) over TCP and UDP. An operation with all its responses is a
// transaction.
package ldap

import (
	"bytes"

	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

// Operations: the tag's number (RFC 4511 section 4.2 onwards).
const (
	bindRequest      = 0
	bindResponse     = 1
	unbindRequest    = 2
	searchRequest    = 3
	searchEntry      = 4
	searchDone       = 5
	modifyRequest    = 6
	modifyResponse   = 7
	addRequest       = 8
	addResponse      = 9
	deleteRequest    = 10
	deleteResponse   = 11
	renameRequest    = 12
	renameResponse   = 13
	compareRequest   = 14
	compareResponse  = 15
	abandonRequest   = 16
	searchReference  = 19
	extendedRequest  = 23
	extendedResponse = 24
	intermediate     = 25

	maxMessage = 1 << 20
)

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{
		Kinds: []string{
			"ldap.request.dn", "ldap.responses.dn", "ldap.responses.message", "ldap.request.attribute_type", "ldap.responses.attribute_type",
		},
		Keywords: []string{"ldap.request.operation", "ldap.responses.operation", "ldap.responses.count", "ldap.responses.result_code"},
	}
}

// Parser parses one flow.
type Parser struct {
	tx.PlainList
	stream  bool
	pending [2]tx.Pending
	open    map[uint64]*operation
	changed bool
}

type operation struct {
	t     *tx.Plain
	count uint64
	tls   bool
}

// New makes a parser.
func New(stream bool, limits tx.Limits) *Parser {
	return &Parser{PlainList: tx.PlainList{Spoken: tx.Proto("ldap"), Limits: limits.Filled()}, stream: stream, open: map[uint64]*operation{}}
}

// Change says that TLS was agreed upon.
func (p *Parser) Change() (to rule.Protocol, rest [2][]byte, ok bool) {
	if !p.changed {
		return 0, rest, false
	}
	return tx.Proto("tls"), [2][]byte{p.pending[0].Join(nil), p.pending[1].Join(nil)}, true
}

// Feed takes a datagram, or the next of a stream.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	if p.Lost[dir] {
		return
	}
	b := data
	if p.stream {
		b = p.pending[dir].Join(data)
	}
	for len(b) > 0 && !p.changed {
		if b[0] != 0x30 {
			p.Lost[dir] = true
			p.pending[dir].Drop()
			return
		}
		n, ok := length(b)
		if !ok || len(b) < n {
			break
		}
		if n > maxMessage {
			p.Lost[dir] = true
			return
		}
		p.message(dir, b[:n])
		b = b[n:]
	}
	if p.stream {
		if len(b) > maxMessage {
			p.Lost[dir] = true
			b = nil
		}
		p.pending[dir].Keep(b)
	}
}

// length is the size of an element with its header.
func length(b []byte) (int, bool) {
	if len(b) < 2 {
		return 0, false
	}
	n := int(b[1])
	if n&0x80 == 0 {
		return 2 + n, true
	}
	k := n & 0x7f
	if k == 0 || k > 4 {
		return maxMessage + 1, true
	}
	if len(b) < 2+k {
		return 0, false
	}
	return 2 + k + int(tx.DERUint(b[2:2+k])), true
}

func (p *Parser) message(dir tx.Direction, b []byte) {
	seq, _, _ := tx.DER(b, 0x30)
	id, rest, ok := tx.DER(seq, 2)
	tag, body, _, ok2 := tx.DERAny(rest)
	if !ok || !ok2 || tag&0xc0 != 0x40 {
		return
	}
	number, kind := tx.DERUint(id), tag&31
	if dir == tx.ToServer {
		p.request(number, kind, body)
		return
	}
	p.response(number, kind, body)
}

func (p *Parser) begin() *operation {
	o := &operation{t: &tx.Plain{Key: "ldap"}}
	if !p.Full() {
		p.Add(o.t)
	}
	return o
}

func (p *Parser) request(id uint64, kind byte, b []byte) {
	o := p.begin()
	t := o.t
	t.Number(tx.ToServer, "ldap.request.operation", uint64(kind))
	dn := func(b []byte) {
		t.Put(tx.ToServer, "ldap.request.dn", b)
	}
	first := func(b []byte) []byte {
		v, _, _ := tx.DER(b, 4)
		return v
	}
	switch kind {
	case bindRequest:
		_, rest, _ := tx.DER(b, 2)
		dn(first(rest))
	case searchRequest:
		dn(first(b))
		// Scope, aliases, two limits, types only, a filter; then the attributes.
		_, rest, _ := tx.DER(b, 4)
		for range 6 {
			_, _, rest, _ = tx.DERAny(rest)
		}
		list, _, ok := tx.DER(rest, 0x30)
		for ok && len(list) > 0 {
			var name []byte
			if name, list, ok = tx.DER(list, 4); ok {
				t.Put(tx.ToServer, "ldap.request.attribute_type", name)
			}
		}
	case modifyRequest, addRequest, renameRequest, compareRequest:
		dn(first(b))
		p.attributes(t, tx.ToServer, kind, b)
	case deleteRequest:
		dn(b)
	case extendedRequest:
		name, _, _ := tx.DER(b, 0x80)
		o.tls = bytes.Equal(name, []byte("1.3.6.1.4.1.1466.20037"))
	}
	t.Ended[tx.ToServer] = true
	if kind == unbindRequest || kind == abandonRequest {
		t.End()
		return
	}
	if len(p.open) < p.Limits.Transactions {
		p.open[id] = o
	}
}

// attributes takes the names of those that are added, changed or compared.
func (p *Parser) attributes(t *tx.Plain, dir tx.Direction, kind byte, b []byte) {
	const name = "ldap.request.attribute_type"
	_, rest, _ := tx.DER(b, 4)
	list, _, ok := tx.DER(rest, 0x30)
	if kind == compareRequest {
		if v, _, ok := tx.DER(list, 4); ok {
			t.Put(dir, name, v)
		}
		return
	}
	for ok && len(list) > 0 {
		var one []byte
		if one, list, ok = tx.DER(list, 0x30); !ok {
			return
		}
		if kind == modifyRequest {
			_, one, _ = tx.DER(one, 10)
			one, _, _ = tx.DER(one, 0x30)
		}
		if v, _, ok := tx.DER(one, 4); ok {
			t.Put(dir, name, v)
		}
	}
}

func (p *Parser) response(id uint64, kind byte, b []byte) {
	o := p.open[id]
	if o == nil {
		o = p.begin()
		o.t.Ended[tx.ToServer] = true
		o.t.Event("response_missing_request")
	}
	t := o.t
	o.count++
	t.Number(tx.ToClient, "ldap.responses.operation", uint64(kind))
	switch kind {
	case searchEntry:
		dn, rest, _ := tx.DER(b, 4)
		t.Put(tx.ToClient, "ldap.responses.dn", dn)
		list, _, ok := tx.DER(rest, 0x30)
		for ok && len(list) > 0 {
			var one []byte
			if one, list, ok = tx.DER(list, 0x30); ok {
				name, _, _ := tx.DER(one, 4)
				t.Put(tx.ToClient, "ldap.responses.attribute_type", name)
			}
		}
		return
	case searchReference, intermediate:
		return
	}
	code, rest, ok := tx.DER(b, 10)
	if ok {
		t.Number(tx.ToClient, "ldap.responses.result_code", tx.DERUint(code))
		dn, rest, _ := tx.DER(rest, 4)
		t.Put(tx.ToClient, "ldap.responses.dn", dn)
		text, _, _ := tx.DER(rest, 4)
		t.Put(tx.ToClient, "ldap.responses.message", text)
	}
	t.Number(tx.ToClient, "ldap.responses.count", o.count)
	t.End()
	delete(p.open, id)
	p.changed = o.tls && kind == extendedResponse && ok && tx.DERUint(code) == 0
}
