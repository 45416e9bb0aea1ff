// Package geoip owns reading in which country addresses are, from a database in
// MaxMind's MMDB format (https://maxmind.github.io/MaxMind-DB/).
//
// A Database is a copy of the file in memory, so that a file replaced in place
// cannot tear it; whoever needs it for a moment opens it for a moment. It knows
// MaxMind's and DB-IP's records (country.iso_code), those of ip-location-db
// (country_code) and of IPinfo (country). It is safe for concurrent use.
package geoip

import (
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"os"

	"github.com/oschwald/maxminddb-golang/v2"
)

// MaxSize bounds the file: city databases, which will do too, have some 150 MB.
const MaxSize = 512 << 20

// Database is one that was read; it is what package policy calls Countries.
type Database struct {
	reader *maxminddb.Reader
	path   []any // of the code in a record
}

// wrapped are the IPv6 addresses that only carry one of IPv4: databases hold
// those as further ways to the same data. They have no country.
var wrapped = []netip.Prefix{
	netip.MustParsePrefix("::/96"),         // RFC 4291 2.5.5.1
	netip.MustParsePrefix("::ffff:0:0/96"), // RFC 4291 2.5.5.2
	netip.MustParsePrefix("64:ff9b::/96"),  // RFC 6052
	netip.MustParsePrefix("2001::/32"),     // RFC 4380
	netip.MustParsePrefix("2002::/16"),     // RFC 3056
}

// Open reads a file whole. One that is no such database, or tells no countries, is
// an error.
func Open(path string) (*Database, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > MaxSize {
		return nil, fmt.Errorf("%s has %d MB, a database of countries has at most %d", path, info.Size()>>20, MaxSize>>20)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// Parse is Open for what was read.
func Parse(data []byte) (*Database, error) {
	reader, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, fmt.Errorf("no database in MMDB format: %w", err)
	}
	d := &Database{reader: reader}
	// A tree has a leaf more than nodes; one whose nodes are shared may have more
	// leaves than anybody can walk.
	limit, n := 4*int(reader.Metadata.NodeCount)+1024, 0
	for range reader.Networks(maxminddb.IncludeNetworksWithoutData()) {
		if n++; n > limit {
			return nil, errors.New("the database is broken: it has more networks than its nodes can hold")
		}
	}
	for _, path := range [][]any{{"country", "iso_code"}, {"country_code"}, {"country"}} {
		d.path = path
		for _, code := range d.networks() {
			if code != "" {
				return d, nil
			}
		}
	}
	return nil, errors.New("the database tells no countries: one of countries or cities is needed")
}

// Country gives an address's ISO 3166 code in capitals, "" where it is unknown.
func (d *Database) Country(addr netip.Addr) string {
	addr = addr.WithZone("")
	for _, p := range wrapped {
		if p.Contains(addr) {
			return ""
		}
	}
	if addr.Is6() && d.reader.Metadata.IPVersion == 4 {
		return ""
	}
	return d.code(d.reader.Lookup(addr))
}

// code reads a record; what is none of a country counts as unknown.
func (d *Database) code(r maxminddb.Result) string {
	if !r.Found() {
		return ""
	}
	var code string
	if err := r.DecodePath(&code, d.path...); err != nil || !isCode(code) {
		return ""
	}
	return code
}

func isCode(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}

// Prefixes gives all prefixes of some countries, by code.
func (d *Database) Prefixes(codes map[string]bool) iter.Seq2[netip.Prefix, string] {
	return func(yield func(netip.Prefix, string) bool) {
		for prefix, code := range d.networks() {
			if codes[code] && !yield(prefix, code) {
				return
			}
		}
	}
}

// networks walks the database. Records are shared by many networks, so each is
// decoded once.
func (d *Database) networks() iter.Seq2[netip.Prefix, string] {
	return func(yield func(netip.Prefix, string) bool) {
		known := map[uintptr]string{}
	networks:
		for r := range d.reader.Networks() {
			if r.Err() != nil {
				continue // broken inside: Country fails there too
			}
			prefix := r.Prefix()
			for _, p := range wrapped {
				if prefix.Addr().Is6() && p.Overlaps(prefix) {
					continue networks
				}
			}
			code, ok := known[r.Offset()]
			if !ok {
				code = d.code(r)
				if len(known) < 1<<16 {
					known[r.Offset()] = code
				}
			}
			if !yield(prefix, code) {
				return
			}
		}
	}
}
