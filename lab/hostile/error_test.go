package hostile

import (
	"strings"
	"testing"

	"ngfw.sh/lab"
)

// established opens flows of lan1 to inet and returns them as inet sees them.
func established(t *testing.T, r *router) (client, seen packet) {
	t.Helper()
	client = packet{src: lan1v4, dst: inetv4, proto: udp, sport: 4000, dport: 4001}
	r.send(lab.LAN1, client)
	equal(t, "opened", r.arrivals(lab.LAN1, lab.INET, false), []string{"udp 203.0.113.2:4000 > 203.0.113.1:4001"})
	seen = client
	seen.src = wanv4
	r.send(lab.INET, seen.back())
	equal(t, "answered", r.arrivals(lab.INET, lab.LAN1, false), []string{"udp 203.0.113.1:4001 > 10.77.1.10:4000"})
	return client, seen
}

// An ICMP error reaches those whose packet it quotes, from where that packet
// went, and nobody else.
func TestErrorsAboutTheFlowsOfOthers(t *testing.T) {
	r := newRouter(t, usual)
	client, seen := established(t, r)

	fine := packet{src: farv4, dst: wanv4, proto: icmp, kind: 11}.about(t, seen)
	r.send(lab.INET, fine)
	equal(t, "a hop's word", r.arrivals(lab.INET, lab.LAN1, false), []string{"icmp 11/0 198.51.100.10 > 10.77.1.10"})

	for name, tc := range map[string]struct {
		from, to string
		packet   packet
	}{
		"a thing about a client's flow":         {lab.IOT1, lab.LAN1, packet{src: iotv4, dst: lan1v4, proto: icmp, kind: 3}.about(t, client)},
		"a thing as inet":                       {lab.IOT1, lab.LAN1, packet{src: inetv4, dst: lan1v4, proto: icmp, kind: 3}.about(t, client)},
		"redirected to another host":            {lab.INET, lab.LAN2, packet{src: inetv4, dst: lan2v4, proto: icmp, kind: 3}.about(t, seen)},
		"about the flow before its translation": {lab.INET, lab.LAN1, packet{src: inetv4, dst: lan1v4, proto: icmp, kind: 3}.about(t, client)},
		"about a flow that is none":             {lab.INET, lab.LAN1, packet{src: inetv4, dst: wanv4, proto: icmp, kind: 3}.about(t, packet{src: wanv4, dst: inetv4, proto: udp, sport: 4000, dport: 4002})},
		"about an error":                        {lab.INET, lab.LAN1, packet{src: inetv4, dst: wanv4, proto: icmp, kind: 3}.about(t, packet{src: wanv4, dst: inetv4, proto: icmp, kind: 3}.about(t, seen))},
		"a client's, to somebody else outside":  {lab.LAN1, lab.INET, packet{src: lan1v4, dst: farv4, proto: icmp, kind: 3}.about(t, packet{src: inetv4, dst: lan1v4, proto: udp, sport: 4001, dport: 4000})},
		"a neighbour's":                         {lab.LAN2, lab.INET, packet{src: lan2v4, dst: inetv4, proto: icmp, kind: 3}.about(t, packet{src: inetv4, dst: lan2v4, proto: udp, sport: 4001, dport: 4000})},
	} {
		r.send(tc.from, tc.packet)
		equal(t, name, r.arrivals(tc.from, tc.to, false), nil)
	}
}

// Whatever a client sends, no private address leaves by WAN.
func TestNoPrivateAddressLeaves(t *testing.T) {
	r := newRouter(t, usual)
	client, seen := established(t, r)
	open := packet{src: lan1v4, dst: inetv4, proto: tcp, sport: 5000, dport: 443, flags: "S", seq: 100}
	out := open
	out.src = wanv4
	synack := out.back()
	synack.flags, synack.seq, synack.ack = "SA", 900, 101
	r.send(lab.LAN1, open)
	r.arrivals(lab.LAN1, lab.INET, false)
	r.send(lab.INET, synack)
	equal(t, "answered", r.arrivals(lab.INET, lab.LAN1, false), []string{"tcp SA 203.0.113.1:443 > 10.77.1.10:5000"})

	segment := func(flags string, seq, ack uint32) packet {
		p := open
		p.flags, p.seq, p.ack = flags, seq, ack
		return p
	}
	reply := packet{src: inetv4, dst: lan1v4, proto: udp, sport: 4001, dport: 4000}
	for _, p := range []packet{
		segment("A", 101, 901), segment("A", 4e9, 2e9), segment("R", 7, 0), segment("A", 101, 901), segment("FA", 101, 901),
		segment("RA", 3e9, 1), segment("S", 5, 0), segment("A", 6, 7), segment("SA", 5, 9), segment("F", 1, 1), segment("FPU", 1, 1),
		{src: lan1v4, dst: inetv4, proto: tcp, sport: 5001, dport: 443, flags: "R"},
		{src: lan1v4, dst: inetv4, proto: tcp, sport: 5001, dport: 443, flags: "A"},
		{src: lan1v4, dst: inetv4, proto: tcp, sport: 5001, dport: 443, flags: "FA"},
		{src: lan1v4, dst: inetv4, proto: tcp, sport: 5001, dport: 443, flags: "SA"},
		packet{src: lan1v4, dst: inetv4, proto: icmp, kind: 3, code: 3}.about(t, reply),
		packet{src: lan1v4, dst: inetv4, proto: icmp, kind: 11}.about(t, reply),
		packet{src: lan1v4, dst: inetv4, proto: icmp, kind: 3, code: 3}.about(t, client),
		{src: lan1v4, dst: inetv4, proto: icmp, kind: 0, sport: 3},
		{src: lan1v4, dst: inetv4, proto: icmp, kind: 13, sport: 3},
		{src: lan1v4, dst: inetv4, proto: icmp, kind: 10},
		{src: lan1v4, dst: inetv4, proto: 47, payload: "\x00\x00\x08\x00abcd"},
		{src: lan1v4, dst: inetv4, proto: 50, payload: "12345678"},
		{src: lan1v4, dst: inetv4, proto: 132, payload: "\x00\x01\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x14aaaabbbbccccdddd"},
		{src: lan1v4, dst: inetv4, proto: 253, payload: "any"},
	} {
		r.send(lab.LAN1, p)
	}
	// The host's own answers leak no more than what the test sent.
	for _, s := range r.arrivals(lab.LAN1, lab.INET, false) {
		if strings.Contains(s, "10.77.") {
			t.Errorf("left by WAN: %s", s)
		}
	}
	_ = seen
}
