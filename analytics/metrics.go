package analytics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts everything that moves. No organisation, device or address is
// ever a label.
type metrics struct {
	batches, duplicates       prometheus.Counter
	rows                      *prometheus.CounterVec
	clamped, shifted          prometheus.Counter
	insertErrors              prometheus.Counter
	rejected                  *prometheus.CounterVec
	insertSeconds, lagSeconds prometheus.Histogram
	querySeconds              *prometheus.HistogramVec
	subscribers               prometheus.Gauge
	dropped, gaps             prometheus.Counter
	recalled                  *prometheus.CounterVec
}

func newMetrics(db *DB, reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "ngfw_analytics_" + name, Help: help})
	}
	m := &metrics{
		batches:      counter("batches_total", "Batches stored."),
		duplicates:   counter("duplicate_batches_total", "Batches that were stored already and only acknowledged."),
		clamped:      counter("clamped_rows_total", "Rows with a time in the future, set to five minutes from now."),
		shifted:      counter("shifted_rows_total", "Rows stamped before the router's clock was set, moved to now."),
		insertErrors: counter("insert_errors_total", "Inserts that failed; their batches come again."),
		dropped:      counter("stream_dropped_total", "Rows that readers of live streams were too slow for."),
		gaps:         counter("stream_gaps_total", "Resumed live streams whose missing rows were not kept."),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ngfw_analytics_rows_total", Help: "Rows stored, by table.",
		}, []string{"table"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ngfw_analytics_rejected_rows_total", Help: "Rows set aside, by what was wrong with them.",
		}, []string{"reason"}),
		insertSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ngfw_analytics_insert_seconds", Help: "Duration of inserts.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
		lagSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ngfw_analytics_ingest_lag_seconds", Help: "Age, by the router's clock, of the newest row that an insert has of a router, when it is stored.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400},
		}),
		querySeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ngfw_analytics_query_seconds", Help: "Duration of queries, by kind.",
			Buckets: []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15},
		}, []string{"kind"}),
		subscribers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ngfw_analytics_stream_readers", Help: "Readers of live streams.",
		}),
	}
	m.recalled = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ngfw_analytics_recalled_total", Help: "Parts of questions about rows and roll-ups, by whether their answer was remembered.",
	}, []string{"remembered"})
	for _, answer := range []string{"yes", "no"} {
		m.recalled.WithLabelValues(answer)
	}
	for _, t := range tables {
		m.rows.WithLabelValues(t.name) // there from the start, with 0
	}
	if reg == nil {
		return m
	}
	reg.MustRegister(
		m.batches, m.rows, m.duplicates, m.clamped, m.shifted, m.insertErrors, m.dropped, m.gaps,
		m.rejected, m.insertSeconds, m.lagSeconds, m.querySeconds, m.subscribers, m.recalled, newStored(db),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "ngfw_analytics_engine_restarts_total", Help: "Starts of the embedded engine after the first.",
		}, func() float64 { return float64(db.EngineRestarts()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ngfw_analytics_up", Help: "1 while the database can be used.",
		}, func() float64 {
			if db.down() != nil {
				return 0
			}
			return 1
		}),
	)
	return m
}

func (m *metrics) inserted(t *table, batches, rows int, took time.Duration) {
	m.batches.Add(float64(batches))
	m.rows.WithLabelValues(t.name).Add(float64(rows))
	m.insertSeconds.Observe(took.Seconds())
}

// query observes a query of a kind that began at a time of the wall clock.
func (m *metrics) query(kind string, begun time.Time) {
	m.querySeconds.WithLabelValues(kind).Observe(time.Since(begun).Seconds())
}
