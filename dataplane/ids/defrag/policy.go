package defrag

// Policy says which of two overlapping fragments counts.
type Policy uint8

// Policies, named after those who have them.
const (
	BSD Policy = iota
	BSDRight
	Linux
	Windows
	Solaris
	First
	Last
)

// newWins says whether the later fragment's bytes count where both have some (Novak,
// "Target-Based Fragmentation Reassembly").
func (p Policy) newWins(oldFrom, oldTo, newFrom, newTo int) bool {
	switch p {
	case BSD:
		return newFrom < oldFrom
	case Linux:
		return newFrom <= oldFrom
	case Windows:
		return newFrom < oldFrom && newTo > oldTo
	case Solaris:
		return newFrom < oldFrom && newTo >= oldTo
	case BSDRight, Last:
		return true
	}
	return false
}
