package policy

import (
	"slices"
	"strings"
	"sync"
)

// resolver turns the address and port fields of a valid policy into sets. Each
// group is resolved once: nested groups name each other any number of times.
// It is safe for concurrent use.
type resolver struct {
	resolving sync.Mutex // guards the maps of resolved groups

	groups    map[string]Group
	addresses map[string][]span
	ports     map[string][]portRange
	macs      map[string][]MAC
	countries map[string][]span
	self      []span
}

func newResolver(p *Policy, env Env) (*resolver, error) {
	r := &resolver{
		groups:    make(map[string]Group, len(p.Groups)),
		addresses: map[string][]span{},
		ports:     map[string][]portRange{},
		macs:      map[string][]MAC{},
	}
	for _, g := range p.Groups {
		r.groups[g.Name] = g
	}
	for _, a := range env.SelfAddresses {
		r.self = append(r.self, spansOf(a.Unmap().WithZone(""), a.Unmap().WithZone(""))...)
	}
	for _, s := range p.SelfAddresses {
		a, err := parseAddress(s)
		if err != nil {
			return nil, err
		}
		r.self = append(r.self, spansOf(a, a)...)
	}
	r.self = union(r.self)
	return r, r.readCountries(p, env.Countries)
}

// addressSet gives the addresses that a source or destination matches.
func (r *resolver) addressSet(s string) ([]span, error) {
	if s == "any" {
		return everything, nil
	}
	list, err := parseAddressList(s)
	if err != nil {
		return nil, err
	}
	defer r.lock(s)()
	set, _, err := r.itemSets(list)
	if err != nil {
		return nil, err
	}
	if list.negated {
		set = complement(set)
	}
	return set, nil
}

// lock holds the resolved groups for a text that names any, and gives what ends
// that.
func (r *resolver) lock(text string) func() {
	if !strings.Contains(text, "@") {
		return func() {}
	}
	r.resolving.Lock()
	return r.resolving.Unlock
}

// itemSpans gives one item's addresses.
func (r *resolver) itemSpans(item addressItem) ([]span, error) {
	switch item.kind {
	case addressAny:
		return everything, nil
	case addressSelf:
		return r.self, nil
	case addressOne:
		return spansOf(item.first, item.first), nil
	case addressPrefix:
		return spansOf(item.prefix.Addr(), lastOf(item.prefix)), nil
	case addressRange:
		return spansOf(item.first, item.last), nil
	case addressGroup:
		return r.groupSpans(item.name)
	case addressCountry:
		return r.countries[item.name], nil
	}
	return nil, nil
}

func (r *resolver) groupSpans(name string) ([]span, error) {
	if set, done := r.addresses[name]; done {
		return set, nil
	}
	var set []span
	for _, m := range r.groups[name].Members {
		item, err := parseAddressMember(m)
		if err != nil {
			return nil, err
		}
		spans, err := r.itemSpans(item)
		if err != nil {
			return nil, err
		}
		set = append(set, spans...)
	}
	set = union(set)
	r.addresses[name] = set
	return set, nil
}

// portSet gives the destination ports that a rule matches.
func (r *resolver) portSet(s string) ([]portRange, error) {
	list, err := parsePortList(s)
	if err != nil {
		return nil, err
	}
	if list.any {
		return []portRange{{0, 65535}}, nil
	}
	defer r.lock(s)()
	return r.portUnion(list)
}

func (r *resolver) portUnion(list portList) ([]portRange, error) {
	set := slices.Clone(list.ranges)
	for _, name := range list.groups {
		ports, err := r.groupPorts(name)
		if err != nil {
			return nil, err
		}
		set = append(set, ports...)
	}
	return unionPorts(set), nil
}

func (r *resolver) groupPorts(name string) ([]portRange, error) {
	if set, done := r.ports[name]; done {
		return set, nil
	}
	var all portList
	for _, m := range r.groups[name].Members {
		list, err := parsePortMember(m)
		if err != nil {
			return nil, err
		}
		all.ranges = append(all.ranges, list.ranges...)
		all.groups = append(all.groups, list.groups...)
	}
	set, err := r.portUnion(all)
	r.ports[name] = set
	return set, err
}

// unionPorts sorts ranges and joins those that overlap or touch.
func unionPorts(ranges []portRange) []portRange {
	slices.SortFunc(ranges, func(a, b portRange) int { return int(a.first) - int(b.first) })
	joined := ranges[:0]
	for _, p := range ranges {
		if n := len(joined); n > 0 && int(p.first) <= int(joined[n-1].last)+1 {
			joined[n-1].last = max(joined[n-1].last, p.last)
			continue
		}
		joined = append(joined, p)
	}
	return joined
}
