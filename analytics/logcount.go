package analytics

import (
	"context"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// counted is the roll-up that counts the rows of the filter, if one does. A
// filter that most rows pass is counted sooner by looking at rows.
func (f *filter) counted() (rollup, bool) {
	if len(f.protocols)+len(f.apps)+len(f.geos)+len(f.threats)+len(f.rules)+len(f.actions) == 0 {
		return rollup{}, false
	}
	for _, r := range []rollup{byVerdict, byApplication, byCountry} {
		if f.within(r) {
			return r, true
		}
	}
	return rollup{}, false
}

// count counts the rows of a filter, beyond exactTotal only as far as the page
// wants it.
func (db *DB) count(ctx context.Context, s scope, f filter, p page) (int64, error) {
	r, ok := f.counted()
	if db.remembered != nil {
		return db.countRecalled(ctx, s, f, p, r, ok)
	}
	if ok {
		return db.rowsOf(ctx, s, f, r)
	}
	return total(ctx, db, s, p, &flows, f.conditions)
}

// rowsOf counts the rows of a filter by a roll-up that it is within.
func (db *DB) rowsOf(ctx context.Context, s scope, f filter, r rollup) (int64, error) {
	if f.to == 0 {
		f.to = endOf(s)
	}
	w := rowsOf(s)
	ps := pieces(w, f, []unit{r.units})
	if len(ps) == 0 {
		return 0, nil
	}
	sql := "SELECT sum(s0) FROM (" + union(ps, func(*unit) []string { return []string{"1"} }, sums(sumRows)) + ")"
	var n uint64
	err := db.conn.QueryRow(planned(ctx, f, r, false), sql, w.args()...).Scan(&n)
	return int64(n), err
}

// endOf is behind all rows that there can be.
func endOf(s scope) int64 { return day.ceil(s.now.Add(futureTolerance).UnixMicro()) }

// counts is a partial of one group: how many rows there are.
var counts = grouping[struct{}, uint64]{
	scan: func(rows driver.Rows) (n uint64, err error) {
		err = rows.Scan(&n)
		return n, err
	},
	key:   func(*uint64) struct{} { return struct{}{} },
	order: func(_, _ *uint64) int { return 0 },
}

// countRecalled counts what is over, which is remembered, and then the rest,
// which does not matter where the total is beyond exactTotal already.
func (db *DB) countRecalled(ctx context.Context, s scope, f filter, p page, r rollup, rolled bool) (int64, error) {
	end := endOf(s)
	if f.to != 0 {
		end = min(end, f.to)
	}
	u := minutesOfRows
	if rolled {
		u = r.units
	}
	w := rowsOf(s)
	f.to = end
	whole, edges, present := apart(w, f, []unit{u})
	edges = append(edges, present...)

	limited := func(ps []piece) string {
		var each []string
		for _, p := range ps {
			each = append(each, fmt.Sprintf("SELECT 1 FROM flows WHERE %s", p.where))
		}
		if p.countAll {
			return fmt.Sprintf("SELECT count() FROM (%s)", strings.Join(each, " UNION ALL "))
		}
		return fmt.Sprintf("SELECT count() FROM (SELECT * FROM (%s) LIMIT %d)", strings.Join(each, " UNION ALL "), exactTotal+1)
	}
	sql, how := limited(whole), ofRows(ctx)
	if rolled {
		sql = "SELECT sum(s0) FROM (" + union(whole, func(*unit) []string { return []string{"1"} }, sums(sumRows)) + ")"
		how = planned(ctx, f, r, false)
	}
	n := int64(0)
	for _, part := range []struct {
		ctx    context.Context
		pieces []piece
		sql    string
	}{{how, whole, sql}, {ofRows(ctx), edges, limited(edges)}} {
		if n > exactTotal && !p.countAll {
			break
		}
		found, err := recall(part.ctx, db, w, part.pieces, part.sql, counts)
		if err != nil {
			return 0, err
		}
		for _, of := range found.list {
			n += int64(of)
		}
	}
	return n, nil
}
