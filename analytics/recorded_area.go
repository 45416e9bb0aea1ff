package analytics

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Area is flows of some interfaces, addresses and a service.
type Area struct {
	AnyInterface                      bool // else In and Out name them
	In, Out                           []string
	SourceFirst, SourceLast           netip.Addr // invalid: any
	DestinationFirst, DestinationLast netip.Addr
	Protocol                          int // -1: any
	PortLo, PortHi                    uint16
}

// areas: a flow must be in one of them.
type areas []Area

// possible leaves out those in which no flow can be.
func (list areas) possible() areas {
	return slices.DeleteFunc(slices.Clone(list), func(a Area) bool { return !a.AnyInterface && (len(a.In) == 0 || len(a.Out) == 0) })
}

// icmp says whether there can be types of ICMP in them.
func (list areas) icmp() bool {
	for _, a := range list {
		if a.Protocol < 0 || a.Protocol == 1 || a.Protocol == 58 {
			return everyService
		}
	}
	return withoutICMP
}

// asked is what an area asks of a column, with values in their places; "" is any.
type asked struct {
	term, kind string
	values     []any
}

func (a asked) in(w *where) string {
	places := make([]any, len(a.values))
	for i, v := range a.values {
		places[i] = w.bind(a.kind, v)
	}
	return fmt.Sprintf(a.term, places...)
}

// asks is what the area asks of each column.
func (a Area) asks() [6]asked {
	all := [6]asked{
		a.interfaces("interface_in", a.In), a.interfaces("interface_out", a.Out),
		addresses("source_ip", a.SourceFirst, a.SourceLast), addresses("destination_ip", a.DestinationFirst, a.DestinationLast),
	}
	if a.Protocol >= 0 {
		all[4] = asked{"protocol = %s", "UInt8", []any{a.Protocol}}
	}
	switch {
	case a.PortLo == a.PortHi:
		all[5] = asked{"destination_port = %s", "UInt16", []any{a.PortLo}}
	case a.PortLo > 0 || a.PortHi < 65535:
		all[5] = asked{"destination_port BETWEEN %s AND %s", "UInt16", []any{a.PortLo, a.PortHi}}
	}
	return all
}

func (a Area) interfaces(column string, names []string) asked {
	if a.AnyInterface {
		return asked{term: column + " != ''"}
	}
	return asked{column + " IN %s", "Array(String)", []any{names}}
}

// addresses asks for one address by itself: that is what bloom filters know.
func addresses(column string, first, last netip.Addr) asked {
	stored := func(a netip.Addr) string { return netip.AddrFrom16(a.As16()).String() }
	switch {
	case !first.IsValid():
		return asked{}
	case first == last:
		return asked{column + " = %s", "IPv6", []any{stored(first)}}
	}
	return asked{column + " BETWEEN %s AND %s", "IPv6", []any{stored(first), stored(last)}}
}

// narrow adds "has interfaces and is in one of the areas". What every area asks of a
// column is a condition by itself, too: skip indexes and reading column by column
// know nothing of alternatives of several columns.
func (list areas) narrow(w *where) {
	alternatives := make([][]string, len(list))
	for column := range (Area{}).asks() {
		var every []string // that is asked of the column, each once
		bound, free := map[string]string{}, false
		for i, a := range list {
			want := a.asks()[column]
			if want.term == "" {
				free = true
				continue
			}
			key := fmt.Sprint(want)
			term, again := bound[key]
			if !again {
				term = want.in(w)
				bound[key] = term
				every = append(every, term)
			}
			alternatives[i] = append(alternatives[i], term)
		}
		if !free {
			w.andAny(every)
		}
	}
	if len(list) > 1 {
		each := make([]string, len(list))
		for i, terms := range alternatives {
			each[i] = "(" + strings.Join(terms, " AND ") + ")" // never empty: interfaces are asked for
		}
		w.andAny(each)
	}
}
