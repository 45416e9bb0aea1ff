package link

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	connected  prometheus.Gauge
	reconnects prometheus.Counter
	refused    prometheus.Counter
	sent       prometheus.Counter
	acked      prometheus.Counter
	lag        prometheus.Histogram
	changes    *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		connected:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "ngfw_link_connected", Help: "1 while the cloud has accepted this router."}),
		reconnects: prometheus.NewCounter(prometheus.CounterOpts{Name: "ngfw_link_reconnects_total", Help: "Attempts to connect after the first."}),
		refused:    prometheus.NewCounter(prometheus.CounterOpts{Name: "ngfw_link_refused_total", Help: "Connections that the cloud refused or ended for the device key."}),
		sent:       prometheus.NewCounter(prometheus.CounterOpts{Name: "ngfw_link_batches_sent_total", Help: "Flow batches sent, repeated ones included."}),
		acked:      prometheus.NewCounter(prometheus.CounterOpts{Name: "ngfw_link_batches_acked_total", Help: "Flow batches that the cloud has stored."}),
		lag: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "ngfw_link_batch_lag_seconds", Help: "From a batch being closed to its acknowledgement.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 600, 3600}}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ngfw_link_config_changes_total", Help: "Changes that the cloud asked for, by outcome."}, []string{"outcome"}),
	}
	for _, c := range []prometheus.Collector{m.connected, m.reconnects, m.refused, m.sent, m.acked, m.lag, m.changes} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register link metrics: %w", err)
		}
	}
	return m, nil
}
