package hostile

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"ngfw.sh/lab"
)

// header is an IPv6 extension header without its first byte, which names the next.
type header struct {
	kind byte
	rest []byte
}

var (
	hopByHop = header{0, []byte{0, 1, 4, 0, 0, 0, 0}} // PadN (RFC 8200 4.2)
	options  = header{60, []byte{0, 1, 4, 0, 0, 0, 0}}
	segments = header{43, []byte{0, 4, 0, 0, 0, 0, 0}}                          // a routing header that is used up
	dead     = header{43, append([]byte{2, 0, 1, 0, 0, 0, 0}, loopback6[:]...)} // type 0 (RFC 5095)
	signed   = header{51, []byte{1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1}}
	atomic   = header{44, []byte{0, 0, 0, 0, 0, 0, 88}}
	first    = header{44, []byte{0, 0, 1, 0, 0, 0, 89}}
	later    = header{44, []byte{0, 0, 64, 0, 0, 0, 90}}

	loopback6 = [16]byte{15: 1}
)

// chained puts headers between an IPv6 header and what follows it.
func chained(ip []byte, chain ...header) []byte {
	out := slices.Clone(ip[:40])
	next := &out[6]
	last := *next
	for _, h := range chain {
		*next = h.kind
		at := len(out)
		out = append(append(out, 0), h.rest...)
		next = &out[at]
	}
	*next = last
	out = append(out, ip[40:]...)
	binary.BigEndian.PutUint16(out[4:], uint16(len(out)-40))
	return out
}

// IPv6 extension headers hide no port from the rules, whichever and how many they are.
func TestExtensionHeaders(t *testing.T) {
	r := newRouter(t, usual)
	const secret = "refused!"
	refused := packet{src: inetv6, dst: lan1v6, proto: udp, sport: 7, dport: 601, payload: secret}.ip(t)
	connect := packet{src: inetv6, dst: lan1v6, proto: tcp, sport: 7, dport: 601, flags: "S", payload: secret}.ip(t)
	error6 := packet{src: inetv6, dst: lan1v6, proto: icmp6, kind: 1}.about(t, packet{src: lan1v6, dst: inetv6, proto: udp, sport: 1, dport: 2, payload: secret}).ip(t)
	none := slices.Clone(refused)
	none[6] = 59 // no next header, and yet there is something
	for name, chain := range map[string][]header{
		"none": nil, "hop by hop": {hopByHop}, "options": {options}, "routing": {segments}, "authentication": {signed}, "atomic": {atomic},
		"many": {hopByHop, options, segments, signed, atomic, options}, "more": {hopByHop, options, segments, signed, options, options, options},
		"hop by hop, late": {options, hopByHop}, "dead routing": {dead},
		"a fragment in a fragment":         {first, later},
		"a fragment in an atomic one":      {atomic, later},
		"atomic in atomic":                 {atomic, atomic},
		"first in first":                   {first, first},
		"options behind a first fragment":  {first, options},
		"a later one behind options":       {options, later},
		"an unfinished one behind options": {hopByHop, first},
	} {
		for what, ip := range map[string][]byte{"UDP": refused, "TCP": connect, "error": error6, "no next header": none} {
			r.raw(lab.INET, ethernet(t, lab.INET, chained(ip, chain...)))
			r.arrivals(lab.INET, lab.LAN1, true)
			r.nowhere(t, name+", "+what, secret)
		}
	}
	// What may pass does, with all headers that are sane, and its answer comes back.
	for name, chain := range map[string][]header{
		"options": {options}, "routing": {segments}, "authentication": {signed}, "options twice": {options, options}, "atomic": {atomic},
	} {
		open := packet{src: lan1v6, dst: inetv6, proto: udp, sport: 700, dport: 7, payload: "accepted"}
		r.raw(lab.LAN1, ethernet(t, lab.LAN1, chained(open.ip(t), chain...)))
		r.arrivals(lab.LAN1, lab.INET, true)
		if !slices.ContainsFunc(r.frames, func(f []byte) bool { return bytes.Contains(f, []byte("accepted")) }) {
			t.Errorf("%s: what may pass did not: %d frames", name, len(r.frames))
		}
		answer := open.back()
		r.raw(lab.INET, ethernet(t, lab.INET, chained(answer.ip(t), chain...)))
		r.arrivals(lab.INET, lab.LAN1, true)
		if !slices.ContainsFunc(r.frames, func(f []byte) bool { return bytes.Contains(f, []byte("accepted")) }) {
			t.Errorf("%s: its answer did not", name)
		}
	}
}

// tags puts VLAN tags into a frame, the outer first.
func tags(frame []byte, tags ...[2]uint16) []byte {
	out := slices.Clone(frame[:12])
	for _, tag := range tags {
		out = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(out, tag[0]), tag[1])
	}
	return append(out, frame[12:]...)
}

// Tags carry nothing past the policy: where no VLAN has an interface, none of
// its frames goes on, however deep the tags.
func TestTagsHideNothing(t *testing.T) {
	r := newRouter(t, usual)
	const q, ad = 0x8100, 0x88a8
	const secret = "refused!"
	for name, stack := range map[string][][2]uint16{
		"one": {{q, 7}}, "service": {{ad, 7}}, "double": {{ad, 7}, {q, 8}}, "double, one kind": {{q, 7}, {q, 8}}, "triple": {{ad, 7}, {q, 8}, {q, 9}},
		"priority": {{q, 0}}, "priority twice": {{q, 0}, {q, 0}}, "priority, then a VLAN": {{q, 0}, {q, 7}}, "a VLAN, then priority": {{q, 7}, {q, 0}},
		"service priority twice": {{ad, 0}, {ad, 0}}, "priority three times": {{q, 0}, {q, 0}, {q, 0}},
	} {
		for _, v6 := range []bool{false, true} {
			p := packet{src: iotv4, dst: lan1v4, proto: udp, sport: 1, dport: 601, payload: secret}
			self := packet{src: iotv4, dst: "10.77.3.1", proto: icmp, kind: 8, sport: 3, payload: secret}
			if v6 {
				p.src, p.dst = iotv6, lan1v6
				self = packet{src: iotv6, dst: "2001:db8:77:3::1", proto: icmp6, kind: 128, sport: 3, payload: secret}
			}
			r.raw(lab.IOT1, tags(ethernet(t, lab.IOT1, p.ip(t)), stack...))
			r.arrivals(lab.IOT1, lab.LAN1, v6)
			r.nowhere(t, name, secret)
			r.raw(lab.IOT1, tags(ethernet(t, lab.IOT1, self.ip(t)), stack...)) // nor is it answered
			r.arrivals(lab.LAN1, lab.IOT1, v6)
			r.nowhere(t, name+", to the router", secret)
		}
	}
}

// An ICMP error about a translated flow is translated inside too, either way.
func TestErrorsAreTranslatedInside(t *testing.T) {
	r := newRouter(t, usual)
	_, seen := established(t, r)
	client := []byte{10, 77, 1, 10}
	quoted := func(frame []byte) []byte { return frame[14+20+8:] }
	for name, e := range map[string]packet{
		"port unreachable": {src: inetv4, dst: wanv4, proto: icmp, kind: 3, code: 3}, "fragmentation needed": {src: farv4, dst: wanv4, proto: icmp, kind: 3, code: 4},
		"time exceeded": {src: farv4, dst: wanv4, proto: icmp, kind: 11}, "parameter problem": {src: inetv4, dst: wanv4, proto: icmp, kind: 12},
	} {
		r.send(lab.INET, e.about(t, seen))
		got := r.arrivals(lab.INET, lab.LAN1, false)
		if len(got) != 1 {
			t.Errorf("%s: %q arrived", name, got)
			continue
		}
		if inner := quoted(r.frames[0]); !bytes.Equal(inner[12:16], client) || binary.BigEndian.Uint16(inner[20:]) != 4000 {
			t.Errorf("%s: it quotes %x", name, inner)
		}
	}
	// The client's own word about an answer that it does not want.
	answer := packet{src: inetv4, dst: lan1v4, proto: udp, sport: 4001, dport: 4000}
	r.send(lab.LAN1, packet{src: lan1v4, dst: inetv4, proto: icmp, kind: 3, code: 3}.about(t, answer))
	got := r.arrivals(lab.LAN1, lab.INET, false)
	equal(t, "the client's word", got, []string{"icmp 3/3 203.0.113.2 > 203.0.113.1"})
	for _, f := range r.frames {
		if bytes.Contains(f, client) {
			t.Errorf("a private address leaves in what it quotes: %x", f)
		}
	}
}
