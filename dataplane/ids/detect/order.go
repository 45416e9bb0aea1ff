package detect

import (
	"cmp"
	"slices"

	"ngfw.sh/dataplane/ids/rule"
)

// rank is a rule's place in the order of evaluation, the lower the earlier.
type rank struct {
	action   int
	bits     int
	ints     int
	hosts    int
	pairs    int
	priority int
	index    int
}

func (a rank) compare(b rank) int {
	return cmp.Or(cmp.Compare(a.action, b.action), cmp.Compare(a.bits, b.bits), cmp.Compare(a.ints, b.ints), cmp.Compare(a.hosts, b.hosts),
		cmp.Compare(a.pairs, b.pairs), cmp.Compare(a.priority, b.priority), cmp.Compare(a.index, b.index))
}

// actions gives each action its place.
func (c *compiler) actions() [6]int {
	order := c.cfg.ActionOrder
	if len(order) == 0 {
		order = []rule.Action{rule.ActionPass, rule.ActionDrop, rule.ActionReject, rule.ActionAlert}
	}
	var place [6]int
	for i := range place {
		place[i] = len(order)
	}
	for i, a := range order {
		place[a] = i
	}
	place[rule.ActionRejectDestination], place[rule.ActionRejectBoth] = place[rule.ActionReject], place[rule.ActionReject]
	return place
}

// order sorts the rules: by action (manual, "Action-order"), then what sets bits and numbers
// before what checks them, then by priority, then by the text.
func (c *compiler) order() {
	ranks := make(map[*signature]rank, len(c.set.rules))
	bits := chain(c.set.rules, func(r *rule.Rule, set, read func(string)) {
		for _, e := range r.Effects {
			// What only takes a bit away comes after what checks it.
			if b, ok := e.(*rule.FlowBit); ok && b.Op != rule.StateUnset {
				set(b.Names[0])
			}
		}
		for _, x := range r.Conditions {
			if b, ok := x.(*rule.FlowBit); ok {
				for _, n := range b.Names {
					read(n)
				}
			}
		}
	})
	ints := chain(c.set.rules, func(r *rule.Rule, set, read func(string)) {
		for _, e := range r.Effects {
			if n, ok := e.(*rule.FlowInt); ok {
				set(n.Name)
			}
		}
		for _, x := range r.Conditions {
			if n, ok := x.(*rule.FlowInt); ok {
				read(n.Name)
			}
		}
	})
	xbits := func(keyword string) []int {
		return chain(c.set.rules, func(r *rule.Rule, set, read func(string)) {
			for _, e := range r.Effects {
				if b, ok := e.(*rule.XBit); ok && b.Name == keyword {
					set(b.Bit)
				}
			}
			for _, x := range r.Conditions {
				if b, ok := x.(*rule.XBit); ok && b.Name == keyword {
					read(b.Bit)
				}
			}
		})
	}
	hosts, pairs := xbits("hostbits"), xbits("xbits")
	actions := c.actions()
	for i, s := range c.set.rules {
		ranks[s] = rank{actions[s.rule.Action], bits[i], ints[i], hosts[i], pairs[i], c.priority(s.rule), i}
	}
	slices.SortFunc(c.set.rules, func(a, b *signature) int { return ranks[a].compare(ranks[b]) })
}

func (c *compiler) priority(r *rule.Rule) int {
	if r.Priority != 0 {
		return int(r.Priority)
	}
	if class, ok := c.cfg.Classes[r.Class]; ok {
		return int(class.Priority)
	}
	return 3
}

// Places in a chain: what sets only, what checks and sets (by how long the chain before it is),
// what checks only, what does neither.
const (
	setsOnly  = 0
	maxChain  = 64
	readsOnly = maxChain + 1
	neither   = maxChain + 2
)

func chain(all []*signature, of func(r *rule.Rule, set, read func(string))) []int {
	places := make([]int, len(all))
	setters := map[string][]int{}
	type both struct {
		at    int
		reads []string
	}
	var middle []both
	for i, s := range all {
		sets, reads := false, []string(nil)
		of(s.rule, func(n string) {
			sets = true
			setters[n] = append(setters[n], i)
		}, func(n string) { reads = append(reads, n) })
		switch {
		case sets && reads == nil:
			places[i] = setsOnly
		case sets:
			places[i] = 1
			middle = append(middle, both{i, reads})
		case reads != nil:
			places[i] = readsOnly
		default:
			places[i] = neither
		}
	}
	// A rule comes after those that set what it checks, unless they go in a circle.
	for range maxChain {
		changed := false
		for _, m := range middle {
			for _, n := range m.reads {
				for _, j := range setters[n] {
					if j != m.at && places[j] < maxChain && places[j]+1 > places[m.at] {
						places[m.at] = places[j] + 1
						changed = true
					}
				}
			}
		}
		if !changed {
			break
		}
	}
	return places
}

func sortSearches(all []*search) {
	slices.SortFunc(all, func(a, b *search) int {
		return cmp.Or(cmp.Compare(a.slot, b.slot), cmp.Compare(len(a.rules), len(b.rules)), cmp.Compare(a.first(), b.first()))
	})
}

// first is the first rule of a search.
func (s *search) first() int32 {
	if len(s.rules) > 0 {
		return s.rules[0][0]
	}
	return s.anchored[0].rules[0]
}
