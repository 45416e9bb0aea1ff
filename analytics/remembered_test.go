package analytics

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// TestRememberedIsTrue asks the same again and again while rows of all times come
// in: what is remembered is what rows say.
func TestRememberedIsTrue(t *testing.T) {
	clock := newTestClock()
	now := clock.now().Truncate(time.Hour).Add(13 * time.Second) // rows of its first minutes lie on both sides of the hour
	clock.set(now)
	db := openTest(t, func(_ *Config, d *Deps) { d.Now = clock.now })
	if db.remembered == nil {
		t.Skip("nothing is remembered of a server")
	}
	rnd := rand.New(rand.NewPCG(7, 8))
	var asked, recalled int
	find := func() int { return db.remembered.recent.Len() }
	for n := range uint64(4) {
		var events []*ngfwv1.FlowEvent
		for range 40 {
			at := now.Add(-time.Duration(rnd.Int64N(int64(30 * time.Hour))))
			if n%2 == 1 {
				at = clock.now().Add(-time.Duration(rnd.Int64N(int64(time.Minute))))
			}
			events = append(events, flow(at, assorted(rnd)))
		}
		store(t, db, Origin{org.OrgID, org.DeviceID, 40}, batch("e", n+1, events...))
		for range 2 {
			before := find()
			rollupsEqualRows(t, db, 0, &ngfwv1.TopRequest{Period: "24h"}, "5m", Rollup)
			asked++
			if find() == before {
				recalled++
			}
		}
		for _, r := range []*ngfwv1.LogsRequest{{}, {App: []string{"tls"}}, {Src: []string{"192.168.1.2"}}, {Dst: []string{"203.0.113.0/24"}}, {Dst: []string{"203.0.112.0/24"}}} {
			for range 2 {
				got := ask(t, db, org.OrgID, r)
				exact := proto.CloneOf(r)
				exact.Count = "exact"
				if all := ask(t, db, org.OrgID, exact); got.Total != all.Total {
					t.Errorf("%v: total %d, counted %d", r, got.Total, all.Total)
				}
				if p := rowsThat(t, db, r); p != got.Total {
					t.Errorf("%v: total %d, want %d", r, got.Total, p)
				}
			}
		}
		clock.set(clock.now().Add(time.Duration(rnd.Int64N(int64(time.Minute)))))
	}
	if recalled == 0 {
		t.Errorf("nothing was remembered in %d questions", asked)
	}
}

// rowsThat counts rows by the database's own sum over all pages.
func rowsThat(t *testing.T, db *DB, r *ngfwv1.LogsRequest) int64 {
	t.Helper()
	q, err := ParseLogs(r)
	if err != nil {
		t.Fatal(err)
	}
	n, err := total(t.Context(), db, scope{org.OrgID, 0, db.now()}, page{countAll: true}, &flows, q.filter.conditions)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestIngestedModel compares with a list of all inserts.
func TestIngestedModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type insert struct {
			into       map[stretch]struct{}
			begun, end int // steps; end 0: it runs
		}
		g := newIngested()
		var inserts []*insert
		type question struct {
			moment uint64
			step   int
		}
		var questions []question
		stretchAt := rapid.Custom(func(t *rapid.T) stretch {
			return stretch{rapid.SampledFrom([]string{"a", "b"}).Draw(t, "organisation"), rapid.Int64Range(0, 20).Draw(t, "stretch")}
		})
		steps := rapid.IntRange(1, 40).Draw(t, "steps")
		for step := 1; step <= steps; step++ {
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				into := map[stretch]struct{}{}
				for _, s := range rapid.SliceOfN(stretchAt, 1, 4).Draw(t, "into") {
					into[s] = struct{}{}
				}
				g.begin(into)
				inserts = append(inserts, &insert{into: into, begun: step})
			case 1:
				for _, i := range inserts {
					if i.end == 0 {
						g.end(i.into)
						i.end = step
						break
					}
				}
			default:
				questions = append(questions, question{g.now(), step})
			}
		}
		from, span := rapid.Int64Range(0, 20).Draw(t, "from"), rapid.Int64Range(1, 10).Draw(t, "span")
		for _, q := range questions {
			want := false
			for _, i := range inserts {
				for s := range i.into {
					if s.orgID == "a" && from <= s.at && s.at < from+span && (i.end == 0 || i.end > q.step) {
						want = true
					}
				}
			}
			if got := g.since("a", from*stretchMicros, (from+span)*stretchMicros, q.moment); got != want {
				t.Fatal(fmt.Sprint("since ", q, ": ", got, ", want ", want))
			}
		}
	})
}
