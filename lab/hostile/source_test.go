package hostile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/lab"
)

// equal fails the test, with the name of the attack, if got is not want.
func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

const (
	lan1v4, lan2v4, iotv4 = "10.77.1.10", "10.77.2.10", "10.77.3.10"
	lan1v6, lan2v6, iotv6 = "2001:db8:77:1::10", "2001:db8:77:2::10", "2001:db8:77:3::10"
	inetv4, inetv6        = "203.0.113.1", "2001:db8:ff::1"
	farv4, farv6          = "198.51.100.10", "2001:db8:f00::10"
	wanv4, wanv6          = "203.0.113.2", "2001:db8:ff::2"
)

// believe turns the kernel's own check off: it is IPv4's alone.
func (r *router) believe() {
	for _, s := range append([]lab.Segment{{RouterPort: "all"}}, lab.Segments...) {
		r.Exec(lab.RTR, "sysctl", "-qw", "net.ipv4.conf."+s.RouterPort+".rp_filter=0")
	}
}

// A source that the router would reach by another zone gets nowhere, whatever
// the rules say of its address.
func TestForgedSources(t *testing.T) {
	r := newRouter(t, usual)
	r.believe()
	for name, tc := range map[string]struct {
		from, to string
		packet   packet
	}{
		"a thing as a client":               {lab.IOT1, lab.INET, packet{src: lan1v6, dst: inetv6, proto: udp, sport: 5, dport: 6}},
		"a thing as a client, IPv4":         {lab.IOT1, lab.INET, packet{src: lan1v4, dst: inetv4, proto: udp, sport: 5, dport: 6}},
		"a client as somebody of WAN":       {lab.LAN1, lab.INET, packet{src: farv6, dst: inetv6, proto: udp, sport: 5, dport: 6}},
		"a client as somebody of WAN, IPv4": {lab.LAN1, lab.INET, packet{src: farv4, dst: inetv4, proto: udp, sport: 5, dport: 6}},
		"WAN as a client":                   {lab.INET, lab.LAN2, packet{src: lan1v6, dst: lan2v6, proto: udp, sport: 5, dport: 9}},
		"WAN as a client, IPv4":             {lab.INET, lab.LAN2, packet{src: lan1v4, dst: lan2v4, proto: udp, sport: 5, dport: 9}},
		"a client as the router":            {lab.LAN1, lab.INET, packet{src: wanv6, dst: inetv6, proto: udp, sport: 5, dport: 6}},
		"a client as the router, IPv4":      {lab.LAN1, lab.INET, packet{src: wanv4, dst: inetv4, proto: udp, sport: 5, dport: 6}},
		"loopback":                          {lab.LAN1, lab.INET, packet{src: "::1", dst: inetv6, proto: udp, sport: 5, dport: 6}},
		"loopback, IPv4":                    {lab.LAN1, lab.INET, packet{src: "127.0.0.1", dst: inetv4, proto: udp, sport: 5, dport: 6}},
		"multicast":                         {lab.LAN1, lab.INET, packet{src: "ff02::1", dst: inetv6, proto: udp, sport: 5, dport: 6}},
		"multicast, IPv4":                   {lab.LAN1, lab.INET, packet{src: "224.0.0.1", dst: inetv4, proto: udp, sport: 5, dport: 6}},
		"nobody":                            {lab.LAN1, lab.INET, packet{src: "::", dst: inetv6, proto: udp, sport: 5, dport: 6}},
		"nobody, IPv4":                      {lab.LAN1, lab.INET, packet{src: "0.0.0.0", dst: inetv4, proto: udp, sport: 5, dport: 6}},
	} {
		r.send(tc.from, tc.packet)
		equal(t, name, r.arrivals(tc.from, tc.to, strings.Contains(tc.packet.src, ":")), nil)
	}
}

// A forged packet must not stand in the way of who it pretends to be.
func TestForgedPacketsDoNotOccupyTuples(t *testing.T) {
	r := newRouter(t, usual)
	r.believe()
	for _, p := range []packet{
		{src: lan1v4, dst: inetv4, proto: udp, sport: 123, dport: 123},
		{src: lan1v6, dst: inetv6, proto: udp, sport: 123, dport: 123},
		{src: lan1v4, dst: inetv4, proto: tcp, sport: 1000, dport: 443, flags: "S"},
		{src: lan1v4, dst: inetv4, proto: icmp, kind: 8, sport: 1},
		{src: lan1v6, dst: inetv6, proto: icmp6, kind: 128, sport: 1},
	} {
		v6 := strings.Contains(p.src, ":")
		r.send(lab.IOT1, p)
		equal(t, "forged", r.arrivals(lab.IOT1, lab.INET, v6), nil)
		r.send(lab.LAN1, p)
		if got := r.arrivals(lab.LAN1, lab.INET, v6); len(got) != 1 {
			t.Errorf("the true %v packet behind a forged one: %q arrived", p.proto, got)
		}
	}
}
