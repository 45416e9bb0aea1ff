package app

import (
	"ngfw.sh/dataplane/ids/app/dns"
	"ngfw.sh/dataplane/ids/app/http1"
	"ngfw.sh/dataplane/ids/app/tx"
	"ngfw.sh/dataplane/ids/rule"
)

// dialect is a protocol that is parsed.
type dialect struct {
	open     func(over Transport, limits Limits) Parser
	supports func(*rule.BufferKind) bool
}

var dialects = map[rule.Protocol]dialect{
	tx.Proto("http1"): {func(_ Transport, l Limits) Parser { return http1.New(l) }, http1.Supports},
	tx.Proto("dns"):   {func(o Transport, l Limits) Parser { return dns.New("dns", o == OverTCP, l) }, dns.Supports},
	tx.Proto("mdns"):  {func(o Transport, l Limits) Parser { return dns.New("mdns", o == OverTCP, l) }, dns.Supports},
}

// New makes a parser of a protocol, nil if it is known but not parsed.
func New(p rule.Protocol, over Transport, limits Limits) Parser {
	if d, ok := dialects[p]; ok {
		return d.open(over, limits)
	}
	return nil
}

// Supports says whether any parser fills buffers of a kind. Kinds that are not of an
// application (of headers, payload, decoded) are not this package's.
func Supports(kind *rule.BufferKind) bool {
	for _, p := range kind.Apps.Protocols() {
		if d, ok := dialects[p]; ok && d.supports(kind) {
			return true
		}
	}
	return false
}
