package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
)

// fields writes an error's fields one a line: "path: message".
func fields(err error) string {
	e, ok := fault.As(err)
	if !ok {
		return "no fault: " + err.Error()
	}
	var lines []string
	for _, f := range e.Fields {
		lines = append(lines, f.Path+": "+f.Message)
	}
	if len(lines) == 0 {
		return e.Message
	}
	return strings.Join(lines, "\n")
}

func TestDecodeDefaults(t *testing.T) {
	got, err := policy.Decode([]byte(`{
		"zones":[{"name":"LAN"}],
		"rules":[{"name":"n","zone_from":"LAN","zone_to":"SELF","action":"drop","port":null,"schedule":{"enabled":true}}],
		"policies":[{"from":"LAN","to":"any","action":"accept"}],
		"nat":[{"name":"n","nat_type":"masquerade"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := policy.Policy{
		Zones: []policy.Zone{{Name: "LAN", Interfaces: []string{}}},
		Rules: []policy.Rule{{
			Name: "n", Enabled: true, ZoneFrom: "LAN", ZoneTo: "SELF", Source: "any", Destination: "any",
			Protocol: "all", Port: "*", Action: policy.Drop,
			Schedule: policy.Schedule{Enabled: true, Start: "00:00", End: "23:59", Days: []int{0, 1, 2, 3, 4, 5, 6}},
		}},
		Policies: []policy.Default{{From: "LAN", To: "any", Action: policy.Accept}},
		NAT:      []policy.NATRule{{Name: "n", Enabled: true, Type: "masquerade", Protocol: "all", Source: "any", Destination: "any", Hairpin: true}},
		TimeZone: "UTC",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	empty, err := policy.Decode([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(policy.Policy{Zones: []policy.Zone{}, Rules: []policy.Rule{}, Policies: []policy.Default{}, TimeZone: "UTC"}, empty); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestDecodeAnswers: what the API answers can be sent back.
func TestDecodeAnswers(t *testing.T) {
	rule, err := policy.DecodeRule([]byte(`{"id":7,"name":"Allow Established","enabled":true,"zone_from":"WAN","zone_to":"LAN",
		"source":"any","destination":"any","protocol":"all","port":"*","action":"accept",
		"schedule":{"enabled":false,"start":"00:00","end":"23:59","days":[0,1,2,3,4,5,6]},"log":false,"hits":48273942,"hit_bytes":1,"last_hit":null}`))
	if err != nil {
		t.Fatal(err)
	}
	want := policy.NewRule()
	want.ID, want.Name, want.ZoneFrom, want.ZoneTo, want.Action = 7, "Allow Established", "WAN", "LAN", policy.Accept
	if diff := cmp.Diff(want, rule); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// Read-only in a request body, whatever it is.
	if rule, err := policy.DecodeRule([]byte(`{"id":"x","name":"n","zone_from":"WAN","zone_to":"LAN","action":"drop"}`)); err != nil || rule.ID != 0 {
		t.Errorf("%+v, %v", rule, err)
	}
	if _, err := policy.DecodeNATRule([]byte(`{"id":1,"name":"n","nat_type":"snat","packets":1,"bytes":2}`)); err != nil {
		t.Error(err)
	}
}

func TestDecodeErrors(t *testing.T) {
	whole := func(text string) error { _, err := policy.Decode([]byte(text)); return err }
	rule := func(text string) error { _, err := policy.DecodeRule([]byte(text)); return err }
	zone := func(text string) error { _, err := policy.DecodeZone([]byte(text)); return err }
	group := func(text string) error { _, err := policy.DecodeGroup([]byte(text)); return err }
	pair := func(text string) error { _, err := policy.DecodeDefault([]byte(text)); return err }
	pairs := func(text string) error { _, err := policy.DecodeDefaults([]byte(text)); return err }
	for _, c := range []struct {
		name string
		err  error
		code fault.Code
		want string
	}{
		{"nothing", whole(``), fault.BadRequest, `the document is not JSON at line 1, column 0: unexpected end of JSON input`},
		{"syntax", whole("{\n  \"zones\": [,]}"), fault.BadRequest, `the document is not JSON at line 2, column 13: invalid character ',' looking for beginning of value`},
		{"more than one", whole(`{} {}`), fault.BadRequest, `the document is not JSON at line 1, column 4: invalid character '{' after top-level value`},
		{"not UTF-8", whole("{\"time_zone\":\"\xff\"}"), fault.BadRequest, `the document is not UTF-8`},
		{"too deep", whole(strings.Repeat(`[`, 40) + strings.Repeat(`]`, 40)), fault.BadRequest, `the document is not JSON: nested deeper than 32 levels`},
		{"no object", whole(`[]`), fault.BadRequest, `the document must be an object, not a list`},
		{"all of it", whole(`{"zones":[{"name":"LAN","interfaces":"eth0","vlan":1}],"rules":[{},{"name":1,"zone_from":"LAN","zone_to":"WAN","action":"drop"}],"nat":{},"zone":[]}`),
			fault.BadRequest, `zones[0].interfaces: must be a list, not a string
zones[0].vlan: is not a field that exists here: there are id, interfaces, masquerade, mss_clamping, name
rules[0].name: is required
rules[0].zone_from: is required
rules[0].zone_to: is required
rules[0].action: is required
rules[1].name: must be a string, not a number
nat: must be a list, not an object
zone: is not a field that exists here: write zones`},
		{"only missing", rule(`{"name":"n","zone_from":null}`), fault.InvalidConfig, "zone_from: is required\nzone_to: is required\naction: is required"},
		{"case matters", zone(`{"Name":"LAN"}`), fault.BadRequest, "name: is required\nName: is not a field that exists here: write name"},
		{"twice", zone(`{"name":"LAN","name":"WAN","name":"X"}`), fault.BadRequest, "name: is written twice"},
		{"flag", zone(`{"name":"LAN","masquerade":"yes"}`), fault.BadRequest, "masquerade: must be true or false, not a string"},
		{"element", zone(`{"name":"LAN","interfaces":["a",{},null]}`), fault.BadRequest, "interfaces[1]: must be a string, not an object\ninterfaces[2]: must be a string, not null"},
		{"port number", rule(`{"name":"n","zone_from":"a","zone_to":"b","action":"drop","port":443}`), fault.BadRequest, "port: must be a string, not a number"},
		{"days", rule(`{"name":"n","zone_from":"a","zone_to":"b","action":"drop","schedule":{"days":[0,7,1.5,"1"],"from":"1"}}`), fault.BadRequest,
			"schedule.days[1]: must be a day from 0 (Sunday) to 6, not 7\nschedule.days[2]: must be a whole number, not 1.5\nschedule.days[3]: must be a whole number, not a string\nschedule.from: is not a field that exists here: there are days, enabled, end, start"},
		{"id of a stored rule", whole(`{"rules":[{"id":"1","name":"n","zone_from":"a","zone_to":"b","action":"drop"}]}`), fault.BadRequest, "rules[0].id: must be a whole number, not a string"},
		{"huge number", whole(`{"revision":92233720368547758070}`), fault.BadRequest, "revision: must be a whole number, not 92233720368547758070"},
		{"misspelt", rule(`{"nmae":"n","zone_form":"a","zone_to":"b","act":"drop","dport":"80"}`), fault.BadRequest, "name: is required\nzone_from: is required\naction: is required\n" +
			"nmae: is not a field that exists here: write name\nzone_form: is not a field that exists here: write zone_from\n" +
			"act: is not a field that exists here: write action\ndport: is not a field that exists here: write port"},
		{"group", group(`{"name":"g"}`), fault.InvalidConfig, "type: is required\nmembers: is required"},
		{"pair", pair(`{"from":"LAN","to":"WAN"}`), fault.InvalidConfig, "action: is required"},
		{"pairs", pairs(`[{"from":"LAN","to":"WAN","action":"drop"},{"from":1}]`), fault.BadRequest, "[1].to: is required\n[1].action: is required\n[1].from: must be a string, not a number"},
		{"no pairs", pairs(`{}`), fault.BadRequest, "the document must be a list, not an object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(c.want, fields(c.err)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !fault.Is(c.err, c.code) {
				t.Errorf("code of %v is not %s", c.err, c.code)
			}
		})
	}
}

func TestDecodeErrorsAreBounded(t *testing.T) {
	_, err := policy.Decode([]byte(`{"rules":[` + strings.Repeat(`{},`, 5000) + `{}]}`))
	e, _ := fault.As(err)
	if len(e.Fields) != 100 || !strings.HasSuffix(e.Fields[99].Message, "(and 19904 more errors)") {
		t.Errorf("%d fields, the last %+v", len(e.Fields), e.Fields[len(e.Fields)-1])
	}
}

func TestDecodePackets(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	got, err := policy.DecodePackets([]byte(`[
		{"in":"lan0","out":"self","src":"10.0.0.1","dst":"10.0.0.2","protocol":"tcp","sport":1,"dport":65535,"src_mac":"02:00:00:00:00:0a","vlan":7,"time":1600000000},
		{"in":"self","out":"wan0","src":"::1","dst":"::ffff:1.2.3.4","protocol":58,"icmp_type":128,"icmp_code":1},
		{"in":"a","out":"b","src":"10.0.0.1","dst":"2001:db8::1","protocol":"47","sport":null}]`), now)
	if err != nil {
		t.Fatal(err)
	}
	want := []policy.Packet{
		{
			In: "lan0", Out: "self", Src: address("10.0.0.1"), Dst: address("10.0.0.2"), Protocol: 6, SrcPort: 1, DstPort: 65535,
			SrcMAC: policy.MAC{2, 0, 0, 0, 0, 10}, VLAN: 7, Time: time.Unix(1_600_000_000, 0),
		},
		{In: "self", Out: "wan0", Src: address("::1"), Dst: address("::ffff:1.2.3.4"), Protocol: 58, ICMPType: 128, ICMPCode: 1, Time: now},
		{In: "a", Out: "b", Src: address("10.0.0.1"), Dst: address("2001:db8::1"), Protocol: 47, Time: now},
	}
	if len(got) != len(want) {
		t.Fatalf("%d packets", len(got))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("[%d]: %+v, want %+v", i, got[i], want[i])
		}
	}
	for text, want := range map[string]string{
		`{}`:   "the document must be a list, not an object",
		`[{}]`: "[0].in: is required\n[0].out: is required\n[0].src: is required\n[0].dst: is required\n[0].protocol: is required",
		`[{"in":"","out":"b","src":"10.0.0.256","dst":"fe80::1%eth0","protocol":"all"}]`: `[0].in: is empty: name an interface, or "self" for the router
[0].src: "10.0.0.256" is no IP address
[0].dst: "fe80::1%eth0" is no IP address
[0].protocol: "all" is no protocol: write tcp, udp, icmp, icmpv6, gre, esp, ah, sctp or a number from 0 to 255`,
		`[{"in":"self","out":"self","src":"","dst":"::1","protocol":256,"sport":-1,"dport":65536,"icmp_type":1.5,"src_mac":"x","vlan":4095,"proto":6}]`: `[0].out: what the router sends to itself is not judged: name an interface
[0].src: is empty: write an IP address
[0].protocol: must be between 0 and 255, not 256
[0].sport: must be between 0 and 65535, not -1
[0].dport: must be between 0 and 65535, not 65536
[0].icmp_type: must be a whole number, not 1.5
[0].vlan: must be between 0 and 4094, not 4095
[0].src_mac: "x" is no MAC address: write six hex pairs, as in 02:00:5e:10:00:01
[0].proto: is not a field that exists here: write protocol`,
	} {
		_, err := policy.DecodePackets([]byte(text), now)
		if err == nil {
			t.Errorf("%s: no error", text)
		} else if diff := cmp.Diff(want, fields(err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}
