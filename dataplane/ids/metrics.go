package ids

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the engine's.
type Metrics struct {
	alerts, dropped, panics prometheus.Counter
}

// NewMetrics registers them; nil: nowhere.
func NewMetrics(r prometheus.Registerer) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "ngfw", Subsystem: "ids", Name: name, Help: help})
		if r != nil {
			r.MustRegister(c)
		}
		return c
	}
	return &Metrics{
		alerts:  counter("alerts_total", "Matches that were told."),
		dropped: counter("dropped_total", "Packets dropped inline."),
		panics:  counter("panics_total", "Panics that cost a flow its inspection."),
	}
}
