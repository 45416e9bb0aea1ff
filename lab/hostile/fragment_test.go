package hostile

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"ngfw.sh/lab"
)

// fragments cuts an IP packet behind the offsets, which are of its payload.
func fragments(ip []byte, id uint16, cuts ...int) [][]byte {
	head, payload := ip[:20], ip[20:]
	if ip[0]>>4 == 6 {
		head, payload = ip[:40], ip[40:]
	}
	var out [][]byte
	for i, from := range cuts {
		to, more := len(payload), false
		if i+1 < len(cuts) {
			to, more = cuts[i+1], true
		}
		out = append(out, fragment(head, payload[from:to], id, from, more))
	}
	return out
}

func fragment(head, payload []byte, id uint16, at int, more bool) []byte {
	out := append([]byte(nil), head...)
	field := uint16(at / 8)
	if len(head) == 40 {
		field <<= 3
		if more {
			field |= 1
		}
		ext := []byte{out[6], 0, byte(field >> 8), byte(field), 0, 0, byte(id >> 8), byte(id)}
		out[6] = 44
		out = append(append(out, ext...), payload...)
		binary.BigEndian.PutUint16(out[4:], uint16(len(out)-40))
		return out
	}
	if more {
		field |= 0x2000
	}
	binary.BigEndian.PutUint16(out[2:], uint16(20+len(payload)))
	binary.BigEndian.PutUint16(out[4:], id)
	binary.BigEndian.PutUint16(out[6:], field)
	out[10], out[11] = 0, 0
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(out[i:]))
	}
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(out[10:], ^uint16(sum+sum>>16))
	return append(out, payload...)
}

// nowhere says that no frame of the last arrivals holds the text.
func (r *router) nowhere(t *testing.T, what, text string) {
	t.Helper()
	for _, f := range r.frames {
		if bytes.Contains(f, []byte(text)) {
			t.Errorf("%s: %q arrived in %s", what, text, describe(f))
		}
	}
}

// Fragments are judged by the whole that they become, and never in its stead.
func TestFragments(t *testing.T) {
	r := newRouter(t, usual)
	const secret = "refused!"
	text := bytes.Repeat([]byte(secret), 25)
	id := uint16(100)
	for family, ends := range map[string]struct{ client, inet, wan string }{
		"IPv4": {lan1v4, inetv4, wanv4}, "IPv6": {lan1v6, inetv6, lan1v6},
	} {
		v6 := family == "IPv6"
		open := packet{src: ends.client, dst: ends.inet, proto: udp, sport: 600, dport: 7, payload: string(text)}
		send := func(host string, all ...[]byte) {
			t.Helper()
			for _, f := range all {
				r.raw(host, ethernet(t, host, f))
			}
		}
		cut := func(p packet, cuts ...int) [][]byte {
			id++
			return fragments(p.ip(t), id, cuts...)
		}
		in := packet{src: ends.inet, dst: ends.client, proto: udp, sport: 7, dport: 601, payload: string(text)}
		syn := packet{src: ends.inet, dst: ends.client, proto: tcp, sport: 7, dport: 601, flags: "S", payload: string(text)}

		send(lab.LAN1, cut(open, 0, 64, 128)...)
		if got := r.arrivals(lab.LAN1, lab.INET, v6); len(got) == 0 {
			t.Errorf("%s: a whole that may pass does not", family)
		}
		for name, all := range map[string][][]byte{
			"refused whole":       cut(in, 0, 64),
			"the later alone":     cut(in, 0, 64)[1:],
			"the later first":     {cut(in, 0, 64)[1], fragments(in.ip(t), id, 0, 64)[0]},
			"tiny first":          cut(syn, 0, 8),
			"first of 16 bytes":   cut(syn, 0, 16),
			"ports in the second": {fragment(in.ip(t)[:len(in.ip(t))-208], nil, 9, 0, true), fragment(in.ip(t)[:len(in.ip(t))-208], in.ip(t)[len(in.ip(t))-208:], 9, 0, false)},
		} {
			send(lab.INET, all...)
			equal(t, family+": "+name, r.arrivals(lab.INET, lab.LAN1, v6), nil)
		}

		// A first fragment that may pass, and a second that writes over its ports.
		id++
		fine := packet{src: ends.inet, dst: ends.client, proto: udp, sport: 7, dport: 9, payload: strings.Repeat("accepted", 25)}.ip(t)
		head := len(fine) - 208
		send(lab.INET,
			fragment(fine[:head], fine[head:head+64], id, 0, true),
			fragment(fine[:head], in.ip(t)[head:], id, 0, false))
		equal(t, family+": overlap from the start", r.arrivals(lab.INET, lab.LAN1, v6), nil)
		id++
		send(lab.INET,
			fragment(fine[:head], in.ip(t)[head:head+16], id, 0, true),
			fragment(fine[:head], fine[head:head+64], id, 0, true),
			fragment(fine[:head], fine[head+64:], id, 64, false))
		r.arrivals(lab.INET, lab.LAN1, v6)
		r.nowhere(t, family+": two firsts", secret)
		id++
		send(lab.INET,
			fragment(fine[:head], fine[head:head+64], id, 0, true),
			fragment(fine[:head], in.ip(t)[head+8:head+16], id, 8, true),
			fragment(fine[:head], fine[head+64:], id, 64, false))
		r.arrivals(lab.INET, lab.LAN1, v6)
		r.nowhere(t, family+": overlap inside", secret)

		// One that is a fragment in name alone.
		id++
		send(lab.INET, fragment(in.ip(t)[:head], in.ip(t)[head:], id, 0, false))
		equal(t, family+": atomic", r.arrivals(lab.INET, lab.LAN1, v6), nil)
	}
	if s := r.status().Counters; s.Drops["malformed"] == 0 {
		t.Errorf("tiny fragments are not counted: %v", s.Drops)
	}
}
