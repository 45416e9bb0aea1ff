package regex

// Limits bound a match. They are those of Suricata's configuration
// (pcre.match-limit, pcre.match-limit-recursion), as far as an engine of another make can
// have the same: Tries are the alternatives returned to from one beginning, Depth
// the alternatives that are open at a time, those of repeated single bytes left out.
type Limits struct {
	Tries, Depth int
}

// DefaultLimits are those of a stock suricata.yaml.
func DefaultLimits() Limits { return Limits{Tries: 3500, Depth: 1500} }

// Steps of a whole search are bounded by stepsFixed + stepsPerByte × length, whatever
// the limits.
const (
	stepsFixed   = 50_000
	stepsPerByte = 64
	maxStack     = 1 << 16
)

// Matcher is what a match needs to remember. It is for one goroutine.
type Matcher struct {
	// NoLimits lifts Tries and Depth (the flag O); the bound of steps remains.
	NoLimits bool

	limits    Limits
	registers []int32
	stack     []frame
	subject   []byte
	from      int
	steps     int
	allowed   int // steps, at the search's beginning
	tries     int
	depth     int
	groups    int
	limited   bool
}

// frame is an alternative to return to, or a register's value to restore.
type frame struct {
	kind frameKind
	pc   int32 // of undo: the register
	at   int32 // position; of undo: the value
	min  int32 // of greedy: the least position; of lazy: how many more
}

type frameKind uint8

const (
	frameBranch frameKind = iota
	frameUndo
	frameGreedy
	frameLazy
)

// NewMatcher makes a Matcher.
func NewMatcher(limits Limits) *Matcher { return &Matcher{limits: limits} }

// Limited says whether the last match ended at a limit.
func (m *Matcher) Limited() bool { return m.limited }

// Steps is what the last match took of them.
func (m *Matcher) Steps() int { return m.allowed - m.steps }

// Group is what a group of the last match captured: from and to, -1 if nothing. 0 is the
// whole.
func (m *Matcher) Group(n int) (from, to int) {
	if n > m.groups {
		return -1, -1
	}
	return int(m.registers[2*n]), int(m.registers[2*n+1])
}

// Match searches the subject from a place on. What is before it can be looked at, but
// is not part of a match.
func (m *Matcher) Match(re *Regex, subject []byte, from int) bool {
	m.limited, m.steps, m.allowed = false, 0, 0
	if from < 0 || from > len(subject) || len(subject) >= 1<<31-1 {
		return false
	}
	if len(re.need.bytes) > 0 {
		at := re.need.index(subject[min(from+re.needMin, len(subject)):])
		if at < 0 {
			return false
		}
		if re.needMax >= 0 && re.anchor == anywhere {
			// A match begins at most so far before the literal.
			at += from + re.needMin
			from0 := at - re.needMax
			if from0 > from {
				return m.search(re, subject, from, from0)
			}
		}
	}
	return m.search(re, subject, from, from)
}

// search tries beginnings from start on; from is where the search was asked to begin.
func (m *Matcher) search(re *Regex, subject []byte, from, start int) bool {
	m.subject, m.from, m.groups = subject, from, re.groups
	if cap(m.registers) < re.registers {
		m.registers = make([]int32, re.registers+16)
	}
	m.registers = m.registers[:cap(m.registers)]
	for i := range m.registers[:re.registers] {
		m.registers[i] = -1
	}
	m.steps = stepsFixed + stepsPerByte*(len(subject)-start)
	m.allowed = m.steps
	switch re.anchor {
	case atStart:
		return start == 0 && m.try(re, 0)
	case atSearch:
		return m.try(re, start)
	}
	for at := start; at <= len(subject); at++ {
		if re.anchor == atLine && at > 0 && subject[at-1] != '\n' {
			i := index(subject[at:], newline)
			if i < 0 {
				return false
			}
			at += i + 1
			if at == len(subject) {
				return false
			}
		}
		if re.first != nil {
			for at < len(subject) && !re.first.has(subject[at]) {
				at++
			}
			if at == len(subject) {
				return false
			}
			if re.anchor == atLine && at > 0 && subject[at-1] != '\n' {
				continue
			}
		}
		if m.try(re, at) {
			return true
		}
		if m.limited || re.wildAll {
			return false
		}
		if re.wild {
			i := index(subject[at:], newline)
			if i < 0 {
				return false
			}
			at += i
		}
		if len(re.need.bytes) > 0 && re.need.index(subject[min(at+1+re.needMin, len(subject)):]) < 0 {
			return false
		}
	}
	return false
}

var newline = []byte{'\n'}

// try matches from one beginning.
func (m *Matcher) try(re *Regex, at int) bool {
	m.stack = m.stack[:0]
	m.tries, m.depth = m.limits.Tries, 0
	m.registers[0] = int32(at)
	end := m.run(re.code, at)
	if end < 0 {
		return false
	}
	m.registers[1] = int32(end)
	return true
}
