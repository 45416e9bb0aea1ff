package dns

import (
	"net/netip"
	"strconv"
	"strings"
)

var typeNames = map[uint16]string{
	1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 10: "NULL", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV", 35: "NAPTR",
	41: "OPT", 43: "DS", 44: "SSHFP", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA", 64: "SVCB",
	65: "HTTPS", 99: "SPF", 250: "TSIG", 251: "IXFR", 252: "AXFR", 255: "ANY", 256: "URI", 257: "CAA",
}

var codeNames = []string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE"}

func typeName(t uint16) string {
	if s, ok := typeNames[t]; ok {
		return s
	}
	return strconv.Itoa(int(t))
}

// event is the event log's "dns", version 3.
type event struct {
	Version int         `json:"version"`
	Type    string      `json:"type"`
	TxID    uint64      `json:"tx_id"`
	ID      uint16      `json:"id"`
	Flags   string      `json:"flags"`
	QR      bool        `json:"qr,omitempty"`
	AA      bool        `json:"aa,omitempty"`
	TC      bool        `json:"tc,omitempty"`
	RD      bool        `json:"rd,omitempty"`
	RA      bool        `json:"ra,omitempty"`
	Z       bool        `json:"z,omitempty"`
	Opcode  uint16      `json:"opcode"`
	Rcode   string      `json:"rcode,omitempty"`
	Queries []eventName `json:"queries,omitempty"`
	Answers []eventName `json:"answers,omitempty"`
}

type eventName struct {
	Name string `json:"rrname"`
	Type string `json:"rrtype"`
	TTL  uint32 `json:"ttl,omitempty"`
	Data string `json:"rdata,omitempty"`
}

// Record is what the event log says of it.
func (t *Transaction) Record() (string, any) {
	f := t.flags
	e := event{
		Version: 3, Type: "request", TxID: t.Common.ID(), ID: t.message.id, Flags: strconv.FormatUint(uint64(f), 16), QR: f&0x8000 != 0,
		AA: f&0x400 != 0, TC: f&0x200 != 0, RD: f&0x100 != 0, RA: f&0x80 != 0, Z: f&0x40 != 0, Opcode: f >> 11 & 15,
	}
	if e.QR {
		e.Type = "response"
		e.Rcode = strconv.Itoa(int(f & 15))
		if int(f&15) < len(codeNames) {
			e.Rcode = codeNames[f&15]
		}
	}
	for _, q := range t.questions {
		e.Queries = append(e.Queries, eventName{Name: string(q.name), Type: typeName(q.kind)})
	}
	for i := range t.answers {
		a := &t.answers[i]
		e.Answers = append(e.Answers, eventName{Name: string(a.name), Type: typeName(a.kind), TTL: a.ttl, Data: a.text()})
	}
	return "dns", e
}

func (r *record) text() string {
	switch r.kind {
	case typeA, typeAAAA:
		if a, ok := netip.AddrFromSlice(r.rdata); ok {
			return a.String()
		}
	case typeTXT:
		var s strings.Builder
		for b := r.rdata; len(b) > 0 && len(b) > int(b[0]); b = b[1+int(b[0]):] {
			s.Write(b[1 : 1+int(b[0])])
		}
		return s.String()
	}
	return string(r.target)
}
