package dataplane

import (
	"errors"
	"net/netip"
	"testing"

	"ngfw.sh/policy"
)

// TestExplainAsksWhatIsEnforced: its answers follow the policy, say which revision
// gave them, and leave flows and counters alone.
func TestExplainAsksWhatIsEnforced(t *testing.T) {
	k := newKernel(t, 16)
	packet := policy.Packet{In: "lan", Out: "wan", Src: netip.MustParseAddr(lan4), Dst: netip.MustParseAddr(inet4), Protocol: policy.ProtocolTCP, SrcPort: 1, DstPort: 80}
	if _, err := k.Explain(packet); !errors.Is(err, ErrNoPolicy) {
		t.Errorf("without a policy: %v", err)
	}
	k.apply(1, `{"id":7,"name":"r","zone_from":"LAN","zone_to":"WAN","action":"drop"}`, `{"from":"SELF","to":"any","action":"drop"}`)
	before, err := k.Counters()
	if err != nil {
		t.Fatal(err)
	}
	ask := func(p policy.Packet) (string, string, int64) {
		t.Helper()
		e, err := k.Explain(p)
		if err != nil {
			t.Fatal(err)
		}
		return string(e.Action) + " " + e.Reason, e.Stages[len(e.Stages)-1].Reason, e.PolicyRevision
	}
	answer, _, revision := ask(packet)
	equal(t, "answer", answer, "drop rule")
	equal(t, "revision", revision, int64(1))
	k.apply(2, `{"id":8,"name":"r","zone_from":"LAN","zone_to":"WAN","action":"accept"}`, `{"from":"SELF","to":"any","action":"drop"}`)
	answer, why, revision := ask(packet)
	equal(t, "answer", answer, "accept rule")
	equal(t, "last stage", why, "zone WAN gives IPv4 its own source address")
	equal(t, "revision", revision, int64(2))

	own := policy.Packet{In: policy.InterfaceSelf, Out: "wan", Src: netip.MustParseAddr(rtrWAN4), Dst: netip.MustParseAddr(inet4), Protocol: policy.ProtocolTCP, SrcPort: 1, DstPort: 8443}
	answer, _, _ = ask(own)
	equal(t, "the router's", answer, "drop policy")
	if err := k.SetCloud(netip.MustParseAddrPort(inet4 + ":8443")); err != nil {
		t.Fatal(err)
	}
	answer, _, _ = ask(own)
	equal(t, "its cloud's", answer, "accept system:cloud")
	own.DstPort++
	answer, _, _ = ask(own)
	equal(t, "another port", answer, "drop policy")
	packet.Out = "tun5"
	answer, why, _ = ask(packet)
	equal(t, "no zone", answer+": "+why, "drop no_zone: tun5 is in no zone")
	packet.Dst = netip.MustParseAddr("2001:db8::1")
	answer, _, _ = ask(packet)
	equal(t, "two families", answer, "drop malformed")

	after, err := k.Counters()
	if err != nil {
		t.Fatal(err)
	}
	for d, c := range after {
		if c.Packets != before[d].Packets {
			t.Errorf("%s counted %d packets", deciderText(d), c.Packets-before[d].Packets)
		}
	}
	equal(t, "flows", len(k.flows()), 0)
}
