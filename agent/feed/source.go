package feed

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"os"
	"time"

	"ngfw.sh/dataplane/droplist"
	"ngfw.sh/internal/geoip"
)

// Source is a list and where it comes from: a file, an address, or the database
// of countries; exactly one of them.
type Source struct {
	Name  string
	Match droplist.Match
	Zones []string // that packets come from for which it holds; none: all

	File string

	URL       string // https
	Every     time.Duration
	MayShrink bool // a copy of less than a tenth of the one before is believed
	Client    *http.Client

	Countries []string // ISO 3166 codes in capitals

	// Reserved lets what is fetched name addresses of private networks and the like.
	Reserved bool
}

// stamp tells one content of a file from the next.
type stamp struct {
	changed time.Time
	size    int64
	missing bool
}

func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{missing: true}, err
	}
	s := stamp{changed: info.ModTime(), size: info.Size()}
	if !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	return s, err
}

// path is the file that holds what the source says.
func (f *Feed) path(s Source) string {
	switch {
	case s.URL != "":
		return f.copyPath(s, dataEnd)
	case len(s.Countries) > 0:
		return f.cfg.CountriesFile
	}
	return s.File
}

// prefixes reads it.
func (f *Feed) prefixes(s Source) ([]netip.Prefix, error) {
	path := f.path(s)
	switch {
	case s.URL != "":
		data, _, err := f.readCopy(s)
		if err != nil {
			return nil, err
		}
		return f.check(s, data, 0)
	case len(s.Countries) > 0:
		db, err := geoip.Open(path)
		if err != nil {
			return nil, err
		}
		return ofCountries(db, s.Countries)
	}
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	prefixes, err := droplist.Parse(in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return prefixes, nil
}

// ofCountries are the prefixes of some countries. One of which the database knows
// nothing is more likely misspelt than empty.
func ofCountries(db *geoip.Database, codes []string) (out []netip.Prefix, err error) {
	wanted, found := map[string]bool{}, map[string]bool{}
	for _, code := range codes {
		wanted[code] = true
	}
	for p, code := range db.Prefixes(wanted) {
		out, found[code] = append(out, p), true
	}
	for _, code := range codes {
		if !found[code] {
			return nil, fmt.Errorf("the database of countries knows none that is called %s", code)
		}
	}
	out, _ = droplist.Without(out, droplist.Reserved)
	return out, nil
}

// Part of the lines of what is fetched that may be none: a feed is not refused
// for a line that somebody forgot to mark as a remark.
const badPart = 100

// check reads what was fetched, and refuses what is no list, or is suspiciously
// less than the one of before had.
func (f *Feed) check(s Source, data []byte, before int) ([]netip.Prefix, error) {
	c, err := droplist.Read(bytes.NewReader(data))
	switch {
	case err != nil:
		return nil, err
	case len(c.Prefixes) == 0 && c.FirstBad != nil:
		return nil, fmt.Errorf("it holds no prefix: %w", c.FirstBad)
	case len(c.Prefixes) == 0:
		return nil, errors.New("it holds no prefix")
	case c.Bad > 1+len(c.Prefixes)/badPart:
		return nil, fmt.Errorf("%d of its lines are none of a list: %w", c.Bad, c.FirstBad)
	case !s.MayShrink && 10*len(c.Prefixes) < before:
		return nil, fmt.Errorf("it has shrunk from %d prefixes to %d: more than nine tenths are not given up unless may_shrink says so", before, len(c.Prefixes))
	}
	list := c.Prefixes
	if !s.Reserved {
		list, _ = droplist.Without(list, droplist.Reserved)
		if len(list) == 0 {
			return nil, errors.New("it names private and reserved networks alone, which needs reserved: true")
		}
	}
	return list, droplist.CheckWidth(list)
}
