// Package pgsql owns PostgreSQL's protocol, version 3, as far as queries: a simple query
// with its answer is a transaction. After TLS was agreed upon there is nothing to see.
package pgsql

import (
	"bytes"
	"encoding/binary"

	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

const (
	maxMessage = 1 << 20
	sslRequest = 80877103
)

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary { return tx.Vocabulary{Kinds: []string{"pgsql.query"}} }

// Parser parses one connection.
type Parser struct {
	tx.PlainList
	pending [2]tx.Pending
	skip    [2]int
	started bool
	asked   bool // for TLS
	changed bool
	open    []*tx.Plain
}

// New makes a parser.
func New(limits tx.Limits) *Parser {
	return &Parser{PlainList: tx.PlainList{Spoken: tx.Proto("pgsql"), Limits: limits.Filled()}}
}

// Change says that TLS was agreed upon.
func (p *Parser) Change() (to rule.Protocol, rest [2][]byte, ok bool) {
	if !p.changed {
		return 0, rest, false
	}
	return tx.Proto("tls"), [2][]byte{p.pending[0].Join(nil), p.pending[1].Join(nil)}, true
}

// Feed takes the next bytes.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	if p.Lost[dir] {
		return
	}
	b := p.pending[dir].Join(data)
	for len(b) > 0 && !p.changed {
		if n := min(p.skip[dir], len(b)); n > 0 {
			p.skip[dir] -= n
			b = b[n:]
			continue
		}
		n := p.step(dir, b)
		if n == 0 {
			break
		}
		b = b[n:]
	}
	p.pending[dir].Keep(b)
}

func (p *Parser) step(dir tx.Direction, b []byte) int {
	if dir == tx.ToServer && !p.started {
		if len(b) < 8 {
			return 0
		}
		size, code := int(binary.BigEndian.Uint32(b)), binary.BigEndian.Uint32(b[4:])
		if size < 8 || size > 1<<16 {
			p.Lost[dir] = true
			return len(b)
		}
		if len(b) < size {
			return 0
		}
		p.asked = code == sslRequest
		p.started = code>>16 == 3
		return size
	}
	if dir == tx.ToClient && p.asked && (b[0] == 'S' || b[0] == 'N') {
		p.asked, p.changed = false, b[0] == 'S'
		return 1
	}
	if len(b) < 5 {
		return 0
	}
	size := 1 + int(binary.BigEndian.Uint32(b[1:]))
	if size < 5 {
		p.Lost[dir] = true
		return len(b)
	}
	if take := min(size, maxMessage); dir == tx.ToServer && (b[0] == 'Q' || b[0] == 'P') {
		if len(b) < take {
			return 0
		}
		p.query(b[0], b[5:take])
		p.skip[dir] = size - take
		return take
	}
	if dir == tx.ToClient && b[0] == 'Z' && len(p.open) > 0 { // ready for the next
		p.open[0].End()
		p.open = p.open[1:]
	}
	p.skip[dir] = size - 5
	return 5
}

func (p *Parser) query(kind byte, b []byte) {
	if kind == 'P' { // a name for the statement comes first
		_, b, _ = bytes.Cut(b, []byte{0})
	}
	text, _, _ := bytes.Cut(b, []byte{0})
	if p.Full() || len(p.open) >= p.Limits.Transactions {
		return
	}
	t := p.Add(&tx.Plain{Key: "pgsql"})
	t.Put(tx.ToServer, "pgsql.query", text)
	t.Field("request", map[string]string{"simple_query": string(text)})
	t.Ended[tx.ToServer] = true
	p.open = append(p.open, t)
}
