package dataplane

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

// As in enum flow_flags of bpf/abi/abi.h.
const (
	flowReplyKnown = 1 << 0
	flowNAT        = 1 << 1
	flowSeenReply  = 1 << 2
	flowFinOrig    = 1 << 3
	flowFinReply   = 1 << 4
	flowRST        = 1 << 5
	flowClosed     = 1 << 6
	flowCut        = 1 << 7
	flowAnnounced  = 1 << 8
	flowLog        = 1 << 9
)

// record is what a test wants of a flow in the table.
type record struct {
	Orig, Reply     string
	In, Out         uint32
	ZoneIn, ZoneOut uint8
	Packets, Bytes  [2]uint64
	Revision        uint64
	Decider         string
	Flags           uint32
}

func recordOf(f bpfobj.TcFlow) record {
	return record{
		tupleText(f.Orig), tupleText(f.Reply), f.IfindexIn, f.IfindexOut, f.ZoneIn, f.ZoneOut,
		f.Packets, f.Bytes, f.Revision, deciderText(policy.Decider(f.Decider)), f.Flags,
	}
}

func tupleText(t bpfobj.TcTuple) string {
	if t == (bpfobj.TcTuple{}) {
		return ""
	}
	end := func(a [16]byte, p uint16) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom16(a).Unmap(), networkOrder(p)) // its own inverse
	}
	return fmt.Sprintf("%d %s > %s", t.Proto, end(t.Saddr, t.Sport), end(t.Daddr, t.Dport))
}

func deciderText(d policy.Decider) string {
	if d.Kind() == policy.DeciderRule {
		return fmt.Sprintf("rule %d", d.ID())
	}
	if d.Kind() == policy.DeciderReason {
		return DropReason(d.ID()).String()
	}
	return d.Reason()
}

// usual lets LAN out and to the router, and the router everywhere.
const usual = `{"from":"LAN","to":"WAN","action":"accept"},{"from":"LAN","to":"SELF","action":"accept"},{"from":"SELF","to":"any","action":"accept"}`

func TestFirstPackets(t *testing.T) {
	k := newKernel(t, 1024)
	k.apply(9, `
{"id":1,"name":"logged","zone_from":"LAN","zone_to":"WAN","protocol":"udp","port":"5000","action":"accept","log":true},
{"id":2,"name":"refused","zone_from":"IOT","zone_to":"WAN","protocol":"tcp+udp","port":"80","action":"reject"},
{"id":3,"name":"odd family","zone_from":"IOT","zone_to":"WAN","protocol":"icmpv6","icmp_types":["1/3"],"action":"accept"},
{"id":4,"name":"odd family 6","zone_from":"WAN","zone_to":"LAN","protocol":"icmp","icmp_types":["11/0"],"action":"accept"},
{"id":5,"name":"dropped","zone_from":"LAN","zone_to":"WAN","protocol":"tcp","port":"25","action":"drop"},
{"id":6,"name":"router's own","zone_from":"SELF","zone_to":"WAN","protocol":"tcp","port":"25","action":"reject"},
{"id":7,"name":"inwards","zone_from":"WAN","zone_to":"LAN","protocol":"sctp","port":"7","action":"accept"}`, usual)
	const first = markJudged | markLearn
	drop := func(reason string) outcome { return outcome{Verdict: "drop", Reason: reason} }
	next := func(mark uint32) outcome { return outcome{Verdict: "next", Mark: mark} }
	rejected := outcome{Verdict: "next", Reason: "policy", Mark: markReject}
	for name, tc := range map[string]struct {
		port   uint32
		packet packet
		want   outcome
		flow   *record // nil: none is made
		leaves bool    // the router sends it
	}{
		"TCP by policy": {port: k.lan, packet: packet{src: lan4, dst: inet4, proto: tcp, sport: 40000, dport: 443, flags: "S"},
			want: next(first | markZone(zoneWAN)), flow: &record{
				Orig: "6 10.0.1.9:40000 > 203.0.113.7:443", In: k.lan, Out: k.wan, ZoneIn: zoneLAN, ZoneOut: zoneWAN,
				Packets: [2]uint64{1}, Bytes: [2]uint64{40}, Revision: 9, Decider: "policy"}},
		"TCP over IPv6": {port: k.lan, packet: packet{src: lan6, dst: inet6, proto: tcp, sport: 40000, dport: 443, flags: "S"},
			want: next(first | markZone(zoneWAN)), flow: &record{
				Orig: "6 [2001:db8:1::9]:40000 > [2001:db8:f00::7]:443", In: k.lan, Out: k.wan, ZoneIn: zoneLAN, ZoneOut: zoneWAN,
				Packets: [2]uint64{1}, Bytes: [2]uint64{60}, Revision: 9, Decider: "policy"}},
		"UDP by a rule that logs": {port: k.lan, packet: packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 5000, payload: make([]byte, 100)},
			want: next(first | markZone(zoneWAN)), flow: &record{
				Orig: "17 10.0.1.9:40000 > 203.0.113.7:5000", In: k.lan, Out: k.wan, ZoneIn: zoneLAN, ZoneOut: zoneWAN,
				Packets: [2]uint64{1}, Bytes: [2]uint64{128}, Revision: 9, Decider: "rule 1", Flags: flowLog}},
		"to the router": {port: k.lan, packet: packet{src: lan4, dst: rtrWAN4, proto: tcp, sport: 40000, dport: 22, flags: "S"},
			want: next(markJudged | markZone(policy.ZoneIndexSelf)), flow: &record{
				Orig: "6 10.0.1.9:40000 > 192.0.2.1:22", Reply: "6 192.0.2.1:22 > 10.0.1.9:40000", In: k.lan, ZoneIn: zoneLAN, ZoneOut: policy.ZoneIndexSelf,
				Packets: [2]uint64{1}, Bytes: [2]uint64{40}, Revision: 9, Decider: "policy", Flags: flowReplyKnown | flowAnnounced}},
		"from the router": {leaves: true, port: k.wan, packet: packet{src: rtrWAN4, dst: inet4, proto: udp, sport: 40000, dport: 53},
			want: next(markJudged | markZone(zoneWAN)), flow: &record{
				Orig: "17 192.0.2.1:40000 > 203.0.113.7:53", Reply: "17 203.0.113.7:53 > 192.0.2.1:40000", Out: k.wan, ZoneIn: policy.ZoneIndexSelf, ZoneOut: zoneWAN,
				Packets: [2]uint64{1}, Bytes: [2]uint64{28}, Revision: 9, Decider: "policy", Flags: flowReplyKnown | flowAnnounced}},
		"ping": {port: k.lan, packet: packet{src: lan4, dst: inet4, proto: icmp, kind: 8, sport: 77},
			want: next(first | markZone(zoneWAN)), flow: &record{
				Orig: "1 10.0.1.9:77 > 203.0.113.7:2048", In: k.lan, Out: k.wan, ZoneIn: zoneLAN, ZoneOut: zoneWAN,
				Packets: [2]uint64{1}, Bytes: [2]uint64{28}, Revision: 9, Decider: "policy"}},
		"ICMPv6 in IPv4": {port: k.iot, packet: packet{src: iot4, dst: inet4, proto: icm6, kind: 1, code: 3},
			want: next(first | markZone(zoneWAN)), flow: &record{
				Orig: "58 10.0.3.9:0 > 203.0.113.7:259", In: k.iot, Out: k.wan, ZoneIn: zoneIOT, ZoneOut: zoneWAN,
				Packets: [2]uint64{1}, Bytes: [2]uint64{28}, Revision: 9, Decider: "rule 3"}},
		"ICMP in IPv6": {port: k.wan, packet: packet{src: inet6, dst: lan6, proto: icmp, kind: 11, sport: 5},
			want: next(first | markZone(zoneLAN)), flow: &record{
				Orig: "1 [2001:db8:f00::7]:5 > [2001:db8:1::9]:2816", In: k.wan, Out: k.lan, ZoneIn: zoneWAN, ZoneOut: zoneLAN,
				Packets: [2]uint64{1}, Bytes: [2]uint64{48}, Revision: 9, Decider: "rule 4"}},
		"SCTP": {port: k.wan, packet: packet{src: inet6, dst: lan6, proto: sctp, sport: 6, dport: 7},
			want: next(first | markZone(zoneLAN)), flow: &record{
				Orig: "132 [2001:db8:f00::7]:6 > [2001:db8:1::9]:7", In: k.wan, Out: k.lan, ZoneIn: zoneWAN, ZoneOut: zoneLAN,
				Packets: [2]uint64{1}, Bytes: [2]uint64{52}, Revision: 9, Decider: "rule 7"}},
		"a protocol without ports": {port: k.lan, packet: packet{src: lan4, dst: inet4, proto: layers.IPProtocolGRE, payload: make([]byte, 8)},
			want: next(first | markZone(zoneWAN)), flow: &record{
				Orig: "47 10.0.1.9:0 > 203.0.113.7:0", In: k.lan, Out: k.wan, ZoneIn: zoneLAN, ZoneOut: zoneWAN,
				Packets: [2]uint64{1}, Bytes: [2]uint64{28}, Revision: 9, Decider: "policy"}},
		"first fragment": {port: k.lan, packet: packet{src: lan4, dst: inet4, proto: udp, sport: 1, dport: 2, more: true, payload: make([]byte, 8)},
			want: next(first | markZone(zoneWAN)), flow: &record{
				Orig: "17 10.0.1.9:1 > 203.0.113.7:2", In: k.lan, Out: k.wan, ZoneIn: zoneLAN, ZoneOut: zoneWAN,
				Packets: [2]uint64{1}, Bytes: [2]uint64{36}, Revision: 9, Decider: "policy"}},

		"neighbour solicitation": {port: k.wan, packet: packet{src: inet6, dst: rtrWAN6, proto: icm6, kind: 135, hops: 255}, want: next(markJudged | markZone(policy.ZoneIndexSelf))},
		"its answer":             {leaves: true, port: k.wan, packet: packet{src: rtrWAN6, dst: inet6, proto: icm6, kind: 136, hops: 255}, want: next(markJudged | markZone(zoneWAN))},
		"listener report":        {leaves: true, port: k.wan, packet: packet{src: "fe80::1", dst: "ff02::16", proto: icm6, kind: 143, hops: 1}, want: next(markJudged | markZone(zoneWAN))},
		"a lease":                {port: k.wan, packet: packet{src: "192.0.2.254", dst: "255.255.255.255", proto: udp, sport: 67, dport: 68}, want: next(markJudged | markZone(policy.ZoneIndexSelf))},
		"a limited broadcast": {port: k.lan, packet: packet{src: "0.0.0.0", dst: "255.255.255.255", proto: udp, sport: 68, dport: 67},
			want: next(markJudged | markZone(policy.ZoneIndexSelf)), flow: &record{
				Orig: "17 0.0.0.0:68 > 255.255.255.255:67", Reply: "17 255.255.255.255:67 > 0.0.0.0:68", In: k.lan, ZoneIn: zoneLAN, ZoneOut: policy.ZoneIndexSelf,
				Packets: [2]uint64{1}, Bytes: [2]uint64{28}, Revision: 9, Decider: "policy", Flags: flowReplyKnown | flowAnnounced}},
		"a subnet's broadcast": {port: k.lan, packet: packet{src: lan4, dst: "10.0.1.255", proto: udp, sport: 1, dport: 2},
			want: next(markJudged | markZone(policy.ZoneIndexSelf)), flow: &record{
				Orig: "17 10.0.1.9:1 > 10.0.1.255:2", Reply: "17 10.0.1.255:2 > 10.0.1.9:1", In: k.lan, ZoneIn: zoneLAN, ZoneOut: policy.ZoneIndexSelf,
				Packets: [2]uint64{1}, Bytes: [2]uint64{28}, Revision: 9, Decider: "policy", Flags: flowReplyKnown | flowAnnounced}},
		// Not to WAN, whatever the default route says: the router takes them.
		"multicast":       {port: k.iot, packet: packet{src: iot4, dst: "224.0.0.251", proto: tcp, sport: 1, dport: 80, flags: "S"}, want: drop("policy")},
		"multicast, IPv6": {port: k.wan, packet: packet{src: inet6, dst: "ff05::2", proto: udp, sport: 1, dport: 2}, want: drop("policy")},
		"no lease":        {port: k.wan, packet: packet{src: "192.0.2.254", dst: "255.255.255.255", proto: udp, sport: 66, dport: 68}, want: drop("policy")},

		"TCP without a beginning":         {port: k.lan, packet: packet{src: lan4, dst: inet4, proto: tcp, sport: 1, dport: 2, flags: "A"}, want: drop("no_state")},
		"SYN ACK of nothing":              {port: k.lan, packet: packet{src: lan4, dst: inet4, proto: tcp, sport: 1, dport: 2, flags: "SA"}, want: drop("no_state")},
		"reset of nothing":                {port: k.iot, packet: packet{src: iot4, dst: inet4, proto: tcp, sport: 1, dport: 80, flags: "R"}, want: drop("no_state")},
		"the router's reset":              {leaves: true, port: k.wan, packet: packet{src: rtrWAN4, dst: inet4, proto: tcp, sport: 1, dport: 2, flags: "RA"}, want: next(0)},
		"dropped by a rule":               {port: k.lan, packet: packet{src: lan4, dst: inet4, proto: tcp, sport: 1, dport: 25, flags: "S"}, want: drop("policy")},
		"rejected":                        {port: k.iot, packet: packet{src: iot4, dst: inet4, proto: tcp, sport: 1, dport: 80, flags: "S"}, want: rejected},
		"rejected UDP":                    {port: k.iot, packet: packet{src: iot4, dst: inet4, proto: udp, sport: 1, dport: 80}, want: rejected},
		"the router tells itself nothing": {leaves: true, port: k.wan, packet: packet{src: rtrWAN4, dst: inet4, proto: tcp, sport: 1, dport: 25, flags: "S"}, want: drop("policy")},
		"by default":                      {port: k.wan, packet: packet{src: inet6, dst: lan6, proto: udp, sport: 1, dport: 2}, want: drop("policy")},
		"from no zone":                    {port: 1, packet: packet{src: lan4, dst: inet4, proto: udp, sport: 1, dport: 2}, want: drop("no_zone")},
		"TCP's middle, from no zone":      {port: 1, packet: packet{src: lan4, dst: inet4, proto: tcp, sport: 1, dport: 2, flags: "A"}, want: drop("no_zone")},
		"ICMP error, from no zone":        {port: 1, packet: packet{src: lan4, dst: inet4, proto: icmp, kind: 3}, want: drop("no_zone")},
		"later fragment":                  {port: k.wan, packet: packet{src: inet4, dst: lan4, proto: udp, fragment: 9, payload: make([]byte, 8)}, want: next(0)},
	} {
		k.forget()
		got := k.arrive
		if tc.leaves {
			got = k.leave
		}
		equal(t, name, got(tc.port, tc.packet.frame(t)), tc.want)
		if tc.flow == nil {
			if all := k.flows(); len(all) != 0 {
				t.Errorf("%s: made %d flows", name, len(all))
			}
			continue
		}
		f := k.flow()
		equal(t, name, recordOf(f), *tc.flow)
		if want := [6]uint8(hostMAC); !tc.leaves && f.Smac != want {
			t.Errorf("%s: source MAC %x", name, f.Smac)
		}
		if k.count(policy.Decider(f.Decider)).Packets == 0 {
			t.Errorf("%s: its decider counted nothing", name)
		}
	}
	if s := k.stat(); s.NoCounter != 0 || s.LearnFailed != 0 || s.EventsLost != 0 {
		t.Errorf("statistics %+v", s)
	}
}

func TestInterfaceOfNoZoneIsNoWayOut(t *testing.T) {
	k := newKernel(t, 16)
	delete(k.ports, int(k.iot))
	k.apply(1, "", `{"from":"any","to":"any","action":"accept"}`)
	p := packet{src: lan4, dst: iot4, proto: udp, sport: 1, dport: 2}
	equal(t, "to it", k.arrive(k.lan, p.frame(t)), outcome{Verdict: "drop", Reason: "no_zone"})
	p = packet{src: "10.0.3.1", dst: iot4, proto: udp, sport: 1, dport: 2}
	equal(t, "the router to it", k.leave(k.iot, p.frame(t)), outcome{Verdict: "drop", Reason: "no_zone"})
}

func TestWithoutPolicyAllIsDropped(t *testing.T) {
	k := newKernel(t, 16)
	frame := packet{src: lan4, dst: rtr4, proto: udp, sport: 1, dport: 2}.frame(t)
	want := outcome{Verdict: "drop", Reason: "no_image"}
	equal(t, "arriving", k.arrive(k.lan, frame), want)
	equal(t, "leaving", k.leave(k.lan, frame), want)
	equal(t, "forwarded", k.send(k.tc.NgfwEgress, frame, skb{mark: markJudged, ingress: k.lan, ifindex: k.wan}).Reason, want.Reason)
}

func TestMarks(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	syn := packet{src: lan4, dst: rtr4, proto: tcp, sport: 1, dport: 2, flags: "S"}
	// Nobody forges ours, and what is not ours stays.
	got := k.send(k.tc.NgfwIngress, syn.frame(t), skb{mark: 0xffff1234, ifindex: k.lan})
	equal(t, "forged", got, outcome{Verdict: "next", Mark: markJudged | markZone(policy.ZoneIndexSelf) | 0x1234})
	answer := syn.reply()
	answer.flags = "SA"
	equal(t, "answer", k.leave(k.lan, answer.frame(t)), outcome{Verdict: "next", Mark: markJudged | markReply | markZone(zoneLAN)})
	syn.flags = "A"
	equal(t, "established", k.arrive(k.lan, syn.frame(t)), outcome{Verdict: "next", Mark: markJudged | markReply | markZone(policy.ZoneIndexSelf)})
}

func TestForwardedPacketsLeaveAsJudged(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	frame := packet{src: lan4, dst: inet4, proto: udp, sport: 1, dport: 2}.frame(t)
	for name, tc := range map[string]struct {
		mark uint32
		want outcome
	}{
		"as judged":      {markJudged | markZone(zoneWAN), outcome{Verdict: "next"}},
		"first of many":  {markJudged | markLearn | markZone(zoneWAN), outcome{Verdict: "next"}},
		"elsewhere":      {markJudged | markZone(zoneLAN), outcome{Verdict: "drop", Reason: "egress_zone"}},
		"to no zone":     {markJudged, outcome{Verdict: "drop", Reason: "egress_zone"}},
		"unjudged":       {markZone(zoneWAN), outcome{Verdict: "drop", Reason: "unjudged"}},
		"others' mark":   {0x1234, outcome{Verdict: "drop", Reason: "unjudged"}},
		"to be rejected": {markReject, outcome{Verdict: "drop", Reason: "unjudged"}},
	} {
		tc.want.Mark = tc.mark // left alone
		equal(t, name, k.send(k.tc.NgfwEgress, frame, skb{mark: tc.mark, ingress: k.lan, ifindex: k.wan}), tc.want)
	}
}

// What a VLAN's interface has let go for its zone leaves by a port of another.
func TestTaggedFramesLeaveAsTheirVLANSays(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	plain := packet{src: inet4, dst: lan4, proto: udp, sport: 1, dport: 2}.frame(t)
	ctx := skb{mark: markJudged | markZone(zoneIOT), ingress: k.wan, ifindex: k.lan}
	equal(t, "untagged", k.send(k.tc.NgfwEgress, plain, ctx), outcome{Verdict: "drop", Reason: "egress_zone", Mark: ctx.mark})
	for name, tag := range map[string]string{"802.1Q": "\x81\x00\x00\x07", "802.1ad": "\x88\xa8\x00\x07"} {
		frame := slices.Concat(plain[:12], []byte(tag), plain[12:])
		equal(t, name, k.send(k.tc.NgfwEgress, frame, ctx), outcome{Verdict: "next", Mark: ctx.mark})
	}
}

func TestSegmentsCountAsOnTheWire(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	before := k.stat()
	frame := packet{src: lan4, dst: inet4, proto: tcp, sport: 1, dport: 2, flags: "S", payload: make([]byte, 3000)}.frame(t)
	k.send(k.tc.NgfwIngress, frame, skb{ifindex: k.lan, segs: 5})
	f := k.flow()
	const bytes = 20 + 20 + 3000 + 4*(20+20) // headers repeat
	equal(t, "packets", f.Packets, [2]uint64{5, 0})
	equal(t, "bytes", f.Bytes, [2]uint64{bytes, 0})
	c := k.count(policy.Decider(f.Decider))
	equal(t, "counter", [2]uint64{c.Packets, c.Bytes}, [2]uint64{5, bytes})
	s := k.stat()
	equal(t, "statistics", [2]uint64{s.Packets - before.Packets, s.Bytes - before.Bytes}, [2]uint64{5, bytes})
}

func TestOwnFragmentsFollowTheirFirst(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, `{"id":1,"name":"no","zone_from":"SELF","zone_to":"WAN","protocol":"udp","port":"9","action":"drop"}`, usual)
	for name, ends := range map[string][2]string{"IPv4": {rtrWAN4, inet4}, "IPv6": {rtrWAN6, inet6}} {
		later := packet{src: ends[0], dst: ends[1], proto: udp, fragment: 2, payload: make([]byte, 8)}
		first := packet{src: ends[0], dst: ends[1], proto: udp, sport: 1, dport: 9, more: true, payload: make([]byte, 8)}
		lost := outcome{Verdict: "drop", Reason: "fragment"}
		equal(t, name+" before any", k.leave(k.wan, later.frame(t)), lost)
		equal(t, name+" refused first", k.leave(k.wan, first.frame(t)), outcome{Verdict: "drop", Reason: "policy"})
		equal(t, name+" after a refused one", k.leave(k.wan, later.frame(t)), lost)
		first.dport = 10
		k.leave(k.wan, first.frame(t))
		equal(t, name+" after the first", k.leave(k.wan, later.frame(t)), outcome{Verdict: "next"})
		other := later
		other.src, other.dst = other.dst, other.src
		equal(t, name+" of another", k.leave(k.wan, other.frame(t)), lost)
	}
}

func TestFullTableDropsAndCounts(t *testing.T) {
	const room = 8
	k := newKernel(t, room)
	k.apply(1, "", usual)
	syn := func(port uint16) []byte {
		return packet{src: lan4, dst: rtr4, proto: tcp, sport: port, dport: 22, flags: "S"}.frame(t)
	}
	for i := range uint16(room) {
		if got := k.arrive(k.lan, syn(100+i)); got.Verdict != "next" {
			t.Fatalf("flow %d of %d: %+v", i, room, got)
		}
	}
	for range 3 {
		equal(t, "one more", k.arrive(k.lan, syn(200)), outcome{Verdict: "drop", Reason: "flow_table_full"})
	}
	if n := k.dropped()[7].Packets; n != 3 {
		t.Errorf("counted %d", n)
	}
	if n := len(k.flows()); n != room {
		t.Errorf("%d flows", n)
	}
	// Established ones are not disturbed.
	equal(t, "established", k.arrive(k.lan, syn(100)).Verdict, "next")
}

func TestCloudConnectionStandsAbovePolicy(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", `{"from":"SELF","to":"any","action":"drop"}`)
	syn := packet{src: rtrWAN4, dst: inet4, proto: tcp, sport: 1, dport: 8443, flags: "S"}.frame(t)
	refused := outcome{Verdict: "drop", Reason: "policy"}
	equal(t, "before", k.leave(k.wan, syn), refused)
	if err := k.SetCloud(netip.MustParseAddrPort(inet4 + ":8443")); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]packet{
		"another port": {src: rtrWAN4, dst: inet4, proto: tcp, sport: 1, dport: 8444, flags: "S"},
		"another end":  {src: rtrWAN4, dst: "203.0.113.8", proto: tcp, sport: 1, dport: 8443, flags: "S"},
		"UDP":          {src: rtrWAN4, dst: inet4, proto: udp, sport: 1, dport: 8443},
	} {
		equal(t, name, k.leave(k.wan, p.frame(t)), refused)
	}
	equal(t, "a client's", k.arrive(k.lan, packet{src: lan4, dst: inet4, proto: tcp, sport: 1, dport: 8443, flags: "S"}.frame(t)), refused)
	equal(t, "its own", k.leave(k.wan, syn), outcome{Verdict: "next", Mark: markJudged | markZone(zoneWAN)})
	equal(t, "decider", deciderText(policy.Decider(k.flow().Decider)), "system:cloud")
	if err := k.SetCloud(netip.AddrPort{}); err != nil {
		t.Fatal(err)
	}
	k.forget()
	equal(t, "after", k.leave(k.wan, syn), refused)
}

// answered writes what egress would learn: that answers to the only flow come
// as its tuple reversed.
func (k *kernel) answered() {
	k.t.Helper()
	k.change(func(f *bpfobj.TcFlow) {
		f.Reply = bpfobj.TcTuple{Saddr: f.Orig.Daddr, Daddr: f.Orig.Saddr, Sport: f.Orig.Dport, Dport: f.Orig.Sport, Proto: f.Orig.Proto}
		f.Flags |= flowReplyKnown
		if err := k.Dataplane.flows.Lead(f.Reply, f.Id); err != nil {
			k.t.Fatal(err)
		}
	})
}

// events reads how often the ring was written, by kind.
func (k *kernel) events() map[uint32]int {
	k.t.Helper()
	kinds := map[uint32]int{}
	for _, e := range drain(k.t, k.tc.Events) {
		kinds[binary.NativeEndian.Uint32(e)]++
	}
	return kinds
}
