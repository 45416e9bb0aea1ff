package ids

import (
	"ngfw.sh/dataplane/ids/packet"
	"ngfw.sh/dataplane/ids/rule"
)

// Verdict is what is to become of a packet.
type Verdict struct {
	// Drop: it must not pass. Always false where the engine is not inline.
	Drop bool
	// Reject says who is to be told: the packet's sender, its receiver, both.
	Reject rule.Action // ActionReject, ActionRejectDestination, ActionRejectBoth, or 0
	// Changed says that the frame was changed and is to be passed on as it is
	// now: its TCP checksum is right again.
	Changed bool
	// Leave is what may be done with the rest of the flow without us.
	Leave Leave
	// Flow is that of the packet, or nil.
	Flow *Flow
	// Reason is why it is dropped.
	Reason string
}

// Leave is a hint that a flow needs no more inspection.
type Leave uint8

const (
	Stay      Leave = iota
	LeavePass       // nothing that follows can match
	LeaveDrop       // all that follows is dropped
)

// drop marks the verdict. The first reason counts.
func (v *Verdict) drop(reason string) {
	if !v.Drop {
		v.Drop, v.Reason = true, reason
	}
}

// fixChecksum makes a TCP checksum right after the payload was changed.
func fixChecksum(p *packet.Packet) {
	// Transport and payload are one run of bytes in the frame.
	n := len(p.Transport) + len(p.Payload)
	segment := p.Transport[:n]
	segment[16], segment[17] = 0, 0
	sum := packet.TransportChecksum(p, segment)
	segment[16], segment[17] = byte(sum>>8), byte(sum)
}
