package policy

import "math"

// treeNode is a part of a tree before it is written: what it searches, and what
// was made of that. It names entries by handles, which stay the same from one
// compilation to the next for as long as the entry does, and holds nothing else
// of them: a node serves any policy that gives it the same entries in the same
// order. Nodes are never changed, but for their handles in forestMemo.compact.
type treeNode struct {
	ids   []uint32    // the entries that came in, by order
	held  []uint32    // of a leaf: those that are walked; else: those that moved to the next tree
	after []uint32    // where the cut is; nil: a leaf
	parts []*treeNode // one more than after; nil: nothing is there

	// The budgets under which the same would have been made, and the lines that it
	// and all below it take.
	least, most, lines int

	word uint8 // of the key, that the cut looks at
}

// fits says whether a node is what build would make of ids.
func (n *treeNode) fits(ids []uint32, budget int) bool {
	if n == nil || budget < n.least || budget > n.most || len(ids) != len(n.ids) {
		return false
	}
	for i, id := range ids {
		if n.ids[i] != id {
			return false
		}
	}
	return true
}

// part gives the i-th part of a node that may be none.
func (n *treeNode) part(i int, c *cut) *treeNode {
	if n == nil || len(n.parts) != len(c.after)+1 || n.word != c.keyWord() {
		return nil
	}
	for k, v := range c.after {
		if n.after[k] != v {
			return nil
		}
	}
	return n.parts[i]
}

func (c *cut) keyWord() uint8 { return uint8(4*c.side + c.word) }

// bound narrows the budgets of a node to those that give a part, which has n of
// total entries, a budget that it was made under: (budget-1)*n/total.
func (n *treeNode) bound(part *treeNode, count, total int) {
	if part == nil || count == 0 {
		return
	}
	if part.least > 0 {
		n.least = max(n.least, (part.least*total+count-1)/count+1)
	}
	if part.most < math.MaxInt {
		n.most = min(n.most, ((part.most+1)*total-1)/count+1)
	}
}

// mark marks what moved to the next tree, below this node too. Only large nodes
// move entries.
func (n *treeNode) mark(moved []bool) {
	if n == nil || n.after == nil || len(n.ids) <= moveAbove {
		return
	}
	for _, id := range n.held {
		moved[id] = true
	}
	for _, p := range n.parts {
		p.mark(moved)
	}
}

// renumber gives the entries other handles.
func (n *treeNode) renumber(to []uint32) {
	if n == nil {
		return
	}
	shared := len(n.ids) > 0 && len(n.held) > 0 && &n.ids[0] == &n.held[0]
	for _, list := range [][]uint32{n.ids, n.held} {
		for i, id := range list {
			list[i] = to[id]
		}
		if shared {
			break
		}
	}
	for _, p := range n.parts {
		p.renumber(to)
	}
}
