package netfilter

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/lab/labtest"
	"ngfw.sh/policy"
	"ngfw.sh/policy/policytest"
)

func TestNATIsAsCompiled(t *testing.T) {
	p, err := policy.Decode([]byte(`{"zones":[{"name":"WAN","interfaces":["wan"]}],"nat":[
		{"id":1,"name":"n","nat_type":"dnat","protocol":"tcp","destination":"192.0.2.1","destination_port":"8080","translate_to":"10.0.0.5","translate_port":"80"},
		{"id":2,"name":"n","nat_type":"dnat","protocol":"udp","destination":"2001:db8::1","destination_port":"9000-9002","translate_to":"fd00::5","translate_port":"1000-1002"},
		{"id":3,"name":"n","nat_type":"1:1","source":"!10.0.0.0/8","destination":"192.0.2.16/28","translate_to":"10.0.0.32/28","interface":"wan"},
		{"id":4,"name":"n","nat_type":"snat","protocol":"tcp","source":"10.1.0.0-10.1.0.9","destination_port":"25","source_port":"1024-65535","translate_to":"192.0.2.8-192.0.2.9","translate_port":"2000-3000"},
		{"id":5,"name":"n","nat_type":"masquerade","source":"fd00::/16","interface":"wan"},
		{"id":6,"name":"n","nat_type":"netmap","source":"fd01::/64","translate_to":"2001:db8:9::/64"},
		{"id":7,"name":"n","nat_type":"snat","source":"geo:AA","translate_to":"192.0.2.12","interface":"wan"},
		{"id":8,"name":"n","nat_type":"1:1","source":"!geo:AA","destination":"2001:db8:7::1","translate_to":"fd00::7"},
		{"id":9,"name":"n","nat_type":"masquerade","source":"10.7.0.0/16,mac:02:00:00:00:00:01","protocol":"udp"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	im, err := policy.Compile(p, policy.Env{Countries: policytest.Scattered(9)})
	if err != nil {
		t.Fatal(err)
	}
	l := labtest.New(t)
	apply(l, t, Ruleset{Targets: []Targets{{Generation: 7, Targets: im.NAT.Targets, Told: im.NAT.Told}}, Sources: Sources(&im.NAT), Masquerade: []string{"wan"}})
	text := table(l)
	chain := func(name string) (rules []string) {
		_, body, _ := strings.Cut(text, "chain "+name+" {\n")
		body, _, _ = strings.Cut(body, "\n\t}\n")
		for line := range strings.Lines(body) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "type ") {
				rules = append(rules, line)
			}
		}
		return rules
	}
	for name, want := range map[string][]string{
		"to_7_1":   {"counter dnat ip to 10.0.0.5:80"},
		"to_7_2":   {"counter dnat ip6 to [fd00::5]:th dport map { 9000 : 1000, 9001 : 1001, 9002 : 1002 }"},
		"to_7_3":   {"counter dnat ip prefix to 10.0.0.32/28"},
		"from_7_1": {`oifname "wan" counter snat ip to 192.0.2.12`},
		"from_7_2": {"counter snat ip6 to 2001:db8:7::1"},
		"from_7_3": {"counter masquerade"},
		"nat": {
			"meta mark & 0x90000000 == 0x90000000 counter masquerade",
			"meta mark 0x80000000/1 jump source",
			`oifname "wan" meta nfproto ipv4 counter masquerade`,
		},
		"source": {
			"ct label & (12 | 13 | 14 | 15 | 16 | 17 | 18 | 19 | 20 | 21 | 22 | 23 | 24 | 25 | 26 | 27) vmap { 0x00107000 : jump from_7_1, 0x00207000 : jump from_7_2, 0x00307000 : jump from_7_3 }",
			`oifname "wan" ip saddr 10.0.0.32-10.0.0.47 ip daddr 0.0.0.0-9.255.255.255 counter snat ip prefix to 192.0.2.16/28`,
			`oifname "wan" ip saddr 10.0.0.32-10.0.0.47 ip daddr 11.0.0.0-255.255.255.255 counter snat ip prefix to 192.0.2.16/28`,
			`ip saddr 10.1.0.0-10.1.0.9 tcp sport 1024-65535 tcp dport 25 counter snat ip to 192.0.2.8/31:2000-3000 persistent`,
			`oifname "wan" ip6 saddr fd00::-fd00:ffff:ffff:ffff:ffff:ffff:ffff:ffff counter masquerade`,
			`ip6 saddr fd01::-fd01::ffff:ffff:ffff:ffff counter snat ip6 prefix to 2001:db8:9::/64`,
			`meta l4proto udp ip saddr 10.7.0.0-10.7.255.255 counter masquerade`,
		},
	} {
		if diff := cmp.Diff(want, chain(name)); diff != "" {
			t.Errorf("chain %s (-want +got):\n%s", name, diff)
		}
	}
	if rules := chain("destination"); len(rules) != 2 || !strings.HasPrefix(rules[1], "meta priority & fff0:fff vmap {") || strings.Count(rules[1], "goto to_7_") != len(im.NAT.Targets) ||
		!strings.Contains(rules[0], "ct label set") {
		t.Errorf("destination: %q", rules)
	}
	// Removed as a whole.
	l.In("rtr", func() {
		if err := Remove(); err != nil {
			t.Fatal(err)
		}
	})
	if out := l.Exec("rtr", "nft", "list", "tables"); slices.Contains(strings.Fields(out), TableName) {
		t.Errorf("left: %s", out)
	}
}
