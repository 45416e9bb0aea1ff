package policy_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
)

// FuzzDecode: what decodes survives being written and read again; what does not
// is a fault that the caller may read.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"zones":[{"name":"LAN","interfaces":["a"]}]}`, `{"rules":[{"name":"a","zone_from":"LAN","zone_to":"any","action":"drop","schedule":{"enabled":true,"days":[0]}}]}`,
		`{"policies":[{"from":"a","to":"b","action":"drop"}],"nat":[{"name":"n","nat_type":"dnat"}],"groups":[{"name":"g","type":"port","members":["1"]}]}`,
		`{"zones":null,"zones":[]}`, `[[[[{}]]]]`, `{"revision":1e400}`, "\xff", `{"time_zone":"\ud800"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := policy.Decode(data)
		if err != nil {
			if _, ok := fault.As(err); !ok {
				t.Fatalf("no fault: %v", err)
			}
			return
		}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		again, err := policy.Decode(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Fatalf("(-first +second):\n%s", diff)
		}
	})
}

// FuzzLanguage: whatever stands in a rule's fields, it is refused, or reference
// and image understand the same.
func FuzzLanguage(f *testing.F) {
	for _, s := range [][4]string{
		{"any", "self", "all", "*"}, {"!10.0.0.0/8,::/0", "10.0.0.1-10.0.0.9", "tcp", "80,443,8000-8080"},
		{"@g", "!@g,2001:db8::/32", "udp", "@p"}, {"::ffff:1.2.3.4", "fe80::1%eth0", "256", "1-"},
		{"geo:DE", "mac:02:00:00:00:00:01", "tcp+udp", "0-65535"}, {"0.0.0.0/0", "!::/0", "sctp", "65535"}, {"!", ",", "-", "!"},
	} {
		f.Add(s[0], s[1], s[2], s[3], "8/0", []byte{10, 0, 0, 1}, []byte{10, 0, 0, 2}, uint16(80))
	}
	f.Fuzz(func(t *testing.T, source, destination, protocol, port, icmp string, src, dst []byte, dport uint16) {
		r := policy.NewRule()
		r.ID, r.Name, r.ZoneFrom, r.ZoneTo, r.Action = 1, "n", "any", "any", policy.Accept
		r.Source, r.Destination, r.Protocol, r.Port = source, destination, protocol, port
		if icmp != "" {
			r.ICMPTypes = []string{icmp}
		}
		p := policy.Policy{
			Zones: []policy.Zone{{Name: "LAN", Interfaces: []string{"lan0"}}, {Name: "WAN", Interfaces: []string{"wan0"}}},
			Groups: []policy.Group{
				{Name: "g", Type: policy.GroupAddress, Members: []string{"10.0.0.0/31", "2001:db8::1"}},
				{Name: "p", Type: policy.GroupPort, Members: []string{"53", "80-90"}},
			},
			Rules: []policy.Rule{r}, SelfAddresses: []string{"10.0.0.2"},
		}
		image, err := policy.Compile(p, policy.Env{})
		if err != nil {
			if _, ok := fault.As(err); !ok {
				t.Fatalf("no fault: %v", err)
			}
			return
		}
		packet := tcp("10.0.0.1", "10.0.0.2", dport)
		packet.Src, packet.Dst = addressOf(src), addressOf(dst)
		packet.ICMPType, packet.ICMPCode = uint8(dport>>8), uint8(dport)
		for _, n := range []uint8{policy.ProtocolTCP, policy.ProtocolUDP, policy.ProtocolICMP, policy.ProtocolICMPv6, 0} {
			packet.Protocol = n
			want, err := policy.Evaluate(p, policy.Env{}, packet)
			if err != nil {
				t.Fatal(err)
			}
			if got := image.JudgePacket(packet).Result(); got != want {
				t.Fatalf("image %+v, reference %+v", got, want)
			}
		}
	})
}

func FuzzDecodePackets(f *testing.F) {
	f.Add([]byte(`[{"in":"lan0","out":"self","src":"10.0.0.1","dst":"10.0.0.2","protocol":"tcp","sport":1,"dport":65535,"src_mac":"02:00:00:00:00:0a","vlan":7,"time":1600000000}]`))
	f.Add([]byte(`[{"in":"self","out":"self","src":"::ffff:1.2.3.4","dst":"fe80::1%a","protocol":256}]`))
	p := rules(f, `"zone_from":"any","zone_to":"any"`)
	image := compile(f, p)
	f.Fuzz(func(t *testing.T, data []byte) {
		packets, err := policy.DecodePackets(data, time.Unix(0, 0))
		if err != nil {
			if _, ok := fault.As(err); !ok {
				t.Fatalf("no fault: %v", err)
			}
			return
		}
		for _, packet := range packets {
			want, err := policy.Evaluate(p, policy.Env{}, packet)
			if err != nil {
				t.Fatal(err)
			}
			if got := image.JudgePacket(packet).Result(); got != want {
				t.Fatalf("image %+v, reference %+v", got, want)
			}
		}
	})
}
