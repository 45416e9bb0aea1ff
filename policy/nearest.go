package policy

import (
	"slices"
	"strings"
)

// instead is the remedy for a member that no shape has: the known one that it
// was meant to be, or all of them.
func (r *record) instead(key string) string {
	known := slices.Clone(r.known[:r.asks])
	slices.Sort(known)
	known = slices.Compact(known)
	if near := nearest(key, known); near != "" {
		return "write " + near
	}
	return "there are " + strings.Join(known, ", ")
}

// nearest is the candidate that differs from name in the fewest letters, "" if
// all differ in more than a third of it and name is no abbreviation of just one.
func nearest(name string, candidates []string) string {
	best, least := "", len(name)/3+1
	if i := slices.IndexFunc(candidates, func(c string) bool { return len(name) > 2 && strings.Contains(c, name) }); i >= 0 &&
		!slices.ContainsFunc(candidates[i+1:], func(c string) bool { return strings.Contains(c, name) }) {
		best = candidates[i]
	}
	for _, c := range candidates {
		if n := distance(name, c); n < least {
			best, least = c, n
		}
	}
	return best
}

// distance is Levenshtein's with neighbours that change places as one step, the
// letter's case being nothing. What is much too long for a name is far from all.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	a, b = strings.ToLower(a), strings.ToLower(b)
	var rows [3][129]int // lower case may be longer; rows of i-2, i-1, i
	for j := range len(b) + 1 {
		rows[1][j] = j
	}
	for i := range len(a) {
		rows[2][0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			rows[2][j+1] = min(rows[1][j]+cost, rows[1][j+1]+1, rows[2][j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				rows[2][j+1] = min(rows[2][j+1], rows[0][j-1]+1)
			}
		}
		rows[0], rows[1] = rows[1], rows[2]
	}
	return rows[1][len(b)]
}
