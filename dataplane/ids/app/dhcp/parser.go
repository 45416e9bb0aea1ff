// Package dhcp owns DHCP (RFC 2131): each message is a transaction.
package dhcp

import (
	"encoding/binary"
	"net"

	"ngfw.sh/dataplane/ids/app/tx"
)

// Options that are looked at (RFC 2132).
const (
	optLease     = 51
	optType      = 53
	optRenewal   = 58
	optRebinding = 59
	optPad       = 0
	optEnd       = 255
)

// Vocabulary is what rules can ask.
func Vocabulary() tx.Vocabulary {
	return tx.Vocabulary{Keywords: []string{"dhcp.leasetime", "dhcp.rebinding_time", "dhcp.renewal_time"}}
}

// Parser parses one flow.
type Parser struct{ tx.PlainList }

// New makes a parser.
func New(limits tx.Limits) *Parser {
	return &Parser{tx.PlainList{Spoken: tx.Proto("dhcp"), Limits: limits.Filled()}}
}

var typeNames = []string{"", "discover", "offer", "request", "decline", "ack", "nak", "release", "inform"}

// Feed takes a message.
func (p *Parser) Feed(dir tx.Direction, b []byte) {
	if len(b) < 240 {
		return
	}
	t := p.Message("dhcp")
	t.Side(dir)
	kind := "request"
	if b[0] == 2 {
		kind = "reply"
	}
	t.Field("type", kind)
	t.Field("id", binary.BigEndian.Uint32(b[4:]))
	t.Field("client_mac", net.HardwareAddr(b[28:34]).String())
	t.Field("assigned_ip", net.IP(b[16:20]).String())
	options := b[240:]
	for len(options) > 0 && options[0] != optEnd {
		if options[0] == optPad {
			options = options[1:]
			continue
		}
		if len(options) < 2 || len(options) < 2+int(options[1]) {
			t.Event("truncated_options")
			return
		}
		code, v := options[0], options[2:2+int(options[1])]
		options = options[2+len(v):]
		switch {
		case code == optType && len(v) == 1 && int(v[0]) < len(typeNames):
			t.Field("dhcp_type", typeNames[v[0]])
		case len(v) != 4:
		case code == optLease:
			t.Number(dir, "dhcp.leasetime", uint64(binary.BigEndian.Uint32(v)))
		case code == optRenewal:
			t.Number(dir, "dhcp.renewal_time", uint64(binary.BigEndian.Uint32(v)))
		case code == optRebinding:
			t.Number(dir, "dhcp.rebinding_time", uint64(binary.BigEndian.Uint32(v)))
		}
	}
}
