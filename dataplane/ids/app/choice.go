package app

import (
	"slices"

	"ngfw.sh/dataplane/ids/rule"
)

// Choice says which protocols are looked for, where, and which are parsed. The zero
// Choice is all of them, where each is at home (manual, "App-layer.protocols").
type Choice struct {
	Off      map[rule.Protocol]Transport // not looked for
	Unparsed map[rule.Protocol]Transport // found, and no more: detection-only
	// Ports take the place of a protocol's own. Those that are known by their
	// first bytes alone are found on every port nevertheless.
	Ports map[Home][]uint16
}

// Home is a protocol over a transport.
type Home struct {
	Protocol rule.Protocol
	Over     Transport
}

// wanted says whether a protocol is looked for.
func (c *Choice) wanted(p rule.Protocol, over Transport) bool {
	return c == nil || c.Off[p]&over == 0
}

// parsed says whether it is parsed where it is found.
func (c *Choice) parsed(p rule.Protocol, over Transport) bool {
	return c.wanted(p, over) && (c == nil || c.Unparsed[p]&over == 0)
}

// None says that none of some protocols is looked for anywhere.
func (c *Choice) None(of rule.AppSet) bool {
	for _, p := range of.Protocols() {
		carrier := p
		if p == protoDoH2 {
			carrier = protoHTTP2
		}
		if c.Off[carrier] != OverTCP|OverUDP {
			return false
		}
	}
	return of != 0
}

// ports are those of a protocol, whose own are given.
func (c *Choice) ports(p rule.Protocol, over Transport, own []uint16) []uint16 {
	if c == nil {
		return own
	}
	if ports, ok := c.Ports[Home{p, over}]; ok {
		return ports
	}
	return own
}

// homeOfDNS are the ports of DNS, where the beginning of a message is enough to know it.
var homeOfDNS = []uint16{53}

// at says whether a flow has one of the ports.
func at(ports []uint16, client, server uint16) bool {
	return slices.Contains(ports, server) || slices.Contains(ports, client)
}
