package system

import (
	"math"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// counter follows one rule's absolute counts. A router that restarts may report
// less than before: it writes its counters to disk only now and then, and a
// replaced one starts at nothing. What it has lost stays counted here, in
// lost, so the sum never goes down and every new packet adds to it at once.
type counter struct {
	Hits      int64 `json:"hits"`  // as last reported
	Bytes     int64 `json:"bytes"` // as last reported
	LostHits  int64 `json:"lost_hits,omitempty"`
	LostBytes int64 `json:"lost_bytes,omitempty"`
	LastHit   int64 `json:"last_hit,omitempty"`
}

func (c counter) add(n *ngfwv1.RuleCounter) counter {
	c.LostHits = lost(c.LostHits, c.Hits, n.GetHits())
	c.LostBytes = lost(c.LostBytes, c.Bytes, n.GetHitBytes())
	c.Hits, c.Bytes = n.GetHits(), n.GetHitBytes()
	c.LastHit = max(c.LastHit, n.GetLastHit())
	return c
}

// lost is what of counts stays counted besides the present ones. With them it is at
// most what an int64 holds, whatever a router says.
func lost(before, counted, now int64) int64 {
	return min(before+max(0, counted-now), math.MaxInt64-now)
}

// Rules and NAT rules have ids of their own: those of NAT rules are kept negative.
const (
	ofRules = 1
	ofNAT   = -1
)

// count takes reported counters and returns how many it did not take: those
// that mean nothing, and new ones beyond limit.
func (d *report) count(sign int64, rules []*ngfwv1.RuleCounter, limit int) (refused int) {
	for _, n := range rules {
		key := sign * n.GetRuleId()
		have, known := d.counters[key]
		if n.GetRuleId() <= 0 || n.GetHits() < 0 || n.GetHitBytes() < 0 || !known && len(d.counters) >= limit {
			refused++
			continue
		}
		d.counters[key] = have.add(n)
	}
	return refused
}

func (d *report) ruleCounters(sign int64) map[int64]*ngfwv1.RuleCounter {
	out := make(map[int64]*ngfwv1.RuleCounter, len(d.counters))
	for key, c := range d.counters {
		id := sign * key
		if id <= 0 {
			continue
		}
		out[id] = &ngfwv1.RuleCounter{RuleId: id, Hits: c.Hits + c.LostHits, HitBytes: c.Bytes + c.LostBytes, LastHit: c.LastHit}
	}
	return out
}

// withoutRules is m less the counters, which are kept on their own.
func withoutRules(m *ngfwv1.Metrics) *ngfwv1.Metrics {
	return &ngfwv1.Metrics{
		Timestamp: m.GetTimestamp(), Cpu: m.GetCpu(), Memory: m.GetMemory(), Temperature: m.Temperature,
		Interfaces: m.GetInterfaces(), Connections: m.GetConnections(), Dns: m.GetDns(), Dataplane: m.GetDataplane(), Qos: m.GetQos(),
	}
}
