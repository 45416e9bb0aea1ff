package stream

// Policy says which of two overlapping segments with different bytes counts: the
// earlier or the later one. Hosts differ (Novak and Sturges, "Target-Based TCP
// Stream Reassembly").
type Policy uint8

// Policies, named after those who have them.
const (
	BSD Policy = iota
	Linux
	OldLinux
	Windows
	Windows2003
	Vista
	MacOS
	Solaris
	HPUX10
	HPUX11
	IRIX
	First
	Last
)

// newWins says whether the later segment's bytes count.
func (p Policy) newWins(oldFrom, oldTo, newFrom, newTo uint64) bool {
	begins := newFrom < oldFrom
	same := newFrom == oldFrom
	switch p {
	case Last:
		return true
	case First, Vista:
		return false
	case Solaris, HPUX11:
		switch {
		case begins, same:
			return newTo >= oldTo
		default:
			return newTo > oldTo
		}
	case Linux:
		return begins || same && newTo > oldTo
	case OldLinux:
		return begins || same && newTo >= oldTo
	}
	return begins
}
