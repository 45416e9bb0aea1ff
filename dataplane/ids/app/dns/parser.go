// Package dns owns DNS over UDP and TCP, and mDNS: each message is a transaction of its
// own, as since version 7 of Suricata, where a request and its response are no
// longer joined.
package dns

import (
	"encoding/binary"
	"errors"

	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

// Parser parses one flow.
type Parser struct {
	tx.FrameLog
	protocol rule.Protocol
	stream   bool
	limits   tx.Limits
	list     tx.List[*Transaction]
	pending  [2]tx.Pending
	lost     [2]bool
	spare    []*Transaction // for the next ones
}

// New makes a parser; of a stream, each message has its length before it.
func New(protocol string, stream bool, limits tx.Limits) *Parser {
	return &Parser{protocol: tx.Proto(protocol), stream: stream, limits: limits.Filled(), FrameLog: tx.NewFrameLog(limits)}
}

func (p *Parser) Protocol() rule.Protocol        { return p.protocol }
func (p *Parser) Begin(id uint64)                { p.list.Begin(id) }
func (p *Parser) Count() uint64                  { return p.list.Count() }
func (p *Parser) Transactions() []tx.Transaction { return p.list.Transactions() }
func (p *Parser) Close(tx.Direction)             {}

// Free forgets the transactions before id.
func (p *Parser) Free(id uint64) {
	for _, t := range p.list.All() {
		if t.ID() >= id {
			break
		}
		p.forget(t)
	}
	p.list.Free(id)
}

// spareTransactions bounds those that a parser keeps for the next messages.
const spareTransactions = 4

func (p *Parser) forget(t *Transaction) {
	if len(p.spare) < spareTransactions {
		p.spare = append(p.spare, t)
	}
}

// Forget gives back what the flow, which is over, was kept in. The parser is of no use until
// Renew.
func (p *Parser) Forget() {
	for _, t := range p.list.All() {
		p.forget(t)
	}
	p.list.Renew()
}

// Renew makes it the parser of another flow.
func (p *Parser) Renew(protocol rule.Protocol, stream bool, limits tx.Limits) {
	p.protocol, p.stream, p.limits, p.FrameLog = protocol, stream, limits.Filled(), tx.NewFrameLog(limits)
	p.lost = [2]bool{}
	for i := range p.pending {
		p.pending[i].Drop()
	}
}

// Gap ends a direction: where the next message begins is not known.
func (p *Parser) Gap(dir tx.Direction, _ int) { p.lost[dir] = p.stream }

func (p *Parser) Done() tx.Done {
	if p.lost[0] && p.lost[1] {
		return tx.GaveUp
	}
	return tx.NotDone
}

// Feed takes a datagram, or the next of a stream.
func (p *Parser) Feed(dir tx.Direction, data []byte) {
	if !p.stream {
		p.message(dir, data)
		return
	}
	if p.lost[dir] {
		return
	}
	b := p.pending[dir].Join(data)
	for len(b) >= 2 {
		n := int(binary.BigEndian.Uint16(b))
		if n > 0 && n < 12 {
			p.lost[dir] = true
			p.pending[dir].Drop()
			return
		}
		if len(b) < 2+n {
			break
		}
		if n > 0 {
			p.message(dir, b[2:2+n])
		}
		b = b[2+n:]
	}
	p.pending[dir].Keep(b)
}

func (p *Parser) message(dir tx.Direction, b []byte) {
	if len(p.list.All()) >= p.limits.Transactions {
		return
	}
	var t *Transaction
	if n := len(p.spare); n > 0 {
		t, p.spare = p.spare[n-1], p.spare[:n-1]
		t.renew()
	} else {
		t = &Transaction{}
	}
	if !t.read(dir, b, p.protocol == protoDNS) {
		p.forget(t)
	} else {
		p.Note(dir, "pdu", b)
		p.list.Add(t)
	}
}

// read makes it a message's transaction, unless the bytes are none.
func (t *Transaction) read(dir tx.Direction, b []byte, sided bool) bool {
	t.dir = dir
	// The transaction outlives the bytes: record data are parts of the copy.
	m := &t.message
	err := t.parse(m.texts.Keep(b))
	if errors.Is(err, errNone) {
		return false
	}
	response := m.flags&0x8000 != 0
	if sided && dir == tx.ToServer && response {
		t.Event("not_a_request")
	}
	if sided && dir == tx.ToClient && !response {
		t.Event("not_response")
	}
	if err != nil {
		t.Event("malformed_data")
	}
	if m.flags&0x40 != 0 {
		t.Event("z_flag_set")
	}
	if opcode := m.flags >> 11 & 15; opcode >= 7 {
		t.Event("invalid_opcode")
	}
	t.Ended = [2]bool{true, true}
	return true
}

// NewTransaction reads a message that another protocol carries; its events are told
// to odd. It is nil if the bytes are no message.
func NewTransaction(dir tx.Direction, b []byte, odd func(string)) *Transaction {
	t := &Transaction{}
	if !t.read(dir, b, true) {
		return nil
	}
	for _, e := range t.Events() {
		odd(e)
	}
	return t
}

var protoDNS = tx.Proto("dns")
