package dataplane

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"

	"ngfw.sh/policy"
	"ngfw.sh/policy/policytest"
)

// skbPriority is an offset in struct __sk_buff (linux/bpf.h).
const skbPriority = 32

// natImage is zones WAN, LAN and IOT with these NAT rules.
func natImage(t testing.TB, revision int64, rules, nat string) *policy.Image {
	t.Helper()
	p, err := policy.Decode([]byte(`{"zones":[{"name":"WAN","interfaces":["wan"],"masquerade":true},{"name":"LAN","interfaces":["lan"]},{"name":"IOT","interfaces":["iot"]}],
		"rules":[` + rules + `],"policies":[{"from":"LAN","to":"WAN","action":"accept"}],"self_addresses":["` + rtrWAN4 + `","` + rtr4 + `"],"nat":[` + nat + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	p.Revision = revision
	im, err := policy.Compile(p, policy.Env{})
	if err != nil {
		t.Fatal(err)
	}
	im.NAT.Generation = uint8(revision)
	return im
}

// told runs ingress over a frame: the outcome, and the priority that nftables sees.
func (k *kernel) told(port uint32, frame []byte) (outcome, uint32) {
	k.t.Helper()
	in, out := make([]byte, skbLength), make([]byte, skbLength)
	binary.NativeEndian.PutUint32(in[skbIfindex:], port)
	before := k.dropped()
	var rc uint32
	var err error
	k.in(func() { rc, err = k.tc.NgfwIngress.Run(&ebpf.RunOptions{Data: frame, Context: in, ContextOut: out}) })
	if err != nil {
		k.t.Fatal(err)
	}
	return outcome{verdicts[rc], k.droppedSince(before), binary.NativeEndian.Uint32(out[skbMark:])}, binary.NativeEndian.Uint32(out[skbPriority:])
}

// Ingress decides the destination before everything else, and says so.
func TestDestinationIsDecidedAtIngress(t *testing.T) {
	const (
		web  = `{"id":1,"name":"web","nat_type":"dnat","protocol":"tcp","destination":"self","destination_port":"8080","translate_to":"` + lan4 + `","translate_port":"80"}`
		wan  = `{"id":2,"name":"wan","nat_type":"dnat","protocol":"tcp","destination":"self","destination_port":"8081","translate_to":"` + lan4 + `","interface":"wan"}`
		flat = `{"id":3,"name":"no hairpin","nat_type":"dnat","protocol":"tcp","destination":"self","destination_port":"8082","translate_to":"` + lan4 + `","hairpin":false}`
		then = `{"id":4,"name":"then","nat_type":"dnat","protocol":"tcp","destination":"self","destination_port":"8082","translate_to":"` + iot4 + `"}`
		no   = `{"id":9,"name":"no","zone_from":"WAN","zone_to":"any","source":"203.0.113.66","action":"drop"}`
	)
	all := web + "," + wan + "," + flat + "," + then
	k := newKernel(t, 64)
	if err := k.Apply(natImage(t, 5, no, all)); err != nil {
		t.Fatal(err)
	}
	const first = 0x40500001 // generation 5, target 1: lan4, port 80
	turn := uint32(markJudged | markReject)
	for name, c := range map[string]struct {
		port     uint32
		packet   packet
		want     outcome
		priority uint32
		rule     uint32
		to       string
	}{
		"from beyond":                           {k.wan, packet{src: inet4, dst: rtrWAN4, dport: 8080}, outcome{"next", "", markJudged | markLearn | markZone(zoneLAN)}, first, 1, lan4},
		"turning":                               {k.lan, packet{src: lan4, dst: rtrWAN4, dport: 8080}, outcome{"next", "", turn | markLearn | markZone(zoneLAN)}, first, 1, lan4},
		"from a third zone":                     {k.iot, packet{src: iot4, dst: rtrWAN4, dport: 8080}, outcome{"next", "", markJudged | markLearn | markZone(zoneLAN)}, first, 1, lan4},
		"refused by a rule":                     {k.wan, packet{src: "203.0.113.66", dst: rtrWAN4, dport: 8080}, outcome{"drop", "policy", 0}, 0, 0, ""},
		"of an interface, turning":              {k.lan, packet{src: lan4, dst: rtrWAN4, dport: 8081}, outcome{"next", "", turn | markLearn | markZone(zoneLAN)}, 0x40500002, 2, lan4},
		"of an interface, from a third zone":    {k.iot, packet{src: iot4, dst: rtrWAN4, dport: 8081}, outcome{"drop", "policy", 0}, 0, 0, ""},
		"the turn is missed, another is for it": {k.lan, packet{src: lan4, dst: rtrWAN4, dport: 8082}, outcome{"next", "", markJudged | markLearn | markZone(zoneIOT)}, 0x40500003, 4, iot4},
		"the turn is not missed":                {k.iot, packet{src: iot4, dst: rtrWAN4, dport: 8082}, outcome{"next", "", markJudged | markLearn | markZone(zoneLAN)}, 0x40500002, 3, lan4},
		"another port":                          {k.wan, packet{src: inet4, dst: rtrWAN4, dport: 8083}, outcome{"drop", "policy", 0}, 0, 0, ""},
		"out":                                   {k.lan, packet{src: lan4, dst: inet4, dport: 8080}, outcome{"next", "", markJudged | markLearn | markZone(zoneWAN)}, 0, 0, ""},
	} {
		k.forget()
		c.packet.proto, c.packet.sport, c.packet.flags = tcp, 40000, "S"
		for range 2 { // a SYN may come again
			got, priority := k.told(c.port, c.packet.frame(t))
			equal(t, name, got, c.want)
			equal(t, name+": priority", priority, c.priority)
		}
		if c.want.Verdict != "next" {
			continue
		}
		f := k.flow()
		to := ""
		if c.to != "" {
			to = netip.AddrFrom16(f.To).Unmap().String()
		}
		equal(t, name+": flow", [2]any{f.Nat[0], to}, [2]any{c.rule, c.to})
	}

	// Under a changed rule the flow ends; its sender may begin anew.
	k.forget()
	question := packet{src: inet4, dst: rtrWAN4, proto: udp, sport: 1, dport: 8080}
	udpTo := func(to string) string {
		return `{"id":1,"name":"web","nat_type":"dnat","protocol":"udp","destination":"self","destination_port":"8080","translate_to":"` + to + `"}`
	}
	if err := k.Apply(natImage(t, 6, "", udpTo(lan4))); err != nil {
		t.Fatal(err)
	}
	got, _ := k.told(k.wan, question.frame(t))
	equal(t, "before", got, outcome{"next", "", markJudged | markLearn | markZone(zoneLAN)})
	if err := k.Apply(natImage(t, 7, "", udpTo(iot4))); err != nil {
		t.Fatal(err)
	}
	got, priority := k.told(k.wan, question.frame(t))
	equal(t, "after", got, outcome{"next", "", markJudged | markLearn | markZone(zoneIOT)})
	equal(t, "its priority", priority, uint32(0x40700001))
	if err := k.Apply(natImage(t, 8, "", "")); err != nil {
		t.Fatal(err)
	}
	got, priority = k.told(k.wan, question.frame(t))
	equal(t, "without the rule", got, outcome{"drop", "policy", 0})
	equal(t, "its priority", priority, uint32(0))
	if n := k.stat().NoCounter; n != 0 {
		t.Errorf("%d packets had no counter", n)
	}
}

// TestNATListsAgree holds the program's search of long lists against its twin's, and of
// lists of every small length.
func TestNATListsAgree(t *testing.T) {
	needRoot(t)
	r := rand.New(rand.NewPCG(7, 7))
	for _, n := range []policytest.Scattered{1, 2, 3, 5, 40, 255} {
		countries := "geo:AA"
		if n > 5 {
			countries = n.All()
		}
		p, err := policy.Decode([]byte(`{"zones":[{"name":"WAN","interfaces":["wan"]},{"name":"LAN","interfaces":["lan"]}],"nat":[
			{"id":1,"name":"in","nat_type":"dnat","source":"` + countries + `","translate_to":"10.0.0.1"},{"id":2,"name":"in6","nat_type":"dnat","source":"` + countries + `","translate_to":"fd00::1"},
			{"id":3,"name":"his","nat_type":"dnat","source":"mac:02:00:00:00:00:01,mac:02:00:00:00:00:03","translate_to":"10.0.0.3"},
			{"id":4,"name":"not his","nat_type":"dnat","source":"!mac:02:00:00:00:00:05,` + countries + `","translate_to":"10.0.0.4"},
			{"id":5,"name":"out","nat_type":"snat","destination":"!` + countries + `","translate_to":"10.0.0.5"}],"policies":[{"from":"any","to":"any","action":"accept"}]}`))
		if err != nil {
			t.Fatal(err)
		}
		im, err := policy.Compile(p, policy.Env{Countries: n})
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewSimulator(im)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		seen := map[[2]int64]int{}
		for range 3000 {
			packet := policy.Packet{In: "wan", Out: "lan", Src: n.Edge(r), Protocol: policy.ProtocolTCP, DstPort: 80, SrcMAC: policy.MAC{2, 0, 0, 0, 0, byte(r.IntN(7))}}
			for packet.Dst = n.Edge(r); packet.Dst.Is4() != packet.Src.Is4(); {
				packet.Dst = n.Edge(r)
			}
			question, _ := im.Packet(packet)
			got, err := s.Judge(question)
			if err != nil {
				t.Fatal(err)
			}
			want := im.Judge(question)
			if got != want {
				t.Fatalf("%d networks: packet %+v\nprogram %+v\ntwin    %+v", n, packet, got, want)
			}
			seen[[2]int64{want.NAT.Rule, want.NAT.SourceRule}]++
		}
		t.Logf("%d networks of a country: %v", n, seen)
	}
}

// What nftables cannot see of a flow's source it is told beside the destination.
func TestSourceIsTold(t *testing.T) {
	const (
		his  = `{"id":1,"name":"his","nat_type":"snat","source":"mac:02:00:00:00:00:09","translate_to":"203.0.113.7","interface":"wan"}`
		not  = `{"id":2,"name":"not his","nat_type":"snat","source":"!mac:02:00:00:00:00:09","destination_port":"81","protocol":"tcp","translate_to":"203.0.113.8"}`
		rest = `{"id":3,"name":"rest","nat_type":"snat","source":"10.0.0.0/8","translate_to":"203.0.113.9"}`
		web  = `{"id":4,"name":"web","nat_type":"dnat","protocol":"tcp","destination":"192.0.2.1","destination_port":"80","translate_to":"` + inet4 + `","hairpin":false}`
	)
	k := newKernel(t, 64)
	if err := k.Apply(natImage(t, 5, "", his+","+not+","+rest+","+web)); err != nil {
		t.Fatal(err)
	}
	mac := func(last byte) [6]byte { return [6]byte{2, 0, 0, 0, 0, last} }
	for name, c := range map[string]struct {
		from     byte
		dst      string
		dport    uint16
		priority uint32
	}{
		"by its frame":                {9, inet4, 443, 0x40501000},
		"by another":                  {8, inet4, 81, 0x40502000},
		"what it sees by itself":      {8, inet4, 443, 0},
		"with its destination":        {9, "192.0.2.1", 80, 0x40501001},
		"its destination alone":       {8, "192.0.2.1", 80, 0x40500001},
		"the first, where both match": {9, inet4, 81, 0x40501000},
	} {
		k.forget()
		frame := packet{src: lan4, dst: c.dst, proto: tcp, sport: 40000, dport: c.dport, flags: "S"}.frame(t)
		from := mac(c.from)
		copy(frame[6:], from[:])
		for range 2 {
			got, priority := k.told(k.lan, frame)
			equal(t, name, got, outcome{"next", "", markJudged | markLearn | markZone(zoneWAN)})
			equal(t, name+": priority", priority, c.priority)
		}
	}
	// The same flow under another table: what it is told is that table's.
	k.forget()
	frame := packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 443}.frame(t)
	from := mac(9)
	copy(frame[6:], from[:])
	_, priority := k.told(k.lan, frame)
	equal(t, "before", priority, uint32(0x40501000))
	if err := k.Apply(natImage(t, 6, "", not+","+his)); err != nil {
		t.Fatal(err)
	}
	_, priority = k.told(k.lan, frame)
	equal(t, "another number", priority, uint32(0x40602000))
	if err := k.Apply(natImage(t, 7, "", rest)); err != nil {
		t.Fatal(err)
	}
	_, priority = k.told(k.lan, frame)
	equal(t, "without the rule", priority, uint32(0))
}
