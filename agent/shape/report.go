package shape

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"ngfw.sh/dataplane/qos"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Statistics are those of all queues; an unreadable one is logged.
func (s *Section) Statistics() []qos.Statistic {
	list, err := s.deps.Kernel.Statistics()
	if err != nil {
		s.deps.Log.Warn("queues unreadable", "err", err)
	}
	return list
}

// Report is what the cloud is told: the link stage.
func (s *Section) Report() []*ngfwv1.QosCounter {
	var out []*ngfwv1.QosCounter
	for _, st := range s.Statistics() {
		if st.Device != (qos.MAC{}) {
			continue
		}
		out = append(out, &ngfwv1.QosCounter{
			ClassId: st.ClassID, Interface: st.Interface, Direction: direction(st.Upload),
			Packets: int64(st.Packets), Bytes: int64(st.Bytes), Dropped: int64(st.Dropped), Backlog: int64(st.Backlog), Queue: string(st.Queue), Marked: int64(st.Marked),
		})
	}
	return out
}

func direction(upload bool) string {
	if upload {
		return "upload"
	}
	return "download"
}

// collector shows the queues to Prometheus, read when asked. Devices are no labels:
// who is in the network is nobody's business there.
type collector struct{ *Section }

var (
	packetsDesc = prometheus.NewDesc("ngfw_qos_packets_total", "Packets that a class's queue has sent.", []string{"class_id", "interface", "direction"}, nil)
	bytesDesc   = prometheus.NewDesc("ngfw_qos_bytes_total", "Bytes of frames that a class's queue has sent.", []string{"class_id", "interface", "direction"}, nil)
	droppedDesc = prometheus.NewDesc("ngfw_qos_dropped_total", "Packets that a class's queue has dropped.", []string{"class_id", "interface", "direction"}, nil)
	markedDesc  = prometheus.NewDesc("ngfw_qos_marked_total", "Packets that a class's queue has let pass with a mark for congestion (ECN).", []string{"class_id", "interface", "direction"}, nil)
	backlogDesc = prometheus.NewDesc("ngfw_qos_backlog_bytes", "Bytes that wait in a class's queue.", []string{"class_id", "interface", "direction"}, nil)
	onDesc      = prometheus.NewDesc("ngfw_qos_enabled", "Whether traffic is shaped.", nil, nil)
)

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{packetsDesc, bytesDesc, droppedDesc, markedDesc, backlogDesc, onDesc} {
		ch <- d
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	on := 0.0
	if c.doc.Enabled {
		on = 1
	}
	c.mu.Unlock()
	ch <- prometheus.MustNewConstMetric(onDesc, prometheus.GaugeValue, on)
	for _, q := range c.Report() {
		labels := []string{strconv.FormatInt(q.ClassId, 10), q.Interface, q.Direction}
		for d, v := range map[*prometheus.Desc]int64{packetsDesc: q.Packets, bytesDesc: q.Bytes, droppedDesc: q.Dropped, markedDesc: q.Marked} {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
		}
		ch <- prometheus.MustNewConstMetric(backlogDesc, prometheus.GaugeValue, float64(q.Backlog), labels...)
	}
}
