package flow

import (
	"testing"
	"time"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

func (k *tables) refusal(port uint16, age time.Duration, repeats uint64) {
	k.t.Helper()
	key := bpfobj.TcRefusalKey{Decider: 3 << 28, Dport: port, Proto: 6}
	v := bpfobj.TcRefusal{
		Since: uint64(bootNanos()) - uint64(age), Repeats: repeats, Bytes: 40 * repeats, Revision: 5, Last: tcpTuple(1, 1),
		Decider: 3 << 28, IfindexIn: 2, ZoneIn: 2, ZoneOut: 1, Action: 3, Smac: [6]uint8{2, 0, 0, 0, 0, 9},
	}
	if err := k.Refusals.Put(&key, &v); err != nil {
		k.t.Fatal(err)
	}
}

func (k *tables) windows() int {
	n := 0
	var key bpfobj.TcRefusalKey
	var v bpfobj.TcRefusal
	for it := k.Refusals.Iterate(); it.Next(&key, &v); {
		n++
	}
	return n
}

func TestRefusalsAreTold(t *testing.T) {
	k := newTables(t, 4096)
	s := &sink{}
	r := k.reader(s)
	// The first at once.
	f := bpfobj.TcFlow{Id: 640, Opened: uint64(bootNanos()), Orig: tcpTuple(1, 1), Decider: 3 << 28, Packets: [2]uint64{1}, Bytes: [2]uint64{40}}
	r.take([]bpfobj.TcEvent{{Kind: ringRefused, Action: 2, Time: f.Opened, Flow: f}})
	one := Counts{PacketsSent: 1, BytesSent: 40}
	if e := s.events; len(e) != 1 || e[0].Kind != Refused || e[0].Action != policy.Drop || e[0].Delta != one || e[0].Total != one || e[0].Count != 1 || e[0].Duration != 0 {
		t.Fatalf("%+v", e)
	}

	// Repeats when their second is over, as one row.
	k.refusal(1, 500*time.Millisecond, 7)
	k.refusal(2, 1500*time.Millisecond, 5)
	k.refusal(3, 1500*time.Millisecond, 0)
	r.sweepRefusals()
	if len(s.events) != 2 {
		t.Fatalf("%+v", s.events[1:])
	}
	e := s.events[1]
	five := Counts{PacketsSent: 5, BytesSent: 200}
	if e.Kind != Refused || e.Action != policy.Reject || e.Count != 5 || e.Delta != five || e.Total != five || e.ZoneIn != 2 || e.ZoneOut != 1 ||
		e.PortIn != 2 || e.Tuple != tuple(tcpTuple(1, 1)) || e.Revision != 5 || len(e.SourceMAC) != 6 || e.FlowID == 0 {
		t.Errorf("%+v", e)
	}
	if n := k.windows(); n != 1 {
		t.Errorf("%d windows are left, want the one that is not over", n)
	}
	r.sweepRefusals()
	if len(s.events) != 2 {
		t.Errorf("told again: %+v", s.events[2:])
	}
}

func TestRefusalsWaitForTheSink(t *testing.T) {
	k := newTables(t, 4096)
	s := &sink{broken: true}
	r := k.reader(s)
	for i := range 3 {
		r.take([]bpfobj.TcEvent{{Kind: ringRefused, Action: 2, Flow: bpfobj.TcFlow{Id: uint64(64 * (i + 1)), Packets: [2]uint64{1}}}})
	}
	k.refusal(1, 2*time.Second, 5)
	r.sweepRefusals()
	s.broken = false
	r.sweepRefusals()
	r.sweepRefusals()
	if len(s.events) != 4 {
		t.Fatalf("%d of 4: %+v", len(s.events), s.events)
	}
	for i, e := range s.events[:3] {
		if e.FlowID != uint64(64*(i+1)) {
			t.Errorf("event %d is of flow %d: out of order", i, e.FlowID)
		}
	}

	// Not without bound.
	s.broken = true
	many := make([]bpfobj.TcEvent, 512)
	for i := range many {
		many[i] = bpfobj.TcEvent{Kind: ringRefused, Action: 2, Flow: bpfobj.TcFlow{Id: uint64(i)}}
	}
	for range 10 {
		r.take(many)
	}
	s.broken, s.events = false, nil
	r.sweepRefusals()
	if len(s.events) != maxWaiting {
		t.Errorf("%d waited", len(s.events))
	}
}
