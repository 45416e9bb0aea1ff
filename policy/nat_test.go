package policy_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/policy"
	"ngfw.sh/policy/policytest"
)

// natPolicy has zones WAN (wan0), LAN (lan0, lan1) and DMZ (dmz0), the router's
// addresses 203.0.113.2, 10.0.0.1 and 2001:db8::1, and drops what nothing accepts.
func natPolicy(t *testing.T, nat ...string) policy.Policy {
	t.Helper()
	for i := range nat {
		nat[i] = fmt.Sprintf(`{"id":%d,"name":"n",%s}`, i+1, nat[i])
	}
	return decode(t, `{"zones":[{"name":"WAN","interfaces":["wan0"],"masquerade":true},{"name":"LAN","interfaces":["lan0","lan1"]},{"name":"DMZ","interfaces":["dmz0"]}],
		"groups":[{"name":"abroad","type":"address","members":["geo:FR"]},{"name":"frames","type":"mac","members":["02:00:00:00:00:08","02:00:00:00:00:09"]},{"name":"v6","type":"address","members":["2001:db8:1::/64"]},{"name":"web","type":"port","members":["80","8000-8010"]}],
		"rules":[{"id":9,"name":"not him","zone_from":"WAN","zone_to":"any","source":"192.0.2.66","action":"drop"},
			{"id":8,"name":"telnet","zone_from":"WAN","zone_to":"LAN","destination":"10.0.0.5","protocol":"tcp","port":"23","action":"accept"}],
		"policies":[{"from":"LAN","to":"WAN","action":"accept"},{"from":"SELF","to":"any","action":"accept"}],
		"self_addresses":["203.0.113.2","10.0.0.1","2001:db8::1"],
		"nat":[`+strings.Join(nat, ",")+`]}`)
}

// translated says in short what becomes of a packet.
func translated(r policy.Result) string {
	out := string(r.Action) + " " + r.Reason
	if r.NAT.Rule != 0 {
		out += fmt.Sprintf(" %d>%s:%d", r.NAT.Rule, r.NAT.Destination, r.NAT.Port)
	}
	switch {
	case r.NAT.SourceRule != 0 && r.NAT.Masquerade:
		out += fmt.Sprintf(" masquerade by %d", r.NAT.SourceRule)
	case r.NAT.SourceRule != 0:
		out += fmt.Sprintf(" source by %d", r.NAT.SourceRule)
	case r.NAT.Masquerade:
		out += " masquerade"
	}
	return out
}

// europe has two countries, of each several networks.
var europe = policytest.Atlas{
	netip.MustParsePrefix("192.0.2.0/25"): "DE", netip.MustParsePrefix("198.51.100.0/25"): "DE", netip.MustParsePrefix("2001:db8:ffff::/48"): "DE",
	netip.MustParsePrefix("198.51.100.128/25"): "FR", netip.MustParsePrefix("192.0.2.128/25"): "FR", netip.MustParsePrefix("2001:db8:fffe::/48"): "FR",
}

func TestNATMeans(t *testing.T) {
	const out4, out6, lan4, lan6 = "192.0.2.7", "2001:db8:ffff::7", "10.0.0.9", "2001:db8:1::9"
	in := func(p policy.Packet) policy.Packet { return between("wan0", "lan0", p) }
	toSelf := func(p policy.Packet) policy.Packet { return between("wan0", "self", p) }
	turn := func(p policy.Packet) policy.Packet { return between("lan0", "lan1", p) }
	leaves := func(p policy.Packet) policy.Packet { return between("lan0", "wan0", p) }
	his := func(p policy.Packet) policy.Packet {
		return with(p, func(p *policy.Packet) { p.SrcMAC = policy.MAC{2, 0, 0, 0, 0, 9} })
	}
	from := func(port uint16, p policy.Packet) policy.Packet { p.SrcPort = port; return p }
	udp := func(src, dst string, port uint16) policy.Packet {
		return with(tcp(src, dst, port), func(p *policy.Packet) { p.Protocol = policy.ProtocolUDP })
	}
	web := `"nat_type":"dnat","protocol":"tcp","destination":"203.0.113.2","destination_port":"8080","translate_to":"10.0.0.5","translate_port":"80"`
	short := `"external_port":8080,"internal_ip":"10.0.0.5","internal_port":"80","protocol":"both"`
	wan := web + `,"interface":"wan0"`
	proxy := `"nat_type":"dnat","protocol":"tcp","destination_port":"80","translate_to":"10.0.0.5","translate_port":"3128","interface":"lan0"`
	for _, c := range []struct {
		name   string
		nat    []string
		packet policy.Packet
		want   string
	}{
		{"a dnat accepts", []string{web}, in(tcp(out4, "203.0.113.2", 8080)), "accept nat:1 1>10.0.0.5:80"},
		{"beside its port", []string{web}, toSelf(tcp(out4, "203.0.113.2", 8081)), "drop default"},
		{"beside its protocol", []string{web}, toSelf(udp(out4, "203.0.113.2", 8080)), "drop default"},
		{"a rule decides earlier", []string{web}, in(tcp("192.0.2.66", "203.0.113.2", 8080)), "drop rule 1>10.0.0.5:80"},
		{"a rule sees the new port", []string{strings.Replace(web, `"80"`, `"23"`, 1)}, in(tcp(out4, "203.0.113.2", 8080)), "accept rule 1>10.0.0.5:23"},
		{"the original is judged by nothing", []string{web}, in(tcp(out4, "10.0.0.5", 80)), "drop default"},
		{"the first match", []string{web, strings.Replace(web, "10.0.0.5", "10.0.0.6", 1)}, in(tcp(out4, "203.0.113.2", 8080)), "accept nat:1 1>10.0.0.5:80"},
		{"but enabled", []string{web + `,"enabled":false`, strings.Replace(web, "10.0.0.5", "10.0.0.6", 1)}, in(tcp(out4, "203.0.113.2", 8080)), "accept nat:2 2>10.0.0.6:80"},
		{"the short form", []string{short}, in(udp(out4, "203.0.113.2", 8080)), "accept nat:1 1>10.0.0.5:80"},
		{"of any own address", []string{short}, in(tcp(out4, "10.0.0.1", 8080)), "accept nat:1 1>10.0.0.5:80"},
		{"and no other", []string{short}, in(tcp(out4, "203.0.113.3", 8080)), "drop default"},
		{"what the router sends stays", []string{web}, between("self", "wan0", tcp("203.0.113.2", "203.0.113.2", 8080)), "accept policy masquerade"},
		{"to the router", []string{`"nat_type":"dnat","protocol":"udp","destination_port":"53","translate_to":"10.0.0.1","interface":"lan0"`}, between("lan0", "self", udp(lan4, "9.9.9.9", 53)), "accept nat:1 1>10.0.0.1:53"},
		{"an ICMP query", []string{`"nat_type":"dnat","destination":"203.0.113.9","translate_to":"10.0.0.5"`}, in(ping(out4, "203.0.113.9", 8, 0)), "accept nat:1 1>10.0.0.5:2048"},
		{"neither multicast", []string{`"nat_type":"dnat","translate_to":"10.0.0.5"`}, toSelf(udp(out4, "224.0.0.251", 5353)), "drop default"},
		{"nor a lease", []string{`"nat_type":"dnat","translate_to":"10.0.0.5"`}, toSelf(from(67, udp(out4, "203.0.113.2", 68))), "drop default"},
		{"nor a neighbour's question", []string{`"nat_type":"dnat","translate_to":"2001:db8:1::5"`}, toSelf(ping(out6, "2001:db8::1", 135, 0)), "drop default"},
		{"nor an address of the link", []string{`"nat_type":"dnat","translate_to":"2001:db8:1::5"`}, toSelf(tcp("fe80::2", "fe80::1", 80)), "drop default"},

		{"hairpin", []string{web}, turn(tcp(lan4, "203.0.113.2", 8080)), "accept nat:1 1>10.0.0.5:80 masquerade by 1"},
		{"without", []string{web + `,"hairpin":false`}, turn(tcp(lan4, "203.0.113.2", 8080)), "drop default"},
		{"without, from elsewhere", []string{web + `,"hairpin":false`}, between("dmz0", "lan0", tcp(lan4, "203.0.113.2", 8080)), "accept nat:1 1>10.0.0.5:80"},
		{"of an interface", []string{wan}, in(tcp(out4, "203.0.113.2", 8080)), "accept nat:1 1>10.0.0.5:80"},
		{"of an interface, hairpin", []string{wan}, turn(tcp(lan4, "203.0.113.2", 8080)), "accept nat:1 1>10.0.0.5:80 masquerade by 1"},
		{"of an interface, another zone", []string{wan}, between("dmz0", "lan0", tcp("10.9.0.1", "203.0.113.2", 8080)), "drop default"},
		{"of an interface, no hairpin", []string{wan + `,"hairpin":false`}, turn(tcp(lan4, "203.0.113.2", 8080)), "drop default"},
		{"a later rule may be for it", []string{wan + `,"hairpin":false`, web}, turn(tcp(lan4, "203.0.113.2", 8080)), "accept nat:2 2>10.0.0.5:80 masquerade by 2"},
		{"any destination, from its interface", []string{proxy}, between("lan0", "lan1", tcp(lan4, "192.0.2.1", 80)), "accept nat:1 1>10.0.0.5:3128 masquerade by 1"},
		{"any destination, from another", []string{proxy}, between("lan1", "lan0", tcp(lan4, "192.0.2.1", 80)), "drop default"},
		{"any destination, from another to the router", []string{proxy}, between("lan1", "lan0", tcp(lan4, "203.0.113.2", 80)), "accept nat:1 1>10.0.0.5:3128 masquerade by 1"},
		{"a proxy is not opened to others", []string{proxy}, in(tcp(out4, "203.0.113.2", 80)), "drop default"},

		{"ports as they are", []string{`"nat_type":"dnat","protocol":"tcp","destination":"self","destination_port":"@web","translate_to":"10.0.0.5"`}, in(tcp(out4, "203.0.113.2", 8007)), "accept nat:1 1>10.0.0.5:8007"},
		{"ports one by one", []string{`"nat_type":"dnat","protocol":"tcp","destination":"self","destination_port":"8000-8010","translate_to":"10.0.0.5","translate_port":"65525-65535"`}, in(tcp(out4, "203.0.113.2", 8007)), "accept nat:1 1>10.0.0.5:65532"},
		{"a source port", []string{web + `,"source_port":"1000-1010"`, strings.Replace(web, "10.0.0.5", "10.0.0.6", 1)}, in(from(1005, tcp(out4, "203.0.113.2", 8080))), "accept nat:1 1>10.0.0.5:80"},
		{"another source port", []string{web + `,"source_port":"1000-1010"`, strings.Replace(web, "10.0.0.5", "10.0.0.6", 1)}, in(from(1011, tcp(out4, "203.0.113.2", 8080))), "accept nat:2 2>10.0.0.6:80"},
		{"not this source", []string{web + `,"source":"!192.0.2.0/24"`}, toSelf(tcp(out4, "203.0.113.2", 8080)), "drop default"},

		{"1:1 in", []string{`"nat_type":"1:1","destination":"203.0.113.9","translate_to":"10.0.0.5","interface":"wan0"`}, in(tcp(out4, "203.0.113.9", 25)), "accept nat:1 1>10.0.0.5:25"},
		{"1:1 out", []string{`"nat_type":"1:1","destination":"203.0.113.9","translate_to":"10.0.0.5","interface":"wan0"`}, leaves(tcp("10.0.0.5", out4, 25)), "accept policy source by 1"},
		{"1:1 out, from another", []string{`"nat_type":"1:1","destination":"203.0.113.9","translate_to":"10.0.0.5","interface":"wan0"`}, leaves(tcp("10.0.0.6", out4, 25)), "accept policy masquerade"},
		{"1:1 of networks", []string{`"nat_type":"1:1","destination":"203.0.113.16/28","translate_to":"10.0.0.32/28"`}, in(tcp(out4, "203.0.113.19", 25)), "accept nat:1 1>10.0.0.35:25"},
		{"1:1 for some", []string{`"nat_type":"1:1","source":"192.0.2.0/29","destination":"203.0.113.9","translate_to":"10.0.0.5"`}, leaves(tcp("10.0.0.5", "192.0.2.9", 25)), "accept policy masquerade"},
		{"netmap in", []string{`"nat_type":"netmap","destination":"203.0.113.16/28","translate_to":"10.0.0.32/28"`}, in(tcp(out4, "203.0.113.31", 25)), "drop default 1>10.0.0.47:25"},
		{"netmap by its source", []string{`"nat_type":"netmap","source":"10.0.0.32/28","translate_to":"203.0.113.16/28"`}, in(tcp(out4, "203.0.113.31", 25)), "drop default 1>10.0.0.47:25"},
		{"netmap out", []string{`"nat_type":"netmap","source":"10.0.0.32/28","translate_to":"203.0.113.16/28"`}, leaves(tcp("10.0.0.47", out4, 25)), "accept policy source by 1"},
		{"netmap for a rule", []string{`"nat_type":"netmap","destination":"203.0.113.0/28","translate_to":"10.0.0.0/28"`}, in(tcp(out4, "203.0.113.5", 23)), "accept rule 1>10.0.0.5:23"},
		{"a prefix of IPv6", []string{`"nat_type":"netmap","source":"fd00:1::/64","translate_to":"2001:db8:9:9::/64"`}, leaves(tcp("fd00:1::77", out6, 80)), "accept policy source by 1"},
		{"and back", []string{`"nat_type":"1:1","destination":"2001:db8:9:9::/64","translate_to":"fd00:1::/64"`}, in(tcp(out6, "2001:db8:9:9::77", 80)), "accept nat:1 1>fd00:1::77:80"},

		{"snat", []string{`"nat_type":"snat","source":"10.0.0.0/24","translate_to":"203.0.113.7","interface":"wan0"`}, leaves(tcp(lan4, out4, 80)), "accept policy source by 1"},
		{"by another interface", []string{`"nat_type":"snat","source":"10.0.0.0/24","translate_to":"203.0.113.7","interface":"dmz0"`}, leaves(tcp(lan4, out4, 80)), "accept policy masquerade"},
		{"not the router's own", []string{`"nat_type":"snat","translate_to":"203.0.113.7"`}, between("self", "wan0", tcp("203.0.113.2", out4, 80)), "accept policy masquerade"},
		{"not what is dropped", []string{`"nat_type":"snat","translate_to":"203.0.113.7"`}, in(tcp(out4, lan4, 80)), "drop default"},
		{"by the new destination", []string{web, `"nat_type":"snat","destination":"10.0.0.5","translate_to":"10.0.0.1"`}, in(tcp(out4, "203.0.113.2", 8080)), "accept nat:1 1>10.0.0.5:80 source by 2"},
		{"masquerade is of IPv4", []string{`"nat_type":"masquerade"`}, leaves(tcp(lan6, out6, 80)), "accept policy"},
		{"unless it names IPv6", []string{`"nat_type":"masquerade","source":"@v6"`}, leaves(tcp(lan6, out6, 80)), "accept policy masquerade by 1"},
		{"but does not exclude it", []string{`"nat_type":"masquerade","source":"!10.1.0.0/16"`}, leaves(tcp(lan6, out6, 80)), "accept policy"},
		{"from a country", []string{web + `,"source":"geo:DE"`}, in(tcp(out4, "203.0.113.2", 8080)), "accept nat:1 1>10.0.0.5:80"},
		{"from another", []string{web + `,"source":"geo:FR"`}, toSelf(tcp(out4, "203.0.113.2", 8080)), "drop default"},
		{"from nobody knows where", []string{web + `,"source":"geo:DE"`}, toSelf(tcp("192.0.3.7", "203.0.113.2", 8080)), "drop default"},
		{"not from a country", []string{web + `,"source":"!geo:FR"`}, in(tcp("192.0.3.7", "203.0.113.2", 8080)), "accept nat:1 1>10.0.0.5:80"},
		{"a country by a group", []string{web + `,"source":"@abroad"`}, in(tcp("198.51.100.200", "203.0.113.2", 8080)), "accept nat:1 1>10.0.0.5:80"},
		{"by another frame", []string{web + `,"source":"mac:02:00:00:00:00:09"`}, toSelf(tcp(out4, "203.0.113.2", 8080)), "drop default"},
		{"by a frame", []string{web + `,"source":"mac:02:00:00:00:00:09,10.0.0.0/8"`}, in(his(tcp(out4, "203.0.113.2", 8080))), "accept nat:1 1>10.0.0.5:80"},
		{"by a frame or an address", []string{web + `,"source":"@frames,192.0.2.0/24"`}, in(tcp(out4, "203.0.113.2", 8080)), "accept nat:1 1>10.0.0.5:80"},
		{"by neither", []string{web + `,"source":"!@frames,192.0.3.0/24"`}, in(tcp(out4, "203.0.113.2", 8080)), "accept nat:1 1>10.0.0.5:80"},
		{"by what has no frame", []string{web + `,"source":"!mac:02:00:00:00:00:09"`}, in(tcp(out4, "203.0.113.2", 8080)), "accept nat:1 1>10.0.0.5:80"},
		{"but by one", []string{web + `,"source":"!@frames"`}, toSelf(his(tcp(out4, "203.0.113.2", 8080))), "drop default"},
		{"to a country", []string{`"nat_type":"snat","destination":"geo:DE","translate_to":"203.0.113.7"`}, leaves(tcp(lan4, out4, 80)), "accept policy source by 1"},
		{"to another", []string{`"nat_type":"snat","destination":"geo:FR","translate_to":"203.0.113.7"`}, leaves(tcp(lan4, out4, 80)), "accept policy masquerade"},
		{"his source", []string{`"nat_type":"snat","source":"@frames","translate_to":"203.0.113.7"`}, leaves(his(tcp(lan4, out4, 80))), "accept policy source by 1"},
		{"the router has no frame", []string{`"nat_type":"masquerade","source":"@frames"`}, between("self", "wan0", his(tcp("203.0.113.2", out4, 80))), "accept policy masquerade"},
		{"a country is not IPv6", []string{`"nat_type":"masquerade","destination":"geo:DE"`}, leaves(tcp(lan6, out6, 80)), "accept policy"},
		{"nor a frame", []string{`"nat_type":"masquerade","source":"@frames"`}, leaves(his(tcp(lan6, out6, 80))), "accept policy"},
		{"unless beside it", []string{`"nat_type":"masquerade","source":"2001:db8:1::/64","destination":"geo:DE"`}, leaves(tcp(lan6, out6, 80)), "accept policy masquerade by 1"},
		{"1:1 with a country", []string{`"nat_type":"1:1","source":"geo:DE","destination":"203.0.113.9","translate_to":"10.0.0.5"`}, leaves(tcp("10.0.0.5", out4, 25)), "accept policy source by 1"},
		{"1:1 with another", []string{`"nat_type":"1:1","source":"geo:DE","destination":"203.0.113.9","translate_to":"10.0.0.5"`}, leaves(tcp("10.0.0.5", "192.0.3.9", 25)), "accept policy masquerade"},
		{"1:1 by a frame", []string{`"nat_type":"1:1","source":"@frames","destination":"203.0.113.9","translate_to":"10.0.0.5"`}, in(his(tcp(out4, "203.0.113.9", 25))), "accept nat:1 1>10.0.0.5:25"},
		{"1:1 out, where the peer has no frame", []string{`"nat_type":"1:1","source":"@frames","destination":"203.0.113.9","translate_to":"10.0.0.5"`}, leaves(his(tcp("10.0.0.5", out4, 25))), "accept policy masquerade"},
		{"1:1 out, but by a frame", []string{`"nat_type":"1:1","source":"!@frames","destination":"203.0.113.9","translate_to":"10.0.0.5"`}, leaves(his(tcp("10.0.0.5", out4, 25))), "accept policy source by 1"},
		{"turning, of any but a country", []string{strings.Replace(wan, `"203.0.113.2"`, `"!geo:FR"`, 1)}, turn(tcp(lan4, "203.0.113.2", 8080)), "accept nat:1 1>10.0.0.5:80 masquerade by 1"},

		{"none of the rule's", []string{`"nat_type":"netmap","source":"10.0.0.0/24","translate_to":"10.0.0.0/24"`}, leaves(tcp(lan4, out4, 80)), "accept policy source by 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := natPolicy(t, c.nat...)
			env := policy.Env{Countries: europe}
			r, err := policy.Evaluate(p, env, c.packet)
			if err != nil {
				t.Fatal(err)
			}
			if got := translated(r); got != c.want {
				t.Errorf("reference: %s, want %s", got, c.want)
			}
			image, err := policy.Compile(p, env)
			if err != nil {
				t.Fatal(err)
			}
			if got := translated(image.JudgePacket(c.packet).Result()); got != c.want {
				t.Errorf("image: %s, want %s", got, c.want)
			}
		})
	}
}

func TestNATRefused(t *testing.T) {
	for text, want := range map[string]string{
		`"nat_type":"dnat","translate_to":"10.0.0.1-10.0.0.9"`: `nat[0].translate_to: dnat translates to one address: write one, or use netmap for a network`,
		`"nat_type":"dnat"`: `nat[0].translate_to: is required: one address`,
		`"nat_type":"dnat","translate_to":"10.0.0.5:8080"`:                                                                `nat[0].translate_to: "10.0.0.5:8080" has a port: write 10.0.0.5 here, and 8080 in translate_port`,
		`"nat_type":"dnat","translate_to":"web.lan"`:                                                                      `nat[0].translate_to: "web.lan" is not one address`,
		`"nat_type":"1:1","translate_to":"@servers"`:                                                                      `nat[0].translate_to: "@servers" is not an address or a CIDR`,
		`"nat_type":"snat","translate_to":"10.0.0.0/33"`:                                                                  `nat[0].translate_to: "10.0.0.0/33" is no CIDR: write an address, a slash and a prefix length, as in 192.0.2.0/24 or 2001:db8::/32`,
		`"nat_type":"dnat","translate_to":"224.0.0.1"`:                                                                    `nat[0].translate_to: nothing is translated to 224.0.0.1`,
		`"nat_type":"dnat","translate_to":"10.0.0.1","translate_port":"80"`:                                               `nat[0].translate_port: protocol all has no ports: set protocol to tcp, udp, tcp+udp or sctp, or remove it`,
		`"nat_type":"dnat","translate_to":"10.0.0.1","protocol":"tcp","translate_port":"80-90"`:                           `nat[0].translate_port: a range of ports stands for destination_port one by one: make that a range of 11 ports too, or write one port here`,
		`"nat_type":"dnat","translate_to":"10.0.0.1","protocol":"tcp","translate_port":"80,90"`:                           `nat[0].translate_port: "80,90" is no port: write a number from 0 to 65535, or a range as in 8000-8080`,
		`"nat_type":"dnat","translate_to":"10.0.0.1","destination":"2001:db8::1"`:                                         `nat[0].translate_to: 10.0.0.1 is of another family than destination`,
		`"nat_type":"dnat","translate_to":"10.0.0.1","source":"@none"`:                                                    `nat[0].source: there is no group @none: make it, or correct the name`,
		`"nat_type":"dnat","translate_to":"10.0.0.1","destination_port":"80"`:                                             `nat[0].destination_port: protocol all has no ports: set protocol to tcp, udp, tcp+udp or sctp, or port to "*"`,
		`"nat_type":"1:1","translate_to":"10.0.0.1"`:                                                                      `nat[0].destination: must be the one address or CIDR that translate_to stands for, not "any"`,
		`"nat_type":"1:1","translate_to":"10.0.0.0/24","destination":"203.0.113.0/25"`:                                    `nat[0].translate_to: 203.0.113.0/25 and 10.0.0.0/24 are not of one size: both must be prefixes of the same length and family`,
		`"nat_type":"1:1","translate_to":"10.0.0.1","destination":"203.0.113.1","destination_port":"80","protocol":"tcp"`: `nat[0].destination_port: 1:1 translates addresses and leaves ports as they are: remove it, or use dnat or snat`,
		`"nat_type":"netmap","translate_to":"10.0.0.0/24"`:                                                                `nat[0].source: must be the one address or CIDR that translate_to stands for, not "any"`,
		`"nat_type":"masquerade","translate_port":"1-2","protocol":"tcp"`:                                                 `nat[0].translate_port: masquerade keeps ports where it can and chooses none: remove it, or use snat`,
		`"nat_type":"snat","translate_to":"10.0.0.1","translate_port":"0-9","protocol":"udp"`:                             `nat[0].translate_port: port 0 is nobody's: begin with 1`,
		`"nat_type":"snat","translate_to":"self"`:                                                                         `nat[0].translate_to: "self" is no address: nat_type masquerade takes that of the interface`,
	} {
		p, err := policy.Decode([]byte(`{"zones":[{"name":"LAN"}],"nat":[{"id":1,"name":"n",` + text + `}]}`))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if err := policy.Validate(p); err == nil {
			t.Errorf("%s: no error", text)
		} else if diff := cmp.Diff(want, fields(err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	for text, want := range map[string]string{
		`{"name":"n"}`:                    "nat_type: is required",
		`{"name":"n","external_port":80}`: "internal_ip: is required\nprotocol: is required",
		`{"name":"n","external_port":"80,90","internal_ip":"10.0.0.0/24","protocol":"icmp"}`:                  "internal_ip: \"10.0.0.0/24\" is no IP address\nexternal_port: \"80,90\" is no port: write a number from 0 to 65535, or a range as in 8000-8010\nprotocol: \"icmp\" is not forwarded by port: write tcp, udp or both",
		`{"name":"n","external_port":80,"internal_ip":"10.0.0.1","protocol":"tcp","translate_to":"10.0.0.1"}`: "translate_to: is not a field that exists here: there are enabled, external_port, hairpin, id, interface, internal_ip, internal_port, log, name, protocol, source",
		`{"name":"n","external_port":70000,"internal_ip":"10.0.0.1","protocol":"tcp"}`:                        "external_port: \"70000\" is no port: write a number from 0 to 65535, or a range as in 8000-8010",
	} {
		_, err := policy.DecodeNATRule([]byte(text))
		if err == nil {
			t.Errorf("%s: no error", text)
		} else if diff := cmp.Diff(want, fields(err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// Rules that only hairpin tells apart are bounded; others are not.
func TestNATBounds(t *testing.T) {
	many := func(n int, rule func(i int) string) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = rule(i)
		}
		return out
	}
	forward := func(port int) string {
		return fmt.Sprintf(`"nat_type":"dnat","protocol":"tcp","destination":"self","destination_port":"%d","translate_to":"10.0.0.5","interface":"wan0"`, port)
	}
	whole := `"nat_type":"dnat","destination":"self","translate_to":"10.0.0.6","interface":"wan0"`
	for name, c := range map[string]struct {
		nat  []string
		want string
	}{
		"many ports, and all the rest": {append(many(300, func(i int) string { return forward(1000 + 2*i) }), whole), ""},
		"the same port, often":         {many(16, func(int) string { return forward(80) }), "nat[15]: more than 15 NAT rules for the same packets depend on hairpin: set hairpin to false where it is not needed"},
		"not depending on hairpin":     {many(16, func(int) string { return forward(80) + `,"hairpin":false` }), ""},
		"too many interfaces": {many(64, func(i int) string {
			return fmt.Sprintf(`"nat_type":"masquerade","interface":"if%d"`, i)
		}), "nat[63].interface: NAT rules name more than 63 interfaces"},
		"long lists of countries": {many(300, func(i int) string {
			return fmt.Sprintf(`"nat_type":"dnat","protocol":"tcp","source":"geo:%c%c","destination_port":"80","translate_to":"10.0.0.%d"`, 'A'+i/26, 'A'+i%26, i%250+1)
		}), ""},
		"a country often": {many(16, func(i int) string {
			return fmt.Sprintf(`"nat_type":"dnat","protocol":"tcp","source":"geo:AA","destination_port":"80","translate_to":"10.0.0.%d","hairpin":false`, i+1)
		}), "nat[15]: more than 15 NAT rules for the same packets depend on hairpin: set hairpin to false where it is not needed"},
		"of countries, one each": {many(100, func(i int) string {
			return fmt.Sprintf(`"nat_type":"dnat","protocol":"tcp","source":"geo:%c%c","destination_port":"80","translate_to":"10.0.0.5","interface":"wan0"`, 'A'+i/26, 'A'+i%26)
		}), ""},
		"of devices, one each": {many(100, func(i int) string {
			return fmt.Sprintf(`"nat_type":"dnat","protocol":"udp","source":"mac:02:00:00:00:00:%02x","destination_port":"53","translate_to":"10.0.0.5","interface":"lan0"`, i+1)
		}), ""},
		"of devices and all": {append(many(15, func(i int) string { return forward(80) }), forward(80)+`,"source":"mac:02:00:00:00:00:01"`),
			"nat[14]: more than 15 NAT rules for the same packets depend on hairpin: set hairpin to false where it is not needed"},
		"too many different sources by frame": {many(256, func(i int) string {
			return fmt.Sprintf(`"nat_type":"snat","source":"mac:02:00:00:00:00:09","translate_to":"10.1.%d.1"`, i)
		}), "nat[255].translate_to: NAT rules that name countries or MAC addresses translate to more than 255 different sources, counted by interface"},
		"too long lists": {many(2, func(int) string {
			return `"nat_type":"snat","translate_to":"10.0.0.1","source":"` + list(2100) + `"`
		}), "nat[1]: the NAT rules up to this one make more than 4096 entries: shorten their lists"},
	} {
		_, err := policy.Compile(natPolicy(t, c.nat...), policy.Env{Countries: policytest.Scattered(40)})
		got := ""
		if err != nil {
			got = fields(err)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Long lists are searched right to the edge of every network, by the twin of what the
// packet programs do.
func TestNATOfLongLists(t *testing.T) {
	world := policytest.Scattered(255)
	p := natPolicy(t, `"nat_type":"dnat","protocol":"tcp","source":"`+world.All()+`","destination_port":"80","translate_to":"10.0.0.5","interface":"wan0"`,
		`"nat_type":"dnat","protocol":"tcp","source":"`+world.All()+`","destination_port":"80","translate_to":"2001:db8:1::5","interface":"wan0"`)
	env := policy.Env{Countries: world}
	image, err := policy.Compile(p, env)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(image.NAT.Destination); n > 8 {
		t.Errorf("%d boxes", n)
	}
	r := rand.New(rand.NewPCG(3, 5))
	held := 0
	for range 4000 {
		packet := between("wan0", "lan0", tcp("192.0.2.7", "203.0.113.2", 80))
		if packet.Src = world.Edge(r); packet.Src.Is6() {
			packet.Dst = netip.MustParseAddr("2001:db8::1")
		}
		want, err := policy.Evaluate(p, env, packet)
		if err != nil {
			t.Fatal(err)
		}
		if got := image.JudgePacket(packet).Result(); got != want {
			t.Fatalf("%s: image %+v, reference %+v", packet.Src, got, want)
		}
		if want.NAT.Rule != 0 {
			held++
		}
	}
	if held < 1000 || held > 3000 {
		t.Errorf("%d of 4000 were translated", held)
	}
}
