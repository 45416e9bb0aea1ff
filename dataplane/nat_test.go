package dataplane

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"

	"ngfw.sh/policy"
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
