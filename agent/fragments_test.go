package agent_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"ngfw.sh/lab"
)

// piece sends a fragment of a datagram from lan1 to inet from any host: its first, of
// a header and 16 bytes, or its last of as many.
func (r *router) piece(host string, id uint16, first bool, fill byte) {
	r.t.Helper()
	cable, _ := lab.SegmentOf(host)
	ip := &layers.IPv4{
		Version: 4, TTL: 64, Id: id, Protocol: layers.IPProtocolUDP,
		SrcIP: lab.IP4(lab.LAN1).AsSlice(), DstIP: net.ParseIP(inet4), FragOffset: 3,
	}
	var data []byte
	if first {
		ip.FragOffset, ip.Flags = 0, layers.IPv4MoreFragments
		data = []byte{0x1b, 0x5a, 0x1b, 0x5a, 0, 40, 0, 0} // 7002 to itself, without checksum
	}
	for range 16 {
		data = append(data, fill)
	}
	r.emit(host, &layers.Ethernet{SrcMAC: cable.HostMAC, DstMAC: cable.RouterMAC, EthernetType: layers.EthernetTypeIPv4}, ip, gopacket.Payload(data))
}

// A datagram is made whole of what one zone has sent: nobody puts his own end to it
// from elsewhere.
func TestFragmentsOfOthersZones(t *testing.T) {
	r := newRouter(t)
	r.rules(`{"id":3,"name":"out","zone_from":"LAN","zone_to":"WAN","action":"accept"}`)
	r.startPolicy()
	var s net.PacketConn
	var err error
	r.In("inet", func() { s, err = net.ListenPacket("udp4", inet4+":7002") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for i, tc := range []struct{ from, reason string }{{"iot1", "forged_source"}, {"inet", "forged_source"}, {"mgmt", "no_zone"}} {
		id := uint16(0x4200 + i)
		r.piece("lan1", id, true, 'a')
		drops := func() float64 { return r.metric(fmt.Sprintf("ngfw_drops_total{reason=%q}", tc.reason)) }
		before := drops()
		r.piece(tc.from, id, false, 'x')
		r.eventually(func() error {
			if n := drops() - before; n != 1 {
				return fmt.Errorf("%s: %v are %s", tc.from, n, tc.reason)
			}
			return nil
		})
		r.piece("lan1", id, false, 'b')
		b := make([]byte, 100)
		s.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, _, err := s.ReadFrom(b)
		if want := "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb"; err != nil || string(b[:n]) != want {
			t.Errorf("%s: %q came, want %q: %v", tc.from, b[:n], want, err)
		}
	}
}
