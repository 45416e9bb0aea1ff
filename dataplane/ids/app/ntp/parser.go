// Package ntp owns NTP (RFC 5905): each message is a transaction.
package ntp

import "ngfw.sh/dataplane/ids/app/tx"

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{Kinds: []string{"ntp.reference_id"}, Keywords: []string{"ntp.mode", "ntp.stratum", "ntp.version"}}
}

// Parser parses one flow.
type Parser struct{ tx.PlainList }

// New makes a parser.
func New(limits tx.Limits) *Parser {
	return &Parser{tx.PlainList{Spoken: tx.Proto("ntp"), Limits: limits.Filled()}}
}

// Feed takes a message.
func (p *Parser) Feed(dir tx.Direction, b []byte) {
	if len(b) == 0 {
		return
	}
	t := p.Message("")
	t.Side(dir)
	mode := b[0] & 7
	t.Number(dir, "ntp.version", uint64(b[0]>>3&7))
	t.Number(dir, "ntp.mode", uint64(mode))
	if mode >= 6 { // control and private messages have another form
		return
	}
	if len(b) < 48 {
		t.Event("malformed_data")
		return
	}
	t.Number(dir, "ntp.stratum", uint64(b[1]))
	t.Put(dir, "ntp.reference_id", b[12:16])
}
