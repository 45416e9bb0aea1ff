package ids

import (
	"ngfw.sh/dataplane/ids/detect"
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
	// Mark is what rules want the bits of MarkMask in the packet's mark to be.
	Mark, MarkMask uint32
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

// replace puts other bytes into the payload, as rules asked for.
func (w *Worker) replace(p *packet.Packet, all []detect.Replacement, v *Verdict) {
	for _, r := range all {
		if r.At >= 0 && r.At+len(r.Bytes) <= len(p.Payload) {
			copy(p.Payload[r.At:], r.Bytes)
		}
	}
	switch n := len(p.Transport) + len(p.Payload); {
	case n > cap(p.Transport):
		return // not one run of bytes: a packet of several fragments is passed on by them
	case p.Protocol == protoTCP && len(p.Transport) >= 20:
		fixChecksum(p)
	case p.Protocol == protoUDP && len(p.Transport) >= 8 && (p.Transport[6] != 0 || p.Transport[7] != 0):
		segment := p.Transport[:n]
		segment[6], segment[7] = 0, 0
		sum := packet.TransportChecksum(p, segment)
		if sum == 0 {
			sum = 0xffff // RFC 768: 0 says that there is none
		}
		segment[6], segment[7] = byte(sum>>8), byte(sum)
	}
	v.Changed = true
}
