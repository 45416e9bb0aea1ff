package analytics

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// ruleName tells rules apart: they are numbered per router.
type ruleName struct {
	device string
	id     int64
}

// ruleSums is what is summed of a rule; its name is the newest.
type ruleSums struct {
	ruleName
	bytes, connections uint64
	name               string
	at                 time.Time
}

// TopRules ranks rules, which are numbered per router, by the flows they
// decided.
func (db *DB) TopRules(ctx context.Context, orgID string, q TopQuery) ([]*ngfwv1.TopRule, Source, error) {
	return top(ctx, db, orgID, q, ranking[*ngfwv1.TopRule, ruleName, ruleSums]{
		name: "rules", rollup: byVerdict, keys: []string{"device_id", "rule_id", "rule_name"}, groups: 2, known: "rule_id != 0",
		sums: append(sums(sumBytes, sumConnections), sum{lastTime, "max(%s)"}), more: "argMax(k2, s2) AS name", by: "t1 DESC, t0 DESC",
		grouping: grouping[ruleName, ruleSums]{
			scan: func(rows driver.Rows) (r ruleSums, err error) {
				err = rows.Scan(&r.device, &r.id, &r.bytes, &r.connections, &r.at, &r.name)
				return r, err
			},
			key: func(r *ruleSums) ruleName { return r.ruleName },
			add: func(sum, r *ruleSums) {
				sum.bytes, sum.connections = sum.bytes+r.bytes, sum.connections+r.connections
				if r.at.After(sum.at) {
					sum.name, sum.at = r.name, r.at
				}
			},
			order: func(a, b *ruleSums) int {
				return cmp.Or(cmp.Compare(b.connections, a.connections), cmp.Compare(b.bytes, a.bytes),
					strings.Compare(a.device, b.device), cmp.Compare(a.ruleName.id, b.ruleName.id))
			},
		},
		message: func(r *ruleSums) *ngfwv1.TopRule {
			return &ngfwv1.TopRule{DeviceId: r.device, RuleId: r.ruleName.id, RuleName: r.name, Bytes: signed(r.bytes), Connections: signed(r.connections)}
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
	return top(ctx, db, orgID, q, ranking[*ngfwv1.TopThreat, string, namedSums]{
		name: "threats", rollup: byVerdict, keys: []string{"threat"}, groups: 1, known: "threat != ''",
		sums: sums(sumBytes, sumConnections, sumBlocked), by: "t1 DESC, t0 DESC",
		grouping: namedGroups(true, true),
		message: func(n *namedSums) *ngfwv1.TopThreat {
			return &ngfwv1.TopThreat{Threat: n.name, Bytes: signed(n.bytes), Connections: signed(n.connections), Blocked: signed(n.blocked)}
		},
		id: (*ngfwv1.TopThreat).GetThreat,
		restrict: func(w *where, rows []*ngfwv1.TopThreat) {
			in(w, "threat", "Array(String)", each(rows, (*ngfwv1.TopThreat).GetThreat))
		},
		compare: func(row, p *ngfwv1.TopThreat) { row.Previous = earlier(p) },
	})
}
