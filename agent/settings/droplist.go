package settings

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"time"
)

// DropList is a list of prefixes whose packets are dropped before the policy
// sees them. It comes from a file, which is read again when it changes, from an
// address, or from the database of countries.
type DropList struct {
	Name  string   `yaml:"name"`
	Match string   `yaml:"match,omitempty"` // either, source, destination
	Zones []string `yaml:"zones,omitempty"` // that packets arrive from for which it holds; none: all

	File string `yaml:"file,omitempty"`

	URL       string        `yaml:"url,omitempty"`        // https
	Every     time.Duration `yaml:"every,omitempty"`      // between two fetches; 0: an hour
	CAFile    string        `yaml:"ca_file,omitempty"`    // PEM; "": the system's authorities
	Private   bool          `yaml:"private,omitempty"`    // the server may be in a private network
	Reserved  bool          `yaml:"reserved,omitempty"`   // it may name private networks
	MayShrink bool          `yaml:"may_shrink,omitempty"` // to less than a tenth at once

	Countries []string `yaml:"countries,omitempty"` // ISO 3166 codes
}

// As dataplane bounds them.
const (
	maxDropLists  = 63
	maxListName   = 63
	maxEarlyZones = 15
)

// DefaultEvery is the time between two fetches of a list that names none.
const DefaultEvery = time.Hour

type refuse = func(path, format string, args ...any)

func (s Settings) validateDropLists(refuse refuse) {
	if len(s.DropLists) > maxDropLists {
		refuse("drop_lists", "%d lists, at most %d", len(s.DropLists), maxDropLists)
	}
	names := map[string]bool{}
	zones := map[string]bool{}
	for zone := range s.Guards.Zones {
		zones[zone] = true
	}
	for i, l := range s.DropLists {
		at := fmt.Sprintf("drop_lists[%d].", i)
		switch {
		case l.Name == "" || len(l.Name) > maxListName:
			refuse(at+"name", "%q has not 1 to %d bytes", l.Name, maxListName)
		case names[l.Name]:
			refuse(at+"name", "two lists are called %q", l.Name)
		}
		names[l.Name] = true
		oneOf(refuse, at+"match", l.Match, "", "either", "source", "destination")
		l.validateSource(at, s.GeoIP, refuse)
		for _, zone := range l.Zones {
			zones[zone] = true
			checkEarlyZone(at+"zones", zone, refuse)
		}
	}
	if len(zones) > maxEarlyZones {
		refuse("drop_lists", "lists and guards name %d zones, at most %d", len(zones), maxEarlyZones)
	}
	for i, text := range s.DropAllow {
		if _, err := ParsePrefix(text); err != nil {
			refuse(fmt.Sprintf("drop_allow[%d]", i), "%v", err)
		}
	}
}

func checkEarlyZone(path, zone string, refuse refuse) {
	switch {
	case zone == "" || len(zone) > maxListName:
		refuse(path, "%q is no zone's name", zone)
	case zone == "SELF" || zone == "any":
		refuse(path, "no packet arrives from %s: name zones that have interfaces, or none for all", zone)
	}
}

func (l DropList) validateSource(at, database string, refuse refuse) {
	given := 0
	for _, is := range []bool{l.File != "", l.URL != "", len(l.Countries) > 0} {
		if is {
			given++
		}
	}
	if given != 1 {
		refuse(at+"file", "a list comes from one of file, url and countries")
		return
	}
	if l.URL == "" && (l.Every != 0 || l.CAFile != "" || l.Private || l.Reserved || l.MayShrink) {
		refuse(at+"url", "every, ca_file, private, reserved and may_shrink are for lists with an url")
	}
	switch {
	case l.File != "" && !filepath.IsAbs(l.File):
		refuse(at+"file", "%q is not an absolute path", l.File)
	case l.URL != "":
		u, err := url.Parse(l.URL)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			refuse(at+"url", "it is no https://host/path without a name or password in it")
		}
		if l.Every != 0 && (l.Every < time.Minute || l.Every > 30*24*time.Hour) {
			refuse(at+"every", "%v is not from 1m to 720h", l.Every)
		}
		if l.CAFile != "" && !filepath.IsAbs(l.CAFile) {
			refuse(at+"ca_file", "%q is not an absolute path", l.CAFile)
		}
	case len(l.Countries) > 0 && database == "":
		refuse(at+"countries", "they need geoip, a database of countries")
	}
	if i := slices.IndexFunc(l.Countries, func(c string) bool { return !isCountry(c) }); i >= 0 {
		refuse(fmt.Sprintf("%scountries[%d]", at, i), "%q is no code of two capitals (ISO 3166)", l.Countries[i])
	}
}

func isCountry(code string) bool {
	return len(code) == 2 && code[0] >= 'A' && code[0] <= 'Z' && code[1] >= 'A' && code[1] <= 'Z'
}

// ParsePrefix reads an address or a prefix.
func ParsePrefix(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q is no address or prefix", text)
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}
