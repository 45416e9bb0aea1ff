package packet

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(strings.ReplaceAll(s, " ", ""), "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	ether  = "001122334455 66778899aabb "
	ip4TCP = "45000029 00010000 4006 0000 c0000201 c6336402 "
	tcpHi  = "1f40 0050 00000001 00000002 5018 2000 0000 0000 68"
	ip6    = "60000000 0000 3b40 20010db8000000000000000000000001 20010db8000000000000000000000002 "
)

func names(p *Packet) []string {
	var all []string
	for _, e := range p.Events.All() {
		all = append(all, e.String())
	}
	return all
}

func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name   string
		link   Link
		frame  string
		n      int // packets
		events []string
		check  func(p *Packet) bool
	}{
		{"tcp", LinkEthernet, ether + "0800" + ip4TCP + tcpHi, 1, nil, func(p *Packet) bool {
			return p.SrcPort == 8000 && p.DstPort == 80 && string(p.Payload) == "h" && p.TCP.Flags == PSH|ACK && p.Src == netip.MustParseAddr("192.0.2.1")
		}},
		{"two vlans", LinkEthernet, ether + "88a8 0064 8100 0065 0800" + ip4TCP + tcpHi, 1, nil, func(p *Packet) bool {
			return p.VLANCount == 2 && p.VLANs[0] == 100 && p.VLANs[1] == 101 && p.DstPort == 80
		}},
		{"padding is no payload", LinkEthernet, ether + "0800" + ip4TCP + tcpHi + "0000000000", 1, nil, func(p *Packet) bool { return string(p.Payload) == "h" }},
		{"pppoe", LinkEthernet, ether + "8864 1100 0001 002b 0021" + ip4TCP + tcpHi, 1, nil, func(p *Packet) bool { return p.DstPort == 80 }},
		{"pppoe, wrong code", LinkEthernet, ether + "8864 1101 0001 002b 0021" + ip4TCP + tcpHi, 1, []string{"decoder.pppoe.wrong_code"}, nil},
		{"mpls", LinkEthernet, ether + "8847 00010100" + ip4TCP + tcpHi, 1, nil, func(p *Packet) bool { return p.DstPort == 80 }},
		{"loopback", LinkNull, "02000000" + ip4TCP + tcpHi, 1, nil, func(p *Packet) bool { return p.DstPort == 80 }},
		{"sll", LinkSLL, "0000 0001 0006 001122334455 0000 0800" + ip4TCP + tcpHi, 1, nil, func(p *Packet) bool { return p.DstPort == 80 }},
		{"in ip", LinkRaw, "4500003d 00010000 4004 0000 0a000001 0a000002" + ip4TCP + tcpHi, 2, nil, func(p *Packet) bool {
			return p.DstPort == 80 && p.Outer != nil && p.Outer.Protocol == 4
		}},
		{"gre", LinkRaw, "45000041 00010000 402f 0000 0a000001 0a000002 0000 0800" + ip4TCP + tcpHi, 2, nil, func(p *Packet) bool { return p.DstPort == 80 }},
		{"vxlan", LinkRaw, "4500005b 00010000 4011 0000 0a000001 0a000002 1000 12b5 0047 0000 08000000 00000100" + ether + "0800" + ip4TCP + tcpHi, 2, nil,
			func(p *Packet) bool { return p.DstPort == 80 && p.Outer.DstPort == 4789 }},
		{"cut short", LinkEthernet, ether + "0800" + ip4TCP, 1, []string{"decoder.ipv4.trunc_pkt"}, func(p *Packet) bool { return p.Invalid }},
		{"no header", LinkEthernet, "00", 1, []string{"decoder.ethernet.pkt_too_small"}, nil},
		{"header too long", LinkRaw, "45000029 00010000 4006 0000 c0000201 c6336402 1f40 0050 00000001 00000002 f018 2000 0000 0000 68", 1,
			[]string{"decoder.tcp.hlen_too_small"}, func(p *Packet) bool { return p.Transport == nil && p.Version == 4 }},
		{"no next header", LinkRaw, ip6, 1, nil, func(p *Packet) bool { return p.Version == 6 && p.Protocol == 59 }},
		{"udp length", LinkRaw, "45000020 00010000 4011 0000 0a000001 0a000002 1000 1001 000a 0000 61626364", 1, []string{"decoder.udp.len_invalid"},
			func(p *Packet) bool { return string(p.Payload) == "ab" }},
		{"arp", LinkEthernet, ether + "0806 0001 0800 06 04 0001 001122334455 0a000001 000000000000 0a000002", 1, nil, func(p *Packet) bool { return len(p.ARP) == 28 }},
		{"routing type 0", LinkRaw, "60000000 0008 2b40 20010db8000000000000000000000001 20010db8000000000000000000000002 3b00000000000000", 1,
			[]string{"decoder.ipv6.rh_type_0"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.Checksums = false
			frame := unhex(t, c.frame)
			got := NewDecoder(cfg, nil).Decode(c.link, frame, len(frame), 1)
			if len(got) != c.n {
				t.Fatalf("%d packets", len(got))
			}
			if d := cmp.Diff(c.events, names(got[0])); d != "" {
				t.Errorf("events (-want +got):\n%s", d)
			}
			if c.check != nil && !c.check(got[0]) {
				t.Errorf("%+v", got[0])
			}
		})
	}
}

// Tunnels in tunnels end at the limit.
func TestLayers(t *testing.T) {
	inner := unhex(t, ip4TCP+tcpHi)
	for range 40 {
		head := unhex(t, "45000000 00010000 4004 0000 0a000001 0a000002")
		head[2], head[3] = byte((len(inner)+20)>>8), byte(len(inner)+20)
		inner = append(head, inner...)
	}
	got := NewDecoder(DefaultConfig(), nil).Decode(LinkRaw, inner, len(inner), 1)
	if len(got) > 20 || !got[0].Events.Has(TooManyLayers) && !got[1].Events.Has(TooManyLayers) {
		t.Errorf("%d packets, %v", len(got), names(got[0]))
	}
}

func TestChecksums(t *testing.T) {
	frame := unhex(t, ip4TCP+tcpHi)
	d := NewDecoder(DefaultConfig(), nil)
	p := d.Decode(LinkRaw, frame, len(frame), 1)[0]
	if !p.BadChecksum || !p.BadNetworkChecksum {
		t.Error("wrong checksums are taken for right ones")
	}
	sum := TransportChecksum(p, frame[20:])
	frame[36], frame[37] = byte(sum>>8), byte(sum)
	network := checksum(frame[:20], 0)
	frame[10], frame[11] = byte(network>>8), byte(network)
	if p := d.Decode(LinkRaw, frame, len(frame), 1)[0]; p.BadChecksum || p.BadNetworkChecksum {
		t.Error("right checksums are taken for wrong ones")
	}
}

// Every event has a name by which it is found again.
func TestEventNames(t *testing.T) {
	for i := 1; i <= len(decoderNames)+len(streamNames); i++ {
		layer, name, _ := strings.Cut(Event(i).String(), ".")
		if layer == "decoder" {
			layer = "decode"
		}
		if e, ok := EventByName(layer, name); !ok || e != Event(i) {
			t.Errorf("%v is found as %v", Event(i), e)
		}
	}
	if e, ok := EventByName("engine", "stream.est_syn_resend"); !ok || e != StreamEstSynResend {
		t.Error(e, ok)
	}
}

func TestDecodeAllocates(t *testing.T) {
	frame := unhex(t, ether+"0800"+ip4TCP+tcpHi)
	d := NewDecoder(DefaultConfig(), nil)
	if n := testing.AllocsPerRun(100, func() { d.Decode(LinkEthernet, frame, len(frame), 1) }); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

// What is decoded lies within the frame, whatever the frame holds.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{ether + "0800" + ip4TCP + tcpHi, ether + "8864 1100 0001 002b 0021" + ip4TCP + tcpHi, ether + "86dd" + ip6, ether + "8847 00010100" + ip4TCP} {
		f.Add(uint16(LinkEthernet), unhex(f, s))
	}
	f.Add(uint16(LinkRaw), unhex(f, "45000041 00010000 402f 0000 0a000001 0a000002 0000 0800"+ip4TCP+tcpHi))
	f.Fuzz(func(t *testing.T, link uint16, frame []byte) {
		for _, p := range NewDecoder(DefaultConfig(), nil).Decode(Link(link), frame, len(frame), 1) {
			if len(p.Payload) > len(frame) || len(p.Transport) > len(frame) || len(p.IP) > len(frame) {
				t.Errorf("%+v", p)
			}
		}
	})
}
