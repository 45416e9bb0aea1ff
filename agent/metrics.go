package agent

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"ngfw.sh/dataplane/netfilter"
)

// newRegistry has what the process itself takes in it.
func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// collector shows the packet programs' counters to Prometheus, read when asked.
type collector struct{ *Agent }

var (
	packetsDesc  = prometheus.NewDesc("ngfw_packets_total", "Packets judged, as on the wire.", nil, nil)
	bytesDesc    = prometheus.NewDesc("ngfw_bytes_total", "IP bytes judged.", nil, nil)
	dropsDesc    = prometheus.NewDesc("ngfw_drops_total", "Packets dropped by the packet programs.", []string{"reason"}, nil)
	backstopDesc = prometheus.NewDesc("ngfw_backstop_drops_total", "Packets dropped by the nftables table since it was loaded.", []string{"reason"}, nil)
	rulePackets  = prometheus.NewDesc("ngfw_rule_packets_total", "Packets of flows that the rule decided, both directions.", []string{"rule_id"}, nil)
	ruleBytes    = prometheus.NewDesc("ngfw_rule_bytes_total", "IP bytes of flows that the rule decided, both directions.", []string{"rule_id"}, nil)
	natPackets   = prometheus.NewDesc("ngfw_nat_packets_total", "Packets of flows that the NAT rule translated, both directions.", []string{"rule_id"}, nil)
	natBytes     = prometheus.NewDesc("ngfw_nat_bytes_total", "IP bytes of flows that the NAT rule translated, both directions.", []string{"rule_id"}, nil)
	flowsDesc    = prometheus.NewDesc("ngfw_flows", "Flows in the table at the last scan.", nil, nil)
	openedDesc   = prometheus.NewDesc("ngfw_flows_opened_total", "Flows accepted.", nil, nil)
	adoptedDesc  = prometheus.NewDesc("ngfw_flows_adopted_total", "Flows taken over from conntrack.", nil, nil)
	rejudgedDesc = prometheus.NewDesc("ngfw_flows_rejudged_total", "Flows judged again after a policy change.", nil, nil)
	lostDesc     = prometheus.NewDesc("ngfw_flow_events_lost_total", "Flow events that the ring had no room for; scans make up for all but refusals.", nil, nil)
	revisionDesc = prometheus.NewDesc("ngfw_policy_revision", "Revision of the enforced policy, 0: none.", nil, nil)
	restoredDesc = prometheus.NewDesc("ngfw_nftables_restored_total", "Times that somebody else changed our nftables table and it was loaded again.", nil, nil)
	fastPackets  = prometheus.NewDesc("ngfw_fastpath_packets_total", "Packets of those judged that passed by the kernel's stack.", nil, nil)
	fastBytes    = prometheus.NewDesc("ngfw_fastpath_bytes_total", "IP bytes of those judged that passed by the kernel's stack.", nil, nil)
	fastLearned  = prometheus.NewDesc("ngfw_fastpath_learned_total", "Directions of flows that took to the fast path.", nil, nil)
	fastFull     = prometheus.NewDesc("ngfw_fastpath_full_total", "Times that the fast path had no room for a flow, which then went the long way.", nil, nil)
	listPackets  = prometheus.NewDesc("ngfw_drop_list_packets_total", "Packets dropped because of the list.", []string{"list"}, nil)
	listBytes    = prometheus.NewDesc("ngfw_drop_list_bytes_total", "IP bytes dropped because of the list.", []string{"list"}, nil)
	listPrefixes = prometheus.NewDesc("ngfw_drop_list_prefixes", "Prefixes of the list in force.", []string{"list"}, nil)
	listAge      = prometheus.NewDesc("ngfw_drop_list_age_seconds", "Time since the list's server last confirmed what is in force.", []string{"list"}, nil)
	listFailed   = prometheus.NewDesc("ngfw_drop_list_failed", "1: the list is not as its source, and what it held before is in force.", []string{"list"}, nil)
	guardDrops   = prometheus.NewDesc("ngfw_guard_drops_total", "Packets dropped by flood guards, by the zone they came from; none: every zone without guards of its own.", []string{"guard", "zone"}, nil)
	listsMemory  = prometheus.NewDesc("ngfw_drop_lists_memory_bytes", "Kernel memory of the table of all drop lists.", nil, nil)
	failuresDesc = prometheus.NewDesc("ngfw_conntrack_failures_total", "Packets and flows that conntrack gave up: no_port (none is left for a translation), table_full, evicted.", []string{"kind"}, nil)
	brokenDesc   = prometheus.NewDesc("ngfw_dataplane_faults_total", "Things that must not happen in the packet programs.", []string{"kind"}, nil)
)

func (c *collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64) { ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	stats, err := c.dataplane.Stats()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(packetsDesc, err)
		return
	}
	counter(packetsDesc, stats.Packets)
	counter(bytesDesc, stats.Bytes)
	counter(openedDesc, stats.FlowsOpened)
	counter(adoptedDesc, stats.Adopted)
	counter(rejudgedDesc, stats.Rejudged)
	counter(lostDesc, stats.EventsLost)
	counter(fastPackets, stats.FastPackets)
	counter(fastBytes, stats.FastBytes)
	counter(fastLearned, stats.FastLearned)
	counter(fastFull, stats.FastFull)
	counter(brokenDesc, stats.NoCounter, "no_counter")
	counter(brokenDesc, stats.LearnFailed, "learn_failed")
	counter(restoredDesc, c.firewall.Restored())
	gauge(flowsDesc, float64(c.flows.Flows()))
	gauge(revisionDesc, float64(c.firewall.Version()))
	drops, err := c.dataplane.Drops()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(dropsDesc, err)
		return
	}
	for reason, n := range drops {
		counter(dropsDesc, n.Packets, reason.String())
	}
	lists, err := c.dataplane.Lists()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(listPackets, err)
		return
	}
	states, table := c.feed.States()
	for _, l := range states {
		counter(listPackets, lists[l.Name].Packets, l.Name)
		counter(listBytes, lists[l.Name].Bytes, l.Name)
		ch <- prometheus.MustNewConstMetric(listPrefixes, prometheus.GaugeValue, float64(l.Prefixes), l.Name)
		failed := 0.0
		if l.Error != "" {
			failed = 1
		}
		ch <- prometheus.MustNewConstMetric(listFailed, prometheus.GaugeValue, failed, l.Name)
		if !l.Confirmed.IsZero() {
			ch <- prometheus.MustNewConstMetric(listAge, prometheus.GaugeValue, time.Since(l.Confirmed).Seconds(), l.Name)
		}
	}
	guards, err := c.dataplane.GuardDrops()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(guardDrops, err)
		return
	}
	for guard, zones := range guards {
		for zone, n := range zones {
			counter(guardDrops, n.Packets, guard, zone)
		}
	}
	gauge(listsMemory, float64(table.Bytes))
	backstop, err := netfilter.Drops()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(backstopDesc, err)
		return
	}
	for reason, n := range backstop {
		counter(backstopDesc, n, reason)
	}
	failures, err := netfilter.Failures()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(failuresDesc, err)
		return
	}
	for kind, n := range failures {
		counter(failuresDesc, n, kind)
	}
	rules, err := c.hits.Counts()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(rulePackets, err)
		return
	}
	for id, n := range rules {
		if id < 0 {
			counter(natPackets, n.Packets, strconv.FormatInt(-id, 10))
			counter(natBytes, n.Bytes, strconv.FormatInt(-id, 10))
			continue
		}
		counter(rulePackets, n.Packets, strconv.FormatInt(id, 10))
		counter(ruleBytes, n.Bytes, strconv.FormatInt(id, 10))
	}
}
