package rule

import "strings"

// Ports is a port expression as a header has it: any, a port, a range from:to
// with either end open, a $VARIABLE, a [group], each possibly negated.
type Ports struct{ root node[span[uint16]] }

// ParsePorts reads an expression. The error is an *Error of line 1.
func ParsePorts(s string) (*Ports, error) {
	p, err := parsePorts(s, 0)
	if err != nil {
		return nil, located(err)
	}
	return p, nil
}

func parsePorts(s string, at int) (*Ports, error) {
	root, err := parseNode(s, at, 0, portLeaf)
	if err != nil {
		return nil, err
	}
	return &Ports{root}, nil
}

// Any says whether the expression is the word any.
func (p *Ports) Any() bool { return p.root.any }

func (p *Ports) String() string { return string(p.root.print(nil, printPortLeaf)) }

func portLeaf(s string, at int) (span[uint16], error) {
	low, high, isRange := strings.Cut(s, ":")
	low, high = trim(low), trim(high)
	if isRange && low == "" && high == "" {
		return span[uint16]{}, faultf(at, "%q is no range of ports", s)
	}
	from, to := uint64(0), uint64(65535)
	ok := true
	if low != "" {
		from, ok = number(low)
	}
	switch {
	case !isRange:
		to = from
	case high != "" && ok:
		to, ok = number(high)
	}
	switch {
	case !ok || from > 65535 || to > 65535:
		return span[uint16]{}, faultf(at, "%q is no port from 0 to 65535 and no range of ports", s)
	case to < from:
		return span[uint16]{}, faultf(at, "the range %q ends before it begins", s)
	}
	return span[uint16]{uint16(from), uint16(to)}, nil
}

func printPortLeaf(b []byte, s span[uint16]) []byte {
	b = appendUint(b, uint64(s.from))
	if s.from == s.to {
		return b
	}
	return appendUint(append(b, ':'), uint64(s.to))
}

var portSpace = &space[uint16]{
	max:     65535,
	compare: func(a, b uint16) int { return int(a) - int(b) },
	next:    func(v uint16) uint16 { return v + 1 },
	prev:    func(v uint16) uint16 { return v - 1 },
}

// PortRange is a closed interval of ports.
type PortRange struct{ From, To uint16 }

// PortSet is what an expression means once its variables have values: ranges
// that are sorted and do not touch.
type PortSet struct{ Ranges []PortRange }

// All says whether every port is in the set.
func (s *PortSet) All() bool {
	return len(s.Ranges) == 1 && s.Ranges[0] == PortRange{0, 65535}
}

// Contains looks a port up.
func (s *PortSet) Contains(port uint16) bool {
	for _, r := range s.Ranges {
		if port <= r.To {
			return port >= r.From
		}
	}
	return false
}
