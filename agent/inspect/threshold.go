package inspect

import (
	"net/netip"
	"time"
)

// threshold counts the alerts of a minute.
type threshold struct {
	minute int64
	told   map[telling]int64
}

// telling is what it counts by.
type telling struct {
	sid    uint32
	source netip.Addr
}

// maxTold bounds what is remembered: who varies his sources begins anew.
const maxTold = 1 << 16

// admit says whether one more is to be told; most 0: all are.
func (t *threshold) admit(most int64, k telling, now time.Time) bool {
	if most == 0 {
		return true
	}
	if minute := now.Unix() / 60; minute != t.minute || len(t.told) > maxTold {
		t.minute, t.told = minute, map[telling]int64{}
	}
	t.told[k]++
	return t.told[k] <= most
}
