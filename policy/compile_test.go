package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
)

func compile(t testing.TB, p policy.Policy) *policy.Image {
	t.Helper()
	image, err := policy.Compile(p, policy.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// pairOf gives a pair's entries in words: source destination service verdict.
func pairOf(image *policy.Image, from, to int) []string {
	pair := image.Pairs[from*len(image.Zones)+to]
	var lines []string
	for _, e := range image.Entries[pair.First : pair.First+pair.Count] {
		protocol := fmt.Sprint(e.Protocol)
		if e.AnyProtocol {
			protocol = "all"
		}
		lines = append(lines, fmt.Sprintf("%s-%s %s-%s %s:%d-%d %s %d", e.SourceLo, e.SourceHi, e.DestinationLo, e.DestinationHi,
			protocol, e.PortLo, e.PortHi, e.Verdict.Action, e.Verdict.Decider.ID()))
	}
	return lines
}

func TestImage(t *testing.T) {
	p := decode(t, `{"revision":9,"zones":[{"name":"WAN","interfaces":["wan0"],"masquerade":true},{"name":"SELF"},{"name":"LAN","interfaces":["lan0","lan1"],"mss_clamping":true}],
		"rules":[
			{"id":5,"name":"web","zone_from":"LAN","zone_to":"WAN","action":"accept","protocol":"tcp","port":"80,81,443","source":"10.0.0.0/25,10.0.0.128/25"},
			{"id":6,"name":"off","zone_from":"LAN","zone_to":"WAN","action":"accept","enabled":false},
			{"id":7,"name":"rest","zone_from":"any","zone_to":"any","action":"reject","log":true},
			{"id":8,"name":"never","zone_from":"LAN","zone_to":"WAN","action":"drop","destination":"192.0.2.1"},
			{"id":9,"name":"nobody","zone_from":"LAN","zone_to":"SELF","action":"accept","destination":"self"},
			{"id":10,"name":"ping","zone_from":"SELF","zone_to":"LAN","action":"reject","protocol":"icmp","icmp_types":["8","0/1","9/3"]}],
		"policies":[{"from":"LAN","to":"SELF","action":"accept","log":true},{"from":"SELF","to":"any","action":"reject"}]}`)
	image := compile(t, p)
	want := &policy.Image{
		Revision: 9, Zones: []string{"", "SELF", "WAN", "LAN"}, Interfaces: map[string]uint8{"wan0": 2, "lan0": 3, "lan1": 3},
		Masquerade: []bool{false, false, true, false}, MSSClamp: []bool{false, false, false, true},
		Legend: policy.Legend{
			Revision: 9, Zones: []string{"", "SELF", "WAN", "LAN"},
			Rules: map[int64]string{5: "web", 6: "off", 7: "rest", 8: "never", 9: "nobody", 10: "ping"},
		},
	}
	if diff := cmp.Diff(want, image, cmpopts.IgnoreFields(policy.Image{}, "Pairs", "Entries", "Lines")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	const all = "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
	const wan, lan, self = 2, 3, policy.ZoneIndexSelf
	for _, c := range []struct {
		from, to int
		want     []string
	}{
		// Rule 7 covers rule 8: it is left out.
		{lan, wan, []string{
			"::ffff:10.0.0.0-::ffff:10.0.0.255 " + all + " 6:80-81 accept 5",
			"::ffff:10.0.0.0-::ffff:10.0.0.255 " + all + " 6:443-443 accept 5",
			all + " " + all + " all:0-65535 reject 7",
		}},
		{lan, lan, []string{all + " " + all + " all:0-65535 reject 7"}},
		{lan, self, nil}, // self has no address
		{self, lan, []string{all + " " + all + " 1:1-1 drop 10", all + " " + all + " 1:2048-2303 drop 10", all + " " + all + " 1:2307-2307 drop 10"}},
		{policy.ZoneIndexNone, lan, nil},
	} {
		if diff := cmp.Diff(c.want, pairOf(image, c.from, c.to)); diff != "" {
			t.Errorf("%s to %s (-want +got):\n%s", image.Zones[c.from], image.Zones[c.to], diff)
		}
	}
	for _, c := range []struct {
		from, to int
		want     policy.Verdict
	}{
		{lan, self, policy.Verdict{Action: policy.Accept, Log: true, Decider: policy.NewDecider(policy.DeciderPolicy, 0)}},
		{self, wan, policy.Verdict{Action: policy.Drop, Decider: policy.NewDecider(policy.DeciderPolicy, 0)}},
		{wan, lan, policy.Verdict{Action: policy.Drop, Decider: policy.NewDecider(policy.DeciderDefault, 0)}},
		{0, lan, policy.Verdict{Action: policy.Drop, Decider: policy.NewDecider(policy.DeciderReason, uint32(policy.DropNoZone))}},
	} {
		if got := image.Pairs[c.from*4+c.to].Default; got != c.want {
			t.Errorf("default from %d to %d: %+v, want %+v", c.from, c.to, got, c.want)
		}
	}
	if a, b := image.Pairs[lan*4+lan], image.Pairs[wan*4+lan]; a.First != b.First || a.Count != b.Count || a.Tree4 != b.Tree4 || a.Tree6 != b.Tree6 || a.Tree4 == 0 {
		t.Errorf("pairs with the same rules have entries or trees of their own: %+v, %+v", a, b)
	}
}

func TestNeedCountries(t *testing.T) {
	p := decode(t, `{"zones":[{"name":"WAN"},{"name":"LAN"}],
		"groups":[{"name":"in","type":"address","members":["10.0.0.1","geo:DE"]},{"name":"out","type":"address","members":["@in"]},
			{"name":"unused","type":"address","members":["geo:IT"]}],
		"rules":[
			{"id":2,"name":"n","zone_from":"LAN","zone_to":"WAN","action":"drop","source":"geo:ES","enabled":false},
			{"id":3,"name":"n","zone_from":"LAN","zone_to":"WAN","action":"drop","source":"!10.0.0.1, geo:FR","destination":"@out"}]}`)
	err := policy.NeedCountries(p)
	if err == nil {
		t.Fatal("it needs none")
	}
	want := `rules[1].destination: geo:DE needs a database of countries, and there is none
rules[1].source: geo:FR needs a database of countries, and there is none`
	if diff := cmp.Diff(want, fields(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	p.Rules[1].Enabled = false
	if err := policy.NeedCountries(p); err != nil {
		t.Error(err)
	}
}

// list writes n addresses that do not touch.
func list(n int) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf("10.%d.%d.%d", i>>15, i>>7&0xff, i<<1&0xff)
	}
	return strings.Join(items, ",")
}

func TestCompileLimits(t *testing.T) {
	crossed := func(sources, destinations int) policy.Policy {
		p := rules(t, ``, `"protocol":"tcp+udp","port":"80,443"`)
		p.Rules[1].Source, p.Rules[1].Destination = list(sources), list(destinations)
		return p
	}
	fits := compile(t, crossed(255, 257)) // 1 + 255×257×4 = 262141, covered by rule 1
	if got := len(fits.Entries); got != 1 {
		t.Errorf("%d entries: what rule 1 covers should be left out", got)
	}
	for _, c := range []struct {
		policy policy.Policy
		want   string
	}{
		{
			crossed(256, 256),
			`rules[1]: the rules from LAN to WAN make 262145 entries, the limit is 262144; the costliest is rule 2 ("rule 2") with 262144 (256 source ranges × 256 destination ranges × 4 services): shorten its lists or split the zones`,
		},
		{ // Sixteen thousand million boxes, none of which is made.
			crossed(64_000, 64_000),
			`rules[1]: the rules from LAN to WAN make more than 999999999 entries, the limit is 262144; the costliest is rule 2 ("rule 2") with more than 999999999 (64000 source ranges × 64000 destination ranges × 4 services): shorten its lists or split the zones`,
		},
	} {
		_, err := policy.Compile(c.policy, policy.Env{})
		if err == nil {
			t.Error("it compiles")
		} else if diff := cmp.Diff(c.want, fields(err)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}

	// Each pair fits, all together do not: 12×12 pairs of which none is like another.
	var zones, many []string
	for i := range 12 {
		zones = append(zones, fmt.Sprintf(`{"name":"Z%d"}`, i))
		for j := range 12 {
			many = append(many, fmt.Sprintf(`{"id":%d,"name":"n","zone_from":"Z%d","zone_to":"Z%d","action":"drop","protocol":"tcp"}`, len(many)+1, i, j))
		}
	}
	many = append(many, `{"id":1000,"name":"n","zone_from":"any","zone_to":"any","action":"drop","source":"`+list(4000)+`"}`)
	_, err := policy.Compile(decode(t, `{"zones":[`+strings.Join(zones, ",")+`],"rules":[`+strings.Join(many, ",")+`]}`), policy.Env{})
	if !fault.Is(err, fault.InvalidConfig) || !strings.Contains(err.Error(), "all zone pairs make more than 262144 entries") {
		t.Errorf("%v", err)
	}
}

// manyRules spreads rules over zone pairs, as a policy of that size does: an
// access list of prefixes, ranges and ports of both families.
func manyRules(t testing.TB, n int) policy.Policy {
	t.Helper()
	var zones, list []string
	const side = 4
	for i := range side {
		zones = append(zones, fmt.Sprintf(`{"name":"Z%d","interfaces":["eth%d"]}`, i, i))
	}
	for i := range n {
		source, destination, service := fmt.Sprintf("10.%d.%d.0/24", i>>8&0xff, i&0xff), fmt.Sprintf("172.16.%d.%d-172.16.%d.%d", i>>6&0xff, i&0x3f, i>>6&0xff, i&0x3f|0x40), `"protocol":"tcp","port":"80,443"`
		switch i % 4 {
		case 1:
			source, service = fmt.Sprintf("2001:%x:%x::/48", 0xdb8+i>>16, i&0xffff), `"protocol":"udp","port":"53"`
			destination = "any"
		case 2:
			source, service = "any", `"protocol":"tcp+udp","port":"1024-65535"`
		case 3:
			destination, service = "!10.0.0.0/8", `"protocol":"icmp","icmp_types":["8"]`
		}
		list = append(list, fmt.Sprintf(`{"id":%d,"name":"rule %d","zone_from":"Z%d","zone_to":"Z%d","action":"accept","source":%q,"destination":%q,%s}`,
			i+1, i+1, i/side%side, i%side, source, destination, service))
	}
	return decode(t, `{"zones":[`+strings.Join(zones, ",")+`],"rules":[`+strings.Join(list, ",")+`],"policies":[{"from":"any","to":"any","action":"drop"}]}`)
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			p := manyRules(b, n)
			b.ReportAllocs()
			for b.Loop() {
				image := compile(b, p)
				b.ReportMetric(float64(len(image.Entries)), "entries")
			}
		})
	}
}
