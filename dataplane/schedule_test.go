package dataplane

import (
	"fmt"
	"testing"
	"time"

	"ngfw.sh/policy"
)

// shift has the programs' clock show so much more than the kernel's.
func (k *kernel) shift(by time.Duration) {
	k.t.Helper()
	s, err := readClock()
	if err != nil {
		k.t.Fatal(err)
	}
	if err := k.setClock(clockState{ahead: s.ahead - int(by/time.Second), set: true}); err != nil {
		k.t.Fatal(err)
	}
}

// around is a schedule of UTC from some minutes ago to some from now.
func around(now time.Time) string {
	text := func(t time.Time) string { return t.UTC().Format("15:04") }
	return fmt.Sprintf(`"schedule":{"enabled":true,"start":"%s","end":"%s"}`, text(now.Add(-10*time.Minute)), text(now.Add(10*time.Minute)))
}

// When a window closes its flows end, from whichever side their next packet
// comes, and others are not even asked about.
func TestScheduleJudgesAgain(t *testing.T) {
	k := newKernel(t, 16)
	k.shift(0)
	k.apply(1, `{"id":5,"name":"by day","zone_from":"LAN","zone_to":"WAN","protocol":"udp","port":"53","action":"accept",`+around(time.Now())+`},
{"id":6,"name":"always","zone_from":"LAN","zone_to":"SELF","protocol":"udp","port":"54","action":"accept"}`, "")
	timed := packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 53}
	other := packet{src: lan4, dst: rtr4, proto: udp, sport: 40000, dport: 54}
	pass := func(what string, port uint32, p packet, want string) {
		t.Helper()
		got := k.arrive(port, p.frame(t))
		equal(t, what, got.Verdict+" "+got.Reason, want)
	}
	pass("open", k.lan, timed, "next ")
	k.answered()
	pass("answer", k.wan, timed.reply(), "next ")
	pass("open, the other", k.lan, other, "next ")
	valid := map[uint16]uint64{}
	for _, f := range k.flows() {
		valid[networkOrder(f.Orig.Dport)] = f.Valid
	}
	now := uint64(time.Now().Unix())
	if v := valid[53]; v&0xffffffff > now || v>>32 < now || v>>32 > now+11*60 {
		t.Errorf("the timed flow's verdict holds from %d to %d, now is %d", v&0xffffffff, v>>32, now)
	}
	equal(t, "validity of the other", valid[54], uint64(0))
	before := k.stat().Rejudged

	k.shift(20 * time.Minute)
	pass("closed, from outside", k.wan, timed.reply(), "drop policy")
	pass("closed, from inside", k.lan, timed, "drop policy")
	pass("the other", k.lan, other, "next ")
	equal(t, "the other's answer", k.leave(k.lan, other.reply().frame(t)).Verdict, "next")
	equal(t, "flows judged again", k.stat().Rejudged-before, uint64(1))

	k.shift(0)
	pass("open again", k.lan, timed, "next ")
	pass("open again, answer", k.wan, timed.reply(), "next ")
	equal(t, "flows judged again", k.stat().Rejudged-before, uint64(2))
	k.shift(20 * time.Minute) // it holds by the clock still
	pass("closed again", k.lan, timed, "drop policy")
}

// A scheduled drop that begins ends what a rule behind it let pass.
func TestScheduledDropBegins(t *testing.T) {
	k := newKernel(t, 16)
	k.shift(20 * time.Minute)
	k.apply(1, `{"id":5,"name":"at night","zone_from":"LAN","zone_to":"WAN","action":"drop",`+around(time.Now())+`}`, usual)
	p := packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 53}
	equal(t, "before", k.arrive(k.lan, p.frame(t)).Verdict, "next")
	k.shift(0)
	equal(t, "within", k.arrive(k.lan, p.frame(t)), outcome{Verdict: "drop", Reason: "policy"})
}

// Without a clock nothing is accepted by a schedule, and what one refuses is.
func TestScheduleWithoutClock(t *testing.T) {
	k := newKernel(t, 16)
	k.shift(0)
	k.apply(1, `{"id":5,"name":"accept","zone_from":"LAN","zone_to":"WAN","protocol":"udp","port":"53","action":"accept",`+around(time.Now())+`},
{"id":6,"name":"drop","zone_from":"LAN","zone_to":"WAN","protocol":"udp","port":"54","action":"drop",`+around(time.Now().Add(2*time.Hour))+`},
{"id":7,"name":"always","zone_from":"LAN","zone_to":"WAN","protocol":"udp","port":"54","action":"accept"}`, "")
	accepted := packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 53}
	dropped := packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 54}
	said := func(want int) {
		t.Helper()
		n := 0
		for _, d := range k.Degraded() {
			if len(d) > 10 && d[:10] == "schedules:" {
				n++
			}
		}
		equal(t, "degraded modes", n, want)
	}
	for round := range 2 {
		equal(t, "accept", k.arrive(k.lan, accepted.frame(t)).Verdict, "next")
		equal(t, "not dropped", k.arrive(k.lan, dropped.frame(t)).Verdict, "next")
		said(0)
		if err := k.setClock(clockState{}); err != nil {
			t.Fatal(err)
		}
		equal(t, "accept, no clock", k.arrive(k.lan, accepted.frame(t)), outcome{Verdict: "drop", Reason: "policy"})
		equal(t, "drop, no clock", k.arrive(k.lan, dropped.frame(t)), outcome{Verdict: "drop", Reason: "policy"})
		said(1)
		k.shift(time.Duration(round) * time.Minute)
	}
}

// A clock far beyond what offsets are known for is none; so is one never set.
func TestScheduleBeyondTheClock(t *testing.T) {
	p := policy.Packet{In: "lan", Out: "wan", Time: time.Now()}
	im := image(t, 1, `{"id":5,"name":"n","zone_from":"LAN","zone_to":"WAN","action":"accept","schedule":{"enabled":true,"start":"00:00","end":"23:59"}}`, "")
	for at, want := range map[int64]bool{1: false, 1 << 20: true, 4102444799: true, 4102444800: false, -5: false} {
		p.Time = time.Unix(at, 0)
		q, _ := im.Packet(p)
		if has := q.Time != 0; has != want {
			t.Errorf("%d is a time: %v", at, has)
		}
	}
}

func TestSourceMAC(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, `{"id":5,"name":"his","zone_from":"LAN","zone_to":"WAN","source":"mac:02:00:00:00:00:09","protocol":"udp","port":"53","action":"accept"},
{"id":6,"name":"not his","zone_from":"LAN","zone_to":"WAN","source":"!mac:02:00:00:00:00:09","protocol":"udp","port":"54","action":"accept"},
{"id":7,"name":"from the router","zone_from":"SELF","zone_to":"WAN","source":"mac:02:00:00:00:00:09","action":"accept"}`, "")
	ask := func(port uint16) string {
		defer k.forget()
		return k.arrive(k.lan, packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: port}.frame(t)).Verdict
	}
	equal(t, "his frame", ask(53), "next")
	equal(t, "all but his", ask(54), "drop")
	own := packet{src: rtrWAN4, dst: inet4, proto: udp, sport: 40000, dport: 53}
	equal(t, "the router's own", k.leave(k.wan, own.frame(t)).Verdict, "drop")

	// His flow is judged again by the frame that it began with, from either side.
	p := packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 53}
	k.arrive(k.lan, p.frame(t))
	k.answered()
	k.apply(2, `{"id":5,"name":"his","zone_from":"LAN","zone_to":"WAN","source":"mac:02:00:00:00:00:09","action":"accept"}`, "")
	equal(t, "answer, judged again", k.arrive(k.wan, p.reply().frame(t)).Verdict, "next")
	k.apply(3, `{"id":5,"name":"another's","zone_from":"LAN","zone_to":"WAN","source":"mac:02:00:00:00:00:08","action":"accept"}`, "")
	equal(t, "answer, cut", k.arrive(k.wan, p.reply().frame(t)).Verdict, "drop")
}
