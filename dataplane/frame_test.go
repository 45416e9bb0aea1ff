package dataplane

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

var (
	hostMAC   = net.HardwareAddr{2, 0, 0, 0, 0, 9}
	routerMAC = net.HardwareAddr{2, 0, 0, 0, 0, 1}
)

const (
	lan4, iot4, inet4 = "10.0.1.9", "10.0.3.9", "203.0.113.7"
	lan6, inet6       = "2001:db8:1::9", "2001:db8:f00::7"
	rtr4, rtrWAN4     = "10.0.1.1", "192.0.2.1"
	rtr6, rtrWAN6     = "2001:db8:1::1", "2001:db8:ff::1"
)

// packet is a whole one; its zero values are the usual.
type packet struct {
	src, dst     string
	proto        layers.IPProtocol
	sport, dport uint16
	flags        string // of TCP: S, A, F, R
	seq, ack     uint32
	kind, code   uint8 // of ICMP, whose identifier is sport
	payload      []byte
	fragment     uint16 // 8-byte units from the start
	more         bool   // fragments follow
	hops         uint8
}

func (p packet) reply() packet {
	p.src, p.dst, p.sport, p.dport = p.dst, p.src, p.dport, p.sport
	return p
}

func (p packet) frame(t testing.TB) []byte {
	t.Helper()
	src, dst := netip.MustParseAddr(p.src), netip.MustParseAddr(p.dst)
	if p.hops == 0 {
		p.hops = 64
	}
	eth := &layers.Ethernet{SrcMAC: hostMAC, DstMAC: routerMAC, EthernetType: layers.EthernetTypeIPv4}
	if src.Is4() {
		ip := &layers.IPv4{Version: 4, TTL: p.hops, Protocol: p.proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice(), FragOffset: p.fragment, Id: 77}
		if p.more {
			ip.Flags = layers.IPv4MoreFragments
		}
		return serialize(t, append([]gopacket.SerializableLayer{eth, ip}, p.transport()...)...)
	}
	eth.EthernetType = layers.EthernetTypeIPv6
	ip := &layers.IPv6{Version: 6, HopLimit: p.hops, NextHeader: p.proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	all := []gopacket.SerializableLayer{eth, ip}
	if p.fragment > 0 || p.more {
		ip.NextHeader = layers.IPProtocolIPv6Fragment
		all = append(all, gopacket.Payload(fragmentHeader(p.proto, p.fragment, p.more)))
	}
	return serialize(t, append(all, p.transport()...)...)
}

func (p packet) transport() []gopacket.SerializableLayer {
	payload := gopacket.Payload(p.payload)
	if p.fragment > 0 {
		return []gopacket.SerializableLayer{payload}
	}
	switch p.proto {
	case layers.IPProtocolTCP:
		return []gopacket.SerializableLayer{&layers.TCP{
			SrcPort: layers.TCPPort(p.sport), DstPort: layers.TCPPort(p.dport), DataOffset: 5, Seq: p.seq, Ack: p.ack,
			SYN: strings.Contains(p.flags, "S"), ACK: strings.Contains(p.flags, "A"),
			FIN: strings.Contains(p.flags, "F"), RST: strings.Contains(p.flags, "R"),
		}, payload}
	case layers.IPProtocolUDP:
		return []gopacket.SerializableLayer{&layers.UDP{SrcPort: layers.UDPPort(p.sport), DstPort: layers.UDPPort(p.dport)}, payload}
	case layers.IPProtocolSCTP:
		head := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, p.sport), p.dport)
		return []gopacket.SerializableLayer{gopacket.Payload(append(head, make([]byte, 8)...)), payload}
	case layers.IPProtocolICMPv4, layers.IPProtocolICMPv6:
		head := binary.BigEndian.AppendUint16([]byte{p.kind, p.code, 0, 0}, p.sport)
		return []gopacket.SerializableLayer{gopacket.Payload(append(head, 0, 1)), payload}
	}
	return []gopacket.SerializableLayer{payload}
}

func serialize(t testing.TB, all ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true}, all...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func fragmentHeader(next layers.IPProtocol, offset uint16, more bool) []byte {
	field := offset << 3
	if more {
		field |= 1
	}
	h := binary.BigEndian.AppendUint16([]byte{byte(next), 0}, field)
	return append(h, 0, 0, 0, 77)
}

// extension is an IPv6 extension header of 8*(1+more) bytes, but for AH, whose
// length counts in fours.
type extension struct {
	kind layers.IPProtocol
	body []byte // behind the next header: length, data
}

func options(kind layers.IPProtocol, more int) extension {
	return extension{kind, append([]byte{byte(more)}, make([]byte, 6+8*more)...)}
}

func routing(kind, left byte) extension {
	return extension{layers.IPProtocolIPv6Routing, []byte{0, kind, left, 0, 0, 0, 0}}
}

func authentication(fours byte) extension {
	return extension{layers.IPProtocolAH, append([]byte{fours}, make([]byte, 6+4*int(fours))...)}
}

func atomicFragment() extension {
	return extension{layers.IPProtocolIPv6Fragment, []byte{0, 0, 0, 0, 0, 0, 77}}
}

// extended puts extension headers into an IPv6 frame.
func extended(frame []byte, chain ...extension) []byte {
	const ip = 14
	next := frame[ip+6]
	var headers []byte
	for i := len(chain) - 1; i >= 0; i-- {
		headers = append(append([]byte{next}, chain[i].body...), headers...)
		next = byte(chain[i].kind)
	}
	out := append([]byte(nil), frame[:ip+40]...)
	out[ip+6] = next
	out = append(append(out, headers...), frame[ip+40:]...)
	binary.BigEndian.PutUint16(out[ip+4:], uint16(len(out)-ip-40))
	return out
}

// tagged puts VLAN tags before the Ethertype.
func tagged(frame []byte, ethertypes ...uint16) []byte {
	out := append([]byte(nil), frame[:12]...)
	for i, e := range ethertypes {
		out = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(out, e), uint16(100+i))
	}
	return append(out, frame[12:]...)
}

// set overwrites bytes at an offset.
func set(frame []byte, at int, with ...byte) []byte {
	out := append([]byte(nil), frame...)
	copy(out[at:], with)
	return out
}
