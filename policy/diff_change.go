package policy

import "slices"

// placed is a part and the circumstances under which it differs, by index.
type placed struct {
	part
	in []int
}

// gather finds what differs alike under several circumstances.
func gather(results []result, family int) []placed {
	var out []placed
	at := map[part]int{}
	for _, r := range results {
		for _, p := range r.found[family] {
			n, again := at[p]
			if !again {
				n = len(out)
				at[p] = n
				out = append(out, placed{part: p})
			}
			out[n].in = append(out[n].in, r.in...)
		}
	}
	for i := range out {
		slices.Sort(out[i].in)
	}
	return out
}

// changes shows parts as boxes, each of which holds a packet that there can be.
// pick finds one, as it arrives, and tell says what decides it.
func (d *differ) changes(from, to link, results []result, pick picker, tell func(c *Change, family int, under circumstance)) []Change {
	bothZoned := from.before != "" && to.before != "" && from.after != "" && to.after != ""
	var list []Change
	for family := range families {
		before := beforeRules(d.before.env, from.before, to.before, family)
		if !bothZoned { // then system rules are among what differs
			before = before[:len(impossible[family])+len(stateless[family])]
		}
		for _, p := range gather(results, family) {
			wheres, first := []*where{nil}, []int{0}
			if !results[0].all {
				wheres, first = d.around.wheres(p.in)
			}
			for service := range byProtocol(p.region[atService]) {
				r := p.region
				r[atService] = service
				for n, w := range wheres {
					under := d.around.at(first[n])
					witness, ok := pick(r, family, before, under)
					if !ok {
						continue
					}
					c := Change{From: p.from, To: p.to, Box: newBox(from, to), Witness: witness}
					c.Box.except[family] = before
					c.Box.setRegion(r, family)
					c.Box.setWhere(w)
					if !results[0].all {
						d.around.mark(&c.Witness, under)
					}
					tell(&c, family, under)
					if !joinsFamilies(list, c) {
						list = append(list, c)
					}
				}
			}
		}
	}
	return list
}

// joinsFamilies puts what is of IPv6 and of every address into a box that is the
// same of IPv4.
func joinsFamilies(list []Change, c Change) bool {
	r := c.Box.regions[family6]
	if r == nil || r[atSource] != allAddresses[family6] || r[atDestination] != allAddresses[family6] {
		return false
	}
	for i := range list {
		o := list[i].Box.regions[family4]
		if list[i].From == c.From && list[i].To == c.To && list[i].Box.where.same(c.Box.where) && o != nil && list[i].Box.regions[family6] == nil &&
			o[atSource] == allAddresses[family4] && o[atDestination] == allAddresses[family4] &&
			o[atService] == r[atService] && o[atSourcePort] == r[atSourcePort] {
			list[i].Box.except[family6] = c.Box.except[family6]
			list[i].Box.setRegion(*r, family6)
			return true
		}
	}
	return false
}

// ruleFor is the rule that decides a packet; 0: none, something else does.
func (a *analysis) ruleFor(point *region, family int, from, to string, system bool, in circumstance) int64 {
	if from == "" || to == "" {
		return 0
	}
	if system && slices.ContainsFunc(systemRegions(a.env, from, to, family), func(r region) bool { return r.covers(point) }) {
		return 0
	}
	for _, i := range a.between(from, to) {
		if slices.ContainsFunc(a.rules[i].in(in).regions[family], func(r region) bool { return r.covers(point) }) {
			return a.rules[i].id()
		}
	}
	return 0
}
