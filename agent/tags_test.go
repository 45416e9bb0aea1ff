package agent_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"ngfw.sh/lab"
)

// emit sends a host's frame of these layers to the router.
func (r *router) emit(host string, all ...gopacket.SerializableLayer) {
	r.t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, all...); err != nil {
		r.t.Fatal(err)
	}
	var err error
	r.In(host, func() {
		var port *net.Interface
		if port, err = net.InterfaceByName(lab.HostPort); err != nil {
			return
		}
		var s int
		if s, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return
		}
		defer unix.Close(s)
		err = unix.Sendto(s, b.Bytes(), 0, &unix.SockaddrLinklayer{Ifindex: port.Index})
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// The kernel takes off any number of tags with no VLAN's number. What is behind a
// second one nobody has judged, and conntrack must not see it: it would end a
// connection of the fast path with any FIN.
func TestPriorityTagsHideNothing(t *testing.T) {
	r := fastRouter(t, "auto")
	r.rules(`{"id":3,"name":"out","zone_from":"LAN","zone_to":"WAN","action":"accept"}`)
	r.startPolicy()
	r.pour("inet", "203.0.113.1:7000")
	s := r.stream("lan1", "203.0.113.1:7000")
	go func() {
		b := make([]byte, 64<<10)
		for {
			if _, err := s.c.Read(b); err != nil {
				return
			}
		}
	}()
	r.faster(0, 500)
	established := func() error {
		for _, f := range r.connections(7000) {
			if f.ProtoInfo.TCP.State == 3 {
				return nil
			}
		}
		return fmt.Errorf("conntrack knows %+v", r.connections(7000))
	}
	if err := established(); err != nil {
		t.Fatal(err)
	}
	own := s.c.LocalAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort()
	cable, _ := lab.SegmentOf(lab.IOT1)
	for _, types := range [][]layers.EthernetType{
		{layers.EthernetTypeDot1Q, layers.EthernetTypeDot1Q},
		{layers.EthernetTypeQinQ, layers.EthernetTypeDot1Q},
		{layers.EthernetTypeDot1Q, layers.EthernetTypeQinQ, layers.EthernetTypeDot1Q},
	} {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: own.Addr().Unmap().AsSlice(), DstIP: net.ParseIP(inet4)}
		tcp := &layers.TCP{SrcPort: layers.TCPPort(own.Port()), DstPort: 7000, Seq: 12345, Ack: 54321, Window: 1000, FIN: true, ACK: true}
		if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		all := []gopacket.SerializableLayer{&layers.Ethernet{SrcMAC: cable.HostMAC, DstMAC: cable.RouterMAC, EthernetType: types[0]}}
		for i := range types {
			next := layers.EthernetTypeIPv4
			if i+1 < len(types) {
				next = types[i+1]
			}
			all = append(all, &layers.Dot1Q{Type: next})
		}
		before := r.metric(`ngfw_drops_total{reason="malformed"}`)
		r.emit("iot1", append(all, ip, tcp)...)
		r.eventually(func() error {
			if err := established(); err != nil {
				t.Fatal(err)
			}
			if n := r.metric(`ngfw_drops_total{reason="malformed"}`) - before; n != 1 {
				return fmt.Errorf("%v frames are malformed", n)
			}
			return nil
		})
	}
	r.noneInvalid()
}
