package nfqueue

import (
	"encoding/binary"
	"errors"
)

// The messages of linux/netfilter/nfnetlink_queue.h, in the host's byte order where
// netlink's own headers are meant and in the network's inside.
const (
	headerSize = 16 + 4 // nlmsghdr and nfgenmsg

	subsystem    = 3 << 8 // NFNL_SUBSYS_QUEUE
	typePacket   = subsystem
	typeVerdict  = subsystem | 1
	typeBatch    = subsystem | 3
	typeError    = 2 // NLMSG_ERROR
	flagRequest  = 1
	attrTypeMask = 0x3fff

	attrHeader  = 1
	attrMark    = 3
	attrIn      = 5
	attrOut     = 6
	attrSource  = 9
	attrPayload = 10
	attrLength  = 13
	attrInfo    = 14

	attrVerdict     = 2
	attrVerdictMark = 3

	infoUnfinished = 1
	infoGSO        = 2

	accept = 1
	drop   = 0

	// maxData is the most of a packet that is copied: the kernel's own bound.
	maxData = 0xffff
	// space is what a message takes at most: its attributes are small.
	space = maxData + 1024
	// maxSend is when a batch is sent before its burst ends: what does not fit into the socket's
	// buffer, 208 KiB by default, is refused whole (EMSGSIZE), and replaced packets are large.
	maxSend = 64 << 10
)

var errMessage = errors.New("a message of the queue is broken")

// messages calls each for every netlink message of a datagram.
func messages(b []byte, each func(kind uint16, body []byte) error) error {
	for len(b) >= 16 {
		n := binary.NativeEndian.Uint32(b)
		if n < 16 || uint64(n) > uint64(len(b)) {
			return errMessage
		}
		if err := each(binary.NativeEndian.Uint16(b[4:]), b[16:n]); err != nil {
			return err
		}
		b = b[min(align(int(n)), len(b)):]
	}
	if len(b) != 0 {
		return errMessage
	}
	return nil
}

func align(n int) int { return (n + 3) &^ 3 }

// parse reads the body of a packet's message, which begins with nfgenmsg.
func (p *Packet) parse(b []byte) error {
	*p = Packet{}
	if len(b) < 4 {
		return errMessage
	}
	known := false
	for b = b[4:]; len(b) >= 4; {
		n := int(binary.NativeEndian.Uint16(b))
		kind := binary.NativeEndian.Uint16(b[2:]) & attrTypeMask
		if n < 4 || n > len(b) {
			return errMessage
		}
		value := b[4:n]
		switch {
		case kind == attrHeader && len(value) >= 7:
			p.id, p.EtherType, known = binary.BigEndian.Uint32(value), binary.BigEndian.Uint16(value[4:]), true
		case kind == attrMark && len(value) == 4:
			p.Mark = binary.BigEndian.Uint32(value)
		case kind == attrIn && len(value) == 4:
			p.In = binary.BigEndian.Uint32(value)
		case kind == attrOut && len(value) == 4:
			p.Out = binary.BigEndian.Uint32(value)
		case kind == attrSource && len(value) >= 4:
			if size := int(binary.BigEndian.Uint16(value)); size <= 8 && 4+size <= len(value) {
				p.Source = value[4 : 4+size]
			}
		case kind == attrPayload:
			p.Data = value
		case kind == attrLength && len(value) == 4:
			p.Length = int(binary.BigEndian.Uint32(value))
		case kind == attrInfo && len(value) == 4:
			info := binary.BigEndian.Uint32(value)
			p.Unfinished, p.GSO = info&infoUnfinished != 0, info&infoGSO != 0
		}
		b = b[min(align(n), len(b)):]
	}
	if !known {
		return errMessage
	}
	if p.Length == 0 {
		p.Length = len(p.Data)
	}
	return nil
}
