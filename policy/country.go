package policy

import (
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Countries knows in which country addresses are.
type Countries interface {
	// Country gives an address's ISO 3166 code in capitals, "" where it is unknown.
	Country(netip.Addr) string
	// Prefixes gives all prefixes of some countries, by code: an address is in one
	// of them where Country says so, and in no other.
	Prefixes(codes map[string]bool) iter.Seq2[netip.Prefix, string]
}

// CountryCodes are the countries that enabled rules name, each with the path of
// the first rule that does.
func CountryCodes(p Policy) map[string]string {
	codes := map[string]string{}
	walked := map[string]bool{}
	var names func(list, of string, i int, side string)
	names = func(list, of string, i int, side string) { // a path is made where it is wanted
		if !strings.ContainsAny(list, "@g") {
			return
		}
		for text := range strings.SplitSeq(strings.TrimPrefix(strings.TrimSpace(list), "!"), ",") {
			text = strings.TrimSpace(text)
			if code, ok := strings.CutPrefix(text, "geo:"); ok {
				if codes[code] == "" {
					codes[code] = index(of, i) + side
				}
				continue
			}
			name, isGroup := strings.CutPrefix(text, "@")
			if !isGroup || walked[name] {
				continue
			}
			walked[name] = true
			g, _ := p.groupNamed(name)
			if g.Type != GroupAddress {
				continue
			}
			for _, m := range g.Members {
				names(m, of, i, side)
			}
		}
	}
	for i, r := range p.Rules {
		if r.Enabled {
			names(r.Source, "rules", i, ".source")
			names(r.Destination, "rules", i, ".destination")
		}
	}
	for i, n := range p.NAT {
		if n.Enabled {
			names(n.Source, "nat", i, ".source")
			names(n.Destination, "nat", i, ".destination")
		}
	}
	return codes
}

// NeedCountries refuses, by path, what names a country: for who has no database
// of them, and would otherwise take every address for unknown.
func NeedCountries(p Policy) error {
	var found findings
	codes := CountryCodes(p)
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		found.add(codes[code], "geo:%s needs a database of countries, and there is none", code)
	}
	return found.err()
}

// readCountries finds the prefixes of all countries that the policy names in one
// walk of the database.
func (r *resolver) readCountries(p *Policy, known Countries) error {
	named := CountryCodes(*p)
	if len(named) == 0 || known == nil {
		return nil
	}
	codes := make(map[string]bool, len(named))
	for code := range named {
		codes[code] = true
	}
	r.countries = make(map[string][]span, len(codes))
	for prefix, code := range known.Prefixes(codes) {
		list := r.countries[code]
		if len(list) >= 8*MaxEntries { // some join
			return fmt.Errorf("country %s has more than %d prefixes", code, len(list))
		}
		r.countries[code] = append(list, spansOf(prefix.Addr(), lastOf(prefix))...)
	}
	for code, list := range r.countries {
		r.countries[code] = union(list)
	}
	return nil
}
