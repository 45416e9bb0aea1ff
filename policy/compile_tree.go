package policy

import (
	"fmt"
	"slices"

	"ngfw.sh/internal/fault"
)

// Where the trees of a family look: at the addresses that its packets can have.
var (
	serviceKeys = span{uint128{}, uint128{lo: 0xff_ffff}}
	world4      = cube{{mappedFirst, mappedLast}, {mappedFirst, mappedLast}, serviceKeys}
	world6      = cube{{lowest, highest}, {lowest, highest}, serviceKeys}
	mapped      = span{mappedFirst, mappedLast}
)

// maxLinesPerEntry is the share of an image's lines that a pair may use for
// each of its entries.
const maxLinesPerEntry = 16

// trees builds a pair's trees.
func (c *compiler) trees(pair *Pair, at int, boxes []box) error {
	for _, family := range []struct {
		name  string
		world cube
		v6    bool
		tree  *uint32
	}{{"IPv4", world4, false, &pair.Tree4}, {"IPv6", world6, true, &pair.Tree6}} {
		b := treeBuilder{lines: &c.image.Lines, v6: family.v6, boxes: make([]treeBox, 0, len(boxes))}
		rules := make([]int, 0, len(boxes))
		for i := range boxes {
			box := &boxes[i]
			t := treeBox{cube{box.source, box.destination, box.service.key()}, orderOf(i, box.verdict), uint32(box.verdict.Decider)}
			if box.condition != 0 {
				t.order, t.decider = t.order|orderConditional, box.condition
			}
			if family.v6 && (mapped.covers(box.source) || mapped.covers(box.destination)) || !t.cube.meets(&family.world) {
				continue
			}
			t.cube.clip(&family.world)
			b.boxes = append(b.boxes, t)
			rules = append(rules, box.rule)
		}
		if len(b.boxes) == 0 {
			continue
		}
		c.image.Lines = slices.Grow(c.image.Lines, 2*len(b.boxes))
		ref, long, costliest := b.forest(family.world, len(b.boxes)*c.share+64)
		*family.tree = ref
		var excess string
		switch {
		case long > MaxLeaf:
			excess = fmt.Sprintf("%d of them overlap so much that they would be compared one by one, the limit is %d", long, MaxLeaf)
		case len(c.image.Lines) > MaxLines:
			excess = fmt.Sprintf("their search trees are larger than %d MB", MaxLines*64>>20)
		default:
			continue
		}
		from, to := c.zonesOf(at)
		r := &c.policy.Rules[c.rules[rules[costliest]].index]
		return fault.Invalid(fmt.Sprintf("rules[%d]", c.rules[rules[costliest]].index),
			"the rules from %s to %s make %d entries for %s, and %s; the costliest is rule %d (%q): write prefixes in place of ranges, or split the zones",
			from, to, len(b.boxes), family.name, excess, r.ID, r.Name)
	}
	return nil
}

// key gives a service as numbers: protocol, then port.
func (s service) key() span {
	if s.anyProtocol {
		return serviceKeys
	}
	return span{uint128{lo: uint64(serviceKey(s.protocol, s.ports.first))}, uint128{lo: uint64(serviceKey(s.protocol, s.ports.last))}}
}

// shares finds out how many lines a pair may use for each of its entries, such
// that those of all pairs fit.
func (c *compiler) shares() (int, error) {
	entries := 0
	counted := map[[4]*namedRules]bool{}
	for at := range c.image.Pairs {
		if lists, boxes := c.listsOf(at); !counted[lists] {
			counted[lists] = true
			entries += boxes
		}
	}
	if entries > MaxImageEntries {
		return 0, fault.New(fault.InvalidConfig,
			"the rules of all zone pairs make more than %d entries: use fewer zones, shorter lists, or rules without the zone any", MaxImageEntries)
	}
	// Both families may have all of them.
	return min(maxLinesPerEntry, MaxLines/(2*max(entries, 1))), nil
}
