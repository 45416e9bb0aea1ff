package dataplane

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"
)

// As in bpf/abi/fast.h.
const (
	fastRewrite = 4
	fastWatched = 8
	fastBytes   = 40 // bits of an entry's count
)

var (
	nextMAC = net.HardwareAddr{2, 0, 0, 0, 0, 0x77} // the next hop's
	wanMAC  = net.HardwareAddr{2, 0, 0, 0, 0, 2}    // the router's on wan
)

// tick is the programs' now.
func tick(t testing.TB) uint32 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC_COARSE, &ts); err != nil {
		t.Fatal(err)
	}
	return uint32(uint64(ts.Nano()) >> tickShift)
}

// form is one of the two programs that follow a way, as tests run it.
type form struct {
	name string
	bit  uint8
	run  func(k *kernel, frame []byte) (redirected bool, out []byte)
}

var forms = []form{
	{"xdp", fastXDP, func(k *kernel, frame []byte) (bool, []byte) { return k.runXDP(frame) }},
	{"tc", fastTC, func(k *kernel, frame []byte) (bool, []byte) { return k.runTC(frame, skb{ifindex: k.lan}) }},
}

// xdpContext is that of a frame on lan.
func (k *kernel) xdpContext(frame []byte) []byte {
	md := make([]byte, 24) // struct xdp_md
	binary.NativeEndian.PutUint32(md[4:], uint32(len(frame)))
	binary.NativeEndian.PutUint32(md[12:], k.lan)
	return md
}

// runXDP has a frame arrive on lan, before the kernel's stack.
func (k *kernel) runXDP(frame []byte) (bool, []byte) {
	k.t.Helper()
	out := make([]byte, len(frame)+64)
	o := ebpf.RunOptions{Data: frame, Context: k.xdpContext(frame), DataOut: out}
	var rc uint32
	var err error
	k.in(func() { rc, err = k.xdp.Program.Run(&o) })
	if err != nil {
		k.t.Fatal(err)
	}
	return rc == 4, o.DataOut // XDP_REDIRECT
}

func (k *kernel) runTC(frame []byte, s skb) (bool, []byte) {
	k.t.Helper()
	in := make([]byte, skbLength)
	binary.NativeEndian.PutUint32(in[skbIfindex:], s.ifindex)
	binary.NativeEndian.PutUint32(in[skbSegs:], s.segs)
	if s.segs > 0 {
		binary.NativeEndian.PutUint32(in[skbSegSize:], 1000)
	}
	out := make([]byte, len(frame)+64)
	o := ebpf.RunOptions{Data: frame, Context: in, DataOut: out}
	var rc uint32
	var err error
	k.in(func() { rc, err = k.tc.NgfwIngress.Run(&o) })
	if err != nil {
		k.t.Fatal(err)
	}
	return rc == 7, o.DataOut // TCX_REDIRECT
}

// allowFast switches the fast path on, as Open and AttachAll do.
func (k *kernel) allowFast() {
	k.t.Helper()
	if k.Dataplane.collect == nil {
		k.t.Fatalf("no collector: %v", k.Degraded())
	}
	k.setFast(fastXDP | fastTC)
}

// setFast says which forms of the fast path may be used.
func (k *kernel) setFast(forms uint16) {
	k.t.Helper()
	c, err := k.settings()
	if err != nil {
		k.t.Fatal(err)
	}
	c.Fast = forms
	if err := k.putSettings(c); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kernel) active() uint64 {
	k.t.Helper()
	c, err := k.settings()
	if err != nil {
		k.t.Fatal(err)
	}
	return c.Active
}

// journey is a packet as it arrives on lan and as it should leave.
type journey struct {
	in, out packet
	hops    uint8 // as it arrives
}

// sealed is a frame with its checksums.
func sealed(t testing.TB, p packet, from, to net.HardwareAddr, ack uint32) []byte {
	t.Helper()
	src, dst := netip.MustParseAddr(p.src), netip.MustParseAddr(p.dst)
	eth := &layers.Ethernet{SrcMAC: from, DstMAC: to, EthernetType: layers.EthernetTypeIPv4}
	var network gopacket.SerializableLayer
	var sum gopacket.NetworkLayer
	if src.Is4() {
		ip := &layers.IPv4{Version: 4, TTL: p.hops, Protocol: p.proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice(), Id: 77, Flags: layers.IPv4DontFragment}
		network, sum = ip, ip
	} else {
		eth.EthernetType = layers.EthernetTypeIPv6
		ip := &layers.IPv6{Version: 6, HopLimit: p.hops, NextHeader: p.proto, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
		network, sum = ip, ip
	}
	var transport gopacket.SerializableLayer
	if p.proto == layers.IPProtocolTCP {
		l := &layers.TCP{SrcPort: layers.TCPPort(p.sport), DstPort: layers.TCPPort(p.dport), Seq: 7, Ack: ack, ACK: true, PSH: len(p.payload) > 0, Window: 501}
		l.SetNetworkLayerForChecksum(sum)
		transport = l
	} else {
		l := &layers.UDP{SrcPort: layers.UDPPort(p.sport), DstPort: layers.UDPPort(p.dport)}
		l.SetNetworkLayerForChecksum(sum)
		transport = l
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, network, transport, gopacket.Payload(p.payload)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (j journey) arrives(t testing.TB) []byte {
	j.in.hops = j.hops
	return sealed(t, j.in, hostMAC, routerMAC, 99)
}

func (j journey) leaves(t testing.TB) []byte {
	j.out.hops = j.hops - 1
	return sealed(t, j.out, wanMAC, nextMAC, 99)
}

var masqueraded = journey{
	in:   packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 53, payload: []byte("question")},
	out:  packet{src: rtrWAN4, dst: inet4, proto: udp, sport: 61000, dport: 53, payload: []byte("question")},
	hops: 64,
}

var masqueraded6 = journey{
	in:   packet{src: lan6, dst: inet6, proto: udp, sport: 40000, dport: 53, payload: []byte("question")},
	out:  packet{src: rtrWAN6, dst: inet6, proto: udp, sport: 61000, dport: 53, payload: []byte("question")},
	hops: 64,
}
