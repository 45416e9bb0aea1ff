package analytics

import (
	"context"
	"fmt"
	"net/netip"
)

// maxAmong bounds the destinations that stand for a prefix.
const maxAmong = 256

// narrowTargets puts addresses in the place of prefixes with few destinations in
// them: the index of destinations knows no ranges, and the roll-up per day has
// each destination once, in order.
func (db *DB) narrowTargets(ctx context.Context, s scope, f *filter) error {
	wide := false
	for _, p := range f.targets {
		wide = wide || !p.IsSingleIP()
	}
	if !wide {
		return nil
	}
	w := &where{scope: s, bound: new([]any)} // whoever has rows that may not be seen: conditions hide them
	w.and("org_id = " + w.bind("String", s.orgID))
	if f.deviceID != "" {
		w.and("device_id = " + w.bind("String", f.deviceID))
	}
	if from := max(f.from, s.first()); from > 0 {
		w.and(day.key + " >= " + w.bindSecond(day.floor(from)))
	}
	if f.to != 0 {
		w.and(day.key + " < " + w.bindSecond(day.ceil(min(f.to, day.ceil(s.now.Add(futureTolerance).UnixMicro())))))
	}
	w.andAny(prefixConditions(w, "destination_ip", f.targets))
	sql := fmt.Sprintf("SELECT destination_ip FROM flows WHERE %s GROUP BY destination_ip LIMIT %d", w, maxAmong+1)
	rows, err := db.conn.Query(planned(ctx, filter{}, byTargetPerDay, false), sql, w.args()...)
	if err != nil {
		return err
	}
	defer rows.Close()
	among := []netip.Addr{}
	for rows.Next() {
		var a netip.Addr
		if err := rows.Scan(&a); err != nil {
			return fmt.Errorf("read destinations: %w", err)
		}
		among = append(among, a)
	}
	if len(among) <= maxAmong {
		f.among = among
	}
	return rows.Err()
}

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

// rowsOf counts the rows of a filter by a roll-up that it is within.
func (db *DB) rowsOf(ctx context.Context, s scope, f filter, r rollup) (int64, error) {
	if f.to == 0 {
		f.to = day.ceil(s.now.Add(futureTolerance).UnixMicro())
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
