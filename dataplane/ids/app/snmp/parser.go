// Package snmp owns SNMP, versions 1 to 3 (RFC 1157, RFC 3416, RFC 3412): each message is a
// transaction.
package snmp

import "ngfw.sh/dataplane/ids/app/tx"

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{Kinds: []string{"snmp.community", "snmp.usm"}, Keywords: []string{"snmp.version", "snmp.pdu_type"}}
}

// Parser parses one flow.
type Parser struct{ tx.PlainList }

// New makes a parser.
func New(limits tx.Limits) *Parser {
	return &Parser{tx.PlainList{Spoken: tx.Proto("snmp"), Limits: limits.Filled()}}
}

// Feed takes a message.
func (p *Parser) Feed(dir tx.Direction, b []byte) {
	body, _, ok := tx.DER(b, 0x30)
	number, rest, ok2 := tx.DER(body, 2)
	if !ok || !ok2 {
		return
	}
	t := p.Message("snmp")
	t.Side(dir)
	version := tx.DERUint(number) + 1
	t.Number(dir, "snmp.version", version)
	t.Field("version", version)
	if version == 4 {
		version = 3
	}
	if version < 3 {
		community, rest, ok := tx.DER(rest, 4)
		if !ok {
			t.Event("malformed_data")
			return
		}
		t.Put(dir, "snmp.community", community)
		t.Field("community", string(community))
		p.pdu(t, dir, rest)
		return
	}
	_, rest, ok = tx.DER(rest, 0x30) // global data
	security, rest, ok2 := tx.DER(rest, 4)
	if !ok || !ok2 {
		t.Event("malformed_data")
		return
	}
	if list, _, ok := tx.DER(security, 0x30); ok {
		_, list, _ = tx.DER(list, 4) // engine
		_, list, _ = tx.DER(list, 2) // boots
		_, list, _ = tx.DER(list, 2) // time
		if user, _, ok := tx.DER(list, 4); ok {
			t.Put(dir, "snmp.usm", user)
			t.Field("usm", string(user))
		}
	}
	if scoped, _, ok := tx.DER(rest, 0x30); ok {
		_, scoped, _ = tx.DER(scoped, 4)
		_, scoped, _ = tx.DER(scoped, 4)
		p.pdu(t, dir, scoped)
	}
}

func (p *Parser) pdu(t *tx.Plain, dir tx.Direction, b []byte) {
	if tag, _, _, ok := tx.DERAny(b); ok && tag&0xe0 == 0xa0 {
		t.Number(dir, "snmp.pdu_type", uint64(tag&31))
	}
}
