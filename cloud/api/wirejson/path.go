package wirejson

import (
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// path is a place in a document, the outermost being nil. It is a chain on the
// stack of the decoder; only a problem makes a string of it.
type path struct {
	parent *path
	name   string
	index  int
}

func (p *path) member(name string) *path { return &path{p, name, -1} }
func (p *path) element(i int) *path      { return &path{p, "", i} }

// String is the path as the API writes it: rule_ids[2], schedule.start, [3].to.
func (p *path) String() string {
	if p == nil {
		return ""
	}
	before := p.parent.String()
	if p.index >= 0 {
		return before + "[" + strconv.Itoa(p.index) + "]"
	}
	name := shorten(p.name)
	if before == "" {
		return name
	}
	return before + "." + name
}

// shorten bounds what of an input an error repeats.
func shorten(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

func quote(s string) string { return strconv.Quote(shorten(s)) }

// suggest finds the known name nearest to a misspelt one.
func (d *decoder) suggest(m protoreflect.MessageDescriptor, name string, outermost bool) string {
	best, least := "", len(name)/3+1
	for i := range m.Fields().Len() {
		fd := m.Fields().Get(i)
		if outermost && d.Hidden != nil && d.Hidden(fd) {
			continue
		}
		if n := distance(name, string(fd.Name()), least); n < least {
			best, least = string(fd.Name()), n
		}
	}
	if best == "" {
		return ""
	}
	return `; did you mean "` + best + `"?`
}

// Nearest finds the candidate nearest to name, "" if none is near.
func Nearest(name string, candidates []string) string {
	best, least := "", len(name)/3+1
	for _, c := range candidates {
		if n := distance(name, c, least); n < least {
			best, least = c, n
		}
	}
	return best
}

// distance is Levenshtein's, at most limit.
func distance(a, b string, limit int) int {
	if len(a) > 64 || len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], limit)
}
