package dataplane

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
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

// runXDP has a frame arrive on lan, before the kernel's stack.
func (k *kernel) runXDP(frame []byte) (bool, []byte) {
	k.t.Helper()
	md := make([]byte, 24) // struct xdp_md
	binary.NativeEndian.PutUint32(md[4:], uint32(len(frame)))
	binary.NativeEndian.PutUint32(md[12:], k.lan)
	out := make([]byte, len(frame)+64)
	o := ebpf.RunOptions{Data: frame, Context: md, DataOut: out}
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
	c, err := k.settings()
	if err != nil {
		k.t.Fatal(err)
	}
	c.Fast = fastXDP | fastTC
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

// way writes the entry that learning would have written, and edits it. It answers
// the entry's place.
func (k *kernel) way(j journey, form uint8, edit func(*bpfobj.TcFast)) uint32 {
	k.t.Helper()
	var e bpfobj.TcFast
	w := &e.Way
	now := tick(k.t)
	w.Active, w.Seq, w.Until, w.IfindexIn, w.IfindexOut = k.active(), 2, now+1<<12, k.lan, k.wan
	w.Mtu, w.Form, w.Zone, w.Rx = 1500, form, zoneWAN, 1
	copy(w.Macs[:6], nextMAC)
	copy(w.Macs[6:], wanMAC)
	copy(w.MacIn[:], routerMAC)
	e.Decider, e.Id, e.Due, e.Last = uint32(policy.NewDecider(policy.DeciderPolicy, 0)), 4711, now+1<<12, now
	src, dst := netip.MustParseAddr(j.in.src), netip.MustParseAddr(j.in.dst)
	sport, dport := networkOrder(j.in.sport), networkOrder(j.in.dport)
	half := func(a netip.Addr, i int) uint64 { b := a.As16(); return binary.NativeEndian.Uint64(b[8*i:]) }
	e.Key.Src, e.Key.Dst, e.Key.Sport, e.Key.Dport, e.Key.Proto = half(src, 1), half(dst, 1), sport, dport, uint8(j.in.proto)
	rewrite := j.in.src != j.out.src || j.in.dst != j.out.dst || j.in.sport != j.out.sport || j.in.dport != j.out.dport
	if rewrite {
		w.Form |= fastRewrite
	}
	if !src.Is4() {
		e.Key.Net = [2]uint64{half(src, 0), half(dst, 0)}
		if edit != nil {
			edit(&e)
		}
		place := k.putWay(&e)
		if err := k.tc.FastNats6.Put(place, nat6(j)); rewrite && err != nil {
			k.t.Fatal(err)
		}
		return place
	}
	e.Key.V4 = 1
	if rewrite {
		raw := func(a netip.Addr) uint32 { b := a.As4(); return binary.NativeEndian.Uint32(b[:]) }
		to, from := netip.MustParseAddr(j.out.src), netip.MustParseAddr(j.out.dst)
		nat := bpfobj.TcFastNat{Saddr: raw(to), Daddr: raw(from), Sport: networkOrder(j.out.sport), Dport: networkOrder(j.out.dport)}
		nat.AddressSum = difference(raw(src), nat.Saddr, raw(dst), nat.Daddr)
		nat.PortSum = difference(uint32(sport), uint32(nat.Sport), uint32(dport), uint32(nat.Dport))
		b, err := binary.Append(nil, binary.NativeEndian, &nat)
		if err != nil {
			k.t.Fatal(err)
		}
		e.Key.Net = [2]uint64{binary.NativeEndian.Uint64(b), binary.NativeEndian.Uint64(b[8:])}
	}
	if edit != nil {
		edit(&e)
	}
	return k.putWay(&e)
}

// nat6 is what learning would have noted of an IPv6 journey's translation.
func nat6(j journey) *bpfobj.TcFastNat6 {
	var words []uint32
	var half [4]uint64
	for i, a := range []string{j.in.src, j.out.src, j.in.dst, j.out.dst} {
		b := netip.MustParseAddr(a).As16()
		if i%2 == 1 {
			half[i-1], half[i] = binary.NativeEndian.Uint64(b[:]), binary.NativeEndian.Uint64(b[8:])
		}
		for at := 0; at < 16; at += 4 {
			words = append(words, binary.NativeEndian.Uint32(b[at:]))
		}
	}
	var pairs []uint32
	for i := range 4 { // the sources' words, then the destinations'
		pairs = append(pairs, words[i], words[4+i], words[8+i], words[12+i])
	}
	n := &bpfobj.TcFastNat6{Saddr: [2]uint64(half[:2]), Daddr: [2]uint64(half[2:]), Sport: networkOrder(j.out.sport), Dport: networkOrder(j.out.dport)}
	n.AddressSum = difference(pairs...)
	n.PortSum = difference(uint32(networkOrder(j.in.sport)), uint32(n.Sport), uint32(networkOrder(j.in.dport)), uint32(n.Dport))
	return n
}

// place is where the programs look for an entry first (fast_place in
// bpf/lib/fast.h).
func (k *kernel) place(key bpfobj.TcFastKey) uint32 {
	k.t.Helper()
	if key.V4 != 0 {
		key.Net = [2]uint64{}
	}
	b, err := binary.Append(nil, binary.NativeEndian, &key)
	if err != nil {
		k.t.Fatal(err)
	}
	w := func(i int) uint64 { return binary.NativeEndian.Uint64(b[8*i:]) }
	h, err := k.Instance()
	if err != nil {
		k.t.Fatal(err)
	}
	h = (h ^ w(0) ^ w(3)) * 0x9e3779b97f4a7c15
	h = ((h ^ h>>32) + w(1) + w(4)) * 0xc2b2ae3d27d4eb4f
	h = (h ^ h>>32 ^ w(2)) * 0x9e3779b97f4a7c15
	return uint32(h>>32) % k.tc.FastWays.MaxEntries()
}

// putWay puts an entry where there is one of its key, or in the first free place,
// which it answers.
func (k *kernel) putWay(e *bpfobj.TcFast) uint32 {
	k.t.Helper()
	first := k.place(e.Key)
	free := int64(-1)
	for i := range uint32(8) {
		place := (first + i) % k.tc.FastWays.MaxEntries()
		var have bpfobj.TcFast
		if err := k.tc.FastWays.Lookup(place, &have); err != nil {
			k.t.Fatal(err)
		}
		if same := have.Key; same.Src == e.Key.Src && same.Dst == e.Key.Dst && same.Sport == e.Key.Sport && same.Dport == e.Key.Dport &&
			same.Proto == e.Key.Proto && same.V4 == e.Key.V4 && (same.V4 != 0 || same.Net == e.Key.Net) {
			free = int64(place)
			break
		}
		if have.Key.Proto == 0 && free < 0 {
			free = int64(place)
		}
	}
	if free < 0 {
		k.t.Fatal("no place is free")
	}
	if err := k.tc.FastWays.Put(uint32(free), e); err != nil {
		k.t.Fatal(err)
	}
	return uint32(free)
}

// ways are the entries that are in use.
func (k *kernel) ways() (all []bpfobj.TcFast) {
	k.t.Helper()
	for place := range k.tc.FastWays.MaxEntries() {
		var e bpfobj.TcFast
		if err := k.tc.FastWays.Lookup(place, &e); err != nil {
			k.t.Fatal(err)
		}
		if e.Key.Proto != 0 {
			all = append(all, e)
		}
	}
	return all
}

// difference is RFC 1624's sum of ~old + new, over pairs.
func difference(pairs ...uint32) uint16 {
	var sum uint64
	for i := 0; i < len(pairs); i += 2 {
		old, now := ^pairs[i], pairs[i+1]
		sum += uint64(old&0xffff) + uint64(old>>16) + uint64(now&0xffff) + uint64(now>>16)
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
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

// What leaves is byte for byte what a router that computes every checksum anew
// would send.
func TestFastPathRewrites(t *testing.T) {
	k := newKernel(t, 1024)
	k.apply(1, "", usual)
	k.allowFast()
	rapid.Check(t, func(rt *rapid.T) {
		address4 := rapid.Custom(func(rt *rapid.T) string {
			b := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(rt, "v4"))
			b[0] = 1 + b[0]%120
			return netip.AddrFrom4(b).String()
		})
		address6 := rapid.Custom(func(rt *rapid.T) string {
			b := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(rt, "v6"))
			b[0] = 0x20
			return netip.AddrFrom16(b).String()
		})
		port := rapid.Uint16Range(1, 65535)
		j := journey{hops: rapid.Uint8Range(2, 255).Draw(rt, "hops")}
		j.in.proto = rapid.SampledFrom([]layers.IPProtocol{tcp, udp}).Draw(rt, "proto")
		j.in.payload = rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(rt, "payload")
		j.in.sport, j.in.dport = port.Draw(rt, "sport"), port.Draw(rt, "dport")
		address := address4
		if rapid.Bool().Draw(rt, "v6") {
			address = address6
		}
		j.in.src, j.in.dst = address.Draw(rt, "src"), address.Draw(rt, "dst")
		j.out = j.in
		if rapid.Bool().Draw(rt, "source") {
			j.out.src, j.out.sport = address.Draw(rt, "new src"), port.Draw(rt, "new sport")
		}
		if rapid.Bool().Draw(rt, "destination") {
			j.out.dst, j.out.dport = address.Draw(rt, "new dst"), port.Draw(rt, "new dport")
		}
		for _, form := range forms {
			k.way(j, form.bit, nil)
			redirected, out := form.run(k, j.arrives(t))
			if !redirected {
				rt.Fatalf("%s: it went the long way", form.name)
			}
			if want := j.leaves(t); !bytes.Equal(out, want) {
				rt.Fatalf("%s:\n got %x\nwant %x", form.name, out, want)
			}
		}
	})
}

// What is written while it is read is not followed: each packet leaves as one or the
// other translation says, as a whole.
func TestFastPathReadsNoHalves(t *testing.T) {
	k := newKernel(t, 1024)
	k.apply(1, "", usual)
	k.allowFast()
	one, other := masqueraded6, masqueraded6
	other.out.src, other.out.dst, other.out.sport = "2001:db8:ff::ffff:1", "2001:db8:f00:7777:8888::9", 61001
	var e bpfobj.TcFast
	size := uint64(unsafe.Sizeof(e))
	table, err := unix.Mmap(k.tc.FastWays.FD(), 0, int(size)*int(k.tc.FastWays.MaxEntries()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(table)
	for _, form := range forms {
		place := k.way(one, form.bit, nil)
		seq := (*uint32)(unsafe.Pointer(&table[size*uint64(place)+uint64(unsafe.Offsetof(e.Way)+unsafe.Offsetof(e.Way.Seq))]))
		stop, stopped := make(chan struct{}), make(chan error, 1)
		go func() {
			values := []*bpfobj.TcFastNat6{nat6(one), nat6(other)}
			half := nat6(one)
			half.Daddr = nat6(other).Daddr
			var err error
			for i := 0; err == nil; i++ {
				select {
				case <-stop:
					stopped <- nil
					return
				default:
				}
				atomic.AddUint32(seq, 1)
				err = errors.Join(k.tc.FastNats6.Put(place, half), k.tc.FastNats6.Put(place, values[i%2]))
				atomic.AddUint32(seq, 1)
				var e bpfobj.TcFast // for a while it stands
				err = errors.Join(err, k.tc.FastWays.Lookup(place, &e), k.tc.FastWays.Lookup(place, &e))
			}
			stopped <- err
		}()
		frame, left := one.arrives(t), [][]byte{one.leaves(t), other.leaves(t)}
		var each [2]int
		torn := 0
		for until := time.Now().Add(5 * time.Second); min(each[0], each[1]) < 500 && torn == 0 && time.Now().Before(until); {
			redirected, out := form.run(k, frame)
			switch {
			case !redirected && bytes.Equal(out, frame):
			case redirected && bytes.Equal(out, left[0]):
				each[0]++
			case redirected && bytes.Equal(out, left[1]):
				each[1]++
			default:
				torn++
				t.Errorf("%s: neither the one nor the other: %v %x", form.name, redirected, out)
			}
		}
		close(stop)
		if err := <-stopped; err != nil {
			t.Fatal(err)
		}
		if torn == 0 && min(each[0], each[1]) < 1 {
			t.Errorf("%s: %d packets left one way, %d the other", form.name, each[0], each[1])
		}
	}
}

// UDP without a checksum keeps none (RFC 768, and of tunnels RFC 6936).
func TestFastPathLeavesNoChecksumAlone(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.allowFast()
	for _, form := range forms {
		k.way(masqueraded, form.bit, nil)
		redirected, out := form.run(k, set(masqueraded.arrives(t), 40, 0, 0))
		if !redirected || !bytes.Equal(out, set(masqueraded.leaves(t), 40, 0, 0)) {
			t.Errorf("%s: %v %x", form.name, redirected, out)
		}
		k.way(masqueraded6, form.bit, nil)
		redirected, out = form.run(k, set(masqueraded6.arrives(t), 60, 0, 0))
		if !redirected || !bytes.Equal(out, set(masqueraded6.leaves(t), 60, 0, 0)) {
			t.Errorf("%s, IPv6: %v %x", form.name, redirected, out)
		}
	}
}

// What is not plain goes the long way, as it came and uncounted.
func TestFastPathHandsToTheStack(t *testing.T) {
	k := newKernel(t, 1024)
	k.apply(1, "", usual)
	k.allowFast()
	session := masqueraded
	session.in.proto, session.out.proto = tcp, tcp
	v6 := journey{in: packet{src: lan6, dst: inet6, proto: tcp, sport: 40000, dport: 80, payload: make([]byte, 20)}, hops: 64}
	v6.out = v6.in
	flags := func(frame []byte, f byte) []byte { return set(frame, 14+20+13, f) }
	udp4, tcp4, tcp6 := masqueraded.arrives(t), session.arrives(t), v6.arrives(t)
	long := masqueraded
	long.in.payload = make([]byte, 1473)
	last := masqueraded
	last.hops = 1
	last6 := v6
	last6.hops = 1
	long6, lastMasqueraded6 := masqueraded6, masqueraded6
	long6.in.payload = make([]byte, 1453)
	lastMasqueraded6.hops = 1
	for _, c := range []struct {
		name  string
		j     journey
		frame []byte
		edit  func(*bpfobj.TcFast)
	}{
		{"syn", session, flags(tcp4, 0x02), nil},
		{"syn and ack", session, flags(tcp4, 0x12), nil},
		{"fin", session, flags(tcp4, 0x11), nil},
		{"rst", session, flags(tcp4, 0x14), nil},
		{"no ack", session, flags(tcp4, 0x08), nil},
		{"header over the end", session, set(tcp4, 14+20+12, 0xf0), nil},
		{"fin, v6", v6, set(tcp6, 14+40+13, 0x11), nil},
		{"first fragment", masqueraded, set(udp4, 14+6, 0x20, 0), nil},
		{"later fragment", masqueraded, set(udp4, 14+6, 0, 5), nil},
		{"options", masqueraded, set(udp4, 14, 0x46), nil},
		{"extension header", v6, extended(tcp6, options(0, 0)), nil},
		{"last hop", last, last.arrives(t), nil},
		{"last hop, v6", last6, last6.arrives(t), nil},
		{"no hop", masqueraded, set(udp4, 14+8, 0), nil},
		{"too long", long, long.arrives(t), nil},
		{"longer than its frame", masqueraded, set(udp4, 14+2, 0x01, 0), nil},
		{"shorter than its headers", masqueraded, set(udp4, 14+2, 0, 27), nil},
		{"truncated", masqueraded, udp4[:40], nil},
		{"tagged", masqueraded, tagged(udp4, 0x8100), nil},
		{"another's frame", masqueraded, set(udp4, 5, 0x55), nil},
		{"another revision", masqueraded, udp4, func(e *bpfobj.TcFast) { e.Way.Active += 1 << activeShift }},
		{"another image", masqueraded, udp4, func(e *bpfobj.TcFast) { e.Way.Active ^= 1 }},
		{"ended", masqueraded, udp4, func(e *bpfobj.TcFast) { e.Way.Active = 0 }},
		{"not renewed", masqueraded, udp4, func(e *bpfobj.TcFast) { e.Way.Until = tick(t) - 1 }},
		{"another port", masqueraded, udp4, func(e *bpfobj.TcFast) { e.Way.IfindexIn = k.iot }},
		{"being written", masqueraded, udp4, func(e *bpfobj.TcFast) { e.Way.Seq = 3 }},
		{"too long, translated v6", long6, long6.arrives(t), nil},
		{"last hop, translated v6", lastMasqueraded6, lastMasqueraded6.arrives(t), nil},
		{"extension header, translated v6", masqueraded6, extended(masqueraded6.arrives(t), options(0, 0)), nil},
		{"being written, translated v6", masqueraded6, masqueraded6.arrives(t), func(e *bpfobj.TcFast) { e.Way.Seq = 3 }},
		{"its second's packet", masqueraded, udp4, func(e *bpfobj.TcFast) { e.Due = tick(t) - 1 }},
	} {
		for _, form := range forms {
			t.Run(c.name+" "+form.name, func(t *testing.T) {
				k.way(c.j, form.bit, c.edit)
				redirected, out := form.run(k, c.frame)
				if redirected {
					t.Fatal("it went the short way")
				}
				if !bytes.Equal(out, c.frame) {
					t.Errorf("changed:\n got %x\nwant %x", out, c.frame)
				}
				k.forgetWays(t, 0)
			})
		}
	}
	for _, form := range forms { // the frame that all these differ from
		k.way(masqueraded, form.bit, nil)
		if redirected, _ := form.run(k, udp4); !redirected {
			t.Errorf("%s: the plain one goes the long way", form.name)
		}
		k.way(masqueraded6, form.bit, nil)
		if redirected, _ := form.run(k, masqueraded6.arrives(t)); !redirected {
			t.Errorf("%s: the plain one of IPv6 goes the long way", form.name)
		}
		k.way(masqueraded, fastXDP|fastTC&^form.bit, func(e *bpfobj.TcFast) { e.Way.Form = fastRewrite | (fastXDP | fastTC) ^ form.bit })
		if redirected, _ := form.run(k, udp4); redirected {
			t.Errorf("%s takes the other's", form.name)
		}
	}
}

// forgetWays empties the table and checks what was counted in it.
func (k *kernel) forgetWays(t *testing.T, packets uint64) {
	t.Helper()
	var total uint64
	for place := range k.tc.FastWays.MaxEntries() {
		var e bpfobj.TcFast
		if err := k.tc.FastWays.Lookup(place, &e); err != nil {
			t.Fatal(err)
		}
		if e.Key.Proto == 0 {
			continue
		}
		total += e.Count >> fastBytes
		if err := k.tc.FastWays.Put(place, &bpfobj.TcFast{}); err != nil {
			t.Fatal(err)
		}
	}
	if total != packets {
		t.Errorf("%d packets counted, want %d", total, packets)
	}
}

func TestFastPathOff(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	for _, form := range forms {
		k.way(masqueraded, form.bit, nil)
		if redirected, _ := form.run(k, masqueraded.arrives(t)); redirected {
			t.Errorf("%s: it is off, and used", form.name)
		}
	}
}

// A policy that was swapped in is asked about every flow again.
func TestFastPathEndsWithTheRevision(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.allowFast()
	for _, form := range forms {
		k.way(masqueraded, form.bit, nil)
		if redirected, _ := form.run(k, masqueraded.arrives(t)); !redirected {
			t.Fatal("not fast")
		}
		c, err := k.settings()
		if err != nil {
			t.Fatal(err)
		}
		k.apply(int64(c.Active>>activeShift)+1, "", usual)
		if redirected, _ := form.run(k, masqueraded.arrives(t)); redirected {
			t.Errorf("%s: another revision's way was followed", form.name)
		}
	}
}

// One packet when the second is over, and no other.
func TestFastPathSendsOneUp(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.allowFast()
	for _, form := range forms {
		k.way(masqueraded, form.bit, func(e *bpfobj.TcFast) { e.Due = tick(t) - 1 })
		var fast []bool
		for range 4 {
			redirected, _ := form.run(k, masqueraded.arrives(t))
			fast = append(fast, redirected)
		}
		equal(t, form.name, fast, []bool{false, true, true, true})
	}
}

// Counts come to the flow, its decider and the statistics, each once.
func TestFastPathCounts(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.allowFast()
	p := packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 53, payload: make([]byte, 12)}
	k.arrive(k.lan, p.frame(t))
	k.answered()
	k.arrive(k.wan, p.reply().frame(t))
	before, decider := k.stat(), policy.Decider(k.flow().Decider)
	decided := k.count(decider)
	seen := k.flow().Seen

	j := journey{in: p, out: p, hops: 64}
	k.way(j, fastXDP, func(e *bpfobj.TcFast) { e.Id, e.Decider = k.flow().Id, uint32(decider) })
	for range 5 {
		k.runXDP(j.arrives(t))
	}
	for range 2 { // settled once
		equal(t, "flow", func() [2]uint64 { k.stat(); return k.flow().Packets }(), [2]uint64{6, 1})
		equal(t, "bytes", k.flow().Bytes, [2]uint64{6 * 40, 40})
		now := k.stat()
		equal(t, "statistics", []uint64{now.Packets - before.Packets, now.Bytes - before.Bytes, now.FastPackets, now.FastBytes}, []uint64{5, 200, 5, 200})
		c := k.count(decider)
		equal(t, "decider", []uint64{c.Packets - decided.Packets, c.Bytes - decided.Bytes}, []uint64{5, 200})
	}
	if k.flow().Seen < seen {
		t.Error("the flow's last packet went back in time")
	}
	// A whole made of segments counts as they do on the wire.
	k.way(j, fastTC, func(e *bpfobj.TcFast) { e.Id, e.Decider = k.flow().Id, uint32(decider) })
	if redirected, _ := k.runTC(j.arrives(t), skb{ifindex: k.lan, segs: 3}); !redirected {
		t.Fatal("not fast")
	}
	equal(t, "segments", func() [4]uint64 {
		s := k.stat()
		return [4]uint64{s.FastPackets, s.FastBytes, k.flow().Packets[0], k.flow().Bytes[0]}
	}(),
		[4]uint64{8, 200 + 40 + 2*28, 9, 6*40 + 40 + 2*28})
}

// Segments that do not fit what they leave by are no more welcome as a whole.
func TestFastPathMeasuresSegments(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.allowFast()
	for mtu, fits := range map[uint16]bool{1028: true, 1027: false} {
		k.way(masqueraded, fastTC, func(e *bpfobj.TcFast) { e.Way.Mtu = mtu })
		if redirected, _ := k.runTC(masqueraded.arrives(t), skb{ifindex: k.lan, segs: 3}); redirected != fits {
			t.Errorf("segments of 1028 into %d: %v", mtu, redirected)
		}
	}
}

// FIN and RST end both directions before they go on.
func TestFastPathEndsWithTheConnection(t *testing.T) {
	for _, flags := range []string{"FA", "RA"} {
		for _, dir := range []int{0, 1} {
			k := newKernel(t, 16)
			k.apply(1, "", usual)
			k.allowFast()
			p := packet{src: lan4, dst: inet4, proto: tcp, sport: 40000, dport: 80, flags: "S"}
			k.arrive(k.lan, p.frame(t))
			k.answered()
			id := k.flow().Id
			there, back := journey{in: p, out: p, hops: 64}, journey{in: p.reply(), out: p.reply(), hops: 64}
			for _, j := range []journey{there, back} {
				k.way(j, fastXDP, func(e *bpfobj.TcFast) { e.Id = id })
			}
			end, port := p, k.lan
			if dir == 1 {
				end, port = p.reply(), k.wan
			}
			end.flags = flags
			k.arrive(port, end.frame(t))
			var ended int
			for _, e := range k.ways() {
				if e.Way.Active == 0 {
					ended++
				}
			}
			if ended != 2 {
				t.Errorf("%s, direction %d: %d of 2 ways ended", flags, dir, ended)
			}
		}
	}
}

// An entry that had to stand further behind is found when the one before it goes.
func TestFastPathFindsBehindWhatWent(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.allowFast()
	var key bpfobj.TcFastKey
	k.way(masqueraded, fastXDP, func(e *bpfobj.TcFast) { key = e.Key })
	k.forgetWays(t, 0)
	other := bpfobj.TcFast{Key: key}
	other.Key.Sport, other.Way.Until = ^key.Sport, tick(t)-1<<13
	if err := k.tc.FastWays.Put(k.place(key), &other); err != nil {
		t.Fatal(err)
	}
	k.way(masqueraded, fastXDP, nil)
	equal(t, "both", len(k.ways()), 2)
	k.stat()
	equal(t, "one went", len(k.ways()), 1)
	if redirected, _ := k.runXDP(masqueraded.arrives(t)); !redirected {
		t.Error("the other is not found any more")
	}
}

// An entry whose count is full has its packets go the long way, uncounted here.
func TestFastPathCountsNoFurther(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.allowFast()
	for _, form := range forms {
		for last, fast := range map[uint64]bool{1<<23 - 1: true, 1 << 23: false} {
			k.way(masqueraded, form.bit, func(e *bpfobj.TcFast) { e.Count = last<<fastBytes | 7 })
			if redirected, _ := form.run(k, masqueraded.arrives(t)); redirected != fast {
				t.Errorf("%s: after %d packets: %v", form.name, last, redirected)
			}
			counted := last
			if fast {
				counted++
			}
			k.forgetWays(t, counted)
		}
	}
}

// Silent entries go, once nobody can be counting in them.
func TestFastPathForgets(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.allowFast()
	size := func() (n int) {
		k.stat()
		return len(k.ways())
	}
	ticks := func(d time.Duration) uint32 { return uint32(uint64(d) >> tickShift) }
	k.way(masqueraded, fastXDP, nil)
	equal(t, "fresh", size(), 1)
	k.way(masqueraded, fastXDP, func(e *bpfobj.TcFast) { e.Way.Until = tick(t) - ticks(time.Second) })
	equal(t, "just over", size(), 1)
	before := k.stat().FastPackets
	k.way(masqueraded, fastXDP, func(e *bpfobj.TcFast) { e.Way.Until, e.Count = tick(t)-ticks(4*time.Second), 3<<fastBytes })
	equal(t, "long over", size(), 0)
	equal(t, "its last counts", k.stat().FastPackets-before, uint64(3))

	// A TCP connection's numbers are kept as long as the flow: its end is
	// compared with them.
	k.arrive(k.lan, packet{src: lan4, dst: inet4, proto: tcp, sport: 40000, dport: 80, flags: "S"}.frame(t))
	over := func(e *bpfobj.TcFast) {
		e.Id, e.Key.Proto, e.Way.Until = k.flow().Id, unix.IPPROTO_TCP, tick(t)-ticks(time.Hour)
	}
	k.way(masqueraded, fastXDP, over)
	equal(t, "connection", size(), 1)
	k.forget()
	equal(t, "forgotten connection", size(), 0)
}
