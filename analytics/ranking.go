package analytics

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Source says what an answer was summed from.
type Source string

const (
	Exact  Source = "exact"  // rows
	Rollup Source = "rollup" // roll-ups, and rows at the ragged edges
)

// sourceOf looks whether any piece is of a roll-up.
func sourceOf(ps []piece) Source {
	for _, p := range ps {
		if p.unit != nil && !p.unit.rows {
			return Rollup
		}
	}
	return Exact
}

// sum is an aggregate within a piece, and the format of what is made of those of
// all pieces.
type sum struct{ of, with string }

func sums(of ...string) []sum {
	out := make([]sum, len(of))
	for i, s := range of {
		out[i] = sum{s, "sum(%s)"}
	}
	return out
}

// union reads the pieces: keys are columns k0, k1 …, sums s0, s1 ….
func union(ps []piece, keys func(*unit) []string, sums []sum) string {
	var parts []string
	for _, p := range ps {
		var columns, groups []string
		for i, k := range keys(p.unit) {
			columns = append(columns, fmt.Sprintf("%s AS k%d", k, i))
			groups = append(groups, fmt.Sprintf("k%d", i))
		}
		for i, s := range sums {
			columns = append(columns, fmt.Sprintf("%s AS s%d", s.of, i))
		}
		parts = append(parts, fmt.Sprintf("SELECT %s FROM flows WHERE %s GROUP BY %s",
			strings.Join(columns, ", "), p.where, strings.Join(groups, ", ")))
	}
	return strings.Join(parts, "\nUNION ALL ")
}

// ranking is one question for the first of something. M is a row of its answer, T
// what is summed for it, K what is ranked.
type ranking[M any, K comparable, T any] struct {
	grouping[K, T]

	name   string
	rollup rollup   // that answers it
	units  []unit   // of coarser ones with the same keys, coarse to fine
	keys   []string // of the pieces
	known  string   // condition on the keys: what is ranked at all
	sums   []sum    // scan reads the groups, then these, then more
	groups int      // of the keys, the first so many are what is ranked
	more   string
	by     string // the order of the answer, groups aside

	message  func(*T) M
	id       func(M) string
	restrict func(w *where, rows []M) // to the keys of these rows
	compare  func(row, previous M)    // the message nil: there was nothing
}

// top asks for a ranking and, where q wants it, for the same rows' figures in
// the span before.
func top[M any, K comparable, T any](ctx context.Context, db *DB, orgID string, q TopQuery, r ranking[M, K, T]) ([]M, Source, error) {
	if err := db.down(); err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, db.cfg.QueryTimeout)
	defer cancel()
	defer db.metrics.query("top_"+r.name, db.now())

	s := scope{orgID, q.RetentionDays, asking(db.now())}
	var err error
	if q.from, q.to, err = q.period.span(s.now); err != nil {
		return nil, "", err
	}
	var list []M
	var source Source
	remembered := false
	if db.remembered != nil && q.within(r.rollup) {
		list, source, remembered, err = rankRecalled(ctx, db, s, q, r)
	}
	if err == nil && !remembered {
		list, source, err = rank(ctx, db, s, q, r, nil)
	}
	if err != nil || !q.compare || len(list) == 0 {
		return list, source, err
	}
	q.from, q.to = before(q.from, q.to)
	if q.from < s.first() {
		return list, source, nil
	}
	q.limit = len(list) * len(list) // a key of two parts finds what is made of parts of different rows, too
	earlier, _, err := rank(ctx, db, s, q, r, func(w *where) { r.restrict(w, list) })
	if err != nil {
		return nil, "", err
	}
	byID := map[string]M{}
	for _, row := range earlier {
		byID[r.id(row)] = row
	}
	for _, row := range list {
		r.compare(row, byID[r.id(row)])
	}
	return list, source, nil
}

// sql sums the pieces up by what is ranked, in no order, and names the columns of
// the answer's order.
func (r *ranking[M, K, T]) sql(ps []piece) string {
	var columns []string
	for i := range r.groups {
		columns = append(columns, fmt.Sprintf("k%d", i))
	}
	for i, a := range r.sums {
		columns = append(columns, fmt.Sprintf(a.with+" AS t%d", fmt.Sprintf("s%d", i), i))
	}
	if r.more != "" {
		columns = append(columns, r.more)
	}
	return fmt.Sprintf("SELECT %s FROM (%s) GROUP BY %s", strings.Join(columns, ", "),
		union(ps, func(*unit) []string { return r.keys }, r.sums), strings.Join(columns[:r.groups], ", "))
}

// rankRecalled is rank of sums that are remembered, in part; ok is false where
// there are too many of them.
func rankRecalled[M any, K comparable, T any](ctx context.Context, db *DB, s scope, q TopQuery, r ranking[M, K, T]) (_ []M, _ Source, ok bool, err error) {
	w := rowsOf(s)
	units := append(slices.Clone(r.units), r.rollup.units)
	if r.rollup.units.length > minutes.length {
		units = append(units, minutesOfRows)
	}
	whole, edges, present := apart(w, q.filter, units)
	for _, p := range slices.Concat(whole, edges, present) {
		p.where.and(r.known)
	}
	sums, err := recall(planned(ctx, q.filter, r.rollup, len(units) > 1), db, w, whole, r.sql(whole), r.grouping)
	if err != nil || sums == nil {
		return nil, "", false, db.explain(err)
	}
	rest, err := recallEdges(ctx, db, w, edges, present, r.sql, r.grouping)
	if err != nil || rest == nil {
		return nil, "", false, db.explain(err)
	}
	out := []M{}
	for _, t := range r.first(sums, rest, q.limit) {
		out = append(out, r.message(&t))
	}
	return out, sourceOf(whole), true, nil
}

func rank[M any, K comparable, T any](ctx context.Context, db *DB, s scope, q TopQuery, r ranking[M, K, T], narrow func(*where)) ([]M, Source, error) {
	w := rowsOf(s)
	var units []unit
	if q.within(r.rollup) {
		units = append(slices.Clone(r.units), r.rollup.units)
	}
	ps := pieces(w, q.filter, units)
	out := []M{}
	if len(ps) == 0 {
		return out, Exact, nil
	}
	for _, p := range ps {
		p.where.and(r.known)
		if narrow != nil {
			narrow(p.where)
		}
	}
	order := []string{r.by}
	for i := range r.groups {
		order = append(order, fmt.Sprintf("k%d", i))
	}
	sql := fmt.Sprintf("%s ORDER BY %s LIMIT %d", r.sql(ps), strings.Join(order, ", "), q.limit)
	rows, err := db.conn.Query(planned(ctx, q.filter, r.rollup, len(units) > 1), sql, w.args()...)
	if err != nil {
		return nil, "", db.explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		t, err := r.scan(rows)
		if err != nil {
			return nil, "", fmt.Errorf("read a ranking: %w", err)
		}
		out = append(out, r.message(&t))
	}
	return out, sourceOf(ps), db.explain(rows.Err())
}

// planned tells the engine what it would find out by itself at the cost of some
// milliseconds: which roll-up fits, and that spans of time need no skip index.
func planned(ctx context.Context, f filter, r rollup, several bool) context.Context {
	settings := clickhouse.Settings{"optimize_use_implicit_projections": 0}
	if !f.within(r) {
		settings["optimize_use_projections"] = 0
	} else {
		settings["use_skip_indexes"] = 0
		if !several { // the engine takes no other beside a preferred one
			settings["preferred_optimize_projection_name"] = r.name
		}
	}
	return clickhouse.Context(ctx, clickhouse.WithSettings(settings))
}

// signed is a sum as the API shows it: what is beyond its numbers is the
// greatest of them.
func signed(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

// plus adds up to the greatest number that the API shows.
func plus(a int64, n uint64) int64 { return a + min(signed(n), math.MaxInt64-a) }
