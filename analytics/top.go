package analytics

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"ngfw.sh/internal/fault"
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
		name: "clients", rollup: byClient, keys: byClient.keys, groups: 1, known: clientOf + " != toIPv6('::')",
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
				Ip: ip.Unmap().String(), Hostname: known(name), Mac: known(mac),
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

// TopDestinations ranks destination addresses by bytes. Their country is known
// where they are the outer address.
func (db *DB) TopDestinations(ctx context.Context, orgID string, q TopQuery) ([]*ngfwv1.TopDestination, Source, error) {
	return top(ctx, db, orgID, q, ranking[*ngfwv1.TopDestination]{
		name: "destinations", rollup: byTarget, units: []unit{day}, keys: byTarget.keys, groups: 1, known: "1",
		sums: sums(sumBytes, sumConnections), more: "max(k1) AS country", order: "t0 DESC, t1 DESC",
		scan: func(rows driver.Rows) (*ngfwv1.TopDestination, error) {
			var (
				ip                 netip.Addr
				bytes, connections uint64
				country            string
			)
			err := rows.Scan(&ip, &bytes, &connections, &country)
			return &ngfwv1.TopDestination{Ip: ip.Unmap().String(), Geo: known(country), Bytes: signed(bytes), Connections: signed(connections)}, err
		},
		id: (*ngfwv1.TopDestination).GetIp,
		restrict: func(w *where, rows []*ngfwv1.TopDestination) {
			inAddresses(w, "destination_ip", rows, (*ngfwv1.TopDestination).GetIp)
		},
		compare: func(row, p *ngfwv1.TopDestination) { row.Previous = earlier(p) },
	})
}

// TopApplications ranks applications by bytes; flows of an unknown one are not
// among them.
func (db *DB) TopApplications(ctx context.Context, orgID string, q TopQuery) ([]*ngfwv1.TopApplication, Source, error) {
	return top(ctx, db, orgID, q, ranking[*ngfwv1.TopApplication]{
		name: "applications", rollup: byApplication, keys: []string{"app"}, groups: 1, known: "app != ''",
		sums: sums(sumBytes, sumConnections), order: "t0 DESC, t1 DESC",
		scan: func(rows driver.Rows) (*ngfwv1.TopApplication, error) {
			var (
				app                string
				bytes, connections uint64
			)
			err := rows.Scan(&app, &bytes, &connections)
			return &ngfwv1.TopApplication{App: app, Bytes: signed(bytes), Connections: signed(connections)}, err
		},
		id: (*ngfwv1.TopApplication).GetApp,
		restrict: func(w *where, rows []*ngfwv1.TopApplication) {
			in(w, "app", "Array(String)", each(rows, (*ngfwv1.TopApplication).GetApp))
		},
		compare: func(row, p *ngfwv1.TopApplication) { row.Previous = earlier(p) },
	})
}

// TopCountries ranks the countries of outer addresses by bytes.
func (db *DB) TopCountries(ctx context.Context, orgID string, q TopQuery) ([]*ngfwv1.TopCountry, Source, error) {
	return top(ctx, db, orgID, q, ranking[*ngfwv1.TopCountry]{
		name: "countries", rollup: byCountry, keys: byCountry.keys, groups: 1, known: "geo != ''",
		sums: sums(sumBytes, sumConnections), order: "t0 DESC, t1 DESC",
		scan: func(rows driver.Rows) (*ngfwv1.TopCountry, error) {
			var (
				code               string
				bytes, connections uint64
			)
			err := rows.Scan(&code, &bytes, &connections)
			return &ngfwv1.TopCountry{CountryCode: code, CountryName: countryName(code), Bytes: signed(bytes), Connections: signed(connections)}, err
		},
		id: (*ngfwv1.TopCountry).GetCountryCode,
		restrict: func(w *where, rows []*ngfwv1.TopCountry) {
			in(w, "geo", "Array(String)", each(rows, (*ngfwv1.TopCountry).GetCountryCode))
		},
		compare: func(row, p *ngfwv1.TopCountry) { row.Previous = earlier(p) },
	})
}

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
