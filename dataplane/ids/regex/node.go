package regex

// node is a part of an expression.
type node struct {
	kind     kind
	set      *set    // of kindSet
	subs     []*node // of kindCat, kindAlt; the one of others
	min, max int     // of kindRepeat; max -1: no limit
	mode     mode
	n        int // of kindGroup and kindBackref: the number; kindCondition: the group, 0: subs[0] is a lookaround
	fold     bool
	not      bool // of kindLook
	behind   bool
	assert   assertion
	name     string // of a reference that is resolved at the end
	at       int
}

type kind uint8

const (
	kindEmpty kind = iota
	kindSet
	kindCat
	kindAlt
	kindRepeat
	kindGroup
	kindAtomic
	kindLook
	kindBackref
	kindAssert
	kindCondition
	kindKeep // \K
	kindFail
)

type mode uint8

const (
	greedy mode = iota
	lazy
	possessive
)

type assertion uint8

const (
	beginSubject assertion = iota
	beginSearch
	beginLine
	endSubject
	endText // or before a newline at the end
	endLine
	wordBoundary
	notWordBoundary
)

// width is how many bytes a node matches, if that is fixed.
func (n *node) width() (int, bool) {
	low, high := n.span()
	return low, low == high
}

// span is how many bytes a node matches, at least and at most; -1: no limit.
func (n *node) span() (low, high int) {
	switch n.kind {
	case kindSet:
		return 1, 1
	case kindCat:
		for _, s := range n.subs {
			l, h := s.span()
			low += l
			if h < 0 || high < 0 {
				high = -1
			} else {
				high += h
			}
		}
		return low, high
	case kindAlt:
		low = -1
		for _, s := range n.subs {
			l, h := s.span()
			if low < 0 || l < low {
				low = l
			}
			if h < 0 || high < 0 {
				high = -1
			} else {
				high = max(high, h)
			}
		}
		return low, high
	case kindRepeat:
		l, h := n.subs[0].span()
		low, high = l*n.min, -1
		if n.max >= 0 && h >= 0 {
			high = h * n.max
		} else if h == 0 {
			high = 0
		}
		return min(low, 1<<20), min(high, 1<<20)
	case kindGroup, kindAtomic:
		return n.subs[0].span()
	case kindBackref:
		return 0, -1
	case kindCondition:
		yes, yesHigh := n.subs[len(n.subs)-2].span()
		no, noHigh := n.subs[len(n.subs)-1].span()
		if yesHigh < 0 || noHigh < 0 {
			return min(yes, no), -1
		}
		return min(yes, no), max(yesHigh, noHigh)
	}
	return 0, 0
}

// begin adds the bytes that a match of the node can begin with, and says whether it may
// match nothing, so that what follows begins.
func (n *node) begin(s *set) (empty bool) {
	switch n.kind {
	case kindSet:
		s.union(n.set)
		return false
	case kindCat:
		for _, sub := range n.subs {
			if !sub.begin(s) {
				return false
			}
		}
		return true
	case kindAlt:
		for _, sub := range n.subs {
			if sub.begin(s) {
				empty = true
			}
		}
		return empty
	case kindRepeat:
		if n.max == 0 {
			return true
		}
		return n.subs[0].begin(s) || n.min == 0
	case kindGroup, kindAtomic:
		return n.subs[0].begin(s)
	case kindBackref, kindCondition:
		s.union(allSet)
	case kindFail:
		return false
	}
	return true
}
