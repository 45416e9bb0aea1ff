package geoip

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"
)

// Networks tells the autonomous system of addresses, from a database in MMDB format:
// MaxMind's GeoLite2 ASN, DB-IP's and ip-location-db's, or IPinfo's.
type Networks struct{ reader *maxminddb.Reader }

// AS is an autonomous system; Number 0 is none that is known.
type AS struct {
	Number uint32
	Name   string
}

// OpenNetworks reads a file whole.
func OpenNetworks(path string) (*Networks, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > MaxSize {
		return nil, fmt.Errorf("%s has %d MB, a database of networks has at most %d", path, info.Size()>>20, MaxSize>>20)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	n, err := ParseNetworks(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}

// ParseNetworks is OpenNetworks for what was read.
func ParseNetworks(data []byte) (*Networks, error) {
	reader, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, fmt.Errorf("no database in MMDB format: %w", err)
	}
	n := &Networks{reader}
	limit, seen := 4*int(reader.Metadata.NodeCount)+1024, 0
	for r := range reader.Networks(maxminddb.IncludeNetworksWithoutData()) {
		if seen++; seen > limit {
			return nil, errors.New("the database is broken: it has more networks than its nodes can hold")
		}
		if n.of(r).Number != 0 {
			return n, nil
		}
	}
	return nil, errors.New("the database tells no autonomous systems: one of ASNs is needed")
}

// AS gives an address's autonomous system.
func (n *Networks) AS(addr netip.Addr) AS {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() || addr.Is6() && n.reader.Metadata.IPVersion == 4 {
		return AS{}
	}
	return n.of(n.reader.Lookup(addr))
}

func (n *Networks) of(r maxminddb.Result) AS {
	if r.Err() != nil || !r.Found() {
		return AS{}
	}
	var record struct {
		Number       uint32 `maxminddb:"autonomous_system_number"`
		Organization string `maxminddb:"autonomous_system_organization"`
		ASN          string `maxminddb:"asn"` // "AS64500"
		ASName       string `maxminddb:"as_name"`
		Name         string `maxminddb:"name"`
	}
	if err := r.Decode(&record); err != nil {
		return AS{}
	}
	if record.Number != 0 {
		return AS{record.Number, record.Organization}
	}
	number, err := strconv.ParseUint(strings.TrimPrefix(record.ASN, "AS"), 10, 32)
	if err != nil {
		return AS{}
	}
	if record.ASName == "" {
		record.ASName = record.Name
	}
	return AS{uint32(number), record.ASName}
}
