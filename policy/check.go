package policy

import "slices"

// Kinds of Finding.
const (
	// Shadowed: earlier rules together take every packet of the rule. OtherID
	// decides the witness, which the rule matches.
	Shadowed = "shadowed"
	// Redundant: without the rule every packet has the same action as with it; so
	// too when all rules are gone that are found shadowed, redundant or
	// unreachable. The rule decides the witness; without it OtherID would, or the
	// zone pair's policy where that is 0.
	Redundant = "redundant"
	// Conflict: the rule matches the witness, and OtherID, an earlier rule with
	// another action, decides it.
	Conflict = "conflict"
	// Unreachable: no first packet of a flow can match the rule, whatever the
	// other rules are: its sets are empty or of different families, or all that
	// it matches is decided before the rules. It has no witness.
	Unreachable = "unreachable"
	// Undecided: not all could be found out about the rule; Reason says why. It has
	// no witness.
	Undecided = "undecided"
)

// Finding is what Check has to say about a rule.
type Finding struct {
	Kind     string  `json:"kind"`
	RuleID   int64   `json:"rule_id"`
	OtherID  int64   `json:"other_id,omitempty"`
	ZoneFrom string  `json:"zone_from,omitempty"` // the witness's
	ZoneTo   string  `json:"zone_to,omitempty"`
	Witness  *Packet `json:"witness,omitempty"` // without in or out where the zone has no interface
	Reason   string  `json:"reason,omitempty"`
}

// Bounds of one Check. A comparison of regions takes some thirty nanoseconds.
const (
	maxFindingsOfCheck = 10_000
	maxConflictsOfRule = 100
	maxWorkOfCheck     = 100_000_000
	maxWorkOfRule      = 10_000_000
)

// Check looks for rules that do not do what their author may think, in the order
// of the rules. It is exact: a rule without a finding decides packets, is needed,
// and overlaps no earlier rule of another action. Where its bounded work does not
// suffice it says so, by rule. Disabled rules are not looked at.
//
// The error is about the policy: what Validate refuses, or more than an
// analysis can hold.
func Check(p Policy, env Env) ([]Finding, error) {
	a, err := analyse(&p, env)
	if err != nil {
		return nil, err
	}
	within, err := circumstancesOf(a)
	if err != nil {
		return nil, err
	}
	classes, err := a.classes(within)
	if err != nil {
		return nil, err
	}
	c := checking{analysis: a, within: within, classes: classes, left: maxWorkOfCheck, dead: make([]bool, len(a.rules)), needed: make([]bool, len(a.rules)), found: make([][]Finding, len(a.rules))}
	for i := range a.rules {
		c.reach(i)
	}
	for again := true; again; { // one that goes may make another superfluous
		again = false
		for i := range a.rules {
			again = c.redundant(i) || again
		}
	}
	for i := range a.rules {
		c.conflicts(i)
	}
	return append([]Finding{}, slices.Concat(c.found...)...), nil
}

// checking is one run of Check.
type checking struct {
	*analysis
	within  *circumstances
	classes []class
	left    int         // work, see search
	total   int         // findings
	dead    []bool      // found superfluous
	needed  []bool      // found not to be redundant, whatever else goes
	found   [][]Finding // by rule
}

func (c *checking) add(rule int, f Finding) {
	f.RuleID = c.rules[rule].id()
	c.found[rule] = append(c.found[rule], f)
	c.total++
}

// search gives a rule its share of the work; done takes back what is left of it.
func (c *checking) search() (s *search, done func()) {
	share := min(c.left, maxWorkOfRule)
	s = &search{left: share}
	return s, func() { c.left -= share - max(s.left, 0) }
}

const tooComplex = "too complex: too many rules overlap it"

func (c *checking) undecided(rule int, reason string) {
	if !slices.ContainsFunc(c.found[rule], func(f Finding) bool { return f.Kind == Undecided }) {
		c.add(rule, Finding{Kind: Undecided, Reason: reason})
	}
}

// at makes a finding about a packet of a region, which comes by an interface and
// goes between the zones of a class.
func (c *checking) at(kind string, k *class, r region, family int, in string) Finding {
	_, out := ends([]string{in}, c.policy.interfacesOf(k.to))
	packet := packetOf(r, family, in, out)
	if k.conditional {
		c.within.mark(&packet, k.circumstance)
	}
	return Finding{Kind: kind, ZoneFrom: k.from, ZoneTo: k.to, Witness: &packet}
}

// decider is the rule, other than one, that takes a packet; 0: the pair's policy.
func (c *checking) decider(k *class, f Finding, but int) int64 {
	point, family, _ := regionOf(*f.Witness)
	translated(&point, family, c.destinations.between(f.Witness.In, k.from, k.to, family, k.circumstance))
	for _, i := range k.rules {
		if i != but && slices.ContainsFunc(c.rules[i].in(k.circumstance).regions[family], func(r region) bool { return r.covers(&point) }) {
			return c.rules[i].id()
		}
	}
	return 0
}
