package flow

import (
	"context"
	"encoding/binary"
	"log/slog"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

var eventSize = uint32(binary.Size(bpfobj.TcEvent{}))

const second = uint64(time.Second)

// TestSumsAreTrue lets flows live and the reader, its sink and the process fail
// in any order: in the end the sink has each flow's opening and end once, and
// the increments between are what was counted.
func TestSumsAreTrue(t *testing.T) {
	k := newTables(t, 4096)
	rapid.Check(t, func(t *rapid.T) {
		s := &sink{}
		r := k.reader(s)
		live := map[uint64]*bpfobj.TcFlow{}
		truth := map[uint64]Counts{}
		var order []uint64
		cut := map[uint64]bool{}     // whose end was told before it came
		var pending []bpfobj.TcEvent // in the ring
		ring := func(kind uint32, f *bpfobj.TcFlow) {
			if rapid.IntRange(0, 3).Draw(t, "room") > 0 {
				pending = append(pending, bpfobj.TcEvent{Kind: kind, Action: 1, Time: uint64(bootNanos()), Flow: *f})
			}
		}
		pick := func() *bpfobj.TcFlow {
			if len(order) == 0 {
				return nil
			}
			return live[rapid.SampledFrom(order).Draw(t, "flow")]
		}
		closeFlow := func(f *bpfobj.TcFlow) {
			f.Flags |= flagClosed
			f.Seen = uint64(bootNanos()) - 2*second
			k.put(*f)
		}
		gone := func(f *bpfobj.TcFlow) bool { return f == nil || f.Flags&flagClosed != 0 }
		for range rapid.IntRange(5, 60).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"open", "count", "count", "close", "cut", "ring", "scan", "scan", "finish", "break", "mend", "settle", "restart", "crash"}).Draw(t, "step") {
			case "open":
				f := k.open(time.Duration(rapid.IntRange(0, 5).Draw(t, "age")) * time.Second)
				live[f.Id] = &f
				order = append(order, f.Id)
				truth[f.Id] = Counts{}
				ring(ringOpen, &f)
			case "count":
				if f := pick(); !gone(f) {
					dir, n := rapid.IntRange(0, 1).Draw(t, "direction"), rapid.Uint64Range(1, 9).Draw(t, "packets")
					f.Packets[dir] += n
					f.Bytes[dir] += 100 * n
					f.Seen = uint64(bootNanos())
					f.Flags |= flagSeenReply
					k.put(*f)
					if !cut[f.Id] {
						truth[f.Id] = counts(f)
					}
				}
			case "cut":
				if f := pick(); !gone(f) {
					r.Cut(f.Id)
					r.cutAll(<-r.cuts)
					have, known := r.told(f.Id)
					cut[f.Id] = known && have == endTold
				}
			case "close":
				if f := pick(); !gone(f) {
					closeFlow(f)
					ring(ringClose, f)
				}
			case "ring":
				r.take(pending)
				pending = nil
			case "scan":
				_ = r.scan() // may fail: the next makes up for it
			case "finish":
				r.finish(time.Now().Add(time.Minute))
			case "break":
				s.broken = true
			case "mend":
				s.broken = false
			case "settle":
				_ = s.settle()
			case "crash", "restart":
				s.crash()
				r = k.reader(s)
				if err := r.Reconcile(s.memory()); err != nil {
					t.Fatal(err)
				}
				for id := range cut {
					if have, known := r.told(id); cut[id] && !(known && have == endTold) && !gone(live[id]) { // the sink has forgotten its end
						cut[id] = false
						truth[id] = counts(live[id])
					} else if cut[id] && !gone(live[id]) && !r.Alive(id) {
						t.Fatalf("the record of a flow that was cut off is gone, and the verdict with it")
					}
				}
			}
		}
		s.broken = false
		for _, id := range order {
			if f := live[id]; !gone(f) {
				closeFlow(f)
			}
		}
		r.take(pending)
		if err := r.scan(); err != nil {
			t.Fatal(err)
		}
		for _, id := range order {
			check(t, s.of(id), truth[id])
		}
		k.empty()
	})
}

// check holds the events of one flow that ended against what was counted.
func check(t interface{ Errorf(string, ...any) }, events []Event, truth Counts) {
	var sum Counts
	for i, e := range events {
		sum = Counts{sum.PacketsSent + e.Delta.PacketsSent, sum.PacketsReceived + e.Delta.PacketsReceived, sum.BytesSent + e.Delta.BytesSent, sum.BytesReceived + e.Delta.BytesReceived}
		want := Update
		switch i {
		case 0:
			want = Open
		case len(events) - 1:
			want = Close
		}
		if e.Kind != want {
			t.Errorf("event %d of %d is of kind %d, want %d", i, len(events), e.Kind, want)
		}
		if e.Total != sum {
			t.Errorf("event %d: total %+v, increments add up to %+v", i, e.Total, sum)
		}
	}
	if len(events) < 2 || sum != truth {
		t.Errorf("%d events add up to %+v, counted were %+v", len(events), sum, truth)
	}
}

func TestScanMakesUpForAFullRing(t *testing.T) {
	k := newTables(t, 4096)
	s := &sink{}
	var mu sync.Mutex
	told := make(chan struct{}, 1)
	r := New(Config{UpdateInterval: time.Millisecond, Linger: time.Second}, Deps{Log: slog.New(slog.DiscardHandler), Settle: s.settle,
		Sink: func(events []Event) error {
			mu.Lock()
			defer mu.Unlock()
			if err := s.take(events); err != nil {
				return err
			}
			if len(s.events) >= 100 {
				select {
				case told <- struct{}{}:
				default:
				}
			}
			return nil
		}}, k.Maps)
	var flows []bpfobj.TcFlow
	fitted := 0
	for range 100 {
		f := k.open(3 * time.Second)
		flows = append(flows, f)
		if k.ring(ringOpen, f, 1) {
			fitted++
		}
	}
	if fitted == 0 || fitted == 100 {
		t.Fatalf("the ring took %d of 100 events", fitted)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	select {
	case <-told:
	case <-time.After(10 * time.Second):
		t.Error("not all flows were told")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for _, f := range flows {
		if events := s.of(f.Id); len(events) != 1 || events[0].Kind != Open {
			t.Fatalf("flow %d of %d: %+v", f.Id, len(flows), events)
		}
	}
	if r.Flows() != 100 {
		t.Errorf("%d flows", r.Flows())
	}
}

func TestRunTellsTheLast(t *testing.T) {
	k := newTables(t, 4096)
	s := &sink{}
	r := k.reader(s)
	old := k.open(time.Minute)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if events := s.of(old.Id); len(events) != 1 || events[0].Kind != Open {
		t.Errorf("%+v", events)
	}
}

// The ring has of a flow its number alone, of a refused packet all there is.
func TestDecode(t *testing.T) {
	whole := bpfobj.TcEvent{Kind: ringRefused, Action: 2, Time: 3, Flow: bpfobj.TcFlow{Id: 64, Decider: 7, Orig: tcpTuple(1, 2)}}
	raw := func(v any) []byte {
		b, err := binary.Append(nil, binary.NativeEndian, v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		name string
		raw  []byte
		want bpfobj.TcEvent
		bad  bool
	}{
		{"a refused packet", raw(whole), whole, false},
		{"a flow", raw(bpfobj.TcNotice{Kind: ringOpen, Action: 1, Time: 5, Id: 128}), bpfobj.TcEvent{Kind: ringOpen, Action: 1, Time: 5, Flow: bpfobj.TcFlow{Id: 128}}, false},
		{"half a refused packet", raw(whole)[:100], bpfobj.TcEvent{}, true},
		{"less than a number", raw(whole)[:20], bpfobj.TcEvent{}, true},
	} {
		got, err := decode(c.raw)
		if c.bad {
			if err == nil {
				t.Errorf("%s was read", c.name)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

func TestLateOpenIsNotToldTwice(t *testing.T) {
	k := newTables(t, 4096)
	s := &sink{}
	r := k.reader(s)
	f := k.open(2 * time.Second)
	late := bpfobj.TcEvent{Kind: ringOpen, Action: 1, Flow: f}
	f.Flags, f.Packets[0], f.Seen = flagClosed, 9, f.Seen-2*second
	k.put(f)
	if err := r.scan(); err != nil {
		t.Fatal(err)
	}
	r.take([]bpfobj.TcEvent{late})
	check(t, s.of(f.Id), Counts{PacketsSent: 9})
	k.empty()
}

func TestIdleFlowsEnd(t *testing.T) {
	for name, tc := range map[string]struct {
		proto   uint8
		flags   uint32
		timeout time.Duration
	}{
		"TCP, unanswered":  {6, 0, 120 * time.Second},
		"TCP, established": {6, flagSeenReply, 2 * time.Hour},
		"TCP, closed":      {6, flagSeenReply | flagClosed, time.Second},
		"UDP, unanswered":  {17, 0, 30 * time.Second},
		"UDP":              {17, flagSeenReply, 120 * time.Second},
		"ICMP":             {1, flagSeenReply, 30 * time.Second},
		"ICMPv6":           {58, 0, 30 * time.Second},
		"GRE":              {47, flagSeenReply, 600 * time.Second},
	} {
		f := bpfobj.TcFlow{Flags: tc.flags}
		f.Orig.Proto = tc.proto
		if got := max(idle(&f, false), DefaultConfig().Linger); got != tc.timeout {
			t.Errorf("%s: %v, want %v", name, got, tc.timeout)
		}
		if tc.flags&flagSeenReply == 0 {
			tc.timeout = unanswered
		}
		if got := max(idle(&f, true), DefaultConfig().Linger); got != tc.timeout {
			t.Errorf("%s, nearly full: %v, want %v", name, got, tc.timeout)
		}
	}
	k := newTables(t, 4096)
	for quiet, kind := range map[time.Duration]Kind{29 * time.Second: Open, 31 * time.Second: Close} {
		s := &sink{}
		f := k.open(time.Minute)
		f.Orig.Proto, f.Seen = policy.ProtocolICMP, f.Seen-uint64(quiet)
		k.put(f)
		if err := k.reader(s).scan(); err != nil {
			t.Fatal(err)
		}
		if last := s.events[len(s.events)-1]; last.Kind != kind {
			t.Errorf("after %v kind %d, want %d", quiet, last.Kind, kind)
		}
		if err := k.Flows.Forget(f.Id); err != nil {
			t.Fatal(err)
		}
	}
}

// What was counted had passed; what is refused afterwards has rows of its own.
func TestCutFlowEndsAsAccepted(t *testing.T) {
	k := newTables(t, 4096)
	s := &sink{}
	r := k.reader(s)
	f := k.open(time.Minute)
	f.Flags |= flagClosed | 1<<7 // FLOW_CUT
	f.Orig.Proto = policy.ProtocolUDP
	k.put(f)
	r.take([]bpfobj.TcEvent{{Kind: ringClose, Action: 2, Flow: f}})
	if len(s.events) != 0 {
		t.Fatalf("told before the last count: %+v", s.events)
	}
	r.finish(time.Now().Add(2 * time.Second))
	if events := s.of(f.Id); len(events) != 2 || events[1].Kind != Close || events[1].Action != policy.Accept {
		t.Errorf("%+v", events)
	}
}

func TestReusedPortStaysWithTheNewFlow(t *testing.T) {
	k := newTables(t, 4096)
	r := k.reader(&sink{})
	old, fresh := k.open(time.Minute), k.open(0)
	// The new flow has the old one's tuples.
	fresh.Orig, fresh.Reply = old.Orig, old.Reply
	k.put(fresh)
	k.lead(fresh)
	old.Flags, old.Seen = flagClosed, old.Seen-2*second
	k.put(old)
	if err := r.scan(); err != nil {
		t.Fatal(err)
	}
	if r.Alive(old.Id) || !r.Alive(fresh.Id) {
		t.Error("the wrong flow ended")
	}
	for _, tuple := range []bpfobj.TcTuple{old.Orig, old.Reply} {
		if id, _, _, err := k.Flows.Led(tuple); err != nil || id != fresh.Id {
			t.Errorf("the tuple leads to %d, %v", id, err)
		}
	}
}

func TestReconcileRemovesWhatTheSinkSawEnd(t *testing.T) {
	k := newTables(t, 4096)
	s := &sink{}
	r := k.reader(s)
	f := k.open(time.Minute)
	if err := r.Reconcile(map[uint64]Told{f.Id: {Closed: true}, 99: {Closed: true}, 100: {}}); err != nil {
		t.Fatal(err)
	}
	if err := r.scan(); err != nil {
		t.Fatal(err)
	}
	if len(s.events) != 0 {
		t.Errorf("told again: %+v", s.events)
	}
	k.empty()
}
