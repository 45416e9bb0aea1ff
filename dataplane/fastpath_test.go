package dataplane

import (
	"bytes"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

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
	udp4, udp6, tcp4, tcp6 := masqueraded.arrives(t), masqueraded6.arrives(t), session.arrives(t), v6.arrives(t)
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
		{"UDP shorter than its header", masqueraded, set(udp4, 14+20+4, 0, 7), nil},
		{"UDP longer than its packet", masqueraded, set(udp4, 14+20+4, 0, 8+8+1), nil},
		{"UDP without a length", masqueraded, set(udp4, 14+20+4, 0, 0), nil},
		{"UDP longer than its packet, padded", masqueraded, append(set(udp4, 14+20+4, 0, 8+8+1), 0), nil},
		{"UDP shorter than its header, v6", masqueraded6, set(udp6, 14+40+4, 0, 7), nil},
		{"UDP longer than its packet, v6", masqueraded6, set(udp6, 14+40+4, 0, 8+8+1), nil},
		{"UDP without a length, v6", masqueraded6, set(udp6, 14+40+4, 0, 0), nil},
		{"jumbogram's length", masqueraded6, set(udp6, 14+4, 0, 0), nil},
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
		if redirected, _ := form.run(k, set(udp4, 14+20+4, 0, 8)); !redirected { // as conntrack passes it
			t.Errorf("%s: UDP shorter than its packet goes the long way", form.name)
		}
		k.way(masqueraded6, form.bit, nil)
		if redirected, _ := form.run(k, udp6); !redirected {
			t.Errorf("%s: the plain one of IPv6 goes the long way", form.name)
		}
		k.way(masqueraded, fastXDP|fastTC&^form.bit, func(e *bpfobj.TcFast) { e.Way.Form = fastRewrite | (fastXDP | fastTC) ^ form.bit })
		if redirected, _ := form.run(k, udp4); redirected {
			t.Errorf("%s takes the other's", form.name)
		}
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
	k.home(k.place(other.Key), 1)
	k.way(masqueraded, fastXDP, nil)
	equal(t, "both", len(k.ways()), 2)
	k.homes()
	k.stat()
	equal(t, "one went", len(k.ways()), 1)
	k.homes()
	if redirected, _ := k.runXDP(masqueraded.arrives(t)); !redirected {
		t.Error("the other is not found any more")
	}
}
