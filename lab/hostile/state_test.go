package hostile

import (
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// What comes without having been asked for stays out.
func TestUnasked(t *testing.T) {
	r := newRouter(t, usual)
	route := func(kind byte, via ...byte) []layers.IPv4Option {
		data := append([]byte{4}, via...)
		return []layers.IPv4Option{{OptionType: kind, OptionLength: uint8(2 + len(data)), OptionData: data}, {OptionType: 0}}
	}
	for name, tc := range map[string]struct {
		from, to string
		packet   packet
	}{
		"SYN to a client":                    {lab.INET, lab.LAN1, packet{src: inetv6, dst: lan1v6, proto: tcp, sport: 1, dport: 2, flags: "S"}},
		"SYN ACK":                            {lab.INET, lab.LAN1, packet{src: inetv6, dst: lan1v6, proto: tcp, sport: 1, dport: 2, flags: "SA"}},
		"ACK":                                {lab.INET, lab.LAN1, packet{src: inetv6, dst: lan1v6, proto: tcp, sport: 1, dport: 2, flags: "A"}},
		"RST":                                {lab.INET, lab.LAN1, packet{src: inetv6, dst: lan1v6, proto: tcp, sport: 1, dport: 2, flags: "R"}},
		"FIN":                                {lab.INET, lab.LAN1, packet{src: inetv6, dst: lan1v6, proto: tcp, sport: 1, dport: 2, flags: "F"}},
		"nothing set":                        {lab.INET, lab.LAN1, packet{src: inetv6, dst: lan1v6, proto: tcp, sport: 1, dport: 2}},
		"all set":                            {lab.INET, lab.LAN1, packet{src: inetv6, dst: lan1v6, proto: tcp, sport: 1, dport: 2, flags: "SAFRPU"}},
		"UDP answer":                         {lab.INET, lab.LAN1, packet{src: inetv6, dst: lan1v6, proto: udp, sport: 53, dport: 40000}},
		"echo answer":                        {lab.INET, lab.LAN1, packet{src: inetv6, dst: lan1v6, proto: icmp6, kind: 129, sport: 4}},
		"error about nothing":                {lab.INET, lab.LAN1, packet{src: inetv6, dst: lan1v6, proto: icmp6, kind: 1}.about(t, packet{src: lan1v6, dst: inetv6, proto: udp, sport: 1, dport: 2})},
		"redirect":                           {lab.INET, lab.LAN1, packet{src: inetv6, dst: lan1v6, proto: icmp6, kind: 137}},
		"thing to client":                    {lab.IOT1, lab.LAN1, packet{src: iotv6, dst: lan1v6, proto: tcp, sport: 1, dport: 2, flags: "S"}},
		"thing to client, IPv4":              {lab.IOT1, lab.LAN1, packet{src: iotv4, dst: lan1v4, proto: tcp, sport: 1, dport: 2, flags: "S"}},
		"private address from WAN":           {lab.INET, lab.LAN1, packet{src: inetv4, dst: lan1v4, proto: tcp, sport: 1, dport: 2, flags: "S"}},
		"loose source route through router":  {lab.INET, lab.LAN1, packet{src: inetv4, dst: wanv4, proto: udp, sport: 1, dport: 9, options: route(131, 10, 77, 1, 10)}},
		"strict source route through router": {lab.INET, lab.LAN1, packet{src: inetv4, dst: wanv4, proto: udp, sport: 1, dport: 9, options: route(137, 10, 77, 1, 10)}},
		"a thing's source route to a client": {lab.IOT1, lab.LAN1, packet{src: iotv4, dst: "10.77.3.1", proto: udp, sport: 1, dport: 9, options: route(131, 10, 77, 1, 10)}},
		"broadcast of LAN from WAN":          {lab.INET, lab.LAN1, packet{src: inetv4, dst: "10.77.1.255", proto: udp, sport: 1, dport: 9}},
		"multicast from WAN":                 {lab.INET, lab.LAN1, packet{src: inetv4, dst: "239.1.1.1", proto: udp, sport: 1, dport: 9}},
		"multicast of the site from WAN":     {lab.INET, lab.LAN1, packet{src: inetv6, dst: "ff05::1", proto: udp, sport: 1, dport: 9}},
	} {
		r.send(tc.from, tc.packet)
		equal(t, name, r.arrivals(tc.from, tc.to, strings.Contains(tc.packet.src, ":")), nil)
	}
}

// The router is SELF by whichever of its addresses, asked from anywhere.
func TestOtherAddressesOfTheRouter(t *testing.T) {
	r := newRouter(t, usual)
	for name, tc := range map[string]struct {
		from   string
		packet packet
		want   []string
	}{
		"WAN asks the LAN address":       {lab.INET, packet{src: inetv4, dst: "10.77.1.1", proto: icmp, kind: 8, sport: 1}, nil},
		"WAN asks the LAN address, IPv6": {lab.INET, packet{src: inetv6, dst: "2001:db8:77:1::1", proto: icmp6, kind: 128, sport: 1}, nil},
		"a thing asks the LAN address":   {lab.IOT1, packet{src: iotv4, dst: "10.77.1.1", proto: icmp, kind: 8, sport: 1}, nil},
		"a thing asks the WAN address":   {lab.IOT1, packet{src: iotv4, dst: wanv4, proto: icmp, kind: 8, sport: 1}, nil},
		"a thing asks its own":           {lab.IOT1, packet{src: iotv6, dst: "2001:db8:77:3::1", proto: icmp6, kind: 128, sport: 1}, nil},
		"a client asks the WAN address":  {lab.LAN1, packet{src: lan1v4, dst: wanv4, proto: icmp, kind: 8, sport: 1}, []string{"icmp 0/0 203.0.113.2 > 10.77.1.10"}},
		"a client asks the thing's side": {lab.LAN1, packet{src: lan1v4, dst: "10.77.3.1", proto: icmp, kind: 8, sport: 1}, []string{"icmp 0/0 10.77.3.1 > 10.77.1.10"}},
		"a client asks the broadcast":    {lab.LAN1, packet{src: lan1v4, dst: "10.77.1.255", proto: udp, sport: 1, dport: 7}, nil},
	} {
		r.send(tc.from, tc.packet)
		// Back to who asked, behind whatever the router answered.
		other := lab.LAN2
		if tc.from == lab.INET {
			other = lab.IOT1
		}
		equal(t, name, r.arrivals(other, tc.from, strings.Contains(tc.packet.src, ":")), tc.want)
	}
}

// An answer that comes after conntrack has forgotten the question is a question.
func TestAnswerAfterTheEnd(t *testing.T) {
	r := newRouter(t, usual)
	r.Exec(lab.RTR, "sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=1", "net.netfilter.nf_conntrack_udp_timeout_stream=1")
	client, seen := established(t, r)
	_ = client
	labtest.Eventually(t, 20*time.Second, func() error {
		r.send(lab.INET, seen.back())
		got := r.arrivals(lab.INET, lab.LAN1, false)
		if len(got) == 0 {
			return nil
		}
		time.Sleep(2 * time.Second) // the flow's own rest: nothing to wait for
		return errArrived(got)
	})
	r.send(lab.INET, seen.back())
	equal(t, "after the end", r.arrivals(lab.INET, lab.LAN1, false), nil)
}

type errArrived []string

func (e errArrived) Error() string { return strings.Join(e, ", ") }
