package tx

import "strings"

// State answers app-layer-state: whether how far a transaction is compares with a state
// of either side's, which counts by its number alone.
func State(args []string, sides []map[string]int, at int) bool {
	if len(args) != 1 {
		return false
	}
	name := strings.TrimLeft(args[0], "<>=! ")
	want, ok := 0, false
	for _, states := range sides {
		if n, named := states[strings.ToLower(name)]; named {
			want, ok = n, true
		}
	}
	if !ok {
		return false
	}
	switch strings.TrimSpace(args[0][:len(args[0])-len(name)]) {
	case "<":
		return at < want
	case ">":
		return at > want
	case "<=":
		return at <= want
	case ">=":
		return at >= want
	case "!", "!=":
		return at != want
	}
	return at == want
}
