package policy

import (
	"slices"
	"strings"
)

// reach finds whether any packet comes to a rule.
func (c *checking) reach(rule int) {
	s, done := c.search()
	defer done()
	var taken *Finding // a packet that the rule matches and another decides
	for n := range c.classes {
		k := &c.classes[n]
		at := slices.Index(k.rules, rule)
		if at < 0 {
			continue
		}
		for family := range families {
			steps := c.earlier(s, k, at, family, rule)
			for _, r := range c.rules[rule].in(k.circumstance).regions[family] {
				if _, _, ok := c.arrival(s, k, r, family, steps); ok {
					return
				}
				if taken != nil {
					continue
				}
				part, in, ok := c.arrival(s, k, r, family, k.before[family])
				if ok {
					f := c.at(Shadowed, k, part, family, in)
					f.OtherID = c.decider(k, f, rule)
					taken = &f
				}
			}
		}
		if s.exhausted() {
			break
		}
	}
	switch {
	case s.exhausted():
		c.undecided(rule, tooComplex)
	case taken != nil:
		c.dead[rule] = true
		c.add(rule, *taken)
	case c.noSelf && c.namesSelf(rule):
		c.undecided(rule, "it names self, and no address of the router is known here")
	default:
		c.dead[rule] = true
		c.add(rule, Finding{Kind: Unreachable, Reason: "no first packet of a flow can match it"})
	}
}

// earlier are the steps before the n-th rule of a class, as far as they meet a
// rule.
func (c *checking) earlier(s *search, k *class, n, family, rule int) []step {
	steps := slices.Clone(k.before[family])
	for _, i := range k.rules[:n] {
		steps = c.append(s, k, steps, i, family, "", rule)
	}
	return steps
}

// append adds a rule as steps, as far as it meets another.
func (c *checking) append(s *search, k *class, steps []step, rule, family int, action Action, with int) []step {
	a, b := c.rules[rule].in(k.circumstance), c.rules[with].in(k.circumstance)
	regions, hull := a.regions[family], &b.hulls[family]
	if s.exhausted() || len(regions) == 0 || !s.spend(1) || !a.hulls[family].meets(hull) {
		return steps
	}
	s.spend(len(regions))
	for i := range regions {
		if regions[i].meets(hull) {
			steps = append(steps, step{&regions[i], action})
		}
	}
	return steps
}

// namesSelf says whether the router's own addresses belong to a rule's sets.
func (c *checking) namesSelf(rule int) bool {
	r := c.policy.Rules[c.rules[rule].index]
	return c.listsSelf(r.Source, map[string]bool{}) || c.listsSelf(r.Destination, map[string]bool{})
}

func (c *checking) listsSelf(list string, visited map[string]bool) bool {
	for text := range strings.SplitSeq(strings.TrimPrefix(strings.TrimSpace(list), "!"), ",") {
		text = strings.TrimSpace(text)
		if text == "self" {
			return true
		}
		name, isGroup := strings.CutPrefix(text, "@")
		if !isGroup || visited[name] {
			continue
		}
		visited[name] = true
		g, _ := c.policy.groupNamed(name)
		if slices.ContainsFunc(g.Members, func(m string) bool { return c.listsSelf(m, visited) }) {
			return true
		}
	}
	return false
}
