package policy

import (
	"net/netip"
	"slices"

	"ngfw.sh/internal/fault"
)

// How lists of the NAT table stand in lines, each from a line of its own: spans of
// IPv4 in two words each, first and last; spans of IPv6 in eight, of which each
// address is two 64-bit numbers, the lower 32 bits of which stand first; MAC
// addresses as those of conditions.
const (
	spans4ALine = 8
	spans6ALine = 2

	// maxNATList bounds a list: bpf/lib/nat.h takes as many steps as that needs.
	maxNATList = 1<<18 - 1
)

// natSide is what a rule says of one side of a packet. What names countries has a
// list: the name under which its spans are written once.
type natSide struct {
	spans []span
	list  string
}

// side is a resolved set with the text that it came from.
func (c *natCompiler) side(text string, set []span) natSide {
	s := natSide{spans: set}
	if !c.crossed && c.resolve.namesCountry(text) {
		s.list = text
	}
	return s
}

// ranges are the bounds that boxes of a family get of a side, and the list that they
// all have.
func (c *natCompiler) ranges(s natSide, family int) ([]span, NATList, error) {
	set := ofFamily(s.spans, family)
	if s.list == "" || len(set) < 2 {
		return set, NATList{}, nil
	}
	list, err := c.list(natListKey{s.list, family}, set)
	return []span{{set[0].first, set[len(set)-1].last}}, list, err
}

type natListKey struct {
	text   string
	family int // families: MAC addresses
}

// list writes spans of a family, once for each key.
func (c *natCompiler) list(key natListKey, set []span) (NATList, error) {
	if list, done := c.lists[key]; done {
		return list, nil
	}
	if len(set) > maxNATList {
		return NATList{}, fault.New(fault.InvalidConfig, "the countries that a NAT rule names have %d ranges of addresses, the limit is %d: name fewer", len(set), maxNATList)
	}
	list := c.begin(key, len(set))
	if key.family == family4 {
		for chunk := range slices.Chunk(set, spans4ALine) {
			var line Line
			for i, s := range chunk {
				line[2*i], line[2*i+1] = uint32(s.first.lo), uint32(s.last.lo)
			}
			c.image.Lines = append(c.image.Lines, line)
		}
		return list, nil
	}
	for chunk := range slices.Chunk(set, spans6ALine) {
		var line Line
		for i, s := range chunk {
			for k, n := range [4]uint64{s.first.hi, s.first.lo, s.last.hi, s.last.lo} {
				line[8*i+2*k], line[8*i+2*k+1] = uint32(n), uint32(n>>32)
			}
		}
		c.image.Lines = append(c.image.Lines, line)
	}
	return list, nil
}

// macs writes MAC addresses, sorted, once for each list of them.
func (c *natCompiler) macs(set []MAC) (NATList, error) {
	if len(set) == 0 {
		return NATList{}, nil
	}
	key := natListKey{macKey(set), families}
	if list, done := c.lists[key]; done {
		return list, nil
	}
	if len(set) >= maxMACs {
		return NATList{}, fault.New(fault.InvalidConfig, "a NAT rule names %d MAC addresses, the limit is %d: name fewer", len(set), maxMACs-1)
	}
	list := c.begin(key, len(set))
	c.image.Lines = append(c.image.Lines, macLines(set)...)
	return list, nil
}

func (c *natCompiler) begin(key natListKey, count int) NATList {
	list := NATList{uint32(len(c.image.Lines)), uint32(count)}
	if c.lists == nil {
		c.lists = map[natListKey]NATList{}
	}
	c.lists[key] = list
	return list
}

// inList says whether an address is in a list of its family, as the programs find it.
func (im *Image) inList(list NATList, family int, a netip.Addr) bool {
	n := numberOf(a)
	at, low := uint32(0), uint32(0)
	for high := list.Count; low < high; {
		if at = (low + high) / 2; im.spanOf(list, family, at).first.compare(n) <= 0 {
			low = at + 1
		} else {
			high = at
		}
	}
	return low > 0 && !im.spanOf(list, family, low-1).last.less(n)
}

func (im *Image) spanOf(list NATList, family int, at uint32) span {
	if family == family4 {
		w := im.Lines[list.First+at/spans4ALine][at%spans4ALine*2:]
		return span{uint128{mappedFirst.hi, mappedFirst.lo | uint64(w[0])}, uint128{mappedFirst.hi, mappedFirst.lo | uint64(w[1])}}
	}
	w := im.Lines[list.First+at/spans6ALine][at%spans6ALine*8:]
	word := func(k int) uint64 { return uint64(w[2*k+1])<<32 | uint64(w[2*k]) }
	return span{uint128{word(0), word(1)}, uint128{word(2), word(3)}}
}

// macsOf reads a list of MAC addresses.
func (im *Image) macsOf(list NATList) []MAC {
	out := make([]MAC, list.Count)
	for i := range out {
		w := im.Lines[int(list.First)+i/macsALine][i%macsALine*2:]
		for k := range 4 {
			out[i][5-k] = byte(w[0] >> (8 * k))
		}
		out[i][0], out[i][1] = byte(w[1]>>8), byte(w[1])
	}
	return out
}

// namesCountry says whether a list names one, by itself or through groups.
func (r *resolver) namesCountry(text string) bool {
	return r.names(text, map[string]bool{}, func(item addressItem) bool { return item.kind == addressCountry })
}

// namesIPv6: masquerading is of IPv4 unless the rule's addresses say otherwise. A
// country is no address: whether it has any of IPv6 is for its database to know.
func (r *resolver) namesIPv6(text string) bool {
	return !isOpen(text) && r.names(text, map[string]bool{}, func(item addressItem) bool {
		switch item.kind {
		case addressCountry, addressMAC:
			return false
		case addressPrefix:
			return item.prefix.Addr().Is6()
		case addressOne, addressRange:
			return item.first.Is6()
		}
		set, _ := r.itemSpans(item)
		return len(ofFamily(set, family6)) > 0
	})
}

// names says whether a list, or a group that it names, has such an item.
func (r *resolver) names(text string, walked map[string]bool, such func(addressItem) bool) bool {
	list, _ := parseAddressList(text)
	return slices.ContainsFunc(list.items, func(item addressItem) bool {
		if item.kind != addressGroup {
			return such(item)
		}
		if walked[item.name] || r.groups[item.name].Type != GroupAddress {
			return false
		}
		walked[item.name] = true
		return slices.ContainsFunc(r.groups[item.name].Members, func(m string) bool { return r.names(m, walked, such) })
	})
}
