package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
)

// ruleWith is a valid rule from LAN to WAN with one member changed.
func ruleWith(member string) string {
	name, _, _ := strings.Cut(member, ":")
	out := member
	for _, field := range []string{`"id":1`, `"name":"n"`, `"zone_from":"LAN"`, `"zone_to":"WAN"`, `"action":"accept"`} {
		if key, _, _ := strings.Cut(field, ":"); key != name {
			out += "," + field
		}
	}
	return `"rules":[{` + out + `}]`
}

func TestValidateErrors(t *testing.T) {
	const twoZones = `"zones":[{"name":"WAN","interfaces":["wan0"]},{"name":"LAN","interfaces":["lan0"]}]`
	const groups = `"groups":[{"name":"hosts","type":"address","members":["10.0.0.1"]},{"name":"web","type":"port","members":["80"]},{"name":"phones","type":"mac","members":["02:00:00:00:00:01"]}]`
	var zones []string
	for i := range policy.MaxZones - 1 {
		zones = append(zones, fmt.Sprintf(`{"name":"Z%d"}`, i))
	}
	for _, c := range []struct{ name, text, want string }{
		{"time zone", `"time_zone":"Berlin"`, `time_zone: "Berlin" is no known time zone: write an IANA name, as in Europe/Berlin`},
		{"this machine's time zone", `"time_zone":"Local"`, `time_zone: "Local" is no time zone: write an IANA name, as in Europe/Berlin`},
		{"own address", `"self_addresses":["10.0.0.1","10.0.0.0/8"]`, `self_addresses[1]: "10.0.0.0/8" is no IP address`},

		{"interface in two zones", `"zones":[{"name":"WAN","interfaces":["eth0"]},{"name":"LAN","interfaces":["eth1","eth0"]}]`,
			`CONFLICT zones[1].interfaces[1]: eth0 is in zone WAN already: an interface is in one zone, remove it there first`},
		{"interface twice", `"zones":[{"name":"WAN","interfaces":["eth0","eth0"]}]`, `zones[0].interfaces[1]: eth0 is listed twice`},
		{"interface names", `"zones":[{"name":"WAN","interfaces":["","lo","self","a b","eth0:1","aaaaaaaaaaaaaaaa","../x","eth*"]}]`,
			`zones[0].interfaces[0]: is empty: name an interface
zones[0].interfaces[1]: lo is the loopback interface, which is not judged: leave it out
zones[0].interfaces[2]: "self" stands for the router and cannot name an interface
zones[0].interfaces[3]: is no interface name: it may hold no slash, colon or space
zones[0].interfaces[4]: is no interface name: it may hold no slash, colon or space
zones[0].interfaces[5]: is no interface name: the kernel allows 15 bytes
zones[0].interfaces[6]: is no interface name: it may hold no slash, colon or space
zones[0].interfaces[7]: is no pattern: name each interface; one that is not there yet joins when it appears`},
		{"zone twice", `"zones":[{"name":"LAN"},{"name":"LAN"}]`, `CONFLICT zones[1].name: zone LAN exists already: choose another name`},
		{"a conflict among errors is an error", `"zones":[{"name":"LAN"},{"name":"LAN","interfaces":["lo"]}]`,
			"zones[1].name: zone LAN exists already: choose another name\nzones[1].interfaces[0]: lo is the loopback interface, which is not judged: leave it out"},
		{"reserved names", `"zones":[{"name":"any"},{"name":"Self"},{"name":"SELF","interfaces":["eth0"],"masquerade":true,"mss_clamping":true}]`,
			`zones[0].name: "any" is reserved (any is every zone, SELF the router): choose another name
zones[1].name: "Self" is reserved (any is every zone, SELF the router): choose another name
zones[2].interfaces: SELF is the router itself and has no interfaces
zones[2].masquerade: nothing leaves through SELF: set it on the zone that packets leave through
zones[2].mss_clamping: nothing leaves through SELF: set it on the zone that packets leave through`},
		{"zone names", `"zones":[{"name":""},{"name":"a,b"},{"name":"` + strings.Repeat("x", 65) + `"}]`,
			"zones[0].name: the name is empty\nzones[1].name: the name may hold letters, digits, _, - and . only\nzones[2].name: the name is longer than 64 bytes"},
		{"too many zones", `"zones":[` + strings.Join(zones, ",") + `]`, `zones[62]: a policy has at most 62 zones beside SELF: join some`},

		{"unknown zones", ruleWith(`"zone_from":"lan"`), `rules[0].zone_from: there is no zone "lan": write one of WAN, LAN, SELF, any`},
		{"SELF to SELF", `"rules":[{"id":1,"name":"n","zone_from":"SELF","zone_to":"SELF","action":"drop"}],"policies":[{"from":"SELF","to":"SELF","action":"drop"}]`,
			"rules[0].zone_to: what the router sends to itself is not judged: name another zone\npolicies[0].to: what the router sends to itself is not judged: name another zone"},
		{"action", ruleWith(`"action":"allow"`), `rules[0].action: "allow" is no action: write accept, drop or reject`},
		{"no name", ruleWith(`"name":" "`), `rules[0].name: is empty: give a name`},
		{"no id", ruleWith(`"id":0`), `rules[0].id: must be between 1 and 268435455, not 0: counters and log rows name what decided by it`},
		{"id too large", ruleWith(`"id":268435456`), `rules[0].id: must be between 1 and 268435455, not 268435456: counters and log rows name what decided by it`},
		{"id twice", `"rules":[{"id":3,"name":"n","zone_from":"LAN","zone_to":"WAN","action":"drop"},{"id":3,"name":"n","zone_from":"LAN","zone_to":"WAN","action":"drop"}]`,
			`rules[1].id: rules[0] has the id 3 already: ids are never used twice`},

		{"no address", ruleWith(`"source":"10.0.0.300"`), `rules[0].source: "10.0.0.300" is no address, CIDR, range, @group, geo:XX, mac:…, self or any`},
		{"empty", ruleWith(`"source":" "`), `rules[0].source: is empty: write "any" for every address`},
		{"empty entry", ruleWith(`"source":"10.0.0.1,"`), `rules[0].source: has an empty entry: remove the extra comma`},
		{"only a bang", ruleWith(`"source":"!"`), `rules[0].source: has an empty entry: remove the extra comma`},
		{"inner bang", ruleWith(`"source":"10.0.0.1,!10.0.0.2"`), `rules[0].source: "!" may stand only before the whole list, which it negates`},
		{"double bang", ruleWith(`"source":"!!10.0.0.1"`), `rules[0].source: "!" may stand only before the whole list, which it negates`},
		{"host bits", ruleWith(`"source":"10.0.0.1/24"`), `rules[0].source: "10.0.0.1/24" has bits set beyond its prefix length: write 10.0.0.0/24`},
		{"IPv6 host bits", ruleWith(`"destination":"2001:db8::1/64"`), `rules[0].destination: "2001:db8::1/64" has bits set beyond its prefix length: write 2001:db8::/64`},
		{"prefix length", ruleWith(`"source":"10.0.0.0/33"`), `rules[0].source: "10.0.0.0/33" is no CIDR: write an address, a slash and a prefix length, as in 192.0.2.0/24 or 2001:db8::/32`},
		{"netmask", ruleWith(`"source":"10.0.0.0/255.0.0.0"`), `rules[0].source: "10.0.0.0/255.0.0.0" is no CIDR: write an address, a slash and a prefix length, as in 192.0.2.0/24 or 2001:db8::/32`},
		{"backwards", ruleWith(`"source":"10.0.0.9-10.0.0.1"`), `rules[0].source: "10.0.0.9-10.0.0.1" runs backwards: write 10.0.0.1-10.0.0.9`},
		{"mixed families", ruleWith(`"source":"10.0.0.1-2001:db8::1"`), `rules[0].source: "10.0.0.1-2001:db8::1" mixes IPv4 and IPv6: write one range for each`},
		{"half a range", ruleWith(`"source":"10.0.0.1-"`), `rules[0].source: "" is no IP address`},
		{"mapped", ruleWith(`"source":"::ffff:10.0.0.1"`), `rules[0].source: "::ffff:10.0.0.1" is an IPv4 address in IPv6 form: write 10.0.0.1`},
		{"mapped prefix", ruleWith(`"source":"::ffff:0:0/96"`), `rules[0].source: "::ffff:0:0/96" is an IPv4 prefix in IPv6 form: write it as IPv4`},
		{"scoped", ruleWith(`"source":"fe80::1%eth0"`), `rules[0].source: "fe80::1%eth0" names an interface: write fe80::1`},
		{"country", ruleWith(`"source":"geo:de"`), `rules[0].source: "geo:de" is no country: write geo: and the two capital letters of its ISO code, as in geo:DE`},
		{"MAC", ruleWith(`"source":"mac:02:00:00:00:00"`), `rules[0].source: "02:00:00:00:00" is no MAC address: write six hex pairs, as in 02:00:5e:10:00:01`},
		{"mixed MAC", ruleWith(`"source":"mac:02-00:00:00:00:01"`), `rules[0].source: "02-00:00:00:00:01" is no MAC address: write six hex pairs, as in 02:00:5e:10:00:01`},
		{"MAC as destination", ruleWith(`"destination":"mac:02:00:00:00:00:01"`), `rules[0].destination: mac: is the frame's source: write it in source`},

		{"unknown group", groups + `,` + ruleWith(`"source":"@nobody"`), `rules[0].source: there is no group @nobody: make it, or correct the name`},
		{"nameless group", ruleWith(`"source":"@"`), `rules[0].source: "@" names no group: the name is empty`},
		{"port group as address", groups + `,` + ruleWith(`"source":"@web"`), `rules[0].source: @web is a group of type port: name one of type address or mac`},
		{"MAC group as destination", groups + `,` + ruleWith(`"destination":"@phones"`), `rules[0].destination: @phones is a group of type mac: name one of type address`},
		{"address group as port", groups + `,` + ruleWith(`"protocol":"tcp","port":"@hosts"`), `rules[0].port: @hosts is a group of type address: name one of type port`},
		{"group type", `"groups":[{"name":"g","type":"host","members":["10.0.0.1"]},{"name":"h","type":"host","members":[]}]`,
			"groups[0].type: \"host\" is no type of group: write address, port or mac\ngroups[1].type: \"host\" is no type of group: write address, port or mac"},
		{"group twice", `"groups":[{"name":"g","type":"port","members":[]},{"name":"g","type":"port","members":[]}]`, `CONFLICT groups[1].name: group g exists already: choose another name`},
		{"group members", `"groups":[{"name":"a","type":"address","members":["!10.0.0.1","10.0.0.1,10.0.0.2","mac:02:00:00:00:00:01","10.0.0.1/8","@p"]},
			{"name":"p","type":"port","members":["*","80,81","65536","@a","@p2"]},{"name":"m","type":"mac","members":["02:00:00:00:00:01:02","10.0.0.1","@a"]}]`,
			`groups[0].members[0]: "!" may stand only before the whole list, which it negates
groups[0].members[1]: holds several: write each as a member of its own
groups[0].members[2]: is a MAC address: put it into a group of type mac
groups[0].members[3]: "10.0.0.1/8" has bits set beyond its prefix length: write 10.0.0.0/8
groups[0].members[4]: @p is a group of type port: name one of type address
groups[1].members[0]: "*" is every port: write it in the rule, a group lists some
groups[1].members[1]: holds several: write each as a member of its own
groups[1].members[2]: "65536" is no port: write *, a number from 0 to 65535, a range as in 8000-8080, @group, or a list of these
groups[1].members[3]: @a is a group of type address: name one of type port
groups[1].members[4]: there is no group @p2: make it, or correct the name
groups[2].members[0]: "02:00:00:00:00:01:02" is no MAC address: write six hex pairs, as in 02:00:5e:10:00:01
groups[2].members[1]: "10.0.0.1" is no MAC address: write six hex pairs, as in 02:00:5e:10:00:01
groups[2].members[2]: @a is a group of type address: name one of type mac`},
		{"cycle", `"groups":[{"name":"a","type":"address","members":["@b"]},{"name":"b","type":"address","members":["10.0.0.1","@c"]},{"name":"c","type":"address","members":["@a"]}]`,
			`groups[2].members[0]: the group contains itself (a > b > c > a): remove this member`},
		{"cycle of one", `"groups":[{"name":"a","type":"port","members":["@a"]}]`, `groups[0].members[0]: the group contains itself (a > a): remove this member`},

		{"protocol", ruleWith(`"protocol":"TCP"`), `rules[0].protocol: "TCP" is no protocol: write all, tcp, udp, tcp+udp, icmp, icmpv6, gre, esp, ah, sctp or a number from 0 to 255`},
		{"protocol number", ruleWith(`"protocol":"256"`), `rules[0].protocol: "256" is no protocol: write all, tcp, udp, tcp+udp, icmp, icmpv6, gre, esp, ah, sctp or a number from 0 to 255`},
		{"port without ports", ruleWith(`"protocol":"gre","port":"80"`), `rules[0].port: protocol gre has no ports: set protocol to tcp, udp, tcp+udp or sctp, or port to "*"`},
		{"port of all", ruleWith(`"port":"80"`), `rules[0].port: protocol all has no ports: set protocol to tcp, udp, tcp+udp or sctp, or port to "*"`},
		{"port of icmp", ruleWith(`"protocol":"icmp","port":"0-65535"`), `rules[0].port: protocol icmp has no ports: set protocol to tcp, udp, tcp+udp or sctp, or port to "*"`},
		{"no port", ruleWith(`"protocol":"tcp","port":"http"`), `rules[0].port: "http" is no port: write *, a number from 0 to 65535, a range as in 8000-8080, @group, or a list of these`},
		{"port backwards", ruleWith(`"protocol":"tcp","port":"90-80"`), `rules[0].port: "90-80" runs backwards: write 80-90`},
		{"star in a list", ruleWith(`"protocol":"tcp","port":"80,*"`), `rules[0].port: "*" stands alone: it is every port already`},
		{"negated port", ruleWith(`"protocol":"tcp","port":"!80"`), `rules[0].port: ports cannot be negated with "!": write the ranges that are meant`},
		{"empty port", ruleWith(`"protocol":"tcp","port":""`), `rules[0].port: is empty: write "*" for every port`},
		{"empty port entry", ruleWith(`"protocol":"tcp","port":"80,,81"`), `rules[0].port: has an empty entry: remove the extra comma`},
		{"ICMP types of tcp", ruleWith(`"protocol":"tcp","icmp_types":["8"]`), `rules[0].icmp_types: protocol tcp has no ICMP types: set protocol to icmp or icmpv6, or remove them`},
		{"ICMP types", ruleWith(`"protocol":"icmp","icmp_types":["echo","256","8/","3/256","08"]`), `rules[0].icmp_types[0]: "echo" is no ICMP type: write a type as in 8, or type/code as in 3/4
rules[0].icmp_types[1]: "256" is no ICMP type: write a type as in 8, or type/code as in 3/4
rules[0].icmp_types[2]: "8/" has no ICMP code: write type/code as in 3/4
rules[0].icmp_types[3]: "3/256" has no ICMP code: write type/code as in 3/4
rules[0].icmp_types[4]: "08" is no ICMP type: write a type as in 8, or type/code as in 3/4`},
		{"schedule", ruleWith(`"schedule":{"enabled":true,"start":"24:00","end":"8:00"}`), "rules[0].schedule.start: \"24:00\" is no time of day: write HH:MM from 00:00 to 23:59\nrules[0].schedule.end: \"8:00\" is no time of day: write HH:MM from 00:00 to 23:59"},

		{"policies", `"policies":[{"from":"LAN","to":"any","action":"drop"},{"from":"LAN","to":"any","action":"drop"},{"from":"X","to":"","action":"pass"}]`,
			`policies[1]: policies[0] is for LAN to any already: keep one of them
policies[2].from: there is no zone "X": write one of WAN, LAN, SELF, any
policies[2].to: names no zone: write a zone's name, SELF or any
policies[2].action: "pass" is no action: write accept, drop or reject`},

		{"NAT", `"nat":[{"id":1,"name":"n","nat_type":"masquerade","translate_to":"10.0.0.1"},{"id":1,"name":"n","nat_type":"dnat","protocol":"gre","destination_port":"80","interface":"lo"},
			{"id":2,"name":"n","nat_type":"nat","translate_to":"any","source":"x","destination":"mac:02:00:00:00:00:01","protocol":"x"}]`,
			`nat[0].translate_to: masquerade translates to the interface's own address: remove it, or use snat
nat[1].id: nat[0] has the id 1 already: ids are never used twice
nat[1].destination_port: protocol gre has no ports: set protocol to tcp, udp, tcp+udp or sctp, or port to "*"
nat[1].translate_to: is required: one address
nat[1].interface: lo is the loopback interface, which is not judged: leave it out
nat[2].source: "x" is no address, CIDR, range, @group, geo:XX, mac:…, self or any
nat[2].destination: mac: is the frame's source: write it in source
nat[2].protocol: "x" is no protocol: write all, tcp, udp, tcp+udp, icmp, icmpv6, gre, esp, ah, sctp or a number from 0 to 255
nat[2].nat_type: "nat" is no kind of NAT: write dnat, snat, 1:1, masquerade or netmap`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := c.text
			if !strings.Contains(text, `"zones"`) {
				text = twoZones + "," + text
			}
			p, err := policy.Decode([]byte("{" + text + "}"))
			if err != nil {
				t.Fatalf("decode: %v", err)
			}
			err = policy.Validate(p)
			if err == nil {
				t.Fatal("no error")
			}
			got := fields(err)
			if fault.Is(err, fault.Conflict) {
				got = "CONFLICT " + got
			} else if !fault.Is(err, fault.InvalidConfig) {
				t.Errorf("code of %v", err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, err := policy.Compile(p, policy.Env{}); err == nil {
				t.Error("it compiles")
			}
		})
	}
}

func TestValidateAccepts(t *testing.T) {
	for _, text := range []string{
		`{}`,
		`{"zones":[{"name":"Büro-2.OG"}],"policies":[{"from":"Büro-2.OG","to":"any","action":"accept"}]}`,
		`{"zones":[{"name":"lan"},{"name":"LAN"}]}`,
		`{"zones":[{"name":"VPN","interfaces":["wg0","eth0.10"]}]}`,
		`{"groups":[{"name":"d","type":"address","members":["@b","@c"]},{"name":"b","type":"address","members":["@a"]},{"name":"c","type":"address","members":["@a"]},{"name":"a","type":"address","members":[]}]}`,
	} {
		decode(t, text)
	}
}

// TestNestedGroups: groups that name each other twice a level are resolved once
// each, not once for each of their 2^60 ways.
func TestNestedGroups(t *testing.T) {
	groups := []string{`{"name":"g0","type":"address","members":["10.0.0.1"]}`, `{"name":"p0","type":"port","members":["80"]}`}
	for i := range 60 {
		groups = append(groups,
			fmt.Sprintf(`{"name":"g%d","type":"address","members":["@g%d","@g%d"]}`, i+1, i, i),
			fmt.Sprintf(`{"name":"p%d","type":"port","members":["@p%d","@p%d"]}`, i+1, i, i))
	}
	p := decode(t, `{`+zonesJSON+`,"groups":[`+strings.Join(groups, ",")+`],`+ruleWith(`"source":"@g60","protocol":"tcp","port":"@p60"`)+`}`)
	if got := judged(t, p, policy.Env{}, tcp("10.0.0.1", far4, 80)); got != "accept rule 1" {
		t.Error(got)
	}
	if got := judged(t, p, policy.Env{}, tcp("10.0.0.1", far4, 81)); got != "drop default" {
		t.Error(got)
	}
}

func TestRelative(t *testing.T) {
	err := policy.Relative(policy.Validate(policy.Policy{Rules: []policy.Rule{{}}, Policies: []policy.Default{{}}}), "rules[0]")
	e, _ := fault.As(err)
	if e.Field() != "id" || e.Fields[len(e.Fields)-1].Path != "policies[0].action" {
		t.Errorf("%v", err)
	}
	if policy.Relative(nil, "rules[0]") != nil {
		t.Error("made an error of nothing")
	}
}
