package analytics

import (
	"fmt"
	"testing"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// A router that opens ever new epochs, with rows that are none, leaves no trace of each.
func TestEpochsThatStoreNothingAreForgotten(t *testing.T) {
	d := &device{stored: map[string]uint64{"s": 7}, shown: map[string]uint64{}}
	show := func(epoch string, number uint64) (shown bool) {
		d.show(&ngfwv1.FlowBatch{Epoch: epoch, Number: number}, func() { shown = true })
		return shown
	}
	show("s", 7)
	show("waits", 3)
	d.forget()
	if len(d.shown) != 1 || show("waits", 3) || !show("waits", 4) {
		t.Errorf("%v: one is not stored, and not to be shown again", d.shown)
	}
	for i := range mostShown {
		show(fmt.Sprint("e", i), 1)
	}
	d.forget()
	if len(d.shown) != 0 {
		t.Errorf("%d epochs are remembered", len(d.shown))
	}
}
