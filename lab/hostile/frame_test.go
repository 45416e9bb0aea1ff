package hostile

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"ngfw.sh/lab"
)

const (
	tcp   = layers.IPProtocolTCP
	udp   = layers.IPProtocolUDP
	icmp  = layers.IPProtocolICMPv4
	icmp6 = layers.IPProtocolICMPv6
)

// packet is one; its zero values are the usual.
type packet struct {
	src, dst     string
	proto        layers.IPProtocol
	sport, dport uint16
	flags        string // of TCP: S, A, F, R, P
	seq, ack     uint32
	kind, code   uint8 // of ICMP, whose identifier is sport
	payload      string
	options      []layers.IPv4Option
}

func (p packet) back() packet {
	p.src, p.dst, p.sport, p.dport = p.dst, p.src, p.dport, p.sport
	return p
}

// ip is the packet from its IP header on.
func (p packet) ip(t testing.TB) []byte {
	t.Helper()
	src, dst := netip.MustParseAddr(p.src), netip.MustParseAddr(p.dst)
	var network gopacket.SerializableLayer
	var sum gopacket.NetworkLayer
	if src.Is4() {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: p.proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice(), Id: 77, Options: p.options}
		network, sum = ip, ip
	} else {
		ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: p.proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
		network, sum = ip, ip
	}
	all := []gopacket.SerializableLayer{network}
	switch p.proto {
	case tcp:
		l := &layers.TCP{
			SrcPort: layers.TCPPort(p.sport), DstPort: layers.TCPPort(p.dport), Seq: p.seq, Ack: p.ack, Window: 65535,
			SYN: strings.Contains(p.flags, "S"), ACK: strings.Contains(p.flags, "A"), FIN: strings.Contains(p.flags, "F"),
			RST: strings.Contains(p.flags, "R"), PSH: strings.Contains(p.flags, "P"), URG: strings.Contains(p.flags, "U"),
		}
		l.SetNetworkLayerForChecksum(sum)
		all = append(all, l)
	case udp:
		l := &layers.UDP{SrcPort: layers.UDPPort(p.sport), DstPort: layers.UDPPort(p.dport)}
		l.SetNetworkLayerForChecksum(sum)
		all = append(all, l)
	case icmp:
		all = append(all, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(p.kind, p.code), Id: p.sport})
	case icmp6:
		l := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(p.kind, p.code)}
		l.SetNetworkLayerForChecksum(sum)
		// What follows the checksum: identifier and sequence, or an error's unused word.
		all = append(all, l, gopacket.Payload{byte(p.sport >> 8), byte(p.sport), 0, 0})
	}
	return serialize(t, append(all, gopacket.Payload(p.payload))...)
}

// about makes an ICMP error that quotes a packet.
func (p packet) about(t testing.TB, quoted packet) packet {
	p.payload = string(quoted.ip(t))
	return p
}

// ethernet frames what follows for the router, as the host's card would.
func ethernet(t testing.TB, host string, ip []byte) []byte {
	t.Helper()
	s, ok := lab.SegmentOf(host)
	if !ok {
		t.Fatalf("no segment of %s", host)
	}
	kind := layers.EthernetTypeIPv4
	if ip[0]>>4 == 6 {
		kind = layers.EthernetTypeIPv6
	}
	return serialize(t, &layers.Ethernet{SrcMAC: s.HostMAC, DstMAC: s.RouterMAC, EthernetType: kind}, gopacket.Payload(ip))
}

func serialize(t testing.TB, all ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, all...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
