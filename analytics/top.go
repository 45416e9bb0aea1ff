package analytics

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const (
	defaultTop = 10
	maxTop     = 500
	wan        = "WAN" // the zone whose endpoints are not clients
)

var periods = map[string]time.Duration{"1h": time.Hour, "24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "30d": 30 * 24 * time.Hour}

// TopQuery asks for the first of a ranking.
type TopQuery struct {
	filter
	limit  int
	period time.Duration // until now, where from and to are open

	RetentionDays int // as in LogQuery
}

// ParseTop reads the parameters of a request. Its errors name the parameter.
func ParseTop(r *ngfwv1.TopRequest) (TopQuery, error) {
	q := TopQuery{limit: defaultTop, period: periods["24h"]}
	q.deviceID = r.GetDeviceId()
	if r.Limit != nil {
		q.limit = int(*r.Limit)
	}
	if q.limit < 1 || q.limit > maxTop {
		return TopQuery{}, fault.Invalid("limit", "must be from 1 to %d", maxTop)
	}
	var err error
	if q.from, q.to, err = readSpan(r.GetFrom(), r.GetTo()); err != nil {
		return TopQuery{}, err
	}
	if p := r.GetPeriod(); p != "" {
		if q.from != 0 || q.to != 0 {
			return TopQuery{}, fault.Invalid("period", "cannot go together with from and to")
		}
		var ok bool
		if q.period, ok = periods[p]; !ok {
			return TopQuery{}, fault.Invalid("period", "%.100q is not one of 1h, 24h, 7d, 30d", p)
		}
	}
	return q, nil
}

// TopClients ranks clients by their bytes. A client is the endpoint that is not
// in WAN: the source, or where the source is in WAN the destination, as
// translated. Bytes are of all rows, connections of opened and refused flows.
func (db *DB) TopClients(ctx context.Context, orgID string, q TopQuery) ([]*ngfwv1.TopClient, error) {
	if err := db.down(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, db.cfg.QueryTimeout)
	defer cancel()
	defer db.metrics.query("top_clients", db.now())

	now := db.now()
	switch {
	case q.from == 0 && q.to == 0:
		q.from = now.Add(-q.period).UnixMicro()
	case q.from == 0:
		q.from = q.to - q.period.Microseconds()
	}
	w := rowsOf(orgID, q.RetentionDays, now)
	q.conditions(w)
	w.and("(zone_from != " + w.bind("String", wan) + " OR zone_to != " + w.bind("String", wan) + ")")
	inward := "zone_from = " + w.bind("String", wan)
	sql := fmt.Sprintf(`SELECT
	if(%[1]s, if(nat_destination_ip != toIPv6('::'), nat_destination_ip, destination_ip), source_ip) AS client,
	sum(if(%[1]s, bytes_sent, bytes_received)) AS rx,
	sum(if(%[1]s, bytes_received, bytes_sent)) AS tx,
	sumIf(count, event IN ('open', 'refused')) AS connections,
	argMaxIf(hostname, ts, hostname != '') AS name,
	argMaxIf(source_mac, ts, source_mac != '' AND NOT (%[1]s)) AS mac
FROM flows WHERE %[2]s GROUP BY client ORDER BY rx + tx DESC, connections DESC, client LIMIT %[3]d`, inward, w, q.limit)
	rows, err := db.conn.Query(ctx, sql, w.args...)
	if err != nil {
		return nil, db.explain(err)
	}
	defer rows.Close()
	out := []*ngfwv1.TopClient{}
	for rows.Next() {
		var (
			ip                  netip.Addr
			rx, tx, connections uint64
			name, mac           string
		)
		if err := rows.Scan(&ip, &rx, &tx, &connections, &name, &mac); err != nil {
			return nil, fmt.Errorf("read a ranking: %w", err)
		}
		out = append(out, &ngfwv1.TopClient{
			Ip: ip.Unmap().String(), Hostname: known(name), Mac: known(mac),
			RxBytes: int64(rx), TxBytes: int64(tx), Connections: int64(connections),
		})
	}
	return out, db.explain(rows.Err())
}
