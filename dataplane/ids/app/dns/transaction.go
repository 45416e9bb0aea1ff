package dns

import (
	"maps"
	"slices"

	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

// Transaction is a message.
type Transaction struct {
	tx.Common
	message
	dir tx.Direction
}

// keptRecords is how many records of a section the memory is kept of.
const keptRecords = 16

// renew makes it a new transaction that uses what it was kept in.
func (t *Transaction) renew() {
	t.Common.Renew()
	m := &t.message
	m.texts.Reset()
	for _, section := range []*[]record{&m.questions, &m.answers, &m.authority, &m.extra} {
		if *section = (*section)[:0]; cap(*section) > keptRecords {
			*section = make([]record, 0, 1)
		}
	}
	m.id, m.flags, t.dir = 0, 0, 0
}

var kinds = map[string]bool{
	"dns.query": true, "dns.query.name": true, "dns.queries.rrname": true, "dns.answer.name": true, "dns.answers.rrname": true,
	"dns.authorities.rrname": true, "dns.additionals.rrname": true, "dns.response.rrname": true,
	"mdns.queries.rrname": true, "mdns.answers.rrname": true, "mdns.authorities.rrname": true, "mdns.additionals.rrname": true,
	"mdns.response.rrname": true,
}

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{Kinds: slices.Sorted(maps.Keys(kinds)), Frames: []string{"dns.pdu"}, Keywords: []string{"dns.opcode", "dns.rcode", "dns.rrtype"}}
}

// Inspected says that a message is one of its direction.
func (t *Transaction) Inspected(dir tx.Direction) bool { return dir == t.dir }

// Settled is always true: a message is whole when it is there.
func (t *Transaction) Settled(*rule.BufferKind, tx.Direction) bool { return true }

// Buffers appends names.
func (t *Transaction) Buffers(kind *rule.BufferKind, dir tx.Direction, to []tx.Buffer) []tx.Buffer {
	if dir != t.dir {
		return to
	}
	names := func(sections ...[]record) {
		for _, section := range sections {
			for i := range section {
				if section[i].kind == typeOPT && len(section[i].name) == 0 {
					continue
				}
				to = append(to, tx.Buffer{Data: section[i].name, Whole: true})
			}
		}
	}
	switch kind.Name {
	case "dns.query", "dns.query.name", "dns.queries.rrname", "mdns.queries.rrname":
		names(t.questions)
	case "dns.answer.name", "dns.answers.rrname", "mdns.answers.rrname":
		names(t.answers)
	case "dns.authorities.rrname", "mdns.authorities.rrname":
		names(t.authority)
	case "dns.additionals.rrname", "mdns.additionals.rrname":
		names(t.extra)
	case "dns.response.rrname", "mdns.response.rrname":
		if t.flags&0x8000 == 0 {
			return to
		}
		names(t.questions, t.answers, t.authority, t.extra)
		for _, section := range [][]record{t.answers, t.authority, t.extra} {
			for i := range section {
				if len(section[i].target) > 0 {
					to = append(to, tx.Buffer{Data: section[i].target, Whole: true})
				}
			}
		}
	}
	return to
}

// Numbers appends those of dns.opcode, dns.rcode and dns.rrtype.
func (t *Transaction) Numbers(keyword string, dir tx.Direction, to []uint64) []uint64 {
	if dir != t.dir {
		return to
	}
	switch keyword {
	case "dns.opcode":
		return append(to, uint64(t.flags>>11&15))
	case "dns.rcode":
		if t.flags&0x8000 != 0 {
			return append(to, uint64(t.flags&15))
		}
	case "dns.rrtype":
		for _, section := range [][]record{t.questions, t.answers, t.authority, t.extra} {
			for i := range section {
				to = append(to, uint64(section[i].kind))
			}
		}
	}
	return to
}
