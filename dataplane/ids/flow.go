package ids

import (
	"net/netip"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/detect"
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/stream"
)

// Flow is the packets between two endpoints.
type Flow struct {
	// ID is unique in a worker's life.
	ID             uint64
	Client, Server netip.AddrPort
	Protocol       uint8
	VLANs          [3]uint16
	VLANCount      int
	Last           int64
	// ICMP is the first packet's type and code.
	ICMPType, ICMPCode uint8
	Detect             detect.Flow
	TCP                *stream.Session
	// Parser is that of its application, or nil.
	app application
	// Alerted says that an alert was raised.
	Alerted bool
	// Action is what was decided for the rest of the flow.
	Action FlowAction
	Reason string // of Action

	key     key
	class   Class
	state   flowState
	seen    [2]bool
	reverse bool // client and server were exchanged after the first packet
	broken  bool // a parser or detection panicked
	dirty   [2]bool
	rates   [2]rate
	list    *lru
	prev    *Flow
	next    *Flow
}

// FlowAction is what was decided for a flow.
type FlowAction uint8

const (
	Inspect FlowAction = iota
	FlowPassed
	FlowDropped
	FlowBypassed
)

type flowState uint8

const (
	flowNew flowState = iota
	flowEstablished
	flowClosed
	flowBypassed
	flowStates
)

var flowStateNames = [...]string{"new", "established", "closed", "bypassed"}

// State is "new", "established", "closed" or "bypassed".
func (f *Flow) State() string { return flowStateNames[f.state] }

// Parser is that of the flow's application, or nil.
func (f *Flow) Parser() app.Parser { return f.app.parser() }

type key struct {
	a, b     netip.Addr // the lower first
	pa, pb   uint16
	protocol uint8
	depth    uint8 // of tunnels
	vlans    [3]uint16
}

// keyOf is the same for both directions. forward says that the packet's source
// comes first.
func keyOf(p *packet.Packet, vlans bool) (k key, forward bool) {
	src, dst, sport, dport := p.Src, p.Dst, p.SrcPort, p.DstPort
	k.protocol = p.Protocol
	if p.Protocol == 1 || p.Protocol == 58 {
		sport, dport = icmpPorts(p.Version, p.ICMP.Type)
	}
	for o := p.Outer; o != nil; o = o.Outer {
		k.depth++
	}
	if vlans {
		k.vlans = p.VLANs
	}
	c := src.Compare(dst)
	if c < 0 || c == 0 && sport <= dport {
		k.a, k.b, k.pa, k.pb = src, dst, sport, dport
		return k, true
	}
	k.a, k.b, k.pa, k.pb = dst, src, dport, sport
	return k, false
}

// icmpPorts gives a question and its answer ports, so that they are of one flow.
func icmpPorts(version, kind uint8) (src, dst uint16) {
	other := kind
	if version == 4 {
		switch kind {
		case 8:
			other = 0
		case 0:
			other = 8
		case 13:
			other = 14
		case 14:
			other = 13
		case 15:
			other = 16
		case 16:
			other = 15
		case 17:
			other = 18
		case 18:
			other = 17
		}
	} else {
		switch kind {
		case 128:
			other = 129
		case 129:
			other = 128
		case 135:
			other = 136
		case 136:
			other = 135
		case 139:
			other = 140
		case 140:
			other = 139
		}
	}
	return uint16(kind), uint16(other)
}

// direction is that of a packet in its flow.
func (f *Flow) direction(p *packet.Packet) app.Direction {
	to := app.ToClient
	switch {
	case p.Protocol == 1 || p.Protocol == 58 || p.SrcPort == p.DstPort || p.Transport == nil:
		if p.Src != p.Dst {
			if p.Src == f.Client.Addr() {
				to = app.ToServer
			}
		} else if p.ICMP.Type == f.ICMPType {
			to = app.ToServer
		}
	case p.SrcPort == f.Client.Port() && (p.Src == f.Client.Addr()):
		to = app.ToServer
	}
	return to
}

func classOf(protocol uint8) Class {
	switch protocol {
	case 6:
		return TCPFlow
	case 17:
		return UDPFlow
	case 1, 58:
		return ICMPFlow
	}
	return OtherFlow
}
