package analytics

import (
	"context"
	"strconv"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// TopRules ranks rules, which are numbered per router, by the flows they
// decided.
func (db *DB) TopRules(ctx context.Context, orgID string, q TopQuery) ([]*ngfwv1.TopRule, Source, error) {
	return top(ctx, db, orgID, q, ranking[*ngfwv1.TopRule]{
		name: "rules", rollup: byVerdict, keys: []string{"device_id", "rule_id", "rule_name"}, groups: 2, known: "rule_id != 0",
		sums: append(sums(sumBytes, sumConnections), sum{lastTime, "max(%s)"}), more: "argMax(k2, s2) AS name", order: "t1 DESC, t0 DESC",
		scan: func(rows driver.Rows) (*ngfwv1.TopRule, error) {
			var (
				device, name       string
				id                 int64
				bytes, connections uint64
				at                 time.Time
			)
			err := rows.Scan(&device, &id, &bytes, &connections, &at, &name)
			return &ngfwv1.TopRule{DeviceId: device, RuleId: id, RuleName: name, Bytes: signed(bytes), Connections: signed(connections)}, err
		},
		id: func(r *ngfwv1.TopRule) string { return r.DeviceId + "/" + strconv.FormatInt(r.RuleId, 10) },
		restrict: func(w *where, rows []*ngfwv1.TopRule) {
			in(w, "device_id", "Array(String)", each(rows, (*ngfwv1.TopRule).GetDeviceId))
			in(w, "rule_id", "Array(Int64)", each(rows, (*ngfwv1.TopRule).GetRuleId))
		},
		compare: func(row, p *ngfwv1.TopRule) { row.Previous = earlier(p) },
	})
}

// TopThreats ranks threats by flows.
func (db *DB) TopThreats(ctx context.Context, orgID string, q TopQuery) ([]*ngfwv1.TopThreat, Source, error) {
	return top(ctx, db, orgID, q, ranking[*ngfwv1.TopThreat]{
		name: "threats", rollup: byVerdict, keys: []string{"threat"}, groups: 1, known: "threat != ''",
		sums: sums(sumBytes, sumConnections, sumBlocked), order: "t1 DESC, t0 DESC",
		scan: func(rows driver.Rows) (*ngfwv1.TopThreat, error) {
			var (
				threat                      string
				bytes, connections, blocked uint64
			)
			err := rows.Scan(&threat, &bytes, &connections, &blocked)
			return &ngfwv1.TopThreat{Threat: threat, Bytes: signed(bytes), Connections: signed(connections), Blocked: signed(blocked)}, err
		},
		id: (*ngfwv1.TopThreat).GetThreat,
		restrict: func(w *where, rows []*ngfwv1.TopThreat) {
			in(w, "threat", "Array(String)", each(rows, (*ngfwv1.TopThreat).GetThreat))
		},
		compare: func(row, p *ngfwv1.TopThreat) { row.Previous = earlier(p) },
	})
}
