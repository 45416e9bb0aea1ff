package policy

// LongestLeaf is the number of entries of the longest leaf below a reference.
func (im *Image) LongestLeaf(ref uint32) int {
	line := &im.Lines[ref&refLine]
	longest := 0
	switch ref & refKind {
	case refNode:
		for _, part := range line[nodeParts:] {
			longest = max(longest, im.LongestLeaf(part))
		}
	case refForest:
		for t := 0; t < treeNumber && line[2*t+1] != lineOpen; t++ {
			longest = max(longest, im.LongestLeaf(line[2*t]))
		}
	case refLong:
		longest = int(line[0])
	default:
		longest = int(ref >> refCountShift & refCount)
	}
	return longest
}

// PlainDocument is a document as parsed, with maps for objects.
func PlainDocument(data []byte) (any, error) {
	v, err := parseDocument(data)
	return plainValue(v), err
}

func plainValue(v any) any {
	switch v := v.(type) {
	case *object:
		m := make(map[string]any, len(v.members))
		for _, member := range v.members {
			m[member.key] = plainValue(member.value)
		}
		return m
	case []any:
		for i := range v {
			v[i] = plainValue(v[i])
		}
	}
	return v
}

// SameNAT says whether two policies translate destinations alike.
func SameNAT(a, b Policy, env Env) bool {
	x, errX := destinationsOf(&a, env)
	y, errY := destinationsOf(&b, env)
	return errX == nil && errY == nil && x.equal(y)
}
