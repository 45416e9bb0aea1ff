package dataplane

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/gopacket/gopacket/layers"
)

const (
	tcp  = layers.IPProtocolTCP
	udp  = layers.IPProtocolUDP
	sctp = layers.IPProtocolSCTP
	icmp = layers.IPProtocolICMPv4
	icm6 = layers.IPProtocolICMPv6
)

// whole are frames of every shape that the parser knows.
func whole(t testing.TB) map[string][]byte {
	body := make([]byte, 40)
	frames := map[string][]byte{
		"tcp":            packet{src: lan4, dst: inet4, proto: tcp, sport: 40000, dport: 80, flags: "S", payload: body}.frame(t),
		"udp":            packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 53, payload: body}.frame(t),
		"sctp":           packet{src: lan4, dst: inet4, proto: sctp, sport: 40000, dport: 53, payload: body}.frame(t),
		"icmp":           packet{src: lan4, dst: inet4, proto: icmp, kind: 8, sport: 7, payload: body}.frame(t),
		"gre":            packet{src: lan4, dst: inet4, proto: layers.IPProtocolGRE, payload: body}.frame(t),
		"first fragment": packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 53, more: true, payload: body}.frame(t),
		"tcp6":           packet{src: lan6, dst: inet6, proto: tcp, sport: 40000, dport: 80, flags: "S", payload: body}.frame(t),
		"udp6":           packet{src: lan6, dst: inet6, proto: udp, sport: 40000, dport: 53, payload: body}.frame(t),
		"sctp6":          packet{src: lan6, dst: inet6, proto: sctp, sport: 40000, dport: 53, payload: body}.frame(t),
		"icmp6":          packet{src: lan6, dst: inet6, proto: icm6, kind: 128, sport: 7, payload: body}.frame(t),
		"first fragment6": packet{
			src: lan6, dst: inet6, proto: udp, sport: 40000, dport: 53, more: true, payload: body}.frame(t),
	}
	frames["tcp options"] = lengthened(frames["tcp"])
	frames["ip options"] = withOptions(frames["udp"])
	frames["chain"] = extended(frames["tcp6"], options(layers.IPProtocolIPv6HopByHop, 1), routing(4, 1), options(layers.IPProtocolIPv6Destination, 0), authentication(4), atomicFragment())
	return frames
}

// lengthened turns 20 bytes of a TCP payload into options.
func lengthened(frame []byte) []byte { return set(frame, 14+20+12, 10<<4) }

// withOptions puts 8 bytes of options (no operation) into an IPv4 header.
func withOptions(frame []byte) []byte {
	out := append(append(append([]byte(nil), frame[:34]...), 1, 1, 1, 1, 1, 1, 1, 1), frame[34:]...)
	out[14] = 0x47
	binary.BigEndian.PutUint16(out[16:], uint16(len(out)-14))
	return out
}

// headers is how much of a frame of whole the parser needs.
var headers = map[string]int{
	"tcp": 54, "udp": 42, "sctp": 46, "icmp": 42, "gre": 34, "first fragment": 42, "tcp options": 74, "ip options": 50,
	"tcp6": 74, "udp6": 62, "sctp6": 66, "icmp6": 62, "first fragment6": 70, "chain": 138,
}

// withLength writes the IP header's length field as if the frame ended at n.
func withLength(frame []byte, n int) []byte {
	if frame[12] == 0x08 {
		return set(frame, 16, byte((n-14)>>8), byte(n-14))
	}
	return set(frame, 18, byte((n-54)>>8), byte(n-54))
}

// shape checks what both programs say about a frame's shape.
func (k *kernel) shape(what string, frame []byte, malformed bool) {
	k.t.Helper()
	want := outcome{Verdict: "pass"}
	if malformed {
		want = outcome{Verdict: "drop", Reason: "malformed"}
	}
	equal(k.t, what+" in XDP", k.early(frame), want)
	if len(frame) < 34 || frame[12] == 0x86 && len(frame) < 54 {
		return // the kernel makes no test packet of less than an IP header
	}
	if got := k.arrive(k.lan, frame); (got.Reason == "malformed") != malformed || malformed && got.Verdict != "drop" {
		k.t.Errorf("%s at ingress: %+v, malformed should be %v", what, got, malformed)
	}
	if got := k.leave(k.wan, frame); (got.Reason == "malformed") != malformed || malformed && got.Verdict != "drop" {
		k.t.Errorf("%s at egress: %+v, malformed should be %v", what, got, malformed)
	}
}

func TestTruncatedPacketsAreMalformed(t *testing.T) {
	k := newKernel(t, 1024)
	k.apply(1, "", `{"from":"LAN","to":"WAN","action":"accept"}`)
	for name, frame := range whole(t) {
		ip := 34
		if frame[12] == 0x86 {
			ip = 54
		}
		k.shape(name, frame, false)
		for n := 15; n < len(frame); n++ {
			k.shape(fmt.Sprintf("%s: %d bytes of %d", name, n, len(frame)), frame[:n], true)
			if n < ip {
				continue
			}
			// A shorter length field, cut and behind it: an Ethernet trailer is no
			// part of the packet.
			short := withLength(frame, n)
			k.shape(fmt.Sprintf("%s: %d bytes by its length", name, n), short[:n], n < headers[name])
			k.shape(fmt.Sprintf("%s: %d bytes and a trailer", name, n), short, n < headers[name])
		}
	}
}

func TestMalformedPackets(t *testing.T) {
	k := newKernel(t, 1024)
	k.apply(1, "", `{"from":"LAN","to":"WAN","action":"accept"}`)
	frames := whole(t)
	v4, v6 := frames["tcp"], frames["tcp6"]
	hop, dst := options(layers.IPProtocolIPv6HopByHop, 0), options(layers.IPProtocolIPv6Destination, 0)
	flags := func(f byte) []byte { return set(v4, 14+20+13, f) }
	between := func(src, dst string) []byte {
		return packet{src: src, dst: dst, proto: udp, sport: 1, dport: 2}.frame(t)
	}
	for name, tc := range map[string]struct {
		frame     []byte
		malformed bool
	}{
		"version 5":           {set(v4, 14, 0x55), true},
		"version 6 in IPv4":   {set(v4, 14, 0x65), true},
		"ihl 4":               {set(v4, 14, 0x44), true},
		"ihl beyond":          {set(v4, 14, 0x4f), true}, // its TCP header is then zeros
		"length beyond":       {withLength(v4, len(v4)+1), true},
		"length below ihl":    {withLength(v4, 33), true},
		"length 0":            {withLength(v4, 14), true},
		"version 4 in IPv6":   {set(v6, 14, 0x40), true},
		"length beyond, IPv6": {withLength(v6, len(v6)+1), true},
		"length 0, IPv6":      {withLength(v6, 54), true},
		"nothing, IPv6":       {withLength(set(v6, 20, 59), 54), false},

		"doff 4":          {set(v4, 14+20+12, 4<<4), true},
		"doff beyond":     {withLength(set(v4, 14+20+12, 15<<4), 34+59), true},
		"no flags":        {flags(0), true},
		"SYN FIN":         {flags(0x03), true},
		"SYN RST":         {flags(0x06), true},
		"SYN FIN ACK":     {flags(0x13), true},
		"PSH URG alone":   {flags(0x28), true},
		"all flags":       {flags(0xff), true},
		"FIN alone":       {flags(0x01), false},
		"RST alone":       {flags(0x04), false},
		"ACK":             {flags(0x10), false},
		"SYN ECE CWR":     {flags(0xc2), false},
		"SYN ACK":         {flags(0x12), false},
		"FIN PSH URG ACK": {flags(0x39), false},

		"multicast source":        {between("224.0.0.1", inet4), true},
		"broadcast source":        {between("255.255.255.255", inet4), true},
		"loopback source":         {between("127.0.0.1", inet4), true},
		"loopback destination":    {between(lan4, "127.9.9.9"), true},
		"class E source":          {between("240.0.0.1", inet4), false},
		"no source yet":           {between("0.0.0.0", "255.255.255.255"), false},
		"multicast destination":   {between(lan4, "224.0.0.251"), false},
		"multicast source, IPv6":  {between("ff02::1", inet6), true},
		"loopback source, IPv6":   {between("::1", inet6), true},
		"loopback dst, IPv6":      {between(lan6, "::1"), true},
		"mapped source":           {mapped(between(lan6, inet6), 22), true},
		"mapped destination":      {mapped(between(lan6, inet6), 38), true},
		"no source yet, IPv6":     {between("::", "ff02::16"), false},
		"multicast destination 6": {between(lan6, "ff02::fb"), false},
		"compatible address":      {between("::1.2.3.4", inet6), false},

		"six extension headers":   {extended(v6, hop, dst, routing(4, 0), dst, authentication(1), dst), false},
		"seven extension headers": {extended(v6, hop, dst, routing(4, 0), dst, authentication(1), dst, dst), true},
		"hop-by-hop second":       {extended(v6, dst, hop), true},
		"hop-by-hop twice":        {extended(v6, hop, hop), true},
		"type 0 routing":          {extended(v6, routing(0, 1)), true},
		"type 0 routing, used up": {extended(v6, routing(0, 0)), false},
		"type 2 routing":          {extended(v6, routing(2, 1)), false},
		"authentication":          {extended(v6, authentication(4)), false},
		"atomic fragment":         {extended(v6, atomicFragment()), false},
		"a header without end":    {set(extended(v6, dst), 14+40+1, 200), true},
		"headers beyond 1 KiB":    {extended(v6, options(layers.IPProtocolIPv6HopByHop, 150)), true},

		"a later fragment":       {packet{src: lan4, dst: inet4, proto: tcp, fragment: 20, payload: []byte{1}}.frame(t), false},
		"a later fragment, IPv6": {packet{src: lan6, dst: inet6, proto: tcp, fragment: 20, payload: []byte{1}}.frame(t), false},
		"a later one from nobody": {
			packet{src: "127.0.0.1", dst: inet4, proto: tcp, fragment: 20, payload: []byte{1}}.frame(t), true},
		"first fragment without its ports": {withLength(set(frames["first fragment"], 23, 6), 34+16), true}, // RFC 1858
	} {
		k.shape(name, tc.frame, tc.malformed)
	}
}

// mapped writes ::ffff:10.0.1.9 at an offset.
func mapped(frame []byte, at int) []byte {
	return set(frame, at, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 1, 9)
}

func TestOtherFramesPassUncounted(t *testing.T) {
	k := newKernel(t, 1024)
	k.apply(1, "", "")
	before := k.stat()
	for name, ethertype := range map[string]uint16{"ARP": 0x0806, "LLDP": 0x88cc, "PPPoE": 0x8864, "EAPOL": 0x888e, "802.3 length": 0x0026} {
		frame := append(append([]byte(nil), whole(t)["udp"][:12]...), byte(ethertype>>8), byte(ethertype))
		frame = append(frame, make([]byte, 46)...)
		equal(t, name+" in XDP", k.early(frame), outcome{Verdict: "pass"})
		equal(t, name+" arriving", k.arrive(k.lan, frame), outcome{Verdict: "next"})
		equal(t, name+" leaving", k.leave(k.wan, frame), outcome{Verdict: "next"})
	}
	equal(t, "statistics", k.stat(), before)
}

func TestXDPLooksBehindTags(t *testing.T) {
	k := newKernel(t, 1024)
	good, bad := whole(t)["udp"], set(whole(t)["udp"], 14, 0x44)
	drop := outcome{Verdict: "drop", Reason: "malformed"}
	for name, tc := range map[string]struct {
		frame []byte
		want  outcome
	}{
		"one tag":             {tagged(good, 0x8100), outcome{Verdict: "pass"}},
		"two tags":            {tagged(good, 0x88a8, 0x8100), outcome{Verdict: "pass"}},
		"malformed, one tag":  {tagged(bad, 0x8100), drop},
		"malformed, two tags": {tagged(bad, 0x88a8, 0x8100), drop},
		// Nobody looks that deep: the kernel takes no third tag off for IP.
		"malformed, three tags": {tagged(bad, 0x88a8, 0x8100, 0x8100), outcome{Verdict: "pass"}},
		"half a tag":            {tagged(good, 0x8100)[:16], drop},
		"half a second tag":     {tagged(good, 0x88a8, 0x8100)[:20], drop},
	} {
		equal(t, name, k.early(tc.frame), tc.want)
	}
}
