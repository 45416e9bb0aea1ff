package detect

import (
	"ngfw.sh/dataplane/ids/mpm"
	"ngfw.sh/dataplane/ids/regex"
	"ngfw.sh/dataplane/ids/rule"
)

// Set is compiled rules. It is immutable, but for its statistics.
type Set struct {
	cfg   Config
	rules []*signature // in the order of evaluation
	slots []slot
	data  []*definition

	addresses []int32 // rules about addresses alone
	protocols []int32 // and those about the detected protocol
	// Searches in the payload of packets and in streams, by direction.
	packets  [transports][2]*search // all rules that a packet's payload can match
	segments [2]*search             // of TCP: those that look at it though it is part of the stream
	starts   [2]*search             // the same of those whose pattern is near its beginning
	streams  [2]*search
	// whole is for a packet whose payload is the end of the stream that is looked at: one search
	// instead of two.
	whole [2]*search
	// Rules of packets that no search finds, by transport, direction and destination port.
	others [transports][2]portLists
	// Of transactions, by the flow's protocol.
	transactions map[rule.Protocol]*txRules
	profile      []ruleProfile
	hashes       bool
	frames       map[frameKey][]int32
}

// transport is what rules of packets are grouped by.
const (
	overTCP = iota
	overUDP
	overOther
	transports
)

func transportOf(proto uint8) int {
	switch proto {
	case protoTCP:
		return overTCP
	case protoUDP:
		return overUDP
	}
	return overOther
}

// search is a search for the fast patterns of rules in one kind of buffer.
type search struct {
	slot     int32
	set      *mpm.Set
	rules    [][]int32 // by pattern
	anchored []anchored
	// twin is another slot whose buffers often are the same bytes, and are searched for the same
	// patterns, -1: none.
	twin int32
}

// txRules are what a transaction of a protocol is searched by.
type txRules struct {
	searches [2][]*search
	others   [2][]int32 // rules that no search finds
}

// portLists are rules by port.
type portLists struct {
	any   []int32
	ports map[uint16][]int32 // of rules that name few ports to go to
	from  map[uint16][]int32 // and of those that name few to come from
}

// compiler is what compiling needs to remember.
type compiler struct {
	cfg         Config
	set         *Set
	resolver    *rule.Resolver
	slots       map[string]int32
	expressions map[string]*regex.Regex
	dataNames   map[string]int
}

// Compile makes a Set. What is wrong with one rule costs that rule alone; the errors are
// of the type *Error.
func Compile(rules []*rule.Rule, cfg Config) (*Set, []error) {
	c := &compiler{
		cfg: cfg, set: &Set{cfg: cfg}, resolver: rule.NewResolver(cfg.Variables),
		slots: map[string]int32{}, expressions: map[string]*regex.Regex{}, dataNames: map[string]int{},
	}
	var errs []error
	for _, r := range rules {
		s, err := c.compileRule(r)
		if err != nil {
			errs = append(errs, &Error{r, err})
			continue
		}
		c.set.rules = append(c.set.rules, s)
	}
	c.order()
	c.group()
	if cfg.Profile {
		c.set.profile = make([]ruleProfile, len(c.set.rules))
	}
	return c.set, errs
}

// HashFiles says whether a rule asks for digests of files.
func (s *Set) HashFiles() bool { return s.hashes }

// Len is how many rules are in the set.
func (s *Set) Len() int { return len(s.rules) }
