package policy

import (
	"fmt"
	"slices"

	"ngfw.sh/internal/fault"
)

// compiler fills the pairs of an image.
type compiler struct {
	policy *Policy
	image  *Image
	memory *Compiler
	rules  []compiledRule // in order

	conditions conditionSet

	// named are the rules, by index into rules, of each pair of zones as rules
	// name them; what applies to a pair is at most four of these lists.
	named map[[2]string]*namedRules

	// runs finds the pairs whose entries come from the same lists.
	runs map[[4]*namedRules]Pair

	share int // lines that each entry may use
}

// compiledRule is an enabled rule that matches something.
type compiledRule struct {
	index int // in the policy
	*ruleForm
}

type namedRules struct {
	rules []int
	boxes int
}

func (c *compiler) pairs() error {
	c.named = map[[2]string]*namedRules{}
	for i := range c.rules {
		r := &c.policy.Rules[c.rules[i].index]
		name := [2]string{r.ZoneFrom, r.ZoneTo}
		if c.named[name] == nil {
			c.named[name] = &namedRules{}
		}
		list := c.named[name]
		list.rules = append(list.rules, i)
		list.boxes = min(list.boxes+c.rules[i].match.boxes(), uncountable)
	}
	if err := c.checkSize(); err != nil {
		return err
	}
	defaults := make(map[[2]string]Default, len(c.policy.Policies))
	for _, d := range c.policy.Policies {
		defaults[[2]string{d.From, d.To}] = d
	}
	c.runs = map[[4]*namedRules]Pair{}
	var err error
	if c.share, err = c.shares(); err != nil {
		return err
	}
	apart(len(c.rules), func(from, to int) {
		for i := range c.rules[from:to] {
			c.rules[from+i].crossed()
		}
	})
	zones := len(c.image.Zones)
	for from := range zones {
		for to := range zones {
			at := from*zones + to
			if from == ZoneIndexNone || to == ZoneIndexNone {
				c.image.Pairs[at].Default = dropped(DropNoZone)
				continue
			}
			if err := c.run(&c.image.Pairs[at], at); err != nil {
				return err
			}
			c.image.Pairs[at].Default = defaultVerdict(defaults, c.image.Zones[from], c.image.Zones[to])
		}
	}
	return nil
}

// listsOf gives the lists that apply to a pair.
func (c *compiler) listsOf(at int) (lists [4]*namedRules, boxes int) {
	from, to := c.zonesOf(at)
	for i, name := range [4][2]string{{from, to}, {from, ZoneAny}, {ZoneAny, to}, {ZoneAny, ZoneAny}} {
		if zoneMatches(name[0], from) && zoneMatches(name[1], to) && c.named[name] != nil {
			lists[i] = c.named[name]
			boxes = min(boxes+lists[i].boxes, uncountable)
		}
	}
	return lists, boxes
}

func (c *compiler) zonesOf(at int) (from, to string) {
	zones := len(c.image.Zones)
	return c.image.Zones[at/zones], c.image.Zones[at%zones]
}

// inOrder joins the lists.
func inOrder(lists [4]*namedRules) []int {
	var all []int
	for _, l := range lists {
		if l != nil {
			all = append(all, l.rules...)
		}
	}
	slices.Sort(all)
	return all
}

// checkSize refuses the first pair that is too large, and names the rule that
// makes it so.
func (c *compiler) checkSize() error {
	zones := len(c.image.Zones)
	for at := range zones * zones {
		if at/zones == ZoneIndexNone || at%zones == ZoneIndexNone {
			continue
		}
		lists, boxes := c.listsOf(at)
		if boxes <= MaxEntries {
			continue
		}
		from, to := c.zonesOf(at)
		costliest := -1
		for _, i := range inOrder(lists) {
			if costliest < 0 || c.rules[i].match.boxes() > c.rules[costliest].match.boxes() {
				costliest = i
			}
		}
		m, i := &c.rules[costliest].match, c.rules[costliest].index
		return fault.Invalid(index("rules", i),
			"the rules from %s to %s make %s entries, the limit is %d; the costliest is rule %d (%q) with %s (%d source ranges × %d destination ranges × %d services): shorten its lists or split the zones",
			from, to, count(boxes), MaxEntries, c.policy.Rules[i].ID, c.policy.Rules[i].Name,
			count(m.boxes()), m.sources(), len(m.destination), len(m.services))
	}
	return nil
}

func count(n int) string {
	if n >= uncountable {
		return fmt.Sprintf("more than %d", uncountable-1)
	}
	return fmt.Sprint(n)
}

// run gives a pair its entries and trees, the ones of an earlier pair where the
// rules are the same.
func (c *compiler) run(pair *Pair, at int) error {
	lists, boxes := c.listsOf(at)
	if boxes == 0 {
		return nil
	}
	if same, ok := c.runs[lists]; ok {
		*pair = same
		return nil
	}
	pair.First = uint32(len(c.image.Entries))
	c.image.Entries = slices.Grow(c.image.Entries, boxes)
	kept := make([]keptBox, 0, boxes)
	var wide wideBoxes
	for _, i := range inOrder(lists) {
		r := &c.rules[i]
		for n := range r.shape.boxes {
			b := &r.shape.boxes[n]
			if !wide.cover(b) {
				c.image.Entries = append(c.image.Entries, b.entry(r.match.variants[b.variant].condition, r.match.verdict))
				kept = append(kept, keptBox{i, n})
				wide.add(b)
			}
		}
	}
	pair.Count = uint32(len(kept))
	if err := c.trees(pair, at, kept); err != nil {
		return err
	}
	c.runs[lists] = *pair
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
