package policy

import (
	"slices"
)

// ruleForm is a rule parsed and resolved: what depends on the rule, the groups,
// the router's addresses and the countries, and not on the other rules.
type ruleForm struct {
	rule   Rule
	match  match // without numbers; of no use where the rule is disabled
	shape  *shape
	before *shape // that of the rule's last form, until shape is made
}

// of says whether the form is that of a rule.
func (f *ruleForm) of(r *Rule) bool {
	o := &f.rule
	return o.ID == r.ID && o.Enabled == r.Enabled && o.Log == r.Log && o.Action == r.Action && o.Name == r.Name &&
		o.ZoneFrom == r.ZoneFrom && o.ZoneTo == r.ZoneTo && o.Source == r.Source && o.Destination == r.Destination &&
		o.Protocol == r.Protocol && o.Port == r.Port && slices.Equal(o.ICMPTypes, r.ICMPTypes) &&
		o.Schedule.Enabled == r.Schedule.Enabled && o.Schedule.Start == r.Schedule.Start && o.Schedule.End == r.Schedule.End &&
		slices.Equal(o.Schedule.Days, r.Schedule.Days)
}

// formOfRule makes a rule's form. before is that of another text or another
// world, or none: what is the same boxes stays the same shape.
func formOfRule(resolve *resolver, i int, r *Rule, before *ruleForm) (*ruleForm, error) {
	f := &ruleForm{rule: *r}
	f.rule.ICMPTypes, f.rule.Schedule.Days = slices.Clone(r.ICMPTypes), slices.Clone(r.Schedule.Days)
	if !r.Enabled {
		if before != nil {
			f.shape = before.shape // it may come back
		}
		return f, nil
	}
	m, err := compileRule(resolve, i, *r)
	if err != nil {
		return nil, err
	}
	f.match = m
	if before != nil {
		f.before = before.shape
	}
	return f, nil
}

// crossed sees to the form's shape.
func (f *ruleForm) crossed() {
	if f.shape != nil {
		return
	}
	if f.shape = shapeOf(&f.match); f.shape.equal(f.before) {
		f.shape = f.before
	}
	f.before = nil
}

// shape is the boxes of a rule, in the order of match.entries. Rules that differ
// in what they decide have the same one, and trees that hold it stay.
type shape struct {
	boxes    []shapeBox
	families [families]bool // those that any of the boxes is of
}

type shapeBox struct {
	treeBox
	variant uint8 // of the rule
}

// shapeOf crosses a rule's sets; there are m.boxes() of them.
func shapeOf(m *match) *shape {
	s := &shape{boxes: make([]shapeBox, 0, m.boxes())}
	for i, v := range m.variants {
		closes := !v.asks.asks()
		for _, source := range v.source {
			for _, destination := range m.destination {
				for _, service := range m.services {
					b := shapeBox{treeBox{cube: cube{source, destination, service.key()}, closes: closes}, uint8(i)}
					b.salt = b.cube.salt(uint32(m.verdict.Decider))
					for f := range s.families {
						s.families[f] = s.families[f] || treeFamilies[f].has(&b.cube)
					}
					s.boxes = append(s.boxes, b)
				}
			}
		}
	}
	return s
}

func (s *shape) equal(o *shape) bool {
	return o != nil && slices.Equal(s.boxes, o.boxes)
}

// salt mixes what a box is of: it is in samples by chance, but always the same.
func (c *cube) salt(decider uint32) uint32 {
	h := uint64(decider)
	for i := range c {
		for _, n := range [4]uint64{c[i].first.hi, c[i].first.lo, c[i].last.hi, c[i].last.lo} {
			h = (h ^ n) * 0x9e3779b97f4a7c15 // splitmix64's increment, odd
			h ^= h >> 29
		}
	}
	return uint32(h >> 32)
}

// entry is the box as the image lists it.
func (b *shapeBox) entry(condition uint32, v Verdict) Entry {
	service := &b.cube[2]
	e := Entry{
		SourceLo: b.cube[0].first.addr(), SourceHi: b.cube[0].last.addr(),
		DestinationLo: b.cube[1].first.addr(), DestinationHi: b.cube[1].last.addr(),
		PortLo: uint16(service.first.lo), PortHi: uint16(service.last.lo), Condition: condition, Verdict: v,
	}
	if e.AnyProtocol = *service == serviceKeys; !e.AnyProtocol {
		e.Protocol = uint8(service.first.lo >> 16)
	}
	return e
}

// wideBoxes are the earlier boxes of a pair that may well cover later ones:
// those open on one side. What they cover can never be the first match and is
// left out. Comparing with every earlier box would cost the square of a pair.
type wideBoxes []*cube

const maxWide = 32

func (w *wideBoxes) add(b *shapeBox) {
	if len(*w) < maxWide && b.closes && (b.cube[0] == everything[0] || b.cube[1] == everything[0]) {
		*w = append(*w, &b.cube)
	}
}

func (w wideBoxes) cover(b *shapeBox) bool {
	for _, c := range w {
		if c[2].covers(b.cube[2]) && c[0].covers(b.cube[0]) && c[1].covers(b.cube[1]) {
			return true
		}
	}
	return false
}
