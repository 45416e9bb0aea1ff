package analytics

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// DNSStatsQuery asks for statistics of DNS queries.
type DNSStatsQuery struct {
	queryFilter
	period period
	step   time.Duration // 0: by the span

	RetentionDays int // as in LogQuery
}

// ParseDNSStats reads the parameters of a request. Its errors name the parameter.
func ParseDNSStats(r *ngfwv1.DnsStatsRequest) (q DNSStatsQuery, err error) {
	q.deviceID = r.GetDeviceId()
	q.period, q.step, err = readSteps(r)
	return q, err
}

// DNSStats counts DNS queries over time and by kind, from rows.
func (db *DB) DNSStats(ctx context.Context, orgID string, q DNSStatsQuery) (*ngfwv1.DnsStats, error) {
	if err := db.down(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, db.cfg.QueryTimeout)
	defer cancel()
	defer db.metrics.query("dns_stats", db.now())

	s := scope{orgID, q.RetentionDays, asking(db.now())}
	var err error
	if q.from, q.to, err = q.period.span(s.now); err != nil {
		return nil, err
	}
	step, err := stepOf(q.step, q.from, q.to)
	if err != nil {
		return nil, err
	}
	out := &ngfwv1.DnsStats{From: q.from / 1e6, To: unit{length: time.Second}.ceil(q.to) / 1e6}
	first := unit{length: step}.floor(q.from)
	for i := range buckets(step, q.from, q.to) {
		out.QueriesOverTime = append(out.QueriesOverTime, &ngfwv1.DnsStats_Bucket{Timestamp: (first + i*step.Microseconds()) / 1e6})
	}
	var took, answered uint64
	c := db.counting(ctx, s, q.conditions)
	c.ask(fmt.Sprintf("SELECT intDiv(toUnixTimestamp64Micro(ts) - %d, %d) AS i, CAST(status, 'Int8'), count(), sum(response_us) FROM dns_queries WHERE %%s GROUP BY 1, 2",
		first, step.Microseconds()), func(rows driver.Rows) error {
		var i int64
		var status int8
		var n, us uint64
		if err := rows.Scan(&i, &status, &n, &us); err != nil {
			return err
		}
		var blocked uint64
		switch queryStatus(status) {
		case queryBlocked:
			blocked = n
		case queryCached:
			out.CachedQueries = plus(out.CachedQueries, n)
			fallthrough
		default:
			took, answered = took+us, answered+n
		}
		out.TotalQueries, out.BlockedQueries = plus(out.TotalQueries, n), plus(out.BlockedQueries, blocked)
		if i >= 0 && i < int64(len(out.QueriesOverTime)) {
			b := out.QueriesOverTime[i]
			b.Queries, b.Blocked = plus(b.Queries, n), plus(b.Blocked, blocked)
		}
		return nil
	})
	domains := func(condition string, into *[]*ngfwv1.DnsStats_Domain) {
		c.ask(fmt.Sprintf("SELECT domain, count() AS n FROM dns_queries WHERE %%s%s GROUP BY 1 ORDER BY n DESC, 1 LIMIT %d", condition, defaultTop), func(rows driver.Rows) error {
			var d ngfwv1.DnsStats_Domain
			var n uint64
			err := rows.Scan(&d.Domain, &n)
			d.Queries = signed(n)
			*into = append(*into, &d)
			return err
		})
	}
	domains("", &out.TopDomains)
	domains(" AND status = 'blocked'", &out.TopBlocked)
	c.ask(fmt.Sprintf("SELECT client_ip, count() AS n, countIf(status = 'blocked') FROM dns_queries WHERE %%s GROUP BY 1 ORDER BY n DESC, 1 LIMIT %d", defaultTop), func(rows driver.Rows) error {
		var ip netip.Addr
		var n, blocked uint64
		err := rows.Scan(&ip, &n, &blocked)
		out.TopClients = append(out.TopClients, &ngfwv1.DnsStats_Client{Client: ip.Unmap().String(), Queries: signed(n), Blocked: signed(blocked)})
		return err
	})
	if err := c.wait(); err != nil {
		return nil, err
	}
	if answered > 0 {
		out.AvgResponseTimeMs = float64(took) / float64(answered) / 1000
	}
	return out, nil
}
