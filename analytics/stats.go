package analytics

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// maxBreakdown bounds the applications and countries of statistics.
const maxBreakdown = 100

// StatsQuery asks for statistics.
type StatsQuery struct {
	filter
	period  period
	step    time.Duration // 0: by the span
	compare bool

	RetentionDays int // as in LogQuery
}

// ParseStats reads the parameters of a request. Its errors name the parameter.
func ParseStats(r *ngfwv1.StatsRequest) (q StatsQuery, err error) {
	if q.filter, err = readFilter(r); err != nil {
		return q, err
	}
	if q.period, q.step, err = readSteps(r); err != nil {
		return q, err
	}
	q.compare, err = readCompare(r.GetCompare())
	return q, err
}

// Stats sums what passed and what did not, over time and by kind. Totals are
// those of over_time: buckets are aligned to the epoch, and the first and the
// last hold only what lies within the span.
func (db *DB) Stats(ctx context.Context, orgID string, q StatsQuery) (*ngfwv1.TrafficStats, Source, error) {
	if err := db.down(); err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, db.cfg.QueryTimeout)
	defer cancel()
	defer db.metrics.query("stats", db.now())

	s := scope{orgID, q.RetentionDays, asking(db.now())}
	var err error
	if q.from, q.to, err = q.period.span(s.now); err != nil {
		return nil, "", err
	}
	step, err := stepOf(q.step, q.from, q.to)
	if err != nil {
		return nil, "", err
	}
	out := newStats(q.from, q.to, step)
	source, err := db.stats(ctx, s, q, step, func(r statsRow) { r.addTo(out) })
	if err != nil {
		return nil, "", err
	}
	slices.SortFunc(out.ByProtocol, func(a, b *ngfwv1.TrafficStats_Protocol) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Protocol, b.Protocol))
	})
	slices.SortFunc(out.ByApplication, func(a, b *ngfwv1.TrafficStats_Application) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.App, b.App))
	})
	slices.SortFunc(out.ByGeo, func(a, b *ngfwv1.TrafficStats_Country) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.CountryCode, b.CountryCode))
	})
	if q.compare {
		q.from, q.to = before(q.from, q.to)
		if q.from >= s.first() {
			earlier := &ngfwv1.TrafficStats{}
			if _, err := db.stats(ctx, s, q, 0, func(r statsRow) { r.addTotals(earlier) }); err != nil {
				return nil, "", err
			}
			out.Previous = &ngfwv1.TrafficStats_Previous{
				From: q.from / 1e6, To: q.to / 1e6,
				TotalBytes: earlier.TotalBytes, TotalPackets: earlier.TotalPackets, TotalConnections: earlier.TotalConnections,
				Accepted: earlier.Accepted, Dropped: earlier.Dropped, Rejected: earlier.Rejected, ThreatsBlocked: earlier.ThreatsBlocked,
			}
		}
	}
	return out, source, nil
}

// stats asks for all parts, one beside the other; step 0 asks for the totals
// alone. take is never called twice at a time.
func (db *DB) stats(ctx context.Context, s scope, q StatsQuery, step time.Duration, take func(statsRow)) (Source, error) {
	questions := []statsQuestion{overTime(q, step)}
	if step != 0 {
		questions = append(questions, byKind, byCountryCode)
	}
	together := db.remembered != nil && step != 0 // the edges of all parts
	for _, question := range questions {
		together = together && q.within(question.rollup) && !question.exact
	}
	var edgesOfAll func() (*partial[statsGroup, statsRow], error)
	var mu sync.Mutex // guards source and take
	source := Exact
	g, ctx := errgroup.WithContext(ctx)
	if together {
		edgesOfAll = sync.OnceValues(func() (*partial[statsGroup, statsRow], error) {
			w := rowsOf(s)
			_, edges, present := apart(w, q.filter, []unit{minutesOfRows})
			return recallEdges(ctx, db, w, edges, present, func(ps []piece) string { return statsOfRows(ps, questions[0]) }, statsGroups)
		})
	}
	for _, question := range questions {
		g.Go(func() error {
			var rows []statsRow
			var of Source
			var err error
			remembered := false
			if db.remembered != nil && q.within(question.rollup) && !question.exact {
				rows, of, remembered, err = db.recallStats(ctx, s, q, question, edgesOfAll)
			}
			if err == nil && !remembered {
				rows, of, err = db.askStats(ctx, s, q, question)
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if of == Rollup {
				source = Rollup
			}
			for _, r := range rows {
				take(r)
			}
			return nil
		})
	}
	err := g.Wait()
	return source, db.explain(err)
}

// askStats asks one question.
func (db *DB) askStats(ctx context.Context, s scope, q StatsQuery, question statsQuestion) ([]statsRow, Source, error) {
	w := rowsOf(s)
	units := []unit{question.rollup.units}
	if !q.within(question.rollup) || question.exact {
		units = nil
	}
	ps := pieces(w, q.filter, units)
	if len(ps) == 0 {
		return nil, Exact, nil
	}
	sql := fmt.Sprintf(question.sql, union(ps, question.keys, question.sums)) + question.most
	rows, err := db.conn.Query(planned(ctx, q.filter, question.rollup, false), sql, w.args()...)
	if err != nil {
		return nil, "", err
	}
	defer rows.Close()
	var out []statsRow
	for rows.Next() {
		r, err := scanStats(rows)
		if err != nil {
			return nil, "", fmt.Errorf("read statistics: %w", err)
		}
		out = append(out, r)
	}
	return out, sourceOf(ps), rows.Err()
}

// recallStats is askStats of sums that are remembered, in part; ok is false where
// there are too many of them. edgesOfAll, if not nil, gives the edges of this and
// other questions.
func (db *DB) recallStats(ctx context.Context, s scope, q StatsQuery, question statsQuestion,
	edgesOfAll func() (*partial[statsGroup, statsRow], error),
) (_ []statsRow, _ Source, ok bool, err error) {
	w := rowsOf(s)
	whole, edges, present := apart(w, q.filter, []unit{question.unit})
	sql := func(ps []piece) string {
		return fmt.Sprintf(question.sql, union(ps, question.keys, question.sums))
	}
	sums, err := recall(planned(ctx, q.filter, question.rollup, false), db, w, whole, sql(whole), statsGroups)
	if err != nil || sums == nil {
		return nil, "", false, err
	}
	var rest *partial[statsGroup, statsRow]
	if edgesOfAll != nil {
		rest, err = edgesOfAll()
	} else {
		rest, err = recallEdges(ctx, db, w, edges, present, sql, statsGroups)
	}
	if err != nil || rest == nil {
		return nil, "", false, err
	}
	if edgesOfAll != nil {
		rest = statsGroups.partialOf(slices.DeleteFunc(slices.Clone(rest.list), func(r statsRow) bool { return !slices.Contains(question.parts, r.part) }))
	}
	all := statsGroups.both(sums, rest)
	if question.most == "" {
		return all, sourceOf(whole), true, nil
	}
	var out []statsRow
	count := map[uint8]int{}
	for _, r := range all { // in the order of the parts
		if count[r.part]++; count[r.part] <= maxBreakdown {
			out = append(out, r)
		}
	}
	return out, sourceOf(whole), true, nil
}
