package system

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	online   prometheus.Gauge
	received *prometheus.CounterVec // by kind
	refused  prometheus.Counter
}

func newMetrics(r prometheus.Registerer) metrics {
	m := metrics{
		online: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ngfw_cloud_devices_online", Help: "Routers with an open connection.",
		}),
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ngfw_cloud_reports_total", Help: "Reports of routers by kind.",
		}, []string{"kind"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ngfw_cloud_rule_counters_refused_total", Help: "Reported rule counters that meant nothing or were beyond the limit per device.",
		}),
	}
	if r != nil {
		r.MustRegister(m.online, m.received, m.refused)
	}
	return m
}
