package analytics

import (
	"cmp"
	"context"
	"net/netip"
	"strings"
	"time"

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

// clientSums is what is summed of a client.
type clientSums struct {
	ip                  netip.Addr
	rx, tx, connections uint64
	name, mac           string
	nameAt, macAt       time.Time
}

// TopClients ranks clients by their bytes. A client is the endpoint that is not
// in WAN: the source, or where the source is in WAN the destination, as
// translated. Bytes are of all rows, connections of opened and refused flows.
func (db *DB) TopClients(ctx context.Context, orgID string, q TopQuery) ([]*ngfwv1.TopClient, Source, error) {
	return top(ctx, db, orgID, q, ranking[*ngfwv1.TopClient, netip.Addr, clientSums]{
		name: "clients", rollup: byClientMinutes, units: []unit{hour}, keys: byClient.keys, groups: 1, known: clientOf + " != toIPv6('::')",
		sums: append(sums(sumRx, sumTx, sumConnections),
			sum{lastName, "argMax(%s, s4)"}, sum{nameTime, "max(%s)"}, sum{lastMAC, "argMax(%s, s6)"}, sum{macTime, "max(%s)"}),
		by: "t0 + t1 DESC, t2 DESC",
		grouping: grouping[netip.Addr, clientSums]{
			scan: func(rows driver.Rows) (c clientSums, err error) {
				err = rows.Scan(&c.ip, &c.rx, &c.tx, &c.connections, &c.name, &c.nameAt, &c.mac, &c.macAt)
				return c, err
			},
			key: func(c *clientSums) netip.Addr { return c.ip },
			add: func(sum, c *clientSums) {
				sum.rx, sum.tx, sum.connections = sum.rx+c.rx, sum.tx+c.tx, sum.connections+c.connections
				if c.nameAt.After(sum.nameAt) {
					sum.name, sum.nameAt = c.name, c.nameAt
				}
				if c.macAt.After(sum.macAt) {
					sum.mac, sum.macAt = c.mac, c.macAt
				}
			},
			order: func(a, b *clientSums) int {
				return cmp.Or(cmp.Compare(b.rx+b.tx, a.rx+a.tx), cmp.Compare(b.connections, a.connections), a.ip.Compare(b.ip))
			},
		},
		message: func(c *clientSums) *ngfwv1.TopClient {
			return &ngfwv1.TopClient{
				Ip: c.ip.Unmap().String(), Hostname: optional.Of(c.name), Mac: optional.Of(c.mac),
				RxBytes: signed(c.rx), TxBytes: signed(c.tx), Connections: signed(c.connections),
			}
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
