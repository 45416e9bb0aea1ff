package rule

import (
	"slices"
	"strings"
)

// node is an address or port expression: any, a variable, a leaf or a list, and
// whether it is negated. A list is the union of what is not negated in it (of
// everything, if all is), less what is negated.
type node[T any] struct {
	not  bool
	any  bool
	name string // of a variable
	leaf T
	list []node[T]
}

// maxDepth bounds how deep groups and variables are nested.
const maxDepth = 16

// parseNode reads a whole expression. at is where s begins, for errors.
func parseNode[T any](s string, at, depth int, leaf func(string, int) (T, error)) (node[T], error) {
	var n node[T]
	s, at = skipSpace(s, at)
	for strings.HasPrefix(s, "!") {
		n.not = !n.not
		s, at = skipSpace(s[1:], at+1)
	}
	s = trim(s)
	switch {
	case s == "":
		return n, faultf(at, "an address or port is missing")
	case s == "any" || s == "ANY":
		if n.not {
			return n, faultf(at, "!any matches nothing")
		}
		n.any = true
		return n, nil
	case s[0] == '$':
		n.name = s[1:]
		if !isName(n.name) || strings.ContainsAny(n.name, "[]!$") {
			return n, faultf(at, "%q is no variable", s)
		}
		return n, nil
	case s[0] == '[':
		if s[len(s)-1] != ']' {
			return n, faultf(at, "a group is not closed by ]")
		}
		if depth == maxDepth {
			return n, faultf(at, "groups are nested deeper than %d", maxDepth)
		}
		return n, parseList(&n, s[1:len(s)-1], at+1, depth, leaf)
	}
	var err error
	n.leaf, err = leaf(s, at)
	return n, err
}

func parseList[T any](n *node[T], s string, at, depth int, leaf func(string, int) (T, error)) error {
	open, from := 0, 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) {
			switch s[i] {
			case '[':
				open++
			case ']':
				if open--; open < 0 {
					return faultf(at+i, "] closes no group")
				}
			}
			if s[i] != ',' || open > 0 {
				continue
			}
		}
		member, err := parseNode(s[from:i], at+from, depth+1, leaf)
		if err != nil {
			return err
		}
		n.list = append(n.list, member)
		from = i + 1
	}
	if open != 0 {
		return faultf(at, "a group is not closed by ]")
	}
	return nil
}

func skipSpace(s string, at int) (string, int) {
	for len(s) > 0 && isSpace(s[0]) {
		s, at = s[1:], at+1
	}
	return s, at
}

func (n *node[T]) print(b []byte, leaf func([]byte, T) []byte) []byte {
	if n.not {
		b = append(b, '!')
	}
	switch {
	case n.any:
		return append(b, "any"...)
	case n.name != "":
		return append(append(b, '$'), n.name...)
	case n.list == nil:
		return leaf(b, n.leaf)
	}
	b = append(b, '[')
	for i := range n.list {
		if i > 0 {
			b = append(b, ',')
		}
		b = n.list[i].print(b, leaf)
	}
	return append(b, ']')
}

// span is a closed interval.
type span[T any] struct{ from, to T }

// space is an ordered set of discrete values.
type space[T any] struct {
	min, max   T
	compare    func(a, b T) int
	next, prev func(T) T // of values that have one
}

// normal sorts, and merges what overlaps or touches.
func (sp *space[T]) normal(all []span[T]) []span[T] {
	slices.SortFunc(all, func(a, b span[T]) int { return sp.compare(a.from, b.from) })
	out := all[:0]
	for _, s := range all {
		if n := len(out); n > 0 {
			last := &out[n-1]
			if sp.compare(last.to, sp.max) == 0 || sp.compare(s.from, sp.next(last.to)) <= 0 {
				if sp.compare(s.to, last.to) > 0 {
					last.to = s.to
				}
				continue
			}
		}
		out = append(out, s)
	}
	return out
}

// complement of a normal set.
func (sp *space[T]) complement(all []span[T]) []span[T] {
	var out []span[T]
	from := sp.min
	for _, s := range all {
		if sp.compare(s.from, from) > 0 {
			out = append(out, span[T]{from, sp.prev(s.from)})
		}
		if sp.compare(s.to, sp.max) == 0 {
			return out
		}
		from = sp.next(s.to)
	}
	return append(out, span[T]{from, sp.max})
}

// subtract b from a, both normal.
func (sp *space[T]) subtract(a, b []span[T]) []span[T] {
	var out []span[T]
	keep := sp.complement(b)
	for i, j := 0, 0; i < len(a) && j < len(keep); {
		from, to := a[i].from, a[i].to
		if sp.compare(keep[j].from, from) > 0 {
			from = keep[j].from
		}
		ends := sp.compare(keep[j].to, to)
		if ends < 0 {
			to = keep[j].to
		}
		if sp.compare(from, to) <= 0 {
			out = append(out, span[T]{from, to})
		}
		if ends < 0 {
			j++
		} else {
			i++
		}
	}
	return out
}

// eval is the normal set that an expression means. lookup parses the value of
// a variable; leaf widens a leaf to a span.
func (sp *space[T]) eval(n *node[span[T]], lookup func(string) (*node[span[T]], error), depth int) ([]span[T], error) {
	set, err := sp.evalPositive(n, lookup, depth)
	if err == nil && n.not {
		set = sp.complement(set)
	}
	return set, err
}

func (sp *space[T]) evalPositive(n *node[span[T]], lookup func(string) (*node[span[T]], error), depth int) ([]span[T], error) {
	switch {
	case depth > 2*maxDepth:
		return nil, faultf(0, "variables refer to each other in a circle, or are nested too deep")
	case n.any:
		return []span[T]{{sp.min, sp.max}}, nil
	case n.name != "":
		value, err := lookup(n.name)
		if err != nil {
			return nil, err
		}
		return sp.eval(value, lookup, depth+1)
	case n.list == nil:
		return []span[T]{n.leaf}, nil
	}
	var with, without []span[T]
	positive := false
	for i := range n.list {
		m := &n.list[i]
		set, err := sp.evalPositive(m, lookup, depth+1)
		if err != nil {
			return nil, err
		}
		if m.not {
			without = append(without, set...)
		} else {
			positive = true
			with = append(with, set...)
		}
	}
	if !positive {
		with = []span[T]{{sp.min, sp.max}}
	}
	return sp.subtract(sp.normal(with), sp.normal(without)), nil
}
