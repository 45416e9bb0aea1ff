// Package droplist owns lists of address prefixes whose packets are dropped: how
// they are read, and the table that the packet programs search.
//
// A table holds any number of lists, up to some million prefixes in all, and
// answers with one search which of them, the first in order, has an address. It
// is made beside the one in use and replaced as a whole. The cost of a search
// does not grow with the number of lists, and hardly with that of prefixes: two
// or three cache lines.
//
// Everything here is pure; package dataplane puts tables into the kernel.
package droplist

import (
	"fmt"
	"net/netip"
)

// Match says which address of a packet is looked for in a list.
type Match string

const (
	Either      Match = "either"
	Source      Match = "source"
	Destination Match = "destination"
)

// List is a named set of prefixes. Prefixes may overlap and repeat.
type List struct {
	Name     string
	Match    Match // "" is Either
	Prefixes []netip.Prefix
	Zones    []string // that packets come from for which it holds; none: all
}

// MaxLists in a table. One fewer than the labels that a line of counters has room for.
const MaxLists = 63

// MaxName is the longest name of a list, in bytes.
const MaxName = 63

// checkList says what is wrong with a list.
func checkList(l List) error {
	switch {
	case l.Name == "":
		return fmt.Errorf("a list without a name")
	case len(l.Name) > MaxName:
		return fmt.Errorf("list %q: the name has %d bytes, at most %d", l.Name, len(l.Name), MaxName)
	case l.Match != "" && l.Match != Either && l.Match != Source && l.Match != Destination:
		return fmt.Errorf("list %q: match %q is none of either, source, destination", l.Name, l.Match)
	}
	for _, p := range l.Prefixes {
		if !p.IsValid() {
			return fmt.Errorf("list %q holds an invalid prefix", l.Name)
		}
	}
	return nil
}
