package policy

import (
	"cmp"
	"fmt"
	"slices"

	"ngfw.sh/internal/fault"
)

// maxClassRules bounds the lists of rules of all classes together.
const maxClassRules = 4_000_000

// class is a zone pair, under a circumstance, that stands for all with the same
// rules, the same policy and the same steps before them.
type class struct {
	circumstance
	conditional bool // it depends on the circumstance
	from, to    string
	rules       []int // indexes into analysis.rules
	fallback    Action
	before      [families][]step
}

// rank puts first what makes the best witnesses: packets that there can be, from
// one zone to another.
func (k *class) rank(p *Policy) int {
	switch {
	case len(p.interfacesOf(k.from)) == 0 || len(p.interfacesOf(k.to)) == 0:
		return 2
	case k.from == k.to:
		return 1
	}
	return 0
}

// classes finds them, by rank.
func (a *analysis) classes(within *circumstances) ([]class, error) {
	zones := a.distinctZones()
	var out []class
	seen := map[string]int{}
	held := 0
	for _, from := range zones {
		for _, to := range zones {
			if from == ZoneSelf && to == ZoneSelf {
				continue
			}
			all := a.between(from, to)
			fallback := a.fallback(from, to)
			for i := range within.count() {
				k := class{circumstance: within.at(i), from: from, to: to, fallback: fallback}
				key := make([]uint32, 0, len(all))
				for _, i := range all {
					r := &a.rules[i]
					set := r.holding(k.circumstance)
					k.conditional = k.conditional || r.conditional
					if r.conditional && set == 0 {
						continue
					}
					k.rules = append(k.rules, i)
					key = append(key, uint32(i)<<2|set)
				}
				for i := range a.nat {
					if n := &a.nat[i]; n.conditional && n.between(a.policy.interfacesOf(from), from, to) {
						k.conditional = true
						key = append(key, 1<<31|uint32(i)<<2|n.holding(k.circumstance))
					}
				}
				if i > 0 && !k.conditional {
					break
				}
				name := fmt.Sprint(from == ZoneSelf, to == ZoneSelf, k.fallback) + runKey(key)
				if len(a.boxes) > 0 { // which are not of every pair
					name += from + " " + to
				}
				if i, again := seen[name]; again {
					if k.rank(a.policy) < out[i].rank(a.policy) {
						out[i].from, out[i].to = from, to
						// A pair that no condition concerns may have the rules that another has
						// under one circumstance only: the witness is then of that.
						out[i].circumstance, out[i].conditional = k.circumstance, k.conditional
					}
					continue
				}
				seen[name] = len(out)
				if held += len(k.rules); held > maxClassRules {
					return nil, fault.New(fault.InvalidConfig, "the rules of all zone pairs are more than %d together: use fewer zones, or fewer rules with the zone any", maxClassRules)
				}
				for family := range families {
					k.before[family] = beforeRules(a.env, from, to, family)
				}
				out = append(out, k)
			}
		}
	}
	slices.SortStableFunc(out, func(x, y class) int { return cmp.Compare(x.rank(a.policy), y.rank(a.policy)) })
	return out, nil
}

// distinctZones leaves out zones that nothing names but one: they are alike. The
// one has an interface if any of them has.
func (a *analysis) distinctZones() []string {
	named := map[string]bool{ZoneSelf: true}
	for _, r := range a.rules {
		rule := &a.policy.Rules[r.index]
		named[rule.ZoneFrom], named[rule.ZoneTo] = true, true
	}
	for _, d := range a.policy.Policies {
		named[d.From], named[d.To] = true, true
	}
	zones := []string{}
	alike, linked := -1, false
	for _, z := range a.policy.Zones {
		switch {
		case z.Name == ZoneSelf:
		case named[z.Name]:
			zones = append(zones, z.Name)
		case alike < 0:
			alike, linked = len(zones), len(z.Interfaces) > 0
			zones = append(zones, z.Name)
		case !linked && len(z.Interfaces) > 0:
			zones[alike], linked = z.Name, true
		}
	}
	return append(zones, ZoneSelf)
}
