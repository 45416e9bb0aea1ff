package dataplane

import "testing"

// A rejected packet that claims another zone's source is not answered, which would be
// to somebody who has not asked, and conntrack does not see it: of a connection whose
// record is gone it would be the end.
func TestForgedPacketsAreNotAnswered(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual+`,{"from":"IOT","to":"WAN","action":"reject"}`)
	silent := packet{src: lan4, dst: inet4, proto: tcp, sport: 40000, dport: 80}
	k.liberal(silent)
	silent.flags = "FA"
	for _, tc := range []struct {
		name string
		p    packet
		want outcome
	}{
		{"true", packet{src: iot4, dst: inet4, proto: udp, sport: 1, dport: 2}, outcome{"next", "policy", markReject}},
		{"forged", packet{src: lan4, dst: inet4, proto: udp, sport: 1, dport: 2}, outcome{"drop", "policy", 0}},
		{"forged SYN", packet{src: lan4, dst: inet4, proto: tcp, sport: 1, dport: 2, flags: "S"}, outcome{"drop", "policy", 0}},
		{"end of a silent connection", silent, outcome{"drop", "policy", 0}},
	} {
		equal(t, tc.name, k.arrive(k.iot, tc.p.frame(t)), tc.want)
	}
}
