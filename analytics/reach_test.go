package analytics

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Where a page was found the last time is a guess: whatever came since, however
// unevenly and late, pages are those of all rows, in their order. Batches here lie
// over midnights, under the day of their newest row.
func TestPagesAreWholeWhereverTheyLie(t *testing.T) {
	db := openTest(t, nil)
	rnd := rand.New(rand.NewPCG(5, 6))
	now := time.Now().Truncate(time.Second)
	ages := []time.Duration{time.Minute, 20 * time.Minute, 7 * time.Hour, 3 * 24 * time.Hour}
	var stored []*ngfwv1.FlowEvent
	number := uint64(0)
	add := func(n int) {
		var events []*ngfwv1.FlowEvent
		for range n {
			at := now.Add(-time.Duration(rnd.Int64N(int64(ages[rnd.IntN(len(ages))]))))
			events = append(events, flow(at.Truncate(time.Microsecond), func(e *ngfwv1.FlowEvent) { e.DestinationPort = uint32(80 + rnd.IntN(3)) }))
		}
		number++
		store(t, db, org, batch("e", number, events...))
		stored = append(stored, events...)
	}
	// The times of a port's rows, newest first; 0: of all.
	timesOf := func(port uint32) (out []float64) {
		for _, e := range stored {
			if port == 0 || e.DestinationPort == port {
				out = append(out, float64(e.TimeNs/1000)/1e6)
			}
		}
		slices.Sort(out)
		slices.Reverse(out)
		return out
	}
	add(30)
	for round := range 6 {
		for _, port := range []uint32{0, 80, 443} { // the last has none until it has
			r := &ngfwv1.LogsRequest{Limit: new(int32(7 + 9*int32(round%2)))}
			if port != 0 {
				r.Port = []string{strconv.Itoa(int(port))}
			}
			var got []float64
			for {
				page := ask(t, db, org.OrgID, r)
				for _, e := range page.Logs {
					got = append(got, e.Timestamp)
				}
				if want := int64(len(timesOf(port))); page.Total != want {
					t.Errorf("round %d, port %d: a total of %d, want %d", round, port, page.Total, want)
				}
				if page.NextCursor == nil {
					break
				}
				r.Cursor = *page.NextCursor
			}
			if d := cmp.Diff(timesOf(port), got); d != "" {
				t.Fatalf("round %d, port %d (-stored +pages)\n%s", round, port, d)
			}
		}
		add(10 + 40*(round%2))
		if round == 2 {
			late := flow(now.Add(-2*24*time.Hour), func(e *ngfwv1.FlowEvent) { e.DestinationPort = 443 })
			number++
			store(t, db, org, batch("e", number, late))
			stored = append(stored, late)
		}
	}
}
