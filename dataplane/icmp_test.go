package dataplane

import (
	"testing"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

// icmpError quotes what a frame's IP packet was.
func icmpError(t *testing.T, src, dst string, kind uint8, quoted []byte) []byte {
	p := packet{src: src, dst: dst, proto: icmp, kind: kind, payload: quoted[14:]}
	if quoted[12] == 0x86 {
		p.proto = icm6
	}
	return p.frame(t)
}

func TestICMPErrorsFollowTheirFlow(t *testing.T) {
	k := newKernel(t, 64)
	k.apply(1, "", usual)
	const hop4, hop6 = "198.51.100.1", "2001:db8:fe::1"
	for name, tc := range map[string]struct {
		flow      packet
		kind      uint8
		hop, back string
	}{
		"TCP":          {packet{src: lan4, dst: inet4, proto: tcp, sport: 40000, dport: 80, flags: "S"}, 3, hop4, lan4},
		"UDP":          {packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 80}, 11, hop4, lan4},
		"ping":         {packet{src: lan4, dst: inet4, proto: icmp, kind: 8, sport: 9}, 12, hop4, lan4},
		"TCP, IPv6":    {packet{src: lan6, dst: inet6, proto: tcp, sport: 40000, dport: 80, flags: "S"}, 2, hop6, lan6},
		"ping, IPv6":   {packet{src: lan6, dst: inet6, proto: icm6, kind: 128, sport: 9}, 1, hop6, lan6},
		"SCTP, IPv6":   {packet{src: lan6, dst: inet6, proto: sctp, sport: 4, dport: 80}, 3, hop6, lan6},
		"GRE":          {packet{src: lan4, dst: inet4, proto: 47, payload: make([]byte, 8)}, 3, hop4, lan4},
		"to an answer": {packet{src: lan4, dst: inet4, proto: udp, sport: 40001, dport: 80}, 4, hop4, lan4},
	} {
		k.forget()
		first := tc.flow.frame(t)
		k.arrive(k.lan, first)
		k.answered()
		if is := tc.flow.proto; is == icmp || is == icm6 { // an answer's type is another
			k.change(func(f *bpfobj.TcFlow) {
				f.Reply.Sport, f.Reply.Dport = f.Orig.Sport, 0
				if is == icm6 {
					f.Reply.Dport = networkOrder(129 << 8)
				}
				k.Dataplane.flows.Lead(f.Reply, f.Id)
			})
		}
		f := k.flow()
		decider := k.count(policy.Decider(f.Decider))

		frame := icmpError(t, tc.hop, tc.back, tc.kind, first)
		equal(t, name, k.arrive(k.wan, frame), outcome{Verdict: "next", Mark: markJudged | markZone(zoneLAN)})
		after := k.flow()
		equal(t, name+": flow", after.Packets, [2]uint64{1, 1})
		if after.Bytes[1] != uint64(len(frame)-14) {
			t.Errorf("%s: %d bytes counted of %d", name, after.Bytes[1], len(frame)-14)
		}
		if c := k.count(policy.Decider(f.Decider)); c.Packets != decider.Packets+1 {
			t.Errorf("%s: its decider counted %d", name, c.Packets-decider.Packets)
		}
		lost := outcome{Verdict: "drop", Reason: "no_state"}
		equal(t, name+" from another zone", k.arrive(k.iot, frame), lost)
		equal(t, name+" from its own zone", k.arrive(k.lan, frame), lost)
		// About the answer, from the inside.
		if tc.flow.proto != icmp && tc.flow.proto != icm6 {
			r := tc.flow.reply()
			r.flags = "SA"
			equal(t, name+" about the answer", k.arrive(k.lan, icmpError(t, tc.back, tc.flow.dst, tc.kind, r.frame(t))),
				outcome{Verdict: "next", Mark: markJudged | markZone(zoneWAN)})
		}
		k.change(func(f *bpfobj.TcFlow) { f.Flags |= flowCut })
		equal(t, name+" of a cut flow", k.arrive(k.wan, frame), lost)
	}
}

func TestICMPErrorsOfNothingAreDropped(t *testing.T) {
	k := newKernel(t, 64)
	k.apply(1, "", usual+`,{"from":"WAN","to":"LAN","action":"accept"}`)
	flow := packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 80, payload: make([]byte, 8)}
	k.arrive(k.lan, flow.frame(t))
	k.answered()
	other := flow
	other.sport++
	known, unknown := flow.frame(t), other.frame(t)
	ping := packet{src: lan4, dst: inet4, proto: icmp, kind: 3, sport: 9}.frame(t)
	for name, frame := range map[string][]byte{
		"unknown":            icmpError(t, inet4, lan4, 3, unknown),
		"its own direction":  icmpError(t, inet4, lan4, 3, flow.reply().frame(t)),
		"an error's error":   icmpError(t, inet4, lan4, 3, ping),
		"nothing quoted":     icmpError(t, inet4, lan4, 3, known[:14]),
		"half a header":      icmpError(t, inet4, lan4, 3, known[:14+19]),
		"no ports":           icmpError(t, inet4, lan4, 3, known[:14+20]),
		"half the ports":     icmpError(t, inet4, lan4, 3, known[:14+20+7]),
		"version 5":          icmpError(t, inet4, lan4, 3, set(known, 14, 0x55)),
		"ihl 4":              icmpError(t, inet4, lan4, 3, set(known, 14, 0x44)),
		"a later fragment":   icmpError(t, inet4, lan4, 3, set(known, 14+7, 1)),
		"IPv4 within ICMPv6": packet{src: inet6, dst: lan6, proto: icm6, kind: 1, payload: known[14:]}.frame(t),
		"IPv6 within ICMP":   packet{src: inet4, dst: lan4, proto: icmp, kind: 3, payload: whole(t)["udp6"][14:]}.frame(t),
	} {
		equal(t, name, k.arrive(k.wan, frame), outcome{Verdict: "drop", Reason: "no_state"})
	}
	equal(t, "flow", k.flow().Packets, [2]uint64{1, 0})
	// The router's own are in answer to something that it was given.
	equal(t, "the router's", k.leave(k.lan, icmpError(t, rtr4, lan4, 3, known)), outcome{Verdict: "next"})
	if c := k.count(policy.NewDecider(policy.DeciderSystem, uint32(policy.SystemICMPError))); c.Packets != 1 {
		t.Errorf("counted %d", c.Packets)
	}
}

// IPv6 packets are quoted with their extension headers, in which ports are not
// where they else would be.
func TestICMPErrorsQuoteExtensionHeaders(t *testing.T) {
	k := newKernel(t, 64)
	k.apply(1, "", usual)
	flow := packet{src: lan6, dst: inet6, proto: udp, sport: 40000, dport: 80, payload: make([]byte, 8)}
	plain := flow.frame(t)
	// extended puts headers between IPv6's own and UDP: each of kind, with its bytes behind the next header's number.
	type header struct {
		kind byte
		rest []byte
	}
	extended := func(headers ...header) []byte {
		frame := append([]byte{}, plain[:14+40]...)
		at := 14 + 6 // where the next header's number belongs
		for _, h := range headers {
			frame[at] = h.kind
			at = len(frame)
			frame = append(append(frame, 0), h.rest...)
		}
		frame[at] = byte(udp)
		return append(frame, plain[14+40:]...)
	}
	options := header{0, make([]byte, 7)}
	destination := header{60, append([]byte{1}, make([]byte, 14)...)}
	authentication := header{51, append([]byte{4}, make([]byte, 22)...)}
	fragment := header{44, []byte{0, 0, 1, 0, 0, 0, 7}} // the first of some
	later := header{44, []byte{0, 0, 9, 0, 0, 0, 7}}
	far := header{44, []byte{0, 1, 0, 0, 0, 0, 7}}
	follows := outcome{Verdict: "next", Mark: markJudged | markZone(zoneLAN)}
	lost := outcome{Verdict: "drop", Reason: "no_state"}
	for name, tc := range map[string]struct {
		quoted []byte
		want   outcome
	}{
		"none":                 {plain, follows},
		"options":              {extended(options), follows},
		"several":              {extended(options, destination, authentication), follows},
		"a first fragment":     {extended(options, fragment), follows},
		"a later fragment":     {extended(later), lost},
		"a much later one":     {extended(far), lost},
		"more than are walked": {extended(options, destination, destination, destination, destination, destination, destination), lost},
		"cut within":           {extended(options)[:14+40+8+3], lost},
		"another flow's":       {set(extended(options), 14+40+8+1, 1), lost},
	} {
		k.forget()
		k.arrive(k.lan, plain)
		k.answered()
		equal(t, name, k.arrive(k.wan, icmpError(t, "2001:db8:fe::1", lan6, 2, tc.quoted)), tc.want)
	}
}
