package dataplane

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

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
// bpf/lib/ways.h).
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
	c, err := k.settings()
	if err != nil {
		k.t.Fatal(err)
	}
	h := (c.ClockBase ^ w(0) ^ w(3)) * 0x9e3779b97f4a7c15
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
	var have bpfobj.TcFast
	if err := k.tc.FastWays.Lookup(uint32(free), &have); err != nil {
		k.t.Fatal(err)
	}
	if have.Key.Proto == 0 {
		k.home(first, 1)
	}
	if err := k.tc.FastWays.Put(uint32(free), e); err != nil {
		k.t.Fatal(err)
	}
	return uint32(free)
}

// home adds entries that have this place for their first.
func (k *kernel) home(place uint32, n uint64) {
	k.t.Helper()
	var word uint64
	if err := k.tc.FastHomes.Lookup(place/homesPerWord, &word); err != nil {
		k.t.Fatal(err)
	}
	word += n << (place % homesPerWord * (64 / homesPerWord))
	if err := k.tc.FastHomes.Put(place/homesPerWord, &word); err != nil {
		k.t.Fatal(err)
	}
}

// homes are how many entries have their first place somewhere, by those who count
// them, held against the entries themselves.
func (k *kernel) homes() {
	k.t.Helper()
	want, got := map[uint32]uint64{}, map[uint32]uint64{}
	for _, e := range k.ways() {
		want[k.place(e.Key)]++
	}
	for at := range k.tc.FastHomes.MaxEntries() {
		var word uint64
		if err := k.tc.FastHomes.Lookup(at, &word); err != nil {
			k.t.Fatal(err)
		}
		for i := range uint32(homesPerWord) {
			if n := word >> (i * (64 / homesPerWord)) & 0xf; n > 0 {
				got[at*homesPerWord+i] = n
			}
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		k.t.Errorf("homes of entries (-counted from them +noted):\n%s", d)
	}
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
		k.home(k.place(e.Key), ^uint64(0))
		if err := k.tc.FastWays.Put(place, &bpfobj.TcFast{}); err != nil {
			t.Fatal(err)
		}
	}
	if total != packets {
		t.Errorf("%d packets counted, want %d", total, packets)
	}
}
