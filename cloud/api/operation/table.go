package operation

import (
	"fmt"
	"slices"
	"strings"
)

// Table finds the binding for a path. A literal segment wins over a parameter,
// whatever the order of declaration.
type Table struct {
	byLength map[int][]*Binding
}

// NewTable refuses two bindings for one verb and path.
func NewTable(ops []*Operation) (*Table, error) {
	t := &Table{byLength: map[int][]*Binding{}}
	seen := map[string]string{}
	for _, o := range ops {
		for _, b := range o.Bindings {
			key := b.Verb
			for _, s := range b.Segments {
				if _, ok := Param(s); ok {
					s = "{}"
				}
				key += "/" + s
			}
			if other, twice := seen[key]; twice {
				return nil, fmt.Errorf("%s %s is bound by %s and %s", b.Verb, b.Pattern, other, o.RPC)
			}
			seen[key] = o.RPC
			t.byLength[len(b.Segments)] = append(t.byLength[len(b.Segments)], b)
		}
	}
	return t, nil
}

// Find looks the unescaped segments of a path up. Without a binding for the
// verb it returns nil and the verbs that there are; none: the path is unknown.
func (t *Table) Find(verb string, segments []string) (b *Binding, verbs []string) {
	best := ""
	for _, c := range t.byLength[len(segments)] {
		rank, ok := match(c.Segments, segments)
		if !ok {
			continue
		}
		if !slices.Contains(verbs, c.Verb) {
			verbs = append(verbs, c.Verb)
		}
		if c.Verb == verb && (b == nil || rank < best) {
			b, best = c, rank
		}
	}
	slices.Sort(verbs)
	return b, verbs
}

// match gives a rank that sorts literals before parameters, from the left.
func match(pattern, segments []string) (rank string, ok bool) {
	var out strings.Builder
	for i, p := range pattern {
		switch _, isParam := Param(p); {
		case isParam && segments[i] != "":
			out.WriteByte('1')
		case p == segments[i]:
			out.WriteByte('0')
		default:
			return "", false
		}
	}
	return out.String(), true
}

// Values are the path parameters of segments that Find matched.
func (b *Binding) Values(segments []string) map[string]string {
	out := map[string]string{}
	for i, s := range b.Segments {
		if name, ok := Param(s); ok {
			out[name] = segments[i]
		}
	}
	return out
}
