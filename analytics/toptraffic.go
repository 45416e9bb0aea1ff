package analytics

import (
	"context"
	"net/netip"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"ngfw.sh/internal/optional"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// TopDestinations ranks destination addresses by bytes. Their country is known
// where they are the outer address.
func (db *DB) TopDestinations(ctx context.Context, orgID string, q TopQuery) ([]*ngfwv1.TopDestination, Source, error) {
	return top(ctx, db, orgID, q, ranking[*ngfwv1.TopDestination]{
		name: "destinations", rollup: byTarget, units: []unit{day, quarter}, keys: byTarget.keys, groups: 1, known: "1",
		sums: append(sums(sumBytes, sumConnections), sum{outerCountry, "max(%s)"}), order: "t0 DESC, t1 DESC",
		scan: func(rows driver.Rows) (*ngfwv1.TopDestination, error) {
			var (
				ip                 netip.Addr
				bytes, connections uint64
				country            uint16
			)
			err := rows.Scan(&ip, &bytes, &connections, &country)
			return &ngfwv1.TopDestination{Ip: ip.Unmap().String(), Geo: optional.Of(letters(country)), Bytes: signed(bytes), Connections: signed(connections)}, err
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
