package policy

import (
	"fmt"
	"slices"
)

// differ is one run of Diff.
type differ struct {
	before, after *analysis
	around        *circumstances
	search
	parts []part                      // of the pair and family being compared
	known map[string][families][]part // by what decides between two links
}

// part is a region that differs.
type part struct {
	region   region
	from, to Action
}

// side is what one policy does between two links, in one family: steps that all
// have an action, then fallback.
type side struct {
	steps    []step
	fallback Action
}

func (d *differ) between(from, to link) ([]Change, error) {
	if from.before == ZoneSelf && to.before == ZoneSelf {
		return nil, nil // not judged
	}
	zonedBefore, zonedAfter := from.before != "" && to.before != "", from.after != "" && to.after != ""
	if !zonedBefore && !zonedAfter {
		return nil, nil // dropped, as before
	}
	var results []result
	at := map[string]int{}
	for i := range d.around.count() {
		c := d.around.at(i)
		// System rules decide alike unless one policy has no zone for an interface.
		a, key, timed := d.decides(d.before, from.before, to.before, !zonedAfter, c)
		b, more, alsoTimed := d.decides(d.after, from.after, to.after, !zonedBefore, c)
		translated, framed := d.translates(from, to, c)
		if i > 0 && !timed && !alsoTimed && !framed {
			results[0].all = true
			break
		}
		key += "|" + more
		if n, again := at[key+translated]; again {
			results[n].in = append(results[n].in, i)
			continue
		}
		found, ok := d.known[key]
		for family := 0; family < families && !ok; family++ {
			d.parts = nil
			if err := d.walk(allPackets[family], a(family), b(family)); err != nil {
				return nil, err
			}
			found[family] = fewest(d.parts)
		}
		d.known[key] = found
		at[key+translated] = len(results)
		results = append(results, result{found: found, in: []int{i}, before: a, after: b})
	}
	tell := func(c *Change, family int, under circumstance) {
		at, _, _ := regionOf(c.Witness)
		for _, s := range []struct {
			*analysis
			from, to string
			rule     *int64
		}{{d.before, from.before, to.before, &c.FromRuleID}, {d.after, from.after, to.after, &c.ToRuleID}} {
			list := s.destinations.between(c.Witness.In, s.from, s.to, family, under)
			*s.rule, _ = s.follow(at, family, s.from, s.to, list, !zonedBefore || !zonedAfter, under)
		}
	}
	changes := d.changes(from, to, results, d.seenOf(from, to, 0), tell)
	for i := range d.after.nat {
		n := &d.after.nat[i]
		if !zonedBefore || !zonedAfter || !n.between(from.interfaces, from.after, to.after) {
			continue
		}
		forwarded := make([]result, len(results))
		for j, r := range results {
			found, err := d.forwarded(n.in(d.around.at(r.in[0])), r.before, r.after)
			if err != nil {
				return nil, err
			}
			forwarded[j] = result{found: found, in: r.in, all: r.all}
		}
		for _, c := range d.changes(from, to, forwarded, d.seenOf(from, to, uint32(n.rule.ID)), tell) {
			c.Box.NATRuleID = n.rule.ID
			changes = append(changes, c)
		}
	}
	if d.exhausted() {
		return nil, errTooMuchWork()
	}
	return changes, nil
}

// result is what differs under some circumstances, by index; or under all; and
// what the policies do then.
type result struct {
	found         [families][]part
	in            []int
	all           bool
	before, after func(family int) side
}

// translates tells apart the circumstances under which NAT rules accept other packets
// between two links.
func (d *differ) translates(from, to link, in circumstance) (key string, conditional bool) {
	for i := range d.after.nat {
		if n := &d.after.nat[i]; n.conditional && n.between(from.interfaces, from.after, to.after) {
			key, conditional = key+fmt.Sprintf("|%d %d", i, n.holding(in)), true
		}
	}
	return key, conditional
}

// forwarded finds what differs of the packets that a NAT rule gives their
// destination: no policy of a zone pair stands behind the rules for them.
func (d *differ) forwarded(n *form, a, b func(family int) side) (found [families][]part, err error) {
	for family := range families {
		d.parts = nil
		for _, r := range n.regions[family] {
			before, after := a(family), b(family)
			before.fallback, after.fallback = Accept, Accept
			if err := d.walk(r, before, after); err != nil {
				return found, err
			}
		}
		found[family] = fewest(d.parts)
	}
	return found, nil
}

func errTooMuchWork() error {
	return tooDifferent("it would take more than %d comparisons of boxes", maxWorkOfDiff)
}

// decides gives what a policy does from zone to zone, per family, and a key that
// is the same for pairs where it does the same. A zone "" drops everything.
func (d *differ) decides(a *analysis, from, to string, system bool, in circumstance) (does func(family int) side, key string, conditional bool) {
	if from == "" || to == "" {
		return func(int) side { return side{fallback: Drop} }, "none", false
	}
	rules, fallback := a.between(from, to), a.fallback(from, to)
	d.spend(len(a.rules) / 4)
	numbers := make([]uint32, len(rules))
	for n, i := range rules {
		conditional = conditional || a.rules[i].conditional
		numbers[n] = uint32(i)<<2 | a.rules[i].holding(in)
	}
	return func(family int) side {
		s := side{fallback: fallback}
		if system {
			list := systemRegions(a.env, from, to, family)
			for i := range list {
				s.steps = append(s.steps, step{&list[i], Accept})
			}
		}
		for _, i := range rules {
			regions := a.rules[i].in(in).regions[family]
			for j := range regions {
				s.steps = append(s.steps, step{&regions[j], a.rules[i].verdict.Action})
			}
		}
		return s
	}, fmt.Sprint(from == ZoneSelf, to == ZoneSelf, system, fallback) + runKey(numbers), conditional
}

// within is what is left of a side inside of a region: the steps that meet it, up
// to one that covers it, without those at the end that do as the fallback does.
func (d *differ) within(f *region, s side) side {
	d.spend(len(s.steps))
	out := side{fallback: s.fallback}
	for _, step := range s.steps {
		if !step.region.meets(f) {
			continue
		}
		if step.region.covers(f) {
			out.fallback = step.action
			break
		}
		out.steps = append(out.steps, step)
	}
	for n := len(out.steps); n > 0 && out.steps[n-1].action == out.fallback; n-- {
		out.steps = out.steps[:n-1]
	}
	return out
}

// walk finds the parts of f that two sides decide differently. It cuts f along a
// step that only one of them has, so that soon they are the same, or constant.
func (d *differ) walk(f region, a, b side) error {
	a, b = d.within(&f, a), d.within(&f, b)
	if d.exhausted() {
		return errTooMuchWork()
	}
	cut, inside := d.cut(a, b)
	if cut == nil {
		if a.fallback != b.fallback {
			d.parts = append(d.parts, part{f, a.fallback, b.fallback})
		}
		if len(d.parts) > 16*maxChanges {
			return tooDifferent("there are more than %d boxes of packets that change", maxChanges)
		}
		return nil
	}
	if inside {
		if err := d.walk(f.common(cut), a, b); err != nil {
			return err
		}
	}
	for piece := range f.outside(cut) {
		if err := d.walk(piece, a, b); err != nil {
			return err
		}
	}
	return nil
}

// cut chooses where to cut, and whether anything can differ inside; nil: nothing
// needs to be cut.
func (d *differ) cut(a, b side) (at *region, inside bool) {
	same := func(x, y step) bool { return x.action == y.action && *x.region == *y.region }
	n := 0
	for n < len(a.steps) && n < len(b.steps) && same(a.steps[n], b.steps[n]) {
		n++
	}
	d.spend(n)
	switch {
	case n == len(a.steps) && n == len(b.steps):
		if n == 0 || a.fallback == b.fallback {
			return nil, false
		}
		return a.steps[0].region, false
	case n == len(a.steps):
		return b.steps[n].region, true
	case n == len(b.steps):
		return a.steps[n].region, true
	}
	d.spend(len(b.steps) - n)
	if slices.ContainsFunc(b.steps[n:], func(s step) bool { return same(s, a.steps[n]) }) {
		return b.steps[n].region, true // it was put in before, or moved
	}
	return a.steps[n].region, true
}
