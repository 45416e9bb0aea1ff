package resource

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	writes *prometheus.CounterVec // by section and outcome
}

func newMetrics(r prometheus.Registerer) metrics {
	m := metrics{writes: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ngfw_cloud_config_writes_total",
		Help: "Configuration writes by section and outcome: stored, unchanged, refused, stale, failed.",
	}, []string{"section", "outcome"})}
	if r != nil {
		r.MustRegister(m.writes)
	}
	return m
}
