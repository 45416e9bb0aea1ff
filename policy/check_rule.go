package policy

import "slices"

// redundant finds whether a rule that decides packets could go. It is judged
// twice: with all other rules there, which is what the finding says, and with
// those gone that are found superfluous already, so that all may go together.
func (c *checking) redundant(rule int) bool {
	if c.dead[rule] || c.needed[rule] {
		return false
	}
	s, done := c.search()
	defer done()
	for _, all := range []bool{true, false} {
		for n := range c.classes {
			if c.matters(s, &c.classes[n], rule, all) {
				c.needed[rule] = all
				return false
			}
		}
	}
	f, ok := c.decided(s, rule)
	if s.exhausted() {
		c.undecided(rule, tooComplex)
	}
	if s.exhausted() || !ok { // it was not found out whether any packet comes here
		c.needed[rule] = true
		return false
	}
	c.dead[rule] = true
	c.add(rule, f)
	return true
}

// matters finds whether some packet of a class has another action without a rule.
func (c *checking) matters(s *search, k *class, rule int, all bool) bool {
	at := slices.Index(k.rules, rule)
	if at < 0 {
		return false
	}
	for family := range families {
		if len(c.rules[rule].in(k.circumstance).regions[family]) == 0 {
			continue
		}
		steps := slices.Clone(k.before[family])
		for n, i := range k.rules {
			switch {
			case n == at || !all && c.dead[i]:
			case n < at:
				steps = c.append(s, k, steps, i, family, "", rule)
			default:
				steps = c.append(s, k, steps, i, family, c.rules[i].verdict.Action, rule)
			}
		}
		for _, r := range c.rules[rule].in(k.circumstance).regions[family] {
			if _, ok := s.differs(r, steps, k.fallback, c.rules[rule].verdict.Action); ok {
				return true
			}
			if c.mattersToNAT(s, k, rule, family, r, steps) {
				return true
			}
		}
	}
	return false
}

// mattersToNAT is matters for the packets of a region that a NAT rule has given
// their destination, and accepts behind the rules.
func (c *checking) mattersToNAT(s *search, k *class, rule, family int, r region, steps []step) bool {
	if k.fallback == Accept {
		return false
	}
	for i := range c.nat {
		if !c.nat[i].between(c.policy.interfacesOf(k.from), k.from, k.to) {
			continue
		}
		regions := c.nat[i].in(k.circumstance).regions[family]
		for j := range regions {
			there := &regions[j]
			if s.spend(1); !r.meets(there) {
				continue
			}
			if _, ok := s.differs(r.common(there), steps, Accept, c.rules[rule].verdict.Action); ok {
				return true
			}
		}
	}
	return false
}

// decided finds a packet that a rule decides, and who would without it.
func (c *checking) decided(s *search, rule int) (Finding, bool) {
	for n := range c.classes {
		k := &c.classes[n]
		at := slices.Index(k.rules, rule)
		if at < 0 {
			continue
		}
		for family := range families {
			steps := c.earlier(s, k, at, family, rule)
			for _, r := range c.rules[rule].in(k.circumstance).regions[family] {
				if part, in, ok := c.arrival(s, k, r, family, steps); ok {
					f := c.at(Redundant, k, part, family, in)
					f.OtherID = c.decider(k, f, rule)
					return f, true
				}
			}
		}
	}
	return Finding{}, false
}

// conflicts finds the earlier rules that decide, with another action, what a rule
// matches too. Of a rule that decides nothing this says no more than that.
func (c *checking) conflicts(rule int) {
	if slices.ContainsFunc(c.found[rule], func(f Finding) bool { return f.Kind == Shadowed || f.Kind == Unreachable }) {
		return
	}
	s, done := c.search()
	defer done()
	known := map[int]bool{}
	for n := range c.classes {
		k := &c.classes[n]
		at := slices.Index(k.rules, rule)
		for earlier := range max(at, 0) {
			other := k.rules[earlier]
			if known[other] || c.rules[other].verdict.Action == c.rules[rule].verdict.Action {
				continue
			}
			if f, ok := c.conflict(s, k, earlier, rule); ok {
				if len(known) >= maxConflictsOfRule || c.total >= maxFindingsOfCheck {
					c.undecided(rule, "it conflicts with more earlier rules than are listed")
					return
				}
				known[other] = true
				c.add(rule, f)
			}
			if s.exhausted() {
				c.undecided(rule, tooComplex)
				return
			}
		}
	}
}

// conflict finds a packet that a rule matches and the n-th of the class decides.
func (c *checking) conflict(s *search, k *class, n, rule int) (Finding, bool) {
	a, b := c.rules[k.rules[n]].in(k.circumstance), c.rules[rule].in(k.circumstance)
	for family := range families {
		if s.spend(1); len(a.regions[family]) == 0 || len(b.regions[family]) == 0 || !a.hulls[family].meets(&b.hulls[family]) {
			continue
		}
		var steps []step // made when they are needed
		for i := range a.regions[family] {
			s.spend(len(b.regions[family]))
			for j := range b.regions[family] {
				if !a.regions[family][i].meets(&b.regions[family][j]) {
					continue
				}
				if steps == nil {
					steps = c.earlier(s, k, n, family, rule)
				}
				if part, in, ok := c.arrival(s, k, a.regions[family][i].common(&b.regions[family][j]), family, steps); ok {
					f := c.at(Conflict, k, part, family, in)
					f.OtherID = c.rules[k.rules[n]].id()
					return f, true
				}
			}
		}
	}
	return Finding{}, false
}
