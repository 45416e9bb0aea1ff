package analytics

import (
	"net/netip"

	"ngfw.sh/internal/geoip"
	"ngfw.sh/internal/optional"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// outer is the address outside of the router's network, if there is one.
func (r *row) outer() (netip.Addr, bool) {
	return geoip.Outer(r.zoneFrom, r.zoneTo, r.src, r.dst)
}

// locate gives rows whose router named no country that of their outer address.
func (db *DB) locate(rows []row) {
	if db.places == nil {
		return
	}
	for i := range rows {
		if r := &rows[i]; r.geo == "" {
			if a, ok := r.outer(); ok {
				r.geo = db.places.Country(a)
			}
		}
	}
}

// entry is the row as the API shows it, with what is known of its addresses by now.
func (db *DB) entry(r *row) *ngfwv1.LogEntry {
	e := r.entry()
	if db.places == nil {
		return e
	}
	if a, ok := r.outer(); ok {
		if number, name := db.places.AS(a); number != 0 {
			e.Asn, e.AsName = &number, optional.Of(name)
		}
	}
	if r.mac != "" {
		e.SourceVendor = optional.Of(db.places.Vendor(r.mac))
	}
	return e
}
