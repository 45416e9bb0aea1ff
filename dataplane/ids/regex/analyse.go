package regex

// literal is a run of bytes that every match has.
type literal struct {
	bytes []byte // in lower case if fold
	fold  bool
}

// analyse finds what spares trying: where a match can begin, with which bytes, and what
// it must contain.
func (re *Regex) analyse(root *node, flags Flags) {
	re.anchor = anchorOf(root)
	if flags&Anchored != 0 {
		re.anchor = atSearch
	}
	var s set
	if !root.begin(&s) && !s.full() {
		re.first = &s
	}
	depends, refers := leftward(root)
	re.suffix = re.anchor == anywhere && !depends
	if !refers && !depends && re.anchor == anywhere {
		re.wild, re.wildAll = beginsWild(root)
	}
	q := &requirement{}
	q.walk(root)
	q.flush()
	re.need, re.needMin, re.needMax = q.best, q.bestLow, q.bestHigh
}

// anchorOf says where matches begin, from what an expression begins with.
func anchorOf(n *node) anchor {
	switch n.kind {
	case kindAssert:
		switch n.assert {
		case beginSubject:
			return atStart
		case beginSearch:
			return atSearch
		case beginLine:
			return atLine
		}
	case kindCat:
		for _, sub := range n.subs {
			if a := anchorOf(sub); a != anywhere {
				return a
			}
			if _, high := sub.span(); high != 0 || sub.kind == kindKeep {
				return anywhere
			}
		}
	case kindAlt:
		a := anchorOf(n.subs[0])
		for _, sub := range n.subs[1:] {
			if anchorOf(sub) != a {
				return anywhere
			}
		}
		return a
	case kindGroup, kindAtomic:
		return anchorOf(n.subs[0])
	}
	return anywhere
}

// requirement collects the longest literal that every match has.
type requirement struct {
	now, best         literal
	nowLow, nowHigh   int // bytes before now
	low, high         int // bytes before what comes next
	bestLow, bestHigh int
}

// flush ends the literal being collected.
func (q *requirement) flush() {
	if len(q.now.bytes) > len(q.best.bytes) {
		q.best, q.bestLow, q.bestHigh = q.now, q.nowLow, q.nowHigh
	}
	q.now = literal{}
}

func (q *requirement) pass(n *node) {
	low, high := n.span()
	q.low = min(q.low+low, 1<<20)
	if high < 0 || q.high < 0 || q.high > 1<<20 {
		q.high = -1
	} else {
		q.high += high
	}
}

func (q *requirement) walk(n *node) {
	switch n.kind {
	case kindCat:
		for i := 0; i < len(n.subs); {
			if lit, fold, k := run(n.subs[i:]); k > 0 {
				q.take(lit, fold)
				i += k
				continue
			}
			q.walk(n.subs[i])
			i++
		}
	case kindSet:
		if lit, fold, k := run([]*node{n}); k > 0 {
			q.take(lit, fold)
			return
		}
		q.flush()
		q.pass(n)
	case kindGroup, kindAtomic:
		q.walk(n.subs[0])
	case kindRepeat:
		q.flush()
		if n.min > 0 {
			low, high := q.low, q.high
			q.walk(n.subs[0])
			q.flush()
			q.low, q.high = low, high
		}
		q.pass(n)
	case kindAssert, kindLook, kindKeep, kindEmpty:
		q.flush()
	default:
		q.flush()
		q.pass(n)
	}
}

func (q *requirement) take(lit []byte, fold bool) {
	if len(q.now.bytes) == 0 || q.now.fold != fold {
		q.flush()
		q.now, q.nowLow, q.nowHigh = literal{fold: fold}, q.low, q.high
	}
	q.now.bytes = append(q.now.bytes, lit...)
	q.low += len(lit)
	if q.high >= 0 {
		q.high += len(lit)
	}
}

// index finds the literal in s, or -1.
func (l *literal) index(s []byte) int {
	if l.fold {
		return IndexFold(s, l.bytes)
	}
	return index(s, l.bytes)
}

// leftward says whether a match depends on what is before it, and whether it depends on what it has
// matched before or on how often it was tried (references, conditions, \K).
func leftward(n *node) (depends, refers bool) {
	switch n.kind {
	case kindAssert:
		switch n.assert {
		case beginSubject, beginSearch, beginLine, wordBoundary, notWordBoundary:
			depends = true
		}
	case kindLook:
		depends = n.behind
	case kindBackref, kindCondition, kindKeep:
		refers = true
	}
	for _, sub := range n.subs {
		d, r := leftward(sub)
		depends, refers = depends || d, refers || r
	}
	return depends, refers
}

// beginsWild says whether an expression begins with a dot that is repeated without limit; all: one that
// matches newlines too.
func beginsWild(n *node) (wild, all bool) {
	switch n.kind {
	case kindCat:
		if len(n.subs) > 0 {
			return beginsWild(n.subs[0])
		}
	case kindGroup:
		return beginsWild(n.subs[0])
	case kindRepeat:
		if sub := n.subs[0]; n.max < 0 && sub.kind == kindSet {
			return sub.set == allSet || sub.set == escapedSets['N'], sub.set == allSet
		}
	}
	return false, false
}
