package policy

import (
	"net/netip"
	"time"
)

// InterfaceSelf stands for the router where a packet's interface is named.
const InterfaceSelf = "self"

// Packet is the first packet of a flow, as it is on the wire. In and Out are
// interface names or InterfaceSelf; Out is where it leaves after NAT.
type Packet struct {
	In, Out          string
	Src, Dst         netip.Addr
	Protocol         uint8
	SrcPort, DstPort uint16 // TCP, UDP and SCTP
	ICMPType         uint8  // ICMP and ICMPv6
	ICMPCode         uint8
	VLAN             uint16 // the frame's tag; zones go by interface alone
	SrcMAC           MAC    // zero: the frame has none
	Time             time.Time
}

// DecodePackets reads a JSON list of packets,
// {in,out,src,dst,protocol,sport?,dport?,icmp_type?,icmp_code?,src_mac?,vlan?,time?},
// strictly: errors have paths such as "[2].src". Those without a time get now.
func DecodePackets(data []byte, now time.Time) ([]Packet, error) {
	return decodeList(data, func(d decoder, path string, v any) Packet {
		return readPacket(d.found, path, v, now)
	})
}

// DecodePacket reads one packet; paths are relative to it.
func DecodePacket(data []byte, now time.Time) (Packet, error) {
	return decodeOne(data, func(d decoder, path string, v any) Packet {
		return readPacket(d.found, path, v, now)
	})
}

func readPacket(found *findings, path string, v any, now time.Time) Packet {
	p := Packet{Time: now}
	r, ok := newRecord(found, path, v)
	if !ok {
		return p
	}
	r.require("in", "out", "src", "dst", "protocol")
	r.link("in", &p.In)
	r.link("out", &p.Out)
	if p.In == InterfaceSelf && p.Out == InterfaceSelf {
		found.add(r.member("out"), "what the router sends to itself is not judged: name an interface")
	}
	r.address("src", &p.Src)
	r.address("dst", &p.Dst)
	r.protocol(&p.Protocol)
	r.port("sport", &p.SrcPort)
	r.port("dport", &p.DstPort)
	r.octet("icmp_type", &p.ICMPType)
	r.octet("icmp_code", &p.ICMPCode)
	var vlan, at int64
	if r.bounded("vlan", 4094, &vlan) {
		p.VLAN = uint16(vlan)
	}
	if r.integer("time", &at) {
		p.Time = time.Unix(at, 0)
	}
	var mac string
	if r.text("src_mac", &mac); mac != "" {
		parsed, err := ParseMAC(mac)
		found.failed(r.member("src_mac"), err)
		p.SrcMAC = parsed
	}
	r.done()
	return p
}

// link reads an interface's name; it need not exist.
func (r *record) link(name string, to *string) {
	r.text(name, to)
	if v, ok := r.value(name); ok && v == "" {
		r.found.add(r.member(name), `is empty: name an interface, or "self" for the router`)
	}
}

func (r *record) address(name string, to *netip.Addr) {
	var s string
	if r.text(name, &s); s == "" {
		if v, ok := r.value(name); ok && v == "" {
			r.found.add(r.member(name), "is empty: write an IP address")
		}
		return
	}
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.Zone() != "" {
		r.found.add(r.member(name), "%q is no IP address", s)
		return
	}
	*to = addr
}

func (r *record) protocol(to *uint8) {
	v, ok := r.value("protocol")
	if !ok {
		return
	}
	if s, isText := v.(string); isText {
		n, err := parseOneProtocol(s)
		r.found.failed(r.member("protocol"), err)
		*to = n
		return
	}
	r.octet("protocol", to)
}

func (r *record) port(name string, to *uint16) {
	var n int64
	if r.bounded(name, 65535, &n) {
		*to = uint16(n)
	}
}

func (r *record) octet(name string, to *uint8) {
	var n int64
	if r.bounded(name, 255, &n) {
		*to = uint8(n)
	}
}
