package policy

import (
	"fmt"

	"ngfw.sh/internal/fault"
)

// compiler fills the pairs of an image.
type compiler struct {
	policy *Policy
	image  *Image
	rules  []match // in order

	// runs finds the pairs whose entries come from the same rules.
	runs map[string]Pair
}

func (c *compiler) pairs() error {
	zones := len(c.image.Zones)
	index := make(map[string]int, zones)
	for i, name := range c.image.Zones {
		index[name] = i
	}
	perPair := make([]pairRules, zones*zones)
	for i, m := range c.rules {
		rule := c.policy.Rules[m.index]
		for _, from := range zonesNamed(rule.ZoneFrom, index, zones) {
			for _, to := range zonesNamed(rule.ZoneTo, index, zones) {
				perPair[from*zones+to].add(i, m.boxes())
			}
		}
	}
	if err := c.checkSize(perPair); err != nil {
		return err
	}
	defaults := make(map[[2]string]Default, len(c.policy.Policies))
	for _, d := range c.policy.Policies {
		defaults[[2]string{d.From, d.To}] = d
	}
	c.runs = map[string]Pair{}
	for from := range zones {
		for to := range zones {
			at := from*zones + to
			if from == ZoneIndexNone || to == ZoneIndexNone {
				c.image.Pairs[at].Default = dropped(DropNoZone)
				continue
			}
			if err := c.run(&c.image.Pairs[at], perPair[at]); err != nil {
				return err
			}
			c.image.Pairs[at].Default = defaultVerdict(defaults, c.image.Zones[from], c.image.Zones[to])
		}
	}
	return nil
}

// pairRules are the rules of one zone pair, while they fit.
type pairRules struct {
	rules []uint32 // indexes into compiler.rules
	boxes int
}

func (p *pairRules) add(rule, boxes int) {
	p.boxes = min(p.boxes+boxes, uncountable)
	if p.boxes > MaxEntries {
		p.rules = nil // only its size is of interest
		return
	}
	p.rules = append(p.rules, uint32(rule))
}

// zonesNamed expands a zone's name to indexes; any is all but SELF.
func zonesNamed(name string, index map[string]int, zones int) []int {
	if name != ZoneAny {
		return []int{index[name]}
	}
	all := make([]int, 0, zones)
	for i := ZoneIndexSelf + 1; i < zones; i++ {
		all = append(all, i)
	}
	return all
}

// checkSize refuses the first pair that is too large, and names the rule that
// makes it so.
func (c *compiler) checkSize(perPair []pairRules) error {
	zones := len(c.image.Zones)
	for at, pair := range perPair {
		if pair.boxes <= MaxEntries {
			continue
		}
		from, to := c.image.Zones[at/zones], c.image.Zones[at%zones]
		costliest := -1
		for i, m := range c.rules {
			r := c.policy.Rules[m.index]
			if zoneMatches(r.ZoneFrom, from) && zoneMatches(r.ZoneTo, to) &&
				(costliest < 0 || m.boxes() > c.rules[costliest].boxes()) {
				costliest = i
			}
		}
		m := c.rules[costliest]
		return fault.Invalid(fmt.Sprintf("rules[%d]", m.index),
			"the rules from %s to %s make %s entries, the limit is %d; the costliest is rule %d (%q) with %s (%d source ranges × %d destination ranges × %d services): shorten its lists or split the zones",
			from, to, count(pair.boxes), MaxEntries, c.policy.Rules[m.index].ID, c.policy.Rules[m.index].Name,
			count(m.boxes()), len(m.source), len(m.destination), len(m.services))
	}
	return nil
}

func count(n int) string {
	if n >= uncountable {
		return fmt.Sprintf("more than %d", uncountable-1)
	}
	return fmt.Sprint(n)
}

// run gives a pair its entries, the ones of an earlier pair where the rules are
// the same.
func (c *compiler) run(pair *Pair, rules pairRules) error {
	if len(rules.rules) == 0 {
		return nil
	}
	key := runKey(rules.rules)
	if same, ok := c.runs[key]; ok {
		*pair = same
		return nil
	}
	if len(c.image.Entries)+rules.boxes > MaxImageEntries {
		return fault.New(fault.InvalidConfig,
			"the rules of all zone pairs make more than %d entries: use fewer zones, shorter lists, or rules without the zone any", MaxImageEntries)
	}
	pair.First = uint32(len(c.image.Entries))
	var wide wideBoxes
	for _, i := range rules.rules {
		for e := range c.rules[i].entries() {
			if !wide.cover(e) {
				c.image.Entries = append(c.image.Entries, e.entry())
				wide.add(e)
			}
		}
	}
	pair.Count = uint32(len(c.image.Entries)) - pair.First
	c.runs[key] = *pair
	return nil
}

func runKey(rules []uint32) string {
	key := make([]byte, 0, 4*len(rules))
	for _, r := range rules {
		key = append(key, byte(r>>24), byte(r>>16), byte(r>>8), byte(r))
	}
	return string(key)
}

// defaultVerdict finds a pair's policy: its own, else from any other side, else
// any to any, else drop.
func defaultVerdict(defaults map[[2]string]Default, from, to string) Verdict {
	for _, pair := range [][2]string{{from, to}, {from, ZoneAny}, {ZoneAny, to}, {ZoneAny, ZoneAny}} {
		if pair[0] == ZoneAny && from == ZoneSelf || pair[1] == ZoneAny && to == ZoneSelf {
			continue
		}
		if d, ok := defaults[pair]; ok {
			return Verdict{Action: actionFrom(from, d.Action), Log: d.Log, Decider: NewDecider(DeciderPolicy, 0)}
		}
	}
	return Verdict{Action: Drop, Decider: NewDecider(DeciderDefault, 0)}
}

// actionFrom turns reject into drop for what the router sends: there is nobody
// to tell.
func actionFrom(zone string, a Action) Action {
	if a == Reject && zone == ZoneSelf {
		return Drop
	}
	return a
}

func zoneMatches(named, zone string) bool {
	return named == zone || named == ZoneAny && zone != ZoneSelf
}
