package dataplane

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"ngfw.sh/dataplane/flow"
	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

// drain takes all records out of a ring.
func drain(t testing.TB, ring *ebpf.Map) [][]byte {
	t.Helper()
	r, err := ringbuf.NewReader(ring)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.SetDeadline(time.Now())
	var all [][]byte
	for {
		rec, err := r.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rec.RawSample)
	}
}

// The reader of flows is not woken for each event, and yet tells all of them at
// once: long before a scan would find them.
func TestEveryBeginningIsRead(t *testing.T) {
	const flows = 700 // more than a batch of the reader's
	k := newKernel(t, 1024)
	k.apply(1, "", usual)
	var mu sync.Mutex
	opened := map[uint64]bool{}
	told := make(chan struct{}, 1)
	r := flow.New(flow.Config{UpdateInterval: time.Hour, Linger: time.Hour}, flow.Deps{
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Sink: func(events []flow.Event) error {
			mu.Lock()
			defer mu.Unlock()
			for _, e := range events {
				if e.Kind == flow.Open {
					opened[e.FlowID] = true
				}
			}
			select {
			case told <- struct{}{}:
			default:
			}
			return nil
		},
		Settle: func() error { return nil },
	}, k.FlowMaps())
	begin := func(port uint16) {
		k.arrive(k.lan, packet{src: lan4, dst: rtr4, proto: udp, sport: port, dport: 53}.frame(t))
	}
	wait := func(flows int) {
		t.Helper()
		for n := 0; n < flows; {
			select {
			case <-told:
				mu.Lock()
				n = len(opened)
				mu.Unlock()
			case <-time.After(time.Minute):
				t.Fatalf("%d of %d flows are told", n, flows)
			}
		}
	}
	begin(1)
	drain(t, k.tc.Events) // so that the first scan finds it; there is none for an hour then
	k.change(func(f *bpfobj.TcFlow) { f.Opened -= min(f.Opened, uint64(time.Minute)) })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	wait(1)
	for i := range uint16(flows) {
		begin(1000 + i)
	}
	wait(1 + flows)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestFlowCountsBothWays(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(4, "", usual)
	p := packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 53, payload: make([]byte, 12)}
	k.arrive(k.lan, p.frame(t))
	k.answered()
	answer := p.reply()
	answer.payload = make([]byte, 112)
	equal(t, "answer", k.arrive(k.wan, answer.frame(t)), outcome{Verdict: "next", Mark: markJudged | markReply | markZone(zoneLAN)})
	equal(t, "again", k.arrive(k.lan, p.frame(t)), outcome{Verdict: "next", Mark: markJudged | markZone(zoneWAN)})
	equal(t, "flow", recordOf(k.flow()), record{
		Orig: "17 10.0.1.9:40000 > 203.0.113.7:53", Reply: "17 203.0.113.7:53 > 10.0.1.9:40000",
		In: k.lan, Out: k.wan, ZoneIn: zoneLAN, ZoneOut: zoneWAN, Packets: [2]uint64{2, 1}, Bytes: [2]uint64{80, 140},
		Revision: 4, Decider: "policy", Flags: flowReplyKnown | flowSeenReply,
	})
	c := k.count(policy.Decider(k.flow().Decider))
	equal(t, "decider", [2]uint64{c.Packets, c.Bytes}, [2]uint64{3, 220})
}

func TestFlowKeepsToItsZones(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual+`,{"from":"IOT","to":"WAN","action":"accept"}`)
	p := packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 53}
	k.arrive(k.lan, p.frame(t))
	k.answered()
	wrong := outcome{Verdict: "drop", Reason: "wrong_zone"}
	equal(t, "from another zone", k.arrive(k.iot, p.frame(t)), wrong)
	equal(t, "answered by another zone", k.arrive(k.iot, p.reply().frame(t)), wrong)
	equal(t, "answered from its own zone", k.arrive(k.lan, p.reply().frame(t)), wrong)
	equal(t, "counts", k.flow().Packets, [2]uint64{1, 0})
}

func TestChangedPolicyJudgesAgain(t *testing.T) {
	k := newKernel(t, 16)
	rule := func(id, action string) string {
		return `{"id":` + id + `,"name":"r","zone_from":"LAN","zone_to":"WAN","protocol":"udp","port":"53","action":"` + action + `"}`
	}
	k.apply(1, "", usual)
	p := packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 53}
	k.arrive(k.lan, p.frame(t))
	k.answered()
	k.apply(2, rule("5", "accept"), usual)
	equal(t, "still allowed", k.arrive(k.wan, p.reply().frame(t)).Verdict, "next") // from either side
	f := recordOf(k.flow())
	equal(t, "judged again", []any{f.Revision, f.Decider, k.stat().Rejudged}, []any{uint64(2), "rule 5", uint64(1)})

	k.events()
	k.apply(3, rule("6", "reject"), usual)
	// The backstop answers both ends: policy.md, a flow cut by reject.
	cut := outcome{Verdict: "next", Reason: "policy", Mark: 0x10000000}
	equal(t, "cut from outside", k.arrive(k.wan, p.reply().frame(t)), cut)
	equal(t, "cut from inside", k.arrive(k.lan, p.frame(t)), cut)
	f = recordOf(k.flow())
	equal(t, "cut flow", []any{f.Revision, f.Decider, f.Flags & (flowCut | flowClosed), f.Packets}, []any{uint64(2), "rule 5", uint32(flowCut | flowClosed), [2]uint64{1, 1}})
	equal(t, "events", k.events(), map[uint32]int{3: 1, 4: 1}) // the end once, refusals as one

	k.apply(4, "", usual)
	equal(t, "allowed again", k.arrive(k.lan, p.frame(t)).Verdict, "next")
	equal(t, "no longer cut", k.flow().Flags&flowCut, uint32(0))
	if n := k.stat().Rejudged; n != 3 {
		t.Errorf("judged again %d times, want once a revision", n)
	}
}

// Under one revision countries and the router's own addresses may change: flows that
// run are judged again then too, also those that the fast path carries.
func TestSameRevisionJudgesAgain(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.allowFast()
	p := packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 53}
	k.arrive(k.lan, p.frame(t))
	k.answered()
	k.way(masqueraded, fastXDP, nil)
	follows := func() bool {
		redirected, _ := k.runXDP(masqueraded.arrives(t))
		return redirected
	}
	if !follows() {
		t.Fatal("not fast")
	}
	k.apply(1, "", usual)
	if follows() {
		t.Error("the way of before is followed")
	}
	equal(t, "allowed still", k.arrive(k.lan, p.frame(t)).Verdict, "next")
	equal(t, "judged again", k.stat().Rejudged, uint64(1))
	equal(t, "the verdict holds for good", k.flow().Valid, uint64(0))
	equal(t, "and once", []any{k.arrive(k.lan, p.frame(t)).Verdict, k.stat().Rejudged}, []any{"next", uint64(1)})
	k.apply(1, `{"id":6,"name":"r","zone_from":"LAN","zone_to":"WAN","protocol":"udp","port":"53","action":"drop"}`, usual)
	equal(t, "cut", k.arrive(k.wan, p.reply().frame(t)), outcome{Verdict: "drop", Reason: "policy"})
	k.apply(1, "", usual)
	equal(t, "allowed again", k.arrive(k.lan, p.frame(t)).Verdict, "next")
}

func TestChangedZoneJudgesAgain(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	p := packet{src: lan4, dst: inet4, proto: udp, sport: 40000, dport: 53}
	k.arrive(k.lan, p.frame(t))
	k.ports[int(k.lan)] = attachedPort{name: "iot"} // as if renamed: the zone goes by name
	k.apply(2, "", usual)
	equal(t, "from IOT now", k.arrive(k.lan, p.frame(t)), outcome{Verdict: "drop", Reason: "policy"})
}

func TestTCPEnds(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	p := packet{src: lan4, dst: rtr4, proto: tcp, sport: 40000, dport: 22}
	say := func(flags string) {
		k.t.Helper()
		q := p
		q.flags = flags
		equal(t, flags, k.arrive(k.lan, q.frame(t)).Verdict, "next")
	}
	hear := func(flags string) {
		k.t.Helper()
		q := p.reply()
		q.flags = flags
		equal(t, flags, k.leave(k.lan, q.frame(t)).Verdict, "next")
	}
	say("S")
	hear("SA")
	say("A")
	say("FA")
	equal(t, "half closed", k.flow().Flags&(flowFinOrig|flowFinReply|flowClosed), uint32(flowFinOrig))
	equal(t, "events", k.events(), map[uint32]int{1: 1})
	hear("FA")
	say("A")
	hear("FA") // once more
	equal(t, "closed", k.flow().Flags&(flowFinOrig|flowFinReply|flowClosed), uint32(flowFinOrig|flowFinReply|flowClosed))
	equal(t, "events", k.events(), map[uint32]int{3: 1})

	// The port used again is another flow; the old one stays for its last count.
	old := k.flow().Id
	say("S")
	all := k.flows()
	if len(all) != 2 {
		t.Fatalf("%d flows", len(all))
	}
	hear("RA")
	for _, f := range k.flows() {
		if closed := f.Flags&flowRST != 0; closed == (f.Id == old) {
			t.Errorf("flow %d (old %d) has flags %x after a reset", f.Id, old, f.Flags)
		}
	}
}

func TestConntrackVouchesForOldFlows(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	back := func(d time.Duration) {
		k.change(func(f *bpfobj.TcFlow) {
			f.Checked -= uint64(d)
			f.Seen -= uint64(d)
		})
	}
	// Conntrack knows nothing here.
	p := packet{src: lan4, dst: rtr4, proto: tcp, sport: 40000, dport: 22, flags: "S"}
	k.arrive(k.lan, p.frame(t))
	p.flags = "A"
	equal(t, "fresh", k.arrive(k.lan, p.frame(t)).Verdict, "next")
	back(2 * time.Second)
	equal(t, "forgotten", k.arrive(k.lan, p.frame(t)), outcome{Verdict: "drop", Reason: "no_state"})
	equal(t, "an answer to nothing", k.leave(k.lan, packet{src: rtr4, dst: lan4, proto: tcp, sport: 22, dport: 40000, flags: "A"}.frame(t)).Reason, "no_state")

	k.forget()
	ping := packet{src: lan4, dst: inet4, proto: icmp, kind: 8, sport: 5}
	k.arrive(k.lan, ping.frame(t))
	k.answered()
	k.change(func(f *bpfobj.TcFlow) {
		f.Reply = f.Orig
		f.Reply.Saddr, f.Reply.Daddr, f.Reply.Dport = f.Orig.Daddr, f.Orig.Saddr, 0
		k.Dataplane.flows.Lead(f.Reply, f.Id)
	})
	pong := packet{src: inet4, dst: lan4, proto: icmp, kind: 0, sport: 5}
	back(20 * time.Second)
	equal(t, "a slow pong", k.arrive(k.wan, pong.frame(t)).Verdict, "next")
	back(26 * time.Second)
	equal(t, "too slow", k.arrive(k.wan, pong.frame(t)), outcome{Verdict: "drop", Reason: "policy"})
	equal(t, "asked again", k.arrive(k.lan, ping.frame(t)).Verdict, "next")
}

func TestRefusalsAreOneEventASecond(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	p := packet{src: inet4, dst: rtrWAN4, proto: udp, sport: 1, dport: 2}
	for range 5 {
		k.arrive(k.wan, p.frame(t))
	}
	p.sport = 3 // another flow, the same refusal
	k.arrive(k.wan, p.frame(t))
	p.dport = 3
	k.arrive(k.wan, p.frame(t))
	equal(t, "events", k.events(), map[uint32]int{4: 2})
	var key bpfobj.TcRefusalKey
	var v bpfobj.TcRefusal
	repeats := map[uint16][2]uint64{}
	it := k.tc.Refusals.Iterate()
	for it.Next(&key, &v) {
		repeats[networkOrder(key.Dport)] = [2]uint64{v.Repeats, v.Bytes}
	}
	equal(t, "repeats", repeats, map[uint16][2]uint64{2: {5, 140}, 3: {0, 0}})
}

// Of a flow from outside that was cut with reject nothing leaves the router: it is
// behind the backstop, which would answer.
func TestCutFlowToTheRouterIsSilent(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	p := packet{src: lan4, dst: rtr4, proto: udp, sport: 40000, dport: 53}
	equal(t, "asked", k.arrive(k.lan, p.frame(t)).Verdict, "next")
	equal(t, "answered", k.leave(k.lan, p.reply().frame(t)).Verdict, "next")
	k.apply(2, `{"id":5,"name":"r","zone_from":"LAN","zone_to":"SELF","action":"reject"}`, usual)
	equal(t, "answered, cut", k.leave(k.lan, p.reply().frame(t)), outcome{Verdict: "drop", Reason: "policy"})
	equal(t, "asked, cut", k.arrive(k.lan, p.frame(t)), outcome{Verdict: "next", Reason: "policy", Mark: markReject})
}
