package inspect

import (
	"net/netip"
	"testing"
	"time"
)

func TestThreshold(t *testing.T) {
	var th threshold
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	now := time.Unix(1_700_000_000, 0)
	count := func(most int64) (told int) {
		for range 5 {
			for _, from := range []netip.Addr{a, b} {
				if th.admit(most, telling{1, from}, now) {
					told++
				}
			}
		}
		return told
	}
	if n := count(2); n != 4 {
		t.Errorf("%d alerts were told, want 2 of each source", n)
	}
	if n := count(2); n != 0 {
		t.Errorf("%d more in the same minute", n)
	}
	now = now.Add(time.Minute)
	if n := count(2); n != 4 {
		t.Errorf("%d in the next minute", n)
	}
	if n := count(0); n != 10 {
		t.Errorf("%d of 10 without a threshold", n)
	}
	for i := range 3 * maxTold {
		th.admit(2, telling{uint32(i), a}, now)
	}
	if n := len(th.told); n > maxTold+1 {
		t.Errorf("%d are remembered", n)
	}
}
