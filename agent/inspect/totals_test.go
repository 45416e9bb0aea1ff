package inspect

import (
	"context"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"ngfw.sh/config/ids"
	"ngfw.sh/dataplane/ids/traffic"
	"ngfw.sh/dataplane/nfqueue"
)

// What the matcher has met and holds is told by the names that its users know.
func TestTotals(t *testing.T) {
	s, registry := opened(t, &router{}, func(context.Context) error { return nil })
	l, _, err := s.load(t.Context(), document(func(*ids.Document) {}), true)
	if err != nil {
		t.Fatal(err)
	}
	s.cfg.Queues = 1
	r := newRunning(s.cfg, s.deps, s.metrics, ids.Default(), l)
	s.set(func() { s.running = r })
	defer s.set(func() { s.running = nil })
	alerts(r.workers[0].Worker, "hello")
	r.workers[0].Rest()
	got := gathered(t, registry)
	for name, want := range map[string]float64{
		"ngfw_ids_events_total flow_total": 1, "ngfw_ids_holds flow_active": 0, "ngfw_ids_events_total detect_state_evicted": 0, "ngfw_ids_events_total exceptions_panics": 0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", name, v, ok, want)
		}
	}
}

func gathered(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			all[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return all
}

// A rule's mark reaches the packet in the bits that are for others, and leaves ours alone.
func TestMark(t *testing.T) {
	s := section(t, sets{"a": strings.ReplaceAll(trojan, "content:", `nfq_set_mark:0xffffffff/0x0ff000ff; content:`)})
	l, _, err := s.load(t.Context(), document(func(*ids.Document) {}), true)
	if err != nil || len(l.Refused) > 0 {
		t.Fatal(err, l.Refused)
	}
	doc := ids.Default()
	doc.Mode = ids.Prevent
	r := newRunning(s.cfg, s.deps, s.metrics, doc, l)
	defer r.end()
	x := traffic.New()
	c := x.Connect(9000)
	c.Say(0, []byte("abc"))
	c.Say(1, []byte("padding"))
	const ours, others = 0x88200000, 0x00000100
	var marks []uint32
	for _, f := range x.Frames {
		v := r.workers[0].Packet(&nfqueue.Packet{Data: f.Data, Length: len(f.Data), Mark: ours | others})
		if v.Mark != ours|others {
			marks = append(marks, v.Mark)
		}
	}
	if len(marks) == 0 || marks[0] != ours|others|0xff {
		t.Errorf("marks %x", marks)
	}
}
