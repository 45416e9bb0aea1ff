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

	treeFamilies = [families]treeFamily{family4: {"IPv4", world4, false}, family6: {"IPv6", world6, true}}
)

type treeFamily struct {
	name  string
	world cube
	v6    bool
}

// has says whether packets of the family can be in a box.
func (f *treeFamily) has(c *cube) bool {
	return !(f.v6 && (mapped.covers(c[0]) || mapped.covers(c[1]))) && c.meets(&f.world)
}

// maxLinesPerEntry is the share of an image's lines that a pair may use for
// each of its entries.
const maxLinesPerEntry = 16

// keptBox is an entry of a pair, in order.
type keptBox struct {
	rule int // index into compiler.rules
	box  int // of its shape
}

// trees builds a pair's trees.
func (c *compiler) trees(pair *Pair, at int, kept []keptBox) error {
	from, to := c.zonesOf(at)
	for f, tree := range [families]*uint32{family4: &pair.Tree4, family6: &pair.Tree6} {
		memo := c.memory.forest(forestKey{from, to, uint8(f)})
		rule, entries, long, err := c.tree(tree, memo, &treeFamilies[f], kept)
		if err != nil || entries == 0 {
			continue
		}
		var excess string
		switch {
		case long > MaxLeaf:
			excess = fmt.Sprintf("%d of them overlap so much that they would be compared one by one, the limit is %d", long, MaxLeaf)
		case len(c.image.Lines) > MaxLines:
			excess = fmt.Sprintf("their search trees are larger than %d MB", MaxLines*64>>20)
		default:
			continue
		}
		i := c.rules[rule].index
		r := &c.policy.Rules[i]
		return fault.Invalid(index("rules", i),
			"the rules from %s to %s make %d entries for %s, and %s; the costliest is rule %d (%q): write prefixes in place of ranges, or split the zones",
			from, to, entries, treeFamilies[f].name, excess, r.ID, r.Name)
	}
	return nil
}

// tree writes a pair's trees of a family, and gives how many entries they hold,
// the length of the longest leaf, and the rule that was copied most.
func (c *compiler) tree(ref *uint32, memo *forestMemo, f *treeFamily, kept []keptBox) (rule, entries, long int, err error) {
	var all []uint32
	memo.begin()
	for place := 0; place < len(kept); {
		// The entries of a rule stand together.
		r := c.rules[kept[place].rule]
		end := place + 1
		for end < len(kept) && kept[end].rule == kept[place].rule {
			end++
		}
		if !r.shape.families[family(f.v6)] {
			place = end
			continue
		}
		first := memo.place(r.shape, f)
		for ; place < end; place++ {
			b := &r.shape.boxes[kept[place].box]
			if !f.has(&b.cube) {
				continue
			}
			id := first + uint32(kept[place].box)
			order, says := orderOf(place, r.match.verdict), uint32(r.match.verdict.Decider)
			if n := r.match.variants[b.variant].condition; n != 0 {
				order, says = order|orderConditional, n
			}
			memo.orders[id], memo.says[id] = order, says
			all = append(all, id)
		}
	}
	if len(all) == 0 {
		memo.end(nil)
		return 0, 0, 0, nil
	}
	b := treeBuilder{boxes: memo.boxes, v6: f.v6}
	memo.end(b.forest(all, f.world, len(all)*c.share+64, memo.trees))
	c.image.Lines = slices.Grow(c.image.Lines, 2*len(all))
	w := treeWriter{lines: &c.image.Lines, boxes: memo.boxes, orders: memo.orders, says: memo.says, v6: f.v6}
	var costliest uint32
	*ref, long, costliest = w.forest(memo.trees)
	return kept[memo.orders[costliest]>>orderShift].rule, len(all), long, nil
}

func family(v6 bool) int {
	if v6 {
		return family6
	}
	return family4
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
