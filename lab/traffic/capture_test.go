package traffic

import (
	"bytes"
	"flag"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/miekg/dns"

	"ngfw.sh/lab"
)

var update = flag.Bool("update", false, "write the capture anew")

// TestCapture holds the committed capture to what is written here.
func TestCapture(t *testing.T) {
	want := record(t)
	if *update {
		if err := os.WriteFile("capture/lan1.pcap", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(capture, want) {
		t.Error("capture/lan1.pcap is not what this test records: go generate ./lab/traffic")
	}
}

// record writes two seconds of a client's life, made of what curl and dig do
// not send: time, echo, QUIC-like datagrams, multicast, a closed port.
func record(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	w := pcapgo.NewWriter(&out)
	if err := w.WriteFileHeader(65536, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000, 0)
	for _, stack := range client() {
		buf := gopacket.NewSerializeBuffer()
		opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
		if err := gopacket.SerializeLayers(buf, opts, stack...); err != nil {
			t.Fatal(err)
		}
		frame := buf.Bytes()
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(frame), Length: len(frame)}, frame); err != nil {
			t.Fatal(err)
		}
		at = at.Add(40 * time.Millisecond)
	}
	return out.Bytes()
}

type stack = []gopacket.SerializableLayer

func client() (frames []stack) {
	web4, web6 := lab.IP4(lab.INET), lab.IP6(lab.INET)
	ntp := make([]byte, 48)
	ntp[0] = 0x23 // version 4, client
	quic := append([]byte{0xc3, 0, 0, 0, 1}, bytes.Repeat([]byte{0x5a}, 1195)...)
	for i := range uint16(8) {
		frames = append(frames,
			udp(web4, 41000+i, 53, question("video.lab.test.", i)),
			udp(web6, 42000+i, 53, question("updates.lab.test.", i)),
			echo4(web4, i), echo6(web6, i),
		)
	}
	for i := range uint16(4) {
		frames = append(frames,
			udp(lab.Far[2], 43000+i, 123, ntp),
			udp(lab.Far[1], 44000, 443, quic),
			udp(lab.Far[4], 44001, 443, quic),
			syn(lab.Far[0], 45000+i, 8443),
		)
	}
	return append(frames, multicast(question("_http._tcp.local.", 0)))
}

func eth(kind layers.EthernetType) *layers.Ethernet {
	s, _ := lab.SegmentOf(lab.LAN1)
	return &layers.Ethernet{SrcMAC: s.HostMAC, DstMAC: s.RouterMAC, EthernetType: kind}
}

func network(to netip.Addr, proto layers.IPProtocol) (*layers.Ethernet, gopacket.SerializableLayer, gopacket.NetworkLayer) {
	if to.Is6() {
		ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: proto, SrcIP: lab.IP6(lab.LAN1).AsSlice(), DstIP: to.AsSlice()}
		return eth(layers.EthernetTypeIPv6), ip, ip
	}
	ip := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Flags: layers.IPv4DontFragment, Protocol: proto, SrcIP: lab.IP4(lab.LAN1).AsSlice(), DstIP: to.AsSlice()}
	return eth(layers.EthernetTypeIPv4), ip, ip
}

func udp(to netip.Addr, from, port uint16, payload []byte) stack {
	e, ip, net := network(to, layers.IPProtocolUDP)
	u := &layers.UDP{SrcPort: layers.UDPPort(from), DstPort: layers.UDPPort(port)}
	u.SetNetworkLayerForChecksum(net)
	return stack{e, ip, u, gopacket.Payload(payload)}
}

func syn(to netip.Addr, from, port uint16) stack {
	e, ip, net := network(to, layers.IPProtocolTCP)
	s := &layers.TCP{SrcPort: layers.TCPPort(from), DstPort: layers.TCPPort(port), Seq: 1000, SYN: true, Window: 64240}
	s.SetNetworkLayerForChecksum(net)
	return stack{e, ip, s}
}

func echo4(to netip.Addr, seq uint16) stack {
	e, ip, _ := network(to, layers.IPProtocolICMPv4)
	return stack{e, ip, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0), Id: 77, Seq: seq}, gopacket.Payload("ngfw lab")}
}

func echo6(to netip.Addr, seq uint16) stack {
	e, ip, net := network(to, layers.IPProtocolICMPv6)
	i := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(layers.ICMPv6TypeEchoRequest, 0)}
	i.SetNetworkLayerForChecksum(net)
	return stack{e, ip, i, &layers.ICMPv6Echo{Identifier: 77, SeqNumber: seq}, gopacket.Payload("ngfw lab")}
}

func multicast(payload []byte) stack {
	frame := udp(netip.MustParseAddr("224.0.0.251"), 5353, 5353, payload)
	frame[0].(*layers.Ethernet).DstMAC = []byte{0x01, 0x00, 0x5e, 0, 0, 0xfb}
	return frame
}

func question(name string, id uint16) []byte {
	m := new(dns.Msg)
	m.SetQuestion(name, dns.TypeA)
	m.Id = id
	wire, err := m.Pack()
	if err != nil {
		panic(err) // constant input
	}
	return wire
}
