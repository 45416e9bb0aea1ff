package policy

import (
	"bytes"
	"slices"
)

// sources gives what a rule's source matches, as variants: what its addresses
// do, and what its MAC addresses do. From SELF no frame has one.
func (r *resolver) sources(rule Rule, asks Condition) ([]variant, error) {
	list, err := parseAddressList(rule.Source)
	if err != nil {
		return nil, err
	}
	defer r.lock(rule.Source)()
	set, macs, err := r.itemSets(list)
	if err != nil {
		return nil, err
	}
	if rule.ZoneFrom == ZoneSelf {
		macs = nil
	}
	if list.negated {
		if len(macs) > 0 {
			asks.MACs, asks.NotMACs = macs, true
		}
		return []variant{{source: complement(set), asks: asks}}, nil
	}
	variants := []variant{{source: set, asks: asks}}
	if len(macs) > 0 {
		asks.MACs = macs
		variants = append(variants, variant{source: everything, asks: asks})
	}
	return variants, nil
}

// itemSets gives a list's addresses, joined, and its MAC addresses, sorted.
func (r *resolver) itemSets(list addressList) (set []span, macs []MAC, err error) {
	for _, item := range list.items {
		switch g := r.groups[item.name]; {
		case item.kind == addressMAC:
			macs = append(macs, item.mac)
		case item.kind == addressGroup && g.Type == GroupMAC:
			more, err := r.groupMACs(item.name)
			if err != nil {
				return nil, nil, err
			}
			macs = append(macs, more...)
		default:
			spans, err := r.itemSpans(item)
			if err != nil {
				return nil, nil, err
			}
			set = append(set, spans...)
		}
	}
	return union(set), sortedMACs(macs), nil
}

func sortedMACs(macs []MAC) []MAC {
	slices.SortFunc(macs, func(a, b MAC) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(macs)
}

// groupMACs resolves a group of type mac, once.
func (r *resolver) groupMACs(name string) ([]MAC, error) {
	if list, done := r.macs[name]; done {
		return list, nil
	}
	var list []MAC
	for _, m := range r.groups[name].Members {
		item, err := parseMACMember(m)
		if err != nil {
			return nil, err
		}
		if item.kind == addressMAC {
			list = append(list, item.mac)
			continue
		}
		more, err := r.groupMACs(item.name)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	list = sortedMACs(list)
	r.macs[name] = list
	return list, nil
}
