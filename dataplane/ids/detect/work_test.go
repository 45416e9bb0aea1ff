package detect

import (
	"fmt"
	"strings"
	"testing"

	"ngfw.sh/dataplane/ids/app"
	"ngfw.sh/dataplane/ids/packet"
)

// TestManyBadExpressions: together they are bounded, for a flow that goes on more so, and
// what comes after is found again.
func TestManyBadExpressions(t *testing.T) {
	var rules []string
	for i := range 100 {
		rules = append(rules, fmt.Sprintf(`alert udp any any -> any any (msg:"x"; content:"aaaaaaa"; pcre:"/(a+)+[b-y]{2}$/R"; sid:%d;)`, 10+i))
	}
	rules = append(rules, `alert udp any any -> any any (msg:"good"; content:"good"; pcre:"/go+d \d+/"; sid:1;)`)
	w := worker(t, rules...)
	bad, good := udp(strings.Repeat("a", 1400)+"bX"), udp("good 17")
	f := flow(t, "udp")
	took := func(p *packet.Packet) int {
		w.Inspect(&Input{Packet: p, Flow: f, Direction: app.ToServer}, nil)
		return allowance(nil, len(p.Payload)) - w.work
	}
	most := allowance(nil, 1402) + 50_000 + 64*1402 // one more may begin
	if n := took(bad); n > most {
		t.Errorf("a packet took %d steps", n)
	}
	for range 10 {
		took(bad)
	}
	if f.heavy != maxHeavy || w.state.Counters.Limited.Load() == 0 {
		t.Errorf("the flow's weight is %d, %d expressions were limited", f.heavy, w.state.Counters.Limited.Load())
	}
	if before := allowance(f, 1402); before > workFixed/20 {
		t.Errorf("it may still take %d steps", before)
	}
	for range maxHeavy {
		if got := w.sids(&Input{Packet: good, Flow: f, Direction: app.ToServer}); got != "1" {
			t.Errorf("found %q", got)
		}
	}
	if f.heavy != 0 {
		t.Errorf("the flow's weight is %d still", f.heavy)
	}
}
