package analytics

import (
	"context"
	"net/netip"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"ngfw.sh/internal/fault"
	"ngfw.sh/internal/optional"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const (
	defaultTop = 10
	maxTop     = 500
)

// TopQuery asks for the first of a ranking.
type TopQuery struct {
	filter
	period  period
	limit   int
	compare bool

	RetentionDays int // as in LogQuery
}

// ParseTop reads the parameters of a request. Its errors name the parameter.
func ParseTop(r *ngfwv1.TopRequest) (TopQuery, error) {
	q := TopQuery{limit: defaultTop}
	if r.Limit != nil {
		q.limit = int(*r.Limit)
	}
	if q.limit < 1 || q.limit > maxTop {
		return TopQuery{}, fault.Invalid("limit", "must be from 1 to %d", maxTop)
	}
	var err error
	if q.filter, err = readFilter(r); err != nil {
		return TopQuery{}, err
	}
	if q.period, err = readPeriod(r.GetFrom(), r.GetTo(), r.GetPeriod()); err != nil {
		return TopQuery{}, err
	}
	if q.compare, err = readCompare(r.GetCompare()); err != nil {
		return TopQuery{}, err
	}
	return q, nil
}

// TopClients ranks clients by their bytes. A client is the endpoint that is not
// in WAN: the source, or where the source is in WAN the destination, as
// translated. Bytes are of all rows, connections of opened and refused flows.
func (db *DB) TopClients(ctx context.Context, orgID string, q TopQuery) ([]*ngfwv1.TopClient, Source, error) {
	return top(ctx, db, orgID, q, ranking[*ngfwv1.TopClient]{
		name: "clients", rollup: byClientMinutes, units: []unit{hour}, keys: byClient.keys, groups: 1, known: clientOf + " != toIPv6('::')",
		sums: append(sums(sumRx, sumTx, sumConnections),
			sum{of: lastName}, sum{of: nameTime}, sum{of: lastMAC}, sum{of: macTime}),
		more: "argMax(s3, s4) AS name, argMax(s5, s6) AS mac", order: "t0 + t1 DESC, t2 DESC",
		scan: func(rows driver.Rows) (*ngfwv1.TopClient, error) {
			var (
				ip                  netip.Addr
				rx, tx, connections uint64
				name, mac           string
			)
			err := rows.Scan(&ip, &rx, &tx, &connections, &name, &mac)
			return &ngfwv1.TopClient{
				Ip: ip.Unmap().String(), Hostname: optional.Of(name), Mac: optional.Of(mac),
				RxBytes: signed(rx), TxBytes: signed(tx), Connections: signed(connections),
			}, err
		},
		id: (*ngfwv1.TopClient).GetIp,
		restrict: func(w *where, rows []*ngfwv1.TopClient) {
			inAddresses(w, clientOf, rows, (*ngfwv1.TopClient).GetIp)
		},
		compare: func(row, p *ngfwv1.TopClient) {
			row.Previous = &ngfwv1.TopClient_Previous{RxBytes: p.GetRxBytes(), TxBytes: p.GetTxBytes(), Connections: p.GetConnections()}
		},
	})
}

// earlier is what a row had in the span before; nil is nothing.
func earlier(p interface {
	GetBytes() int64
	GetConnections() int64
}) *ngfwv1.PreviousTraffic {
	return &ngfwv1.PreviousTraffic{Bytes: p.GetBytes(), Connections: p.GetConnections()}
}

func each[M, T any](rows []M, value func(M) T) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = value(r)
	}
	return out
}

// inAddresses adds "column is one of the rows' addresses".
func inAddresses[M any](w *where, column string, rows []M, ip func(M) string) {
	list := each(rows, func(r M) string { return w.bindAddress(netip.MustParseAddr(ip(r))) }) // the table gave it
	w.and(column + " IN (" + strings.Join(list, ", ") + ")")
}
