package analytics

import (
	"cmp"
	"context"
	"net/netip"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"ngfw.sh/internal/optional"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// namedSums is what is summed of something with a name: bytes, flows, and those of
// them that were blocked.
type namedSums struct {
	name                        string
	bytes, connections, blocked uint64
}

// namedGroups are those of a ranking by bytes, or by flows.
func namedGroups(byFlows bool, blocked bool) grouping[string, namedSums] {
	return grouping[string, namedSums]{
		scan: func(rows driver.Rows) (n namedSums, err error) {
			into := []any{&n.name, &n.bytes, &n.connections}
			if blocked {
				into = append(into, &n.blocked)
			}
			return n, rows.Scan(into...)
		},
		key: func(n *namedSums) string { return n.name },
		add: func(sum, n *namedSums) {
			sum.bytes, sum.connections, sum.blocked = sum.bytes+n.bytes, sum.connections+n.connections, sum.blocked+n.blocked
		},
		order: func(a, b *namedSums) int {
			bytes, flows := cmp.Compare(b.bytes, a.bytes), cmp.Compare(b.connections, a.connections)
			if byFlows {
				bytes, flows = flows, bytes
			}
			return cmp.Or(bytes, flows, strings.Compare(a.name, b.name))
		},
	}
}

// targetSums is what is summed of a destination.
type targetSums struct {
	ip                 netip.Addr
	bytes, connections uint64
	country            uint16
}

// TopDestinations ranks destination addresses by bytes. Their country is known
// where they are the outer address.
func (db *DB) TopDestinations(ctx context.Context, orgID string, q TopQuery) ([]*ngfwv1.TopDestination, Source, error) {
	return top(ctx, db, orgID, q, ranking[*ngfwv1.TopDestination, netip.Addr, targetSums]{
		name: "destinations", rollup: byTarget, units: []unit{day, quarter}, keys: byTarget.keys, groups: 1, known: "1",
		sums: append(sums(sumBytes, sumConnections), sum{outerCountry, "max(%s)"}), by: "t0 DESC, t1 DESC",
		grouping: grouping[netip.Addr, targetSums]{
			scan: func(rows driver.Rows) (t targetSums, err error) {
				err = rows.Scan(&t.ip, &t.bytes, &t.connections, &t.country)
				return t, err
			},
			key: func(t *targetSums) netip.Addr { return t.ip },
			add: func(sum, t *targetSums) {
				sum.bytes, sum.connections, sum.country = sum.bytes+t.bytes, sum.connections+t.connections, max(sum.country, t.country)
			},
			order: func(a, b *targetSums) int {
				return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(b.connections, a.connections), a.ip.Compare(b.ip))
			},
		},
		message: func(t *targetSums) *ngfwv1.TopDestination {
			return &ngfwv1.TopDestination{Ip: t.ip.Unmap().String(), Geo: optional.Of(letters(t.country)), Bytes: signed(t.bytes), Connections: signed(t.connections)}
		},
		id: (*ngfwv1.TopDestination).GetIp,
		restrict: func(w *where, rows []*ngfwv1.TopDestination) {
			inAddresses(w, "destination_ip", rows, (*ngfwv1.TopDestination).GetIp)
		},
		compare: func(row, p *ngfwv1.TopDestination) { row.Previous = earlier(p) },
	})
}

// letters are a country's code of the number that outerCountry makes of it.
func letters(n uint16) string {
	if n == 0 {
		return ""
	}
	return string([]byte{byte(n), byte(n >> 8)})
}

// TopApplications ranks applications by bytes; flows of an unknown one are not
// among them.
func (db *DB) TopApplications(ctx context.Context, orgID string, q TopQuery) ([]*ngfwv1.TopApplication, Source, error) {
	return top(ctx, db, orgID, q, ranking[*ngfwv1.TopApplication, string, namedSums]{
		name: "applications", rollup: byApplication, keys: []string{"app"}, groups: 1, known: "app != ''",
		sums: sums(sumBytes, sumConnections), by: "t0 DESC, t1 DESC",
		grouping: namedGroups(false, false),
		message: func(n *namedSums) *ngfwv1.TopApplication {
			return &ngfwv1.TopApplication{App: n.name, Bytes: signed(n.bytes), Connections: signed(n.connections)}
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
	return top(ctx, db, orgID, q, ranking[*ngfwv1.TopCountry, string, namedSums]{
		name: "countries", rollup: byCountry, keys: byCountry.keys, groups: 1, known: "geo != ''",
		sums: sums(sumBytes, sumConnections), by: "t0 DESC, t1 DESC",
		grouping: namedGroups(false, false),
		message: func(n *namedSums) *ngfwv1.TopCountry {
			return &ngfwv1.TopCountry{CountryCode: n.name, CountryName: countryName(n.name), Bytes: signed(n.bytes), Connections: signed(n.connections)}
		},
		id: (*ngfwv1.TopCountry).GetCountryCode,
		restrict: func(w *where, rows []*ngfwv1.TopCountry) {
			in(w, "geo", "Array(String)", each(rows, (*ngfwv1.TopCountry).GetCountryCode))
		},
		compare: func(row, p *ngfwv1.TopCountry) { row.Previous = earlier(p) },
	})
}
