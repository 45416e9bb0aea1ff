package rule

import (
	"iter"
	"maps"
	"strings"
)

func keysOf[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }

// nearest is a suggestion to end a complaint about an unknown name with: the
// known one that differs least, unless all differ much.
func nearest(name string, known iter.Seq[string]) string {
	best, least := "", len(name)/3+2
	for k := range known {
		if d := distance(name, k, least); d < least || d == least && best != "" && k < best {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "; the nearest known one is " + best
}

// distance is that of Levenshtein, letters of either case and the separators
// . and _ alike; above most it is not exact.
func distance(a, b string, most int) int {
	if d := len(a) - len(b); d > most || -d > most {
		return most + 1
	}
	fold := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "_", ".") }
	a, b = fold(a), fold(b)
	if len(b) > 64 {
		return most + 1
	}
	var line [65]int
	for j := range len(b) + 1 {
		line[j] = j
	}
	for i := range len(a) {
		before := line[0]
		line[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before = line[j+1]
			line[j+1] = min(cost, line[j]+1, line[j+1]+1)
		}
	}
	return line[len(b)]
}
