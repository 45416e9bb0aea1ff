package app

import "ngfw.sh/dataplane/ids/rule"

// Transport is what a flow's application is spoken over.
type Transport = rule.Transport

const (
	OverTCP = rule.OverTCP
	OverUDP = rule.OverUDP
)

// answer is what a probe makes of the first bytes of a direction.
type answer uint8

const (
	no    answer = iota
	maybe        // with more bytes it may be
	yes
)

// A probe knows a protocol by the first bytes that one side sends. Ports say where it
// is worth trying, for protocols whose beginnings look like anything; a probe
// without ports is tried on all.
type probe struct {
	protocol rule.Protocol
	over     Transport
	ports    []uint16
	// test[dir] is nil where the side's first bytes say nothing.
	test [2]func([]byte) answer
}

// maxProbed is how many bytes of a direction are looked at before it is given up. A
// TLS hello that claims more is known by its first five.
const maxProbed = 4096

// likeDNS are the ports of protocols that look like DNS and are not: NetBIOS names, LLMNR.
var likeDNS = map[uint16]bool{137: true, 138: true, 5355: true}

// Detect finds the protocol by what a direction has sent so far. It is found, or has
// failed, or neither: then the caller tries again with more bytes. Of
// UDP, soFar is the datagram and final is true. ServerPort and ClientPort are hints.
// What the choice (nil: everything) does not want is not found.
func Detect(choice *Choice, over Transport, dir Direction, clientPort, serverPort uint16, soFar []byte, final bool) (found rule.Protocol, failed bool) {
	if len(soFar) == 0 {
		return 0, final
	}
	waiting := false
	for i := range probes {
		p := &probes[i]
		if p.over&over == 0 || p.test[dir] == nil {
			continue
		}
		if !choice.wanted(p.protocol, over) || p.ports != nil && !at(choice.ports(p.protocol, over, p.ports), clientPort, serverPort) {
			continue
		}
		if p.protocol == protoDNS && over == OverUDP && !at(choice.ports(protoDNS, over, homeOfDNS), clientPort, serverPort) &&
			(likeDNS[serverPort] || likeDNS[clientPort] || !wholeDNS(soFar)) {
			continue
		}
		switch p.test[dir](soFar) {
		case yes:
			// An earlier protocol may only be short of bytes; none of the probes that
			// wait begin like one that is sure.
			return p.protocol, false
		case maybe:
			waiting = true
		}
	}
	return 0, !waiting || final || len(soFar) >= maxProbed
}
