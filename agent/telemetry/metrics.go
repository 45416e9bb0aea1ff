package telemetry

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics is what the collector counts of itself. What the kernel counts is
// exported by Collect from the newest sample.
type metrics struct {
	failures *prometheus.CounterVec
	duration prometheus.Histogram
}

func newMetrics(c *Collector, r prometheus.Registerer) metrics {
	m := metrics{
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ngfw_telemetry_failures_total", Help: "Sources of telemetry that could not be read.",
		}, []string{"source"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ngfw_telemetry_sample_duration_seconds", Help: "Time to read all sources once.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8),
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "ngfw_build_info", Help: "1; the labels name the build.",
		ConstLabels: prometheus.Labels{"version": c.cfg.Version, "goversion": runtime.Version()},
	})
	build.Set(1)
	if r != nil {
		r.MustRegister(m.failures, m.duration, build, c)
	}
	return m
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("ngfw_"+name, help, labels, nil)
}

var (
	descUptime      = desc("system_uptime_seconds", "Time since the machine started.")
	descCPU         = desc("system_cpu_usage_ratio", "Busy part of all processors between the two newest samples, 0 to 1.")
	descMemTotal    = desc("system_memory_total_bytes", "Memory of the machine.")
	descMemFree     = desc("system_memory_available_bytes", "Memory that programs could have without swapping.")
	descLoad        = desc("system_load", "Mean number of runnable processes.", "minutes")
	descTemperature = desc("system_temperature_celsius", "Temperature of the processor, else of the hottest sensor.")
	descConntrack   = desc("conntrack_entries", "Entries of the connection table.")
	descConnMax     = desc("conntrack_entries_limit", "Entries that the connection table may hold.")
	descConnProto   = desc("conntrack_protocol_entries", "Entries of the connection table by protocol, at the last walk.", "protocol")
	descUp          = desc("interface_up", "1: up, 0: down or unknown.", "interface")
	descBytes       = desc("interface_bytes_total", "Bytes, as the interface counts them.", "interface", "direction")
	descPackets     = desc("interface_packets_total", "Packets, as the interface counts them.", "interface", "direction")
	descErrors      = desc("interface_errors_total", "Packets that the interface could not receive or send.", "interface", "direction")
	descDropped     = desc("interface_dropped_total", "Packets that the interface dropped.", "interface", "direction")
)

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descUptime, descCPU, descMemTotal, descMemFree, descLoad, descTemperature, descConntrack, descConnMax, descConnProto,
		descUp, descBytes, descPackets, descErrors, descDropped,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	s := c.current()
	emit := func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, t, v, labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) { emit(d, prometheus.GaugeValue, v, labels...) }
	gauge(descUptime, s.uptime.Seconds())
	gauge(descCPU, s.cpuUsage)
	gauge(descMemTotal, float64(s.memory.total))
	gauge(descMemFree, float64(s.memory.available))
	for i, minutes := range []string{"1", "5", "15"} {
		gauge(descLoad, s.load[i], minutes)
	}
	if s.temperature != nil {
		gauge(descTemperature, *s.temperature)
	}
	gauge(descConntrack, float64(s.connections))
	if s.maximum > 0 {
		gauge(descConnMax, float64(s.maximum))
	}
	if p := c.split.Load(); p != nil {
		gauge(descConnProto, float64(p.TCP), "tcp")
		gauge(descConnProto, float64(p.UDP), "udp")
		gauge(descConnProto, float64(p.Other), "other")
	}
	for _, l := range s.links {
		up := 0.0
		if l.State == Up {
			up = 1
		}
		gauge(descUp, up, l.Name)
		for direction, t := range map[string]Traffic{"received": l.Received, "sent": l.Sent} {
			emit(descBytes, prometheus.CounterValue, float64(t.Bytes), l.Name, direction)
			emit(descPackets, prometheus.CounterValue, float64(t.Packets), l.Name, direction)
			emit(descErrors, prometheus.CounterValue, float64(t.Errors), l.Name, direction)
			emit(descDropped, prometheus.CounterValue, float64(t.Dropped), l.Name, direction)
		}
	}
}
