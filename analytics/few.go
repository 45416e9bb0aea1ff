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
	key := statement{sql, w.args()}.key()
	m := memory{key: key, orgID: s.orgID, from: day.floor(max(f.from, s.first())), to: day.ceil(s.now.Add(futureTolerance).UnixMicro())}
	if db.remembered != nil {
		if v, ok := db.remembered.find(key); ok {
			f.among = v.([]netip.Addr)
			return nil
		}
		m.moment = db.remembered.ingested.now()
	}
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
	if err := rows.Err(); err != nil {
		return err
	}
	if len(among) > maxAmong {
		among = nil
	}
	f.among = among
	if db.remembered != nil {
		m.value, m.bytes = among, 24*len(among)
		db.remembered.keep(m)
	}
	return nil
}
