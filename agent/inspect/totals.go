package inspect

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	matcher "ngfw.sh/dataplane/ids"
)

// totals are a worker's own counters, as it last told them: others may read them while it
// works.
type totals struct {
	last atomic.Pointer[map[string]uint64]
	at   time.Time // of the worker's goroutine alone
	seen uint
}

// tellInterval is how old they may be.
const tellInterval = time.Second

// tell notes the counters from time to time: at rest, or after many packets without.
func (t *totals) tell(w *matcher.Worker, rest bool) {
	if t.seen++; !rest && t.seen%1024 != 0 {
		return
	}
	if now := time.Now(); now.Sub(t.at) >= tellInterval {
		t.at = now
		s := w.Stats()
		t.last.Store(&s)
	}
}

// matcherTotals are the sums over the workers of a section.
type matcherTotals struct {
	section       *Section
	events, gauge *prometheus.Desc
}

// gauges are the names that are no counts of events.
var gauges = map[string]bool{"flow.active": true, "tcp.reassembly_memuse": true, "defrag.memuse": true}

func newTotals(r prometheus.Registerer, s *Section) {
	m := &matcherTotals{
		section: s,
		events:  prometheus.NewDesc("ngfw_ids_events_total", "What the matcher has met since it was started, under Suricata's names for it; evictions and refusals for want of memory among it.", []string{"event"}, nil),
		gauge:   prometheus.NewDesc("ngfw_ids_holds", "What the matcher holds at the moment.", []string{"what"}, nil),
	}
	if r != nil {
		r.MustRegister(m)
	}
}

// Describe implements prometheus.Collector.
func (m *matcherTotals) Describe(ch chan<- *prometheus.Desc) { ch <- m.events; ch <- m.gauge }

// Collect implements prometheus.Collector.
func (m *matcherTotals) Collect(ch chan<- prometheus.Metric) {
	m.section.mu.Lock()
	r := m.section.running
	m.section.mu.Unlock()
	if r == nil {
		return
	}
	sums := map[string]uint64{}
	for _, w := range r.workers {
		if last := w.last.Load(); last != nil {
			for name, n := range *last {
				sums[name] += n
			}
		}
	}
	// What workers share counts once.
	c := &r.engine.State().Counters
	sums["detect.state_evicted"], sums["detect.dataset_refused"] = c.Evicted.Load(), c.Refused.Load()
	sums["detect.pcre_limited"], sums["detect.alerts_beyond_max"] = c.Limited.Load(), c.Dropped.Load()
	for name, n := range sums {
		label := strings.ReplaceAll(name, ".", "_")
		if gauges[name] {
			ch <- prometheus.MustNewConstMetric(m.gauge, prometheus.GaugeValue, float64(n), label)
		} else {
			ch <- prometheus.MustNewConstMetric(m.events, prometheus.CounterValue, float64(n), label)
		}
	}
}
