package backtest

import (
	"fmt"
	"slices"
)

// fewer puts areas together until there are at most so many: those that are the same
// first, then those that differ in addresses, then those that differ in anything but
// interfaces; false: there are still more. What comes out holds all that went in.
func fewer(list []Area, most int) ([]Area, bool) {
	for i := range list {
		list[i] = list[i].plain()
	}
	for _, alike := range []func(Area) Area{
		func(a Area) Area { return a },
		func(a Area) Area {
			a.Source, a.Destination = Range{}, Range{}
			return a
		},
		func(a Area) Area { return Area{AnyInterface: a.AnyInterface, In: a.In, Out: a.Out} },
	} {
		if list = together(list, alike); len(list) <= most {
			return list, true
		}
	}
	return nil, false
}

// plain says the same shorter: both addresses of a packet are of one family.
func (a Area) plain() Area {
	a.In, a.Out = unique(a.In), unique(a.Out)
	if a.Destination.everyOfFamily() && a.Source.family() == a.Destination.family() {
		a.Destination = Range{}
	}
	if a.Source.everyOfFamily() && a.Source.family() == a.Destination.family() {
		a.Source = Range{}
	}
	return a
}

// together makes one area of those that are alike and of the same families.
func together(list []Area, alike func(Area) Area) []Area {
	var out []Area
	at := map[string]int{}
	for _, a := range list {
		k := fmt.Sprint(alike(a), a.Source.family(), a.Destination.family())
		n, again := at[k]
		if !again {
			at[k] = len(out)
			out = append(out, a)
			continue
		}
		o := &out[n]
		o.Source, o.Destination = o.Source.hull(a.Source), o.Destination.hull(a.Destination)
		if o.Protocol != a.Protocol {
			o.Protocol = -1
		}
		o.PortLo, o.PortHi = min(o.PortLo, a.PortLo), max(o.PortHi, a.PortHi)
	}
	return out
}

func unique(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}
