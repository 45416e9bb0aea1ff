// Package packet owns what the matcher knows of one packet: its headers, its
// payload, and what the decoder found odd about it.
//
// A Packet is filled by a Decoder and read by everything after it. Its slices
// share memory with the frame it was decoded from and are valid until the
// decoder's next packet; who keeps one copies it. A Packet is for one goroutine.
package packet

import "net/netip"

// Packet is one packet, decoded. Where a packet is carried in another (a tunnel),
// each is a Packet of its own, Outer leading to the one it came in.
type Packet struct {
	// Time is when it was seen, in nanoseconds since 1970.
	Time int64
	// Number counts from 1 in the order of arrival; reassembled packets have
	// that of the fragment which completed them.
	Number uint64
	// Frame is the whole packet as it came, from its first known header.
	Frame []byte
	// Length is the packet's length on the wire, which may be more than was captured.
	Length int

	// Ethernet is the link header, empty where there is none. VLANs are the
	// tags' ids, the outermost first.
	Ethernet  []byte
	EtherType uint16
	VLANs     [3]uint16
	VLANCount int

	// Version is 4, 6, or 0 for what is not IP. Network is the IP header with its
	// options (IPv6: the fixed header; extension headers are between it and
	// Transport).
	Version  uint8
	Network  []byte
	Src, Dst netip.Addr
	// Protocol is that of the layer above IP, after IPv6's extension headers.
	Protocol uint8
	// Fragment says that it is one, not yet part of a whole. Reassembled says
	// that it was put together of fragments.
	Fragment, Reassembled bool

	// Transport is the header of TCP, UDP, SCTP or ICMP, empty if it is broken or
	// none of these.
	Transport        []byte
	SrcPort, DstPort uint16
	TCP              TCP
	ICMP             ICMP
	// Payload is what follows Transport, within the IP length: not the padding of
	// a frame. For what is IP but no known transport, what follows the headers.
	Payload []byte
	// BadChecksum says that a checksum is wrong; the checksum is not looked at in a
	// packet that the kernel has not finished (NFQA_SKB_CSUMNOTREADY).
	BadChecksum bool

	// Events are what the decoder and defragmentation found (decode-event).
	Events Events
	// Outer is the packet this one was carried in.
	Outer *Packet
}

// TCP is what is often asked of a TCP header.
type TCP struct {
	Seq, Ack uint32
	Flags    uint8 // as on the wire: FIN is 1
	Window   uint16
	// Options are the bytes after the fixed header.
	Options []byte
	MSS     uint16
	WScale  int8 // -1 without the option
	SACKOK  bool
	// HasTimestamp says that TSVal and TSEcr are set.
	HasTimestamp bool
	TSVal, TSEcr uint32
}

// Flags of TCP.
const (
	FIN uint8 = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// ICMP is what is often asked of an ICMP header of either version.
type ICMP struct {
	Type, Code uint8
	// HasID says that ID and Seq are set, as for an echo.
	HasID   bool
	ID, Seq uint16
	// Inner is the packet that an error quotes, as far as it goes.
	Inner []byte
}
