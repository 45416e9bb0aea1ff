package inspect

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	alerts        *prometheus.CounterVec // by category
	held, lost    prometheus.Counter
	dropped       prometheus.Counter
	panics        prometheus.Counter
	section       *Section
	rules, queues *prometheus.Desc
	counts        *counts
	left          *prometheus.Desc
	inspected     *prometheus.Desc
}

func newMetrics(r prometheus.Registerer, s *Section) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "ngfw", Subsystem: "ids", Name: name, Help: help})
	}
	m := &metrics{
		section: s, counts: &counts{},
		left: prometheus.NewDesc("ngfw_ids_flows_left_total",
			"Flows that have left the matcher for good, by how: bypassed, whose packets pass; blocked, whose packets are dropped.", []string{"verdict"}, nil),
		inspected: prometheus.NewDesc("ngfw_ids_inspected_bytes_total", "Bytes of TCP streams, each once, that rules have looked at.", nil, nil),
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "ngfw", Subsystem: "ids", Name: "alerts_told_total", Help: "Alerts that were told, by category.",
		}, []string{"category"}),
		held:    counter("alerts_held_total", "Alerts beyond the threshold of their rule and source."),
		lost:    counter("alerts_lost_total", "Alerts that could not be kept."),
		dropped: counter("packets_dropped_total", "Packets that the matcher did not let pass."),
		panics:  counter("flow_panics_total", "Panics that cost a flow its inspection."),
		rules:   prometheus.NewDesc("ngfw_ids_rules", "Rules in force, by category.", []string{"category"}, nil),
		queues: prometheus.NewDesc("ngfw_ids_queue_packets_total",
			"Packets of the matcher's queues, by what became of them: taken; missed, because the socket was full: passed if fail_open; dropped, because the queue or its socket was full; cut; broken.", []string{"queue", "outcome"}, nil),
	}
	if r != nil {
		r.MustRegister(m.alerts, m.held, m.lost, m.dropped, m.panics, m)
	}
	return m
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.rules, m.queues, m.left, m.inspected} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.section.mu.Lock()
	categories, r := m.section.loaded.Categories, m.section.running
	m.section.mu.Unlock()
	for id, n := range categories {
		ch <- prometheus.MustNewConstMetric(m.rules, prometheus.GaugeValue, float64(n), id)
	}
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	count(m.inspected, m.counts.inspected.Load())
	count(m.left, m.counts.bypassed.Load(), "bypassed")
	count(m.left, m.counts.blocked.Load(), "blocked")
	if r == nil {
		return
	}
	for _, q := range r.queues {
		s := q.Stats()
		for outcome, n := range map[string]uint64{
			"taken": s.Packets, "missed": s.Missed, "dropped_queue_full": s.QueueDropped, "dropped_socket_full": s.SocketDropped, "cut": s.Cut, "broken": s.Broken,
		} {
			ch <- prometheus.MustNewConstMetric(m.queues, prometheus.CounterValue, float64(n), q.Name(), outcome)
		}
	}
}
