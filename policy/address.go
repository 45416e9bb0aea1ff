package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// addressList is a parsed source or destination: the union of its items, or
// everything outside of it when negated.
type addressList struct {
	negated bool
	items   []addressItem
}

type addressKind uint8

const (
	addressAny addressKind = iota
	addressSelf
	addressOne     // first
	addressPrefix  // prefix
	addressRange   // first … last, of one family
	addressGroup   // name
	addressCountry // name: ISO code, upper-case
	addressMAC     // mac
)

type addressItem struct {
	kind        addressKind
	first, last netip.Addr
	prefix      netip.Prefix
	name        string
	mac         MAC
}

func parseAddressList(s string) (addressList, error) {
	var list addressList
	s = strings.TrimSpace(s)
	if s == "" {
		return list, errors.New(`is empty: write "any" for every address`)
	}
	if rest, ok := strings.CutPrefix(s, "!"); ok {
		list.negated, s = true, rest
	}
	for text := range strings.SplitSeq(s, ",") {
		item, err := parseAddressItem(strings.TrimSpace(text))
		if err != nil {
			return addressList{}, err
		}
		list.items = append(list.items, item)
	}
	return list, nil
}

func parseAddressItem(s string) (addressItem, error) {
	switch {
	case s == "":
		return addressItem{}, errors.New("has an empty entry: remove the extra comma")
	case s[0] == '!':
		return addressItem{}, errors.New(`"!" may stand only before the whole list, which it negates`)
	case s == "any":
		return addressItem{kind: addressAny}, nil
	case s == "self":
		return addressItem{kind: addressSelf}, nil
	case s[0] == '@':
		if err := checkName(s[1:]); err != nil {
			return addressItem{}, fmt.Errorf("%q names no group: the name %w", s, err)
		}
		return addressItem{kind: addressGroup, name: s[1:]}, nil
	case strings.HasPrefix(s, "geo:"):
		code := s[len("geo:"):]
		if len(code) != 2 || !isUpper(code[0]) || !isUpper(code[1]) {
			return addressItem{}, fmt.Errorf("%q is no country: write geo: and the two capital letters of its ISO code, as in geo:DE", s)
		}
		return addressItem{kind: addressCountry, name: code}, nil
	case strings.HasPrefix(s, "mac:"):
		mac, err := ParseMAC(s[len("mac:"):])
		return addressItem{kind: addressMAC, mac: mac}, err
	case strings.Contains(s, "/"):
		prefix, err := parsePrefix(s)
		return addressItem{kind: addressPrefix, prefix: prefix}, err
	case strings.Contains(s, "-"):
		return parseAddressRange(s)
	}
	if _, err := netip.ParseAddr(s); err != nil {
		return addressItem{}, fmt.Errorf("%q is no address, CIDR, range, @group, geo:XX, mac:…, self or any", s)
	}
	addr, err := parseAddress(s)
	return addressItem{kind: addressOne, first: addr}, err
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }

// parseAddress reads one address. An IPv4-mapped one never appears on the wire
// and would be two ways to say one thing.
func parseAddress(s string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return netip.Addr{}, fmt.Errorf("%q is no IP address", s)
	case addr.Zone() != "":
		return netip.Addr{}, fmt.Errorf("%q names an interface: write %s", s, addr.WithZone(""))
	case addr.Is4In6():
		return netip.Addr{}, fmt.Errorf("%q is an IPv4 address in IPv6 form: write %s", s, addr.Unmap())
	}
	return addr, nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("%q is no CIDR: write an address, a slash and a prefix length, as in 192.0.2.0/24 or 2001:db8::/32", s)
	case prefix.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%q is an IPv4 prefix in IPv6 form: write it as IPv4", s)
	case prefix != prefix.Masked():
		return netip.Prefix{}, fmt.Errorf("%q has bits set beyond its prefix length: write %s", s, prefix.Masked())
	}
	return prefix, nil
}

func parseAddressRange(s string) (addressItem, error) {
	from, to, _ := strings.Cut(s, "-")
	first, err := parseAddress(strings.TrimSpace(from))
	if err != nil {
		return addressItem{}, err
	}
	last, err := parseAddress(strings.TrimSpace(to))
	if err != nil {
		return addressItem{}, err
	}
	switch {
	case first.Is4() != last.Is4():
		return addressItem{}, fmt.Errorf("%q mixes IPv4 and IPv6: write one range for each", s)
	case last.Less(first):
		return addressItem{}, fmt.Errorf("%q runs backwards: write %s-%s", s, last, first)
	}
	return addressItem{kind: addressRange, first: first, last: last}, nil
}
