package devicelink

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	connected prometheus.Gauge
	replaced  prometheus.Counter
	auth      *prometheus.CounterVec
	messages  *prometheus.CounterVec
	batches   *prometheus.CounterVec
	rows      prometheus.Counter
	store     prometheus.Histogram
	configs   *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	counters := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	m := &metrics{
		connected: prometheus.NewGauge(prometheus.GaugeOpts{Name: "ngfw_devicelink_connected", Help: "Routers that are connected to this process."}),
		replaced:  prometheus.NewCounter(prometheus.CounterOpts{Name: "ngfw_devicelink_replaced_total", Help: "Connections that a newer one of the same router replaced."}),
		auth:      counters("ngfw_devicelink_auth_total", "Authentications of routers: accepted, refused, silent, limited, trouble.", "outcome"),
		messages:  counters("ngfw_devicelink_messages_total", "Messages from authenticated routers.", "type"),
		batches:   counters("ngfw_devicelink_batches_total", "Flow batches: stored, duplicate, refused, retried.", "outcome"),
		rows:      prometheus.NewCounter(prometheus.CounterOpts{Name: "ngfw_devicelink_rows_total", Help: "Flow events in stored batches."}),
		store: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "ngfw_devicelink_store_seconds", Help: "Time that a flow batch took to become durable.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}),
		configs: counters("ngfw_devicelink_config_total", "Answers to configuration pushes: applied, failed.", "outcome"),
	}
	for _, c := range []prometheus.Collector{m.connected, m.replaced, m.auth, m.messages, m.batches, m.rows, m.store, m.configs} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register devicelink metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) message(kind string) {
	if kind == "" {
		kind = "unknown"
	}
	m.messages.WithLabelValues(kind).Inc()
}
