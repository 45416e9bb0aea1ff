package policy_test

import (
	"fmt"
	"net/netip"
	"ngfw.sh/policy/policytest"
	"strings"
	"testing"
	"time"

	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
)

const zonesJSON = `"zones":[
	{"id":1,"name":"WAN","interfaces":["wan0"],"masquerade":true},
	{"id":2,"name":"LAN","interfaces":["lan0","lan1"]},
	{"id":3,"name":"GUEST","interfaces":["guest0"]},
	{"id":4,"name":"SELF","interfaces":[]}],
	"self_addresses":["192.168.1.1","2001:db8::1"]`

// rules makes a policy of the test zones with these rules; each is the inside
// of a JSON object, with what it leaves out filled in.
func rules(t testing.TB, members ...string) policy.Policy {
	t.Helper()
	var list []string
	for i, m := range members {
		for _, field := range []string{`"zone_from":"LAN"`, `"zone_to":"WAN"`, `"action":"accept"`, fmt.Sprintf(`"name":"rule %d"`, i+1)} {
			name, _, _ := strings.Cut(field, ":")
			if !strings.Contains(m, name) {
				m += "," + field
			}
		}
		list = append(list, fmt.Sprintf(`{"id":%d,%s}`, i+1, strings.TrimPrefix(m, ",")))
	}
	return decode(t, `{`+zonesJSON+`,"rules":[`+strings.Join(list, ",")+`]}`)
}

func decode(t testing.TB, text string) policy.Policy {
	t.Helper()
	p, err := policy.Decode([]byte(text))
	if err != nil {
		t.Fatalf("decode: %v\n%s", err, text)
	}
	if err := policy.Validate(p); err != nil {
		t.Fatalf("validate: %v\n%s", err, text)
	}
	return p
}

func address(s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(s)
}

// tcp is a packet from LAN to WAN.
func tcp(src, dst string, port uint16) policy.Packet {
	return policy.Packet{
		In: "lan0", Out: "wan0", Src: address(src), Dst: address(dst), Protocol: policy.ProtocolTCP,
		SrcPort: 40000, DstPort: port, Time: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC), // a Monday
	}
}

func with(p policy.Packet, change func(*policy.Packet)) policy.Packet {
	change(&p)
	return p
}

func ping(src, dst string, kind, code uint8) policy.Packet {
	return with(tcp(src, dst, 0), func(p *policy.Packet) {
		p.Protocol, p.ICMPType, p.ICMPCode = policy.ProtocolICMP, kind, code
		if p.Src.Is6() {
			p.Protocol = policy.ProtocolICMPv6
		}
	})
}

func between(in, out string, p policy.Packet) policy.Packet {
	p.In, p.Out = in, out
	return p
}

// judged asks the reference and the image, which must agree.
func judged(t *testing.T, p policy.Policy, env policy.Env, packet policy.Packet) string {
	t.Helper()
	r, err := policy.Evaluate(p, env, packet)
	if err != nil {
		t.Fatalf("evaluate: %v", err)
	}
	image, err := policy.Compile(p, env)
	if err != nil {
		t.Fatalf("compile: %v", err)
	}
	if got := image.JudgePacket(packet).Result(); got != r {
		t.Errorf("image says %+v, reference %+v", got, r)
	}
	if r.RuleID != 0 {
		return fmt.Sprintf("%s %s %d", r.Action, r.Reason, r.RuleID)
	}
	return fmt.Sprintf("%s %s", r.Action, r.Reason)
}

type verdictCase struct {
	name   string
	policy policy.Policy
	env    policy.Env
	packet policy.Packet
	want   string
}

func run(t *testing.T, cases []verdictCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := judged(t, c.policy, c.env, c.packet); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

const (
	host4, host6 = "192.168.1.10", "2001:db8::10"
	far4, far6   = "198.51.100.1", "2001:db8:ffff::1"
)

func TestOrder(t *testing.T) {
	none := rules(t)
	open := rules(t, `"zone_from":"any","zone_to":"any"`)
	pairs := decode(t, `{`+zonesJSON+`,"policies":[
		{"from":"any","to":"any","action":"drop"},
		{"from":"any","to":"WAN","action":"accept"},
		{"from":"GUEST","to":"any","action":"reject"},
		{"from":"GUEST","to":"LAN","action":"accept"},
		{"from":"any","to":"SELF","action":"accept"},
		{"from":"SELF","to":"any","action":"reject"}]}`)
	some := tcp(host4, far4, 80)
	run(t, []verdictCase{
		{"nothing said drops", none, policy.Env{}, some, "drop default"},
		{"first match decides", rules(t, `"port":"443","protocol":"tcp"`, `"action":"drop"`, ``), policy.Env{}, some, "drop rule 2"},
		{"disabled is not there", rules(t, `"enabled":false`, `"action":"reject"`), policy.Env{}, some, "reject rule 2"},
		{"rule before policy", open, policy.Env{}, some, "accept rule 1"},

		{"exact pair before from→any", pairs, policy.Env{}, between("guest0", "lan0", some), "accept policy"},
		{"from→any before any→to", pairs, policy.Env{}, between("guest0", "wan0", some), "reject policy"},
		{"any→to before any→any", pairs, policy.Env{}, some, "accept policy"},
		{"any→any last, one zone with itself too", pairs, policy.Env{}, between("lan0", "lan1", some), "drop policy"},
		{"any→SELF is named", pairs, policy.Env{}, between("lan0", "self", some), "accept policy"},
		{"from SELF reject is drop", pairs, policy.Env{}, between("self", "wan0", some), "drop policy"},
		{"any→to is not for SELF", decode(t, `{`+zonesJSON+`,"policies":[{"from":"any","to":"WAN","action":"accept"}]}`),
			policy.Env{}, between("self", "wan0", some), "drop default"},
		{"from→any is not for SELF", decode(t, `{`+zonesJSON+`,"policies":[{"from":"LAN","to":"any","action":"accept"},{"from":"any","to":"any","action":"accept"}]}`),
			policy.Env{}, between("lan0", "self", some), "drop default"},

		{"any is not SELF as destination", open, policy.Env{}, between("lan0", "self", some), "drop default"},
		{"any is not SELF as source", open, policy.Env{}, between("self", "wan0", some), "drop default"},
		{"SELF named", rules(t, `"zone_from":"any","zone_to":"SELF"`), policy.Env{}, between("lan0", "self", some), "accept rule 1"},
		{"same zone needs a rule", none, policy.Env{}, between("lan0", "lan1", some), "drop default"},
		{"same zone by rule", rules(t, `"zone_to":"LAN"`), policy.Env{}, between("lan0", "lan1", some), "accept rule 1"},
		{"rule from SELF rejects as drop", rules(t, `"zone_from":"SELF","action":"reject"`), policy.Env{}, between("self", "wan0", some), "drop rule 1"},

		{"ingress in no zone", open, policy.Env{}, between("eth9", "wan0", some), "drop no_zone"},
		{"egress in no zone", open, policy.Env{}, between("lan0", "eth9", some), "drop no_zone"},
		{"ICMP error before egress", open, policy.Env{}, between("lan0", "eth9", ping(host4, far4, 3, 1)), "drop no_state"},
		{"ingress before ICMP error", open, policy.Env{}, between("eth9", "eth9", ping(host4, far4, 3, 1)), "drop no_zone"},
		{"malformed before ingress", open, policy.Env{}, between("eth9", "wan0", tcp("224.0.0.1", far4, 80)), "drop malformed"},
	})
}

func TestMalformed(t *testing.T) {
	open := rules(t, `"zone_from":"any","zone_to":"any"`)
	for _, c := range []struct{ src, dst, want string }{
		{host4, far6, "drop malformed"},
		{host6, far4, "drop malformed"},
		{"", far4, "drop malformed"},
		{host4, "", "drop malformed"},
		{"223.255.255.255", far4, "accept rule 1"},
		{"224.0.0.0", far4, "drop malformed"},
		{"239.255.255.255", far4, "drop malformed"},
		{"240.0.0.0", far4, "accept rule 1"},
		{"255.255.255.255", far4, "drop malformed"},
		{"ff02::1", far6, "drop malformed"},
		{"feff::1", far6, "accept rule 1"},
		{"::ffff:192.168.1.10", far6, "drop malformed"},
		{host6, "::ffff:198.51.100.1", "drop malformed"},
		{"127.0.0.1", far4, "drop malformed"},
		{host4, "127.1.2.3", "drop malformed"},
		{"::1", far6, "drop malformed"},
		{host6, "::1", "drop malformed"},
		{"0.0.0.0", "255.255.255.255", "accept rule 1"},
		{"::", "ff02::1", "accept rule 1"},
		{host4, "224.0.0.251", "accept rule 1"},
	} {
		t.Run(c.src+"→"+c.dst, func(t *testing.T) {
			if got := judged(t, open, policy.Env{}, tcp(c.src, c.dst, 80)); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestICMPErrors(t *testing.T) {
	open := rules(t, `"zone_from":"any","zone_to":"any"`)
	errors4 := map[uint8]bool{3: true, 4: true, 5: true, 11: true, 12: true}
	for kind := range 256 {
		for _, c := range []struct {
			packet  policy.Packet
			isError bool
		}{
			{ping(host4, far4, uint8(kind), 0), errors4[uint8(kind)]},
			{ping(host6, far6, uint8(kind), 0), kind >= 1 && kind <= 127},
			{with(tcp(host4, far4, 80), func(p *policy.Packet) { p.ICMPType = uint8(kind) }), false},
		} {
			want := "accept rule 1"
			if c.isError {
				want = "drop no_state"
			}
			if got := judged(t, open, policy.Env{}, c.packet); got != want {
				t.Errorf("protocol %d type %d: %s, want %s", c.packet.Protocol, kind, got, want)
			}
		}
	}
}

func TestAddresses(t *testing.T) {
	env := policy.Env{SelfAddresses: []netip.Addr{netip.MustParseAddr("203.0.113.7")}}
	groups := `"groups":[
		{"name":"web","type":"address","members":["198.51.100.1","@more"]},
		{"name":"more","type":"address","members":["198.51.100.16/28","2001:db8:ffff::-2001:db8:ffff::f"]}],`
	for _, c := range []struct {
		list    string
		in, out []string // destinations that match, and that do not
	}{
		{"any", []string{far4, far6, "0.0.0.0", "255.255.255.255", "::", "ffff::"}, nil},
		{far4, []string{far4}, []string{"198.51.100.0", "198.51.100.2", far6}},
		{far6, []string{far6}, []string{"2001:db8:ffff::", "2001:db8:ffff::2", far4}},
		{"198.51.100.0/24", []string{"198.51.100.0", "198.51.100.255"}, []string{"198.51.99.255", "198.51.101.0", far6}},
		{"2001:db8::/32", []string{"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"}, []string{"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::", far4}},
		{"0.0.0.0/0", []string{"0.0.0.0", "255.255.255.255"}, []string{"::", far6}},
		{"::/0", []string{"::", "::fffe:ffff:ffff", "::1:0:0:0", "ffff::"}, []string{"0.0.0.0", far4}},
		{"::/64", []string{"::2", "::1:0:0:0"}, []string{far4, "::1:0:0:0:0"}},
		{"0.0.0.0/0,::/0", []string{far4, far6}, nil},
		{"198.51.100.1-198.51.100.9", []string{"198.51.100.1", "198.51.100.9"}, []string{"198.51.100.0", "198.51.100.10"}},
		{"2001:db8::5-2001:db8::5", []string{"2001:db8::5"}, []string{"2001:db8::4", "2001:db8::6"}},
		{"192.0.2.1, 198.51.100.0/31 ,2001:db8::/126", []string{"192.0.2.1", "198.51.100.1", "2001:db8::3"}, []string{"192.0.2.2", "2001:db8::4"}},
		{"@web", []string{far4, "198.51.100.31", "2001:db8:ffff::f"}, []string{"198.51.100.15", "2001:db8:ffff::10"}},
		{"@more,192.0.2.1", []string{"198.51.100.16", "192.0.2.1"}, []string{far4}},
		{"self", []string{"192.168.1.1", "2001:db8::1", "203.0.113.7"}, []string{far4, far6}},
		// Outside of an IPv4 set lies all of IPv6, and the other way round.
		{"!198.51.100.0/24", []string{"198.51.99.255", "198.51.101.0", far6, "::", "ffff::"}, []string{far4}},
		{"!2001:db8::/32", []string{"2001:db9::", far4, "0.0.0.0"}, []string{far6}},
		{"!0.0.0.0/0", []string{far6}, []string{far4}},
		{"!192.0.2.1,198.51.100.1,2001:db8::1", []string{"192.0.2.2", far6}, []string{"192.0.2.1", far4, "2001:db8::1"}},
		{"!@web", []string{"198.51.100.2", host6}, []string{far4, "198.51.100.17", "2001:db8:ffff::3"}},
		{"!self", []string{far4, far6}, []string{"192.168.1.1", "2001:db8::1", "203.0.113.7"}},
		{"!any", nil, []string{far4, far6}},
	} {
		t.Run(c.list, func(t *testing.T) {
			p := decode(t, `{`+zonesJSON+`,`+groups+`"rules":[{"id":1,"name":"n","zone_from":"any","zone_to":"any","action":"accept","destination":"`+c.list+`"}]}`)
			q := decode(t, `{`+zonesJSON+`,`+groups+`"rules":[{"id":1,"name":"n","zone_from":"any","zone_to":"any","action":"accept","source":"`+c.list+`"}]}`)
			check := func(s, want string) {
				t.Helper()
				host, a := host4, address(s)
				if a.Is6() {
					host = host6
				}
				if got := judged(t, p, env, tcp(host, s, 80)); got != want {
					t.Errorf("destination %s: %s, want %s", s, got, want)
				}
				if a.IsMulticast() || s == "255.255.255.255" {
					return
				}
				if got := judged(t, q, env, tcp(s, host, 80)); got != want {
					t.Errorf("source %s: %s, want %s", s, got, want)
				}
			}
			for _, s := range c.in {
				check(s, "accept rule 1")
			}
			for _, s := range c.out {
				check(s, "drop default")
			}
		})
	}
}

func TestMAC(t *testing.T) {
	station := policy.MAC{2, 0, 0, 0, 0, 1}
	from := func(mac policy.MAC) policy.Packet {
		return with(tcp(host4, far4, 80), func(p *policy.Packet) { p.SrcMAC = mac })
	}
	one := rules(t, `"source":"mac:02:00:00:00:00:01"`)
	not := rules(t, `"source":"!mac:02-00-00-00-00-01"`)
	self := rules(t, `"zone_from":"SELF","source":"mac:02:00:00:00:00:01"`)
	notSelf := rules(t, `"zone_from":"SELF","source":"!mac:02:00:00:00:00:01"`)
	group := decode(t, `{`+zonesJSON+`,"groups":[
		{"name":"phones","type":"mac","members":["02:00:00:00:00:01","@others"]},
		{"name":"others","type":"mac","members":["mac:02:00:00:00:00:02"]}],
		"rules":[{"id":1,"name":"n","zone_from":"LAN","zone_to":"WAN","action":"accept","source":"192.0.2.1,@phones"}]}`)
	run(t, []verdictCase{
		{"its frame", one, policy.Env{}, from(station), "accept rule 1"},
		{"another's", one, policy.Env{}, from(policy.MAC{2, 0, 0, 0, 0, 2}), "drop default"},
		{"a device without MAC", one, policy.Env{}, from(policy.MAC{}), "drop default"},
		{"negated, another's", not, policy.Env{}, from(policy.MAC{2, 0, 0, 0, 0, 2}), "accept rule 1"},
		{"negated, its own", not, policy.Env{}, from(station), "drop default"},
		{"negated, none", not, policy.Env{}, from(policy.MAC{}), "accept rule 1"},
		{"never from SELF", self, policy.Env{}, between("self", "wan0", from(station)), "drop default"},
		{"negated always from SELF", notSelf, policy.Env{}, between("self", "wan0", from(station)), "accept rule 1"},
		{"in a group", group, policy.Env{}, from(station), "accept rule 1"},
		{"in a nested group", group, policy.Env{}, from(policy.MAC{2, 0, 0, 0, 0, 2}), "accept rule 1"},
		{"not in the group", group, policy.Env{}, from(policy.MAC{2, 0, 0, 0, 0, 3}), "drop default"},
	})
}

func TestCountry(t *testing.T) {
	env := policy.Env{Countries: policytest.Atlas{netip.MustParsePrefix(far4 + "/32"): "DE", netip.MustParsePrefix(far6 + "/128"): "FR"}}
	unknown := tcp(host4, "198.51.100.2", 80)
	run(t, []verdictCase{
		{"in it", rules(t, `"destination":"geo:DE"`), env, tcp(host4, far4, 80), "accept rule 1"},
		{"one of two", rules(t, `"destination":"geo:DE,geo:FR"`), env, tcp(host6, far6, 80), "accept rule 1"},
		{"elsewhere", rules(t, `"destination":"geo:FR"`), env, tcp(host4, far4, 80), "drop default"},
		{"unknown matches no country", rules(t, `"destination":"geo:DE"`), env, unknown, "drop default"},
		{"unknown matches a negated one", rules(t, `"destination":"!geo:DE"`), env, unknown, "accept rule 1"},
		{"without a database nothing is known", rules(t, `"destination":"geo:DE"`), policy.Env{}, tcp(host4, far4, 80), "drop default"},
		{"as source", rules(t, `"zone_from":"WAN","zone_to":"LAN","source":"geo:DE"`), env, between("wan0", "lan0", tcp(far4, host4, 80)), "accept rule 1"},
	})
}

func TestServices(t *testing.T) {
	of := func(protocol uint8, port uint16) policy.Packet {
		return with(tcp(host4, far4, port), func(p *policy.Packet) { p.Protocol = protocol })
	}
	ports := decode(t, `{`+zonesJSON+`,"groups":[{"name":"web","type":"port","members":["80","@alt"]},{"name":"alt","type":"port","members":["8000-8080"]}],
		"rules":[{"id":1,"name":"n","zone_from":"LAN","zone_to":"WAN","action":"accept","protocol":"tcp","port":"@web,443"}]}`)
	list := rules(t, `"protocol":"tcp","port":"80, 443,8000-8080"`)
	run(t, []verdictCase{
		{"all", rules(t, ``), policy.Env{}, of(47, 0), "accept rule 1"},
		{"all, protocol 0", rules(t, ``), policy.Env{}, of(0, 0), "accept rule 1"},
		{"by name", rules(t, `"protocol":"gre"`), policy.Env{}, of(47, 0), "accept rule 1"},
		{"by number", rules(t, `"protocol":"47"`), policy.Env{}, of(47, 0), "accept rule 1"},
		{"by JSON number", rules(t, `"protocol":0`), policy.Env{}, of(0, 0), "accept rule 1"},
		{"0 is not all", rules(t, `"protocol":"0"`), policy.Env{}, of(6, 0), "drop default"},
		{"tcp is not udp", rules(t, `"protocol":"tcp"`), policy.Env{}, of(17, 80), "drop default"},
		{"tcp+udp: tcp", rules(t, `"protocol":"tcp+udp","port":"53"`), policy.Env{}, of(6, 53), "accept rule 1"},
		{"tcp+udp: udp", rules(t, `"protocol":"tcp+udp","port":"53"`), policy.Env{}, of(17, 53), "accept rule 1"},
		{"tcp+udp: sctp", rules(t, `"protocol":"tcp+udp"`), policy.Env{}, of(132, 53), "drop default"},
		{"sctp has ports", rules(t, `"protocol":"sctp","port":"53"`), policy.Env{}, of(132, 53), "accept rule 1"},
		{"the source port is not asked", list, policy.Env{}, with(of(6, 1), func(p *policy.Packet) { p.SrcPort = 80 }), "drop default"},
		{"list, single", list, policy.Env{}, of(6, 443), "accept rule 1"},
		{"list, first of range", list, policy.Env{}, of(6, 8000), "accept rule 1"},
		{"list, last of range", list, policy.Env{}, of(6, 8080), "accept rule 1"},
		{"list, below range", list, policy.Env{}, of(6, 7999), "drop default"},
		{"list, above range", list, policy.Env{}, of(6, 8081), "drop default"},
		{"port group", ports, policy.Env{}, of(6, 80), "accept rule 1"},
		{"nested port group", ports, policy.Env{}, of(6, 8001), "accept rule 1"},
		{"beside the group", ports, policy.Env{}, of(6, 443), "accept rule 1"},
		{"not in the group", ports, policy.Env{}, of(6, 81), "drop default"},

		{"type, any code", rules(t, `"protocol":"icmp","icmp_types":["8"]`), policy.Env{}, ping(host4, far4, 8, 7), "accept rule 1"},
		{"another type", rules(t, `"protocol":"icmp","icmp_types":["8"]`), policy.Env{}, ping(host4, far4, 13, 0), "drop default"},
		{"type and code", rules(t, `"protocol":"icmp","icmp_types":["0","8/1"]`), policy.Env{}, ping(host4, far4, 8, 1), "accept rule 1"},
		{"another code", rules(t, `"protocol":"icmp","icmp_types":["0","8/1"]`), policy.Env{}, ping(host4, far4, 8, 0), "drop default"},
		{"last type", rules(t, `"protocol":"icmpv6","icmp_types":["255/255"]`), policy.Env{}, ping(host6, far6, 255, 255), "accept rule 1"},
		{"icmp is not icmpv6", rules(t, `"protocol":"icmp"`), policy.Env{}, ping(host6, far6, 128, 0), "drop default"},
		{"no types are all", rules(t, `"protocol":"icmpv6"`), policy.Env{}, ping(host6, far6, 128, 0), "accept rule 1"},
	})
}

func TestSystemRules(t *testing.T) {
	every := policy.Env{
		System: policy.SystemSet(policy.SystemNeighbourDiscovery, policy.SystemMLD, policy.SystemDHCPClient, policy.SystemCloud, policy.SystemICMPError),
		Cloud:  []netip.AddrPort{netip.MustParseAddrPort("198.51.100.1:9090")},
	}
	discovery := policy.Env{System: policy.SystemSet(policy.SystemNeighbourDiscovery)}
	closed := rules(t, `"zone_from":"any","zone_to":"SELF","action":"drop"`, `"zone_from":"SELF","zone_to":"any","action":"drop"`)
	open := rules(t, `"zone_from":"any","zone_to":"any"`)
	dhcp := func(src, dst string, sport, dport uint16) policy.Packet {
		return between("wan0", "self", with(tcp(src, dst, dport), func(p *policy.Packet) { p.Protocol, p.SrcPort = policy.ProtocolUDP, sport }))
	}
	cloud := between("self", "wan0", tcp("203.0.113.7", far4, 9090))
	run(t, []verdictCase{
		{"solicitation to SELF", closed, discovery, between("lan0", "self", ping("fe80::2", "ff02::1:ff00:1", 135, 0)), "accept system:neighbour-discovery"},
		{"advertisement from SELF", closed, discovery, between("self", "lan0", ping("fe80::1", "fe80::2", 136, 0)), "accept system:neighbour-discovery"},
		{"router solicitation", closed, discovery, between("lan0", "self", ping("::", "ff02::2", 133, 0)), "accept system:neighbour-discovery"},
		{"redirect is none", closed, discovery, between("self", "lan0", ping("fe80::1", "fe80::2", 137, 0)), "drop rule 2"},
		{"not between others", rules(t), discovery, ping(host6, far6, 135, 0), "drop default"},
		{"type 135 of IPv4 is none", closed, discovery, between("lan0", "self", ping(host4, "192.168.1.1", 135, 0)), "drop rule 1"},
		{"only where it holds", closed, policy.Env{}, between("lan0", "self", ping("fe80::2", "fe80::1", 135, 0)), "drop rule 1"},
		{"a report is an MLD message", closed, every, between("lan0", "self", ping("fe80::2", "ff02::16", 143, 0)), "accept system:mld"},
		{"policy eval has no MLD", closed, discovery, between("lan0", "self", ping("fe80::2", "ff02::16", 143, 0)), "drop rule 1"},
		// Below 128 ICMPv6 types are errors; MLD is above.
		{"an MLD query", closed, every, between("self", "lan0", ping("fe80::1", "ff02::1", 130, 0)), "accept system:mld"},
		{"DHCP offer", closed, every, dhcp("203.0.113.1", "255.255.255.255", 67, 68), "accept system:dhcp-client"},
		{"DHCPv6 reply", closed, every, dhcp("fe80::2", "fe80::1", 547, 546), "accept system:dhcp-client"},
		{"IPv4 with IPv6's ports", closed, every, dhcp("203.0.113.1", "203.0.113.7", 547, 546), "drop rule 1"},
		{"from another port", closed, every, dhcp("203.0.113.1", "203.0.113.7", 68, 68), "drop rule 1"},
		{"through the router", open, every, between("wan0", "lan0", dhcp("203.0.113.1", host4, 67, 68)), "accept rule 1"},
		{"to the cloud", closed, every, cloud, "accept system:cloud"},
		{"beside the cloud's port", closed, every, with(cloud, func(p *policy.Packet) { p.DstPort = 9091 }), "drop rule 2"},
		{"to the cloud, not from SELF", closed, every, between("lan0", "self", cloud), "drop rule 1"},
		{"an ICMP error stays without state", closed, every, between("wan0", "self", ping(far4, "203.0.113.7", 3, 3)), "drop no_state"},
	})
}

func TestEvaluateRefuses(t *testing.T) {
	itself := between("self", "self", tcp("192.168.1.1", "192.168.1.1", 80))
	if _, err := policy.Evaluate(rules(t), policy.Env{}, itself); !fault.Is(err, fault.InvalidConfig) {
		t.Errorf("from SELF to SELF: %v", err)
	}
	broken := rules(t, ``)
	broken.Rules[0].Source = "10.0.0.300"
	if _, err := policy.Evaluate(broken, policy.Env{}, tcp(host4, far4, 80)); err == nil {
		t.Error("a policy that was never validated is answered")
	}
}

// addressOf takes any bytes for an address: the first 4, or 16 where there are.
func addressOf(b []byte) netip.Addr {
	if len(b) >= 16 {
		return netip.AddrFrom16([16]byte(b[:16]))
	}
	var four [4]byte
	copy(four[:], b)
	return netip.AddrFrom4(four)
}
