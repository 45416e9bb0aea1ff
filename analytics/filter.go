package analytics

import (
	"net/netip"
	"slices"
	"strings"
)

// filter says which rows are wanted. Values of one field are alternatives, the
// fields must all hold; an empty field holds always. conditions writes it as
// SQL, match evaluates it in Go, and both must mean the same.
type filter struct {
	deviceID  string // "": all of the organisation
	actions   []action
	events    []event
	protocols []uint8
	sources   []netip.Prefix // masked, never IPv4 mapped into IPv6
	targets   []netip.Prefix
	ports     []portRange
	apps      []string
	geos      []string
	threats   []string
	rules     []int64
	search    string     // lower-case part of words
	address   netip.Addr // search as an exact address, if it is one
	from, to  int64      // Unix microseconds, to not included; 0: open

	among []netip.Addr // if not nil: all destinations within targets that there are
}

// portRange includes both ends.
type portRange struct{ lo, hi uint16 }

// keys puts what roll-ups can tell into a query: those that the filter is
// within.
func (f *filter) keys(w *where) {
	if f.deviceID != "" {
		w.and("device_id = " + w.bind("String", f.deviceID))
	}
	in(w, "action", "Array(String)", texts(f.actions))
	in(w, "protocol", "Array(UInt16)", widened(f.protocols)) // a list of bytes would be bound as text
	in(w, "app", "Array(String)", f.apps)
	in(w, "geo", "Array(String)", f.geos)
	in(w, "threat", "Array(String)", f.threats)
	in(w, "rule_id", "Array(Int64)", f.rules)
}

// within says whether the filter tells no rows apart that the roll-up has
// summed.
func (f *filter) within(r rollup) bool {
	for column, values := range map[string]int{
		"action": len(f.actions), "protocol": len(f.protocols), "app": len(f.apps), "geo": len(f.geos),
		"threat": len(f.threats), "rule_id": len(f.rules),
	} {
		if values > 0 && !slices.Contains(r.keys, column) {
			return false
		}
	}
	return len(f.events)+len(f.sources)+len(f.targets)+len(f.ports) == 0 && f.search == ""
}

// conditions puts the filter into a query.
func (f *filter) conditions(w *where) {
	f.keys(w)
	if f.from != 0 {
		w.and("ts >= " + w.bindTime(f.from))
	}
	if f.to != 0 {
		w.and("ts < " + w.bindTime(f.to))
	}
	in(w, "event", "Array(String)", texts(f.events))
	w.andAny(prefixConditions(w, "source_ip", f.sources))
	w.andAny(prefixConditions(w, "destination_ip", f.targets))
	if f.among != nil {
		list := each(f.among, w.bindAddress)
		w.and("destination_ip IN (" + strings.Join(append(list, "toIPv6('::')"), ", ") + ")")
	}
	w.andAny(portConditions(w, "destination_port", f.ports))
	w.andAny(searchConditions(w, f.search, f.address))
}

func portConditions(w *where, column string, ranges []portRange) (out []string) {
	for _, p := range ranges {
		if p.lo == p.hi {
			out = append(out, column+" = "+w.bind("UInt16", p.lo))
		} else {
			out = append(out, column+" BETWEEN "+w.bind("UInt16", p.lo)+" AND "+w.bind("UInt16", p.hi))
		}
	}
	return out
}

// searchConditions are those of q: a part of the words, or an exact address.
func searchConditions(w *where, text string, exact netip.Addr) (out []string) {
	if text == "" {
		return nil
	}
	out = append(out, "words LIKE "+w.bind("String", "%"+likeEscapes.Replace(text)+"%")) // what the index of words knows
	if exact.IsValid() {
		a := w.bindAddress(exact)
		out = append(out, "source_ip = "+a, "destination_ip = "+a)
	}
	return out
}

var likeEscapes = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// prefixConditions: a prefix is a range of the mapped addresses.
func prefixConditions(w *where, column string, prefixes []netip.Prefix) []string {
	var out []string
	for _, p := range prefixes {
		lo, hi := bounds(p)
		if lo == hi {
			out = append(out, column+" = "+w.bindAddress(lo))
			continue
		}
		c := column + " BETWEEN " + w.bindAddress(lo) + " AND " + w.bindAddress(hi)
		if p.Addr().Is6() && p.Contains(mappedLo) { // an IPv6 prefix holds no IPv4 address
			c = "(" + c + " AND NOT " + column + " BETWEEN " + w.bindAddress(mappedLo) + " AND " + w.bindAddress(mappedHi) + ")"
		}
		out = append(out, c)
	}
	return out
}

var (
	mappedLo = netip.MustParseAddr("::ffff:0.0.0.0")
	mappedHi = netip.MustParseAddr("::ffff:255.255.255.255")
)

// bounds are the first and the last address of a prefix, in the table's form.
func bounds(p netip.Prefix) (lo, hi netip.Addr) {
	first := p.Masked().Addr().As16()
	last, bits := first, p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	for i := bits; i < 128; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom16(first), netip.AddrFrom16(last)
}

// match is the filter in Go.
func (f *filter) match(r *row) bool {
	switch {
	case f.deviceID != "" && f.deviceID != r.deviceID,
		f.from != 0 && r.time < f.from,
		f.to != 0 && r.time >= f.to,
		!oneOf(f.actions, r.action),
		!oneOf(f.events, r.event),
		!oneOf(f.protocols, r.protocol),
		!oneOf(f.apps, r.app),
		!oneOf(f.geos, r.geo),
		!oneOf(f.threats, r.threat),
		!oneOf(f.rules, r.ruleID),
		!within(f.sources, r.src),
		!within(f.targets, r.dst):
		return false
	}
	if len(f.ports) > 0 && !slices.ContainsFunc(f.ports, func(p portRange) bool { return p.lo <= r.dstPort && r.dstPort <= p.hi }) {
		return false
	}
	if f.search == "" || strings.Contains(r.words, f.search) {
		return true
	}
	return f.address.IsValid() && (r.src == f.address || r.dst == f.address)
}

func oneOf[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }

func within(list []netip.Prefix, a netip.Addr) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

func texts[T interface{ String() string }](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = v.String()
	}
	return out
}

func widened(list []uint8) []uint16 {
	out := make([]uint16, len(list))
	for i, v := range list {
		out[i] = uint16(v)
	}
	return out
}
