package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// mapping is what a NAT rule translates to, read and judged.
type mapping struct {
	first, last     netip.Addr // dnat, snat
	ports           NATPorts
	from, to        portRange
	inside, outside netip.Prefix // 1:1 and netmap
	bySource        bool         // netmap: the source names the inside
	masquerade      bool
}

// mappingError is about one field of a rule.
type mappingError struct {
	field string
	err   error
}

func (e mappingError) Error() string { return e.field + ": " + e.err.Error() }

func wrong(field, format string, args ...any) error {
	return mappingError{field, fmt.Errorf(format, args...)}
}

func mappingOf(n NATRule) (mapping, error) {
	switch n.Type {
	case NATDestination:
		return destinationMapping(n)
	case NATSource:
		return sourceMapping(n)
	case NATMasquerade:
		if n.TranslatePort != "" {
			return mapping{}, wrong("translate_port", "masquerade keeps ports where it can and chooses none: remove it, or use snat")
		}
		return mapping{masquerade: true}, nil
	case NATOneToOne, NATNetmap:
		return networkMapping(n)
	}
	return mapping{}, wrong("nat_type", "%q is no kind of NAT: write %s", n.Type, listOfWords(natTypes))
}

// targetForms says what translate_to may be, by type.
var targetForms = map[string]string{
	NATDestination: "one address", NATSource: "an address, a CIDR or a range", NATOneToOne: "an address or a CIDR", NATNetmap: "an address or a CIDR",
}

// targetOf reads addresses that a rule of a type translates to.
func targetOf(kind, s string) (addressItem, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return addressItem{}, fmt.Errorf("is required: %s", targetForms[kind])
	}
	item, err := parseAddressItem(s)
	if err != nil && strings.ContainsAny(s, "/-") {
		return item, err
	}
	switch item.kind {
	case addressOne:
		item.last = item.first
	case addressPrefix:
		item.first, item.last = item.prefix.Addr(), lastOf(item.prefix)
	case addressRange:
	default:
		return item, noTarget(kind, s)
	}
	if err != nil {
		return item, err
	}
	for _, a := range []netip.Addr{item.first, item.last} {
		if a.IsMulticast() || a.IsLoopback() || a.IsUnspecified() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			return item, fmt.Errorf("nothing is translated to %s", a)
		}
	}
	return item, nil
}

// noTarget says what was probably meant.
func noTarget(kind, s string) error {
	if end, err := netip.ParseAddrPort(s); err == nil && (kind == NATDestination || kind == NATSource) {
		return fmt.Errorf("%q has a port: write %s here, and %d in translate_port", s, end.Addr(), end.Port())
	}
	if s == "self" && kind == NATSource {
		return errors.New(`"self" is no address: nat_type masquerade takes that of the interface`)
	}
	return fmt.Errorf("%q is not %s", s, targetForms[kind])
}

func destinationMapping(n NATRule) (mapping, error) {
	item, err := targetOf(n.Type, n.TranslateTo)
	if err != nil {
		return mapping{}, mappingError{"translate_to", err}
	}
	if item.first != item.last {
		return mapping{}, wrong("translate_to", "dnat translates to one address: write one, or use netmap for a network")
	}
	m := mapping{first: item.first, last: item.last}
	if n.TranslatePort == "" {
		return m, nil
	}
	if m.to, err = parsePortRange(strings.TrimSpace(n.TranslatePort)); err != nil {
		return m, notPort(n.TranslatePort)
	}
	m.ports = NATOne
	if m.to.first == m.to.last {
		return m, nil
	}
	m.ports = NATShift
	m.from, err = parsePortRange(strings.TrimSpace(n.DestinationPort))
	if err != nil || m.from.last-m.from.first != m.to.last-m.to.first {
		return m, wrong("translate_port", "a range of ports stands for destination_port one by one: make that a range of %d ports too, or write one port here", int(m.to.last)-int(m.to.first)+1)
	}
	if m.from.last-m.from.first >= maxNATShift && m.from != m.to {
		return m, wrong("translate_port", "more than %d ports cannot be moved one by one: keep their numbers, or write several rules", maxNATShift)
	}
	if m.from == m.to {
		m.ports = NATKeep
	}
	return m, nil
}

func sourceMapping(n NATRule) (mapping, error) {
	item, err := targetOf(n.Type, n.TranslateTo)
	if err != nil {
		return mapping{}, mappingError{"translate_to", err}
	}
	m := mapping{first: item.first, last: item.last}
	return m, m.pool(n.TranslatePort)
}

func notPort(s string) error {
	return wrong("translate_port", "%q is no port: write a number from 0 to 65535, or a range as in 8000-8080", s)
}

// pool reads the ports that a source may get.
func (m *mapping) pool(ports string) error {
	if ports == "" {
		return nil
	}
	var err error
	if m.to, err = parsePortRange(strings.TrimSpace(ports)); err != nil {
		return notPort(ports)
	}
	if m.to.first == 0 {
		return wrong("translate_port", "port 0 is nobody's: begin with 1")
	}
	m.ports = NATPool
	return nil
}

// networkMapping reads two networks of one length: 1:1 names the outside one in
// destination, netmap there or the inside one in source.
func networkMapping(n NATRule) (mapping, error) {
	to, err := networkOf(n.Type, n.TranslateTo)
	if err != nil {
		return mapping{}, mappingError{"translate_to", err}
	}
	for _, p := range []struct{ field, value string }{
		{"source_port", n.SourcePort}, {"destination_port", n.DestinationPort}, {"translate_port", n.TranslatePort},
	} {
		if p.value != "" && p.value != "*" {
			return mapping{}, wrong(p.field, "%s translates addresses and leaves ports as they are: remove it, or use dnat or snat", n.Type)
		}
	}
	m := mapping{inside: to}
	named, field := n.Destination, "destination"
	if n.Type == NATNetmap && strings.TrimSpace(n.Destination) == "any" {
		named, field, m.bySource = n.Source, "source", true
	}
	m.outside, err = networkOf(n.Type, named)
	if err != nil {
		return m, wrong(field, "must be the one address or CIDR that translate_to stands for, not %q", named)
	}
	if m.outside.Bits() != to.Bits() || m.outside.Addr().Is4() != to.Addr().Is4() {
		return m, wrong("translate_to", "%s and %s are not of one size: both must be prefixes of the same length and family", named, n.TranslateTo)
	}
	if m.bySource {
		m.inside, m.outside = m.outside, m.inside
	}
	return m, nil
}

// networkOf reads an address or a CIDR; an address is a network of one.
func networkOf(kind, s string) (netip.Prefix, error) {
	item, err := targetOf(kind, s)
	switch {
	case err != nil:
		return netip.Prefix{}, err
	case item.kind == addressPrefix:
		return item.prefix, nil
	case item.kind == addressOne:
		return netip.PrefixFrom(item.first, item.first.BitLen()), nil
	}
	return netip.Prefix{}, errors.New("write an address or a CIDR")
}

func (m mapping) target() NATTarget {
	t := NATTarget{Masquerade: m.masquerade, Ports: m.ports, ToPort: m.to.first}
	switch m.ports {
	case NATPool:
		t.LastPort = m.to.last
	case NATShift:
		t.LastPort, t.FromPort = m.to.last, m.from.first
	}
	t.To, t.Last, t.Host = uint128{}.addr(), uint128{}.addr(), uint128{}.addr()
	if !m.masquerade {
		t.To, t.Last = numberOf(m.first).addr(), numberOf(m.last).addr()
	}
	return t
}

func mapTarget(to netip.Prefix) NATTarget {
	first, last := numberOf(to.Addr()), numberOf(lastOf(to))
	t := NATTarget{To: first.addr(), Last: last.addr()}
	t.Host = uint128{first.hi ^ last.hi, first.lo ^ last.lo}.addr()
	return t
}
