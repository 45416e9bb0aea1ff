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

// What is sent to many comes from where its sender is, and from nowhere else.
func TestSourcesOfMulticast(t *testing.T) {
	k := newKernel(t, 64)
	k.apply(1, "", `{"from":"any","to":"SELF","action":"accept"}`)
	for _, tc := range []struct {
		port     uint32
		src, dst string
		want     string
	}{
		{k.lan, lan6, "ff02::fb", ""},
		{k.lan, lan6, "ff05::c", ""},
		{k.wan, inet6, "ff02::1", ""},
		{k.lan, "fe80::9", "ff02::fb", ""},
		{k.lan, inet6, "ff02::fb", "forged_source"},
		{k.iot, lan6, "ff05::c", "forged_source"},
		{k.lan, rtr6, "ff02::fb", "forged_source"},
		{k.lan, lan4, "224.0.0.251", ""},
		{k.lan, lan4, "255.255.255.255", ""},
		{k.lan, lan4, "10.0.1.255", ""},
		{k.iot, lan4, "224.0.0.251", "forged_source"},
	} {
		k.forget()
		p := packet{src: tc.src, dst: tc.dst, proto: udp, sport: 5353, dport: 5353}
		equal(t, tc.src+" to "+tc.dst, k.arrive(tc.port, p.frame(t)).Reason, tc.want)
	}
}
