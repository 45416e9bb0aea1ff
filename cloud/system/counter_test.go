package system

import (
	"math"
	"testing"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Whatever a router says, hits never go down.
func TestCountersDoNotOverflow(t *testing.T) {
	d := &report{counters: map[int64]counter{}}
	last := int64(0)
	for i, hits := range []int64{-1, 5, math.MaxInt64, 7, math.MaxInt64, 0, 3, math.MaxInt64} {
		refused := d.count(ofRules, []*ngfwv1.RuleCounter{{RuleId: 1, Hits: hits, HitBytes: hits}}, 10)
		if (refused == 1) != (hits < 0) {
			t.Errorf("report %d: %d refused", i, refused)
		}
		c := d.ruleCounters(ofRules)[1]
		if c.GetHits() < last || c.GetHitBytes() < last {
			t.Errorf("report %d: from %d to %d hits, %d bytes", i, last, c.GetHits(), c.GetHitBytes())
		}
		last = c.GetHits()
	}
}
