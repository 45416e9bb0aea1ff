package spool

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics reads Stats when it is scraped.
type metrics struct {
	spool      *Spool
	registerer prometheus.Registerer
}

var (
	descBytes   = prometheus.NewDesc("ngfw_spool_bytes", "Bytes of the spool on disk.", nil, nil)
	descBatches = prometheus.NewDesc("ngfw_spool_batches", "Flow batches that wait for the cloud's acknowledgement.", nil, nil)
	descMemory  = prometheus.NewDesc("ngfw_spool_memory_bytes", "Bytes of batches that the disk has not taken.", nil, nil)
	descDropped = prometheus.NewDesc("ngfw_spool_dropped_batches_total", "Flow batches lost because the spool was full.", nil, nil)
	descRows    = prometheus.NewDesc("ngfw_spool_dropped_rows_total", "Flow events lost because the spool was full.", nil, nil)
	descDamaged = prometheus.NewDesc("ngfw_spool_damaged_total", "Places in the spool that could not be read back.", nil, nil)
	descFlows   = prometheus.NewDesc("ngfw_spool_flows", "Flows whose told totals are kept.", nil, nil)
	descFailing = prometheus.NewDesc("ngfw_spool_write_failing", "1 while the disk refuses writes.", nil, nil)
)

func newMetrics(s *Spool, r prometheus.Registerer) (*metrics, error) {
	m := &metrics{spool: s, registerer: r}
	if err := r.Register(m); err != nil {
		return nil, fmt.Errorf("register spool metrics: %w", err)
	}
	return m, nil
}

func (m *metrics) unregister() { m.registerer.Unregister(m) }

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descBytes, descBatches, descMemory, descDropped, descRows, descDamaged, descFlows, descFailing} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	st := m.spool.Stats()
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	counter := func(d *prometheus.Desc, v uint64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	gauge(descBytes, float64(st.Bytes))
	gauge(descBatches, float64(st.Batches))
	gauge(descMemory, float64(st.MemoryBytes))
	counter(descDropped, st.DroppedBatches)
	counter(descRows, st.DroppedRows)
	counter(descDamaged, st.Damaged)
	gauge(descFlows, float64(st.Flows))
	failing := 0.0
	if st.Error != "" {
		failing = 1
	}
	gauge(descFailing, failing)
}
