package dataplane

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	netfilter "github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"ngfw.sh/dataplane/internal/bpfobj"
)

// liberal has conntrack know an established connection, and believe any number of
// it, as of those that the fast path has.
func (k *kernel) liberal(p packet) {
	k.t.Helper()
	const established, both = 3, beLiberal<<8 | beLiberal // struct nf_ct_tcp_flags: value, mask
	flow := netfilter.NewFlow(unix.IPPROTO_TCP, netfilter.StatusConfirmed|netfilter.StatusSeenReply|netfilter.StatusAssured,
		netip.MustParseAddr(p.src), netip.MustParseAddr(p.dst), p.sport, p.dport, 3600, 0)
	flow.ProtoInfo.TCP = &netfilter.ProtoInfoTCP{State: established, OriginalFlags: both, ReplyFlags: both}
	var err error
	k.in(func() {
		var c *netfilter.Conn
		if c, err = netfilter.Dial(nil); err == nil {
			defer c.Close()
			err = c.Create(flow)
		}
	})
	if err != nil {
		k.t.Fatal(err)
	}
}

// noted puts what the fast path has noted of a direction of a connection that has
// been silent for so long.
func (k *kernel) noted(p packet, id uint64, ack, end uint32, silent time.Duration) {
	k.t.Helper()
	k.way(journey{p, p, 64}, fastXDP, func(e *bpfobj.TcFast) {
		e.Id, e.Ack, e.End, e.Way.Until = id, ack, end, tick(k.t)-uint32(uint64(silent)>>tickShift)
	})
}

// A connection that is silent for hours loses its record, but conntrack knows it and
// is liberal with it: a guess still does not end it, a true end does.
func TestEndBehindItsRecord(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.allowFast()
	out := packet{src: lan4, dst: inet4, proto: tcp, sport: 40000, dport: 80}
	k.liberal(out)
	note := func() {
		k.noted(out, 1, 9001, 1001, 3*time.Hour)
		k.noted(out.reply(), 1, 1001, 9001, 3*time.Hour)
	}
	note()
	k.stat()
	equal(t, "entries that are kept", len(k.ways()), 2)
	for _, tc := range []struct {
		flags string
		seq   uint32 // from 203.0.113.7; the host's is less by 8000
		want  string
	}{
		{"FA", 2_000_000_000, "no_state"},
		{"FA", 8500, "no_state"},
		{"R", 2_000_000_000, "no_state"},
		{"R", 9000, "no_state"},
		{"R", 9002, "no_state"},
		{"R", 9001, ""},
		{"FA", 9001, ""},
		{"FA", 9101, ""}, // behind data that was lost
	} {
		for _, from := range []struct {
			port uint32
			p    packet
			less uint32
		}{{k.wan, out.reply(), 0}, {k.lan, out, 8000}} {
			from.p.flags, from.p.seq = tc.flags, tc.seq-from.less
			name := fmt.Sprintf("%s %d from %s", tc.flags, from.p.seq, from.p.src)
			equal(t, name, k.arrive(from.port, from.p.frame(t)).Reason, tc.want)
			want := 0
			if tc.want == "" {
				want = 1
			}
			equal(t, name+": records", len(k.flows()), want)
			k.forget()
			k.forgetWays(t, 0)
			note()
		}
	}

	// Its ways have been over for five days, or it has ended: nothing is kept.
	k.noted(out, 1, 9001, 1001, 5*24*time.Hour+time.Minute)
	k.way(journey{out.reply(), out.reply(), 64}, fastXDP, func(e *bpfobj.TcFast) {
		e.Way.Active, e.Way.Until = 0, tick(t)-1<<20
	})
	k.stat()
	equal(t, "entries that are kept for longer", len(k.ways()), 0)

	t.Run("spoken since", func(t *testing.T) { endBehindData(t, k, 40001) })
	t.Run("nothing noted", func(t *testing.T) { resetOfNothingNoted(t, k) })
	t.Run("fast path off since", func(t *testing.T) {
		k.setFast(0)
		endBehindData(t, k, 40003)
	})
}

// A stranger may send data of any number, which the short way notes: no end is believed
// for being before it, unless so much may be on its way.
func TestEndBeforeForgedData(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.allowFast()
	out := packet{src: lan4, dst: inet4, proto: tcp, sport: 40000, dport: 80}
	k.liberal(out)
	in := out.reply()
	for _, tc := range []struct {
		flags  string
		behind uint32 // what the host has acknowledged
		want   string
	}{
		{"R", 1 << 29, "no_state"},
		{"FA", 1 << 29, "no_state"},
		{"R", 1<<30 - 1, "no_state"},
		{"R", 1 << 23, ""},
		{"FA", 1 << 23, ""},
	} {
		k.noted(out, 1, 9001, 1001, time.Hour)
		k.noted(in, 1, 1001, 9001+1<<30, time.Hour)
		in.flags, in.seq = tc.flags, 9001+tc.behind
		equal(t, fmt.Sprintf("%s of %d more", tc.flags, tc.behind), k.arrive(k.wan, in.frame(t)).Reason, tc.want)
		k.forget()
		k.forgetWays(t, 0)
	}
}

// What is said behind the record's end moves the numbers that an end is judged by,
// from the first packet on.
func endBehindData(t *testing.T, k *kernel, port uint16) {
	out := packet{src: lan4, dst: inet4, proto: tcp, sport: port, dport: 80, flags: "A"}
	k.liberal(out)
	k.noted(out, 1, 9001, 1001, 3*time.Hour)
	k.noted(out.reply(), 1, 1001, 9001, 3*time.Hour)
	in := out.reply()
	out.seq, out.ack, out.payload = 1001, 9001, make([]byte, 500)
	in.flags, in.seq, in.ack = "A", 9001, 1501
	equal(t, "data", k.arrive(k.lan, out.frame(t)).Verdict, "next")
	equal(t, "acknowledged", k.arrive(k.wan, in.frame(t)).Verdict, "next")
	out.flags, out.payload, out.seq = "R", nil, 1001
	equal(t, "an old number", k.arrive(k.lan, out.frame(t)).Reason, "no_state")
	out.seq = 1501
	equal(t, "the end", k.arrive(k.lan, out.frame(t)).Reason, "")
}

// A connection that conntrack is liberal with, and that nothing is noted of: a reset
// is not believed.
func resetOfNothingNoted(t *testing.T, k *kernel) {
	out := packet{src: lan4, dst: inet4, proto: tcp, sport: 40002, dport: 80, flags: "A"}
	in := out.reply()
	k.liberal(out)
	equal(t, "data", k.arrive(k.lan, out.frame(t)).Verdict, "next")
	equal(t, "an answer", k.arrive(k.wan, in.frame(t)).Verdict, "next")
	in.flags = "R"
	equal(t, "reset", k.arrive(k.wan, in.frame(t)).Reason, "no_state")
}

// The numbers of silent connections leave their places to flows that need them.
func TestSilentConnectionsMakeRoom(t *testing.T) {
	k := newKernel(t, 64)
	k.apply(1, "", usual)
	k.allowFast()
	p := packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 4000}
	k.worthAWay(p)
	var key bpfobj.TcFastKey
	k.way(journey{p, p, 64}, fastXDP, func(e *bpfobj.TcFast) { key = e.Key })
	k.forgetWays(t, 0)
	first, id := k.place(key), k.flow().Id
	hour := uint32(uint64(time.Hour) >> tickShift)
	// occupy puts a connection in one of the places that the flow could have.
	occupy := func(at uint16, id uint64, until uint32) {
		e := bpfobj.TcFast{Key: key, Id: id}
		e.Key.Proto, e.Key.Sport, e.Way.Active, e.Way.Until = unix.IPPROTO_TCP, key.Sport^at^0x5555, k.active(), until
		if err := k.tc.FastWays.Put((first+uint32(at))%k.tc.FastWays.MaxEntries(), &e); err != nil {
			t.Fatal(err)
		}
		k.home(k.place(e.Key), 1)
	}
	for at := range uint16(8) {
		occupy(at, id, tick(t)-hour)
	}
	full := k.stat().FastFull
	equal(t, "all have records", k.arrive(k.lan, p.frame(t)).Mark&markLearn, uint32(0))
	equal(t, "no room", k.stat().FastFull-full, uint64(1))
	k.forgetWays(t, 0)
	for at := range uint16(8) {
		switch at {
		case 3: // silent, and without a record
			occupy(at, 1, tick(t)-hour)
		case 5: // without one, and not silent
			occupy(at, 2, tick(t)+hour)
		default:
			occupy(at, id, tick(t)-hour)
		}
	}
	equal(t, "one is silent", k.arrive(k.lan, p.frame(t)).Mark&markLearn, uint32(markLearn))
	k.homes()
	ids := map[uint64]int{}
	for _, e := range k.ways() {
		ids[e.Id]++
	}
	equal(t, "entries by record", ids, map[uint64]int{id: 7, 2: 1})
}

// A stranger in the peer's zone who knows the ports acknowledges what nobody has sent:
// he keeps no FIN or RST of the other side from being believed, on whichever way he
// comes, and makes none believed that is not its.
func TestEndAfterForgedAcknowledgement(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.allowFast()
	out := packet{src: lan4, dst: inet4, proto: tcp, sport: 40000, dport: 80}
	in := out.reply()
	k.liberal(out)
	var apart uint32 = 1 << 24 // what may be on its way
	ways := map[string]func(forged packet){"long": func(forged packet) { k.arrive(k.lan, forged.frame(t)) }}
	for _, form := range forms {
		ways[form.name] = func(forged packet) { form.run(k, forged.frame(t)) }
	}
	for name, send := range ways {
		for _, forged := range []struct{ seq, ack uint32 }{
			{2_000_000_000, 3_000_000_000}, // both by chance
			{1001, 9001 + 2*apart},         // one by chance
			{1001, 9001 - 2*apart},
			{1001 + 2*apart, 9002},
			{1001 - 2*apart, 9002},
		} {
			for _, end := range []struct {
				flags string
				seq   uint32
				want  string
			}{{"FA", 9001, ""}, {"R", 9001, ""}, {"FA", 8000, "no_state"}, {"R", forged.ack, "no_state"}} {
				k.noted(out, 1, 9001, 1001, -time.Hour) // its way holds
				k.noted(in, 1, 1001, 9001, -time.Hour)
				out.flags, out.seq, out.ack = "A", forged.seq, forged.ack
				send(out)
				in.flags, in.seq, in.ack = end.flags, end.seq, 1001
				equal(t, fmt.Sprintf("%s way, acknowledged %d in %d: %s %d", name, forged.ack, forged.seq, end.flags, end.seq),
					k.arrive(k.wan, in.frame(t)).Reason, end.want)
				k.forget()
				k.forgetWays(t, 0)
			}
		}
	}
}

// What is far from what was noted counts if it agrees with the other side: whatever
// somebody has put there is gone with the connection's next packet.
func TestNumbersAgreeWithTheOtherSide(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.allowFast()
	out := packet{src: lan4, dst: inet4, proto: tcp, sport: 40000, dport: 80}
	in := out.reply()
	k.liberal(out)
	for _, tc := range []struct {
		name     string
		ack, end uint32 // noted of the host, whose true ones are 9001 and 1001
		lost     bool   // what was noted of the server
		want     string
	}{
		{"another's", 3_000_000_000, 2_000_000_000, false, ""},
		{"another's acknowledgment", 3_000_000_000, 1001, false, ""},
		{"an old one", 3 << 30, 1001, false, ""},
		{"another's, and nothing of the server", 3_000_000_000, 2_000_000_000, true, "no_state"}, // a reset then
	} {
		k.noted(out, 1, tc.ack, tc.end, time.Hour)
		if !tc.lost {
			k.noted(in, 1, 1001, 9001, time.Hour)
		}
		out.flags, out.seq, out.ack = "A", 1001, 9001
		k.arrive(k.lan, out.frame(t))
		in.flags, in.seq = "R", 9001
		equal(t, tc.name, k.arrive(k.wan, in.frame(t)).Reason, tc.want)
		for _, e := range k.ways() {
			if e.Key.Dport == networkOrder(80) {
				equal(t, tc.name+": noted of the host", []uint32{e.Ack, e.End}, []uint32{9001, 1001})
			}
		}
		k.forget()
		k.forgetWays(t, 0)
	}
}

// Ports that are used again begin with numbers of their own, while conntrack itself
// still looks after the connection's end.
func TestNumbersOfAnotherConnection(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.allowFast()
	out := packet{src: lan4, dst: inet4, proto: tcp, sport: 40000, dport: 80}
	k.noted(out, 1, 9001, 1001, time.Hour)
	k.noted(out.reply(), 1, 1001, 9001, time.Hour)
	out.flags = "S"
	equal(t, "begins", k.arrive(k.lan, out.frame(t)).Verdict, "next")
	k.answered()
	out.flags, out.seq, out.ack = "A", 3_000_000_000, 2_000_000_000
	equal(t, "goes on", k.arrive(k.lan, out.frame(t)).Verdict, "next")
	for _, e := range k.ways() {
		if e.Key.Dport == networkOrder(80) {
			equal(t, "noted", []uint32{e.Ack, e.End}, []uint32{2_000_000_000, 3_000_000_000})
		}
	}
}
