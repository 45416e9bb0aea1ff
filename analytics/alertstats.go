package analytics

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// AlertStatsQuery asks for statistics of alerts.
type AlertStatsQuery struct {
	alertFilter
	period period
	step   time.Duration // 0: by the span

	RetentionDays int // as in LogQuery
}

// ParseAlertStats reads the parameters of a request. Its errors name the
// parameter.
func ParseAlertStats(r *ngfwv1.AlertStatsRequest) (q AlertStatsQuery, err error) {
	q.deviceID = r.GetDeviceId()
	q.period, q.step, err = readSteps(r)
	return q, err
}

// AlertStats counts alerts over time and by kind. Alerts are few beside flows,
// so they are counted from rows.
func (db *DB) AlertStats(ctx context.Context, orgID string, q AlertStatsQuery) (*ngfwv1.AlertStats, error) {
	if err := db.down(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, db.cfg.QueryTimeout)
	defer cancel()
	defer db.metrics.query("alert_stats", db.now())

	s := scope{orgID, q.RetentionDays, asking(db.now())}
	var err error
	if q.from, q.to, err = q.period.span(s.now); err != nil {
		return nil, err
	}
	step, err := stepOf(q.step, q.from, q.to)
	if err != nil {
		return nil, err
	}
	out := &ngfwv1.AlertStats{From: q.from / 1e6, To: unit{length: time.Second}.ceil(q.to) / 1e6}
	first := unit{length: step}.floor(q.from)
	for i := range buckets(step, q.from, q.to) {
		out.OverTime = append(out.OverTime, &ngfwv1.AlertStats_Bucket{Timestamp: (first + i*step.Microseconds()) / 1e6})
	}
	bySeverity := map[string]int64{}
	c := db.counting(ctx, s, q.conditions)
	c.ask(fmt.Sprintf("SELECT intDiv(toUnixTimestamp64Micro(ts) - %d, %d) AS i, toString(severity), count(), countIf(action = 'blocked') FROM alerts WHERE %%s GROUP BY 1, 2",
		first, step.Microseconds()), func(rows driver.Rows) error {
		var i int64
		var name string
		var n, blocked uint64
		if err := rows.Scan(&i, &name, &n, &blocked); err != nil {
			return err
		}
		out.Total, out.Blocked = plus(out.Total, n), plus(out.Blocked, blocked)
		bySeverity[name] = plus(bySeverity[name], n)
		if i >= 0 && i < int64(len(out.OverTime)) {
			b := out.OverTime[i]
			b.Count, b.Blocked = plus(b.Count, n), plus(b.Blocked, blocked)
		}
		return nil
	})
	c.ask(fmt.Sprintf("SELECT toString(category), count() AS n FROM alerts WHERE %%s GROUP BY 1 ORDER BY n DESC, 1 LIMIT %d", maxBreakdown), func(rows driver.Rows) error {
		var c ngfwv1.AlertStats_Category
		var n uint64
		err := rows.Scan(&c.Category, &n)
		c.Count = signed(n)
		out.ByCategory = append(out.ByCategory, &c)
		return err
	})
	c.ask(fmt.Sprintf("SELECT signature_id, toString(argMax(signature, ts)), toString(argMax(severity, ts)), count() AS n FROM alerts WHERE %%s GROUP BY 1 ORDER BY n DESC, 1 LIMIT %d", defaultTop), func(rows driver.Rows) error {
		var m ngfwv1.AlertStats_Signature
		var n uint64
		err := rows.Scan(&m.SignatureId, &m.Signature, &m.Severity, &n)
		m.Count = signed(n)
		out.TopSignatures = append(out.TopSignatures, &m)
		return err
	})
	c.ask(fmt.Sprintf("SELECT source_ip, count() AS n FROM alerts WHERE %%s GROUP BY 1 ORDER BY n DESC, 1 LIMIT %d", defaultTop), func(rows driver.Rows) error {
		var ip netip.Addr
		var n uint64
		err := rows.Scan(&ip, &n)
		out.TopSources = append(out.TopSources, &ngfwv1.AlertStats_Source{Ip: ip.Unmap().String(), Count: signed(n)})
		return err
	})
	if err := c.wait(); err != nil {
		return nil, err
	}
	for i := len(severityNames) - 1; i > 0; i-- {
		out.BySeverity = append(out.BySeverity, &ngfwv1.AlertStats_Severity{Severity: severityNames[i], Count: bySeverity[severityNames[i]]})
	}
	return out, nil
}
