package detect

import (
	"ngfw.sh/dataplane/ids/app"
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
	frames       bool
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

// Frames says whether a rule looks at frames.
func (s *Set) Frames() bool { return s.frames }

// Len is how many rules are in the set.
func (s *Set) Len() int { return len(s.rules) }

// building is a search under construction: equal patterns are one.
type building struct {
	slot     int32
	numbers  map[string]int
	patterns []mpm.Pattern
	rules    [][]int32
	anchored []anchored
}

func (b *building) add(c *rule.Content, pattern []byte, n int32) {
	if a, ok := anchor(c, pattern); ok {
		a.rules = []int32{n}
		b.anchored = append(b.anchored, a)
		return
	}
	if b.numbers == nil {
		b.numbers = map[string]int{}
	}
	key := string(pattern)
	if c.Is(rule.NoCase) {
		low := make([]byte, len(pattern))
		for i, x := range pattern {
			low[i] = regex.Fold(x)
		}
		key = "\x00i" + string(low)
	}
	i, ok := b.numbers[key]
	if !ok {
		i = len(b.patterns)
		b.numbers[key] = i
		b.patterns = append(b.patterns, mpm.Pattern{Bytes: pattern, NoCase: c.Is(rule.NoCase)})
		b.rules = append(b.rules, nil)
	}
	b.rules[i] = append(b.rules[i], n)
}

// merge takes over the patterns of another.
func (b *building) merge(o *building) {
	for key, i := range o.numbers {
		j, ok := b.numbers[key]
		if !ok {
			j = len(b.patterns)
			if b.numbers == nil {
				b.numbers = map[string]int{}
			}
			b.numbers[key] = j
			b.patterns = append(b.patterns, o.patterns[i])
			b.rules = append(b.rules, nil)
		}
		b.rules[j] = append(b.rules[j], o.rules[i]...)
	}
	b.anchored = append(b.anchored, o.anchored...)
}

func (b *building) done(seed uint64) *search {
	if b == nil || len(b.patterns)+len(b.anchored) == 0 {
		return nil
	}
	return &search{slot: b.slot, set: mpm.Build(b.patterns, seed), rules: b.rules, anchored: b.anchored, twin: -1}
}

// group puts rules where they are found.
func (c *compiler) group() {
	s := c.set
	s.transactions = map[rule.Protocol]*txRules{}
	var packets [transports][2]building
	var segments, streams, whole [2]building
	type key struct {
		slot int32
		apps rule.AppSet
		dir  app.Direction
	}
	inTx := map[key]*building{}
	for i, sig := range s.rules {
		n := int32(i)
		sig.order = n
		switch sig.class {
		case ofAddresses:
			s.addresses = append(s.addresses, n)
			continue
		case ofProtocol:
			s.protocols = append(s.protocols, n)
			continue
		case ofTransactions:
			content, pattern, slot := c.txFast(sig)
			if len(sig.payload) > 0 {
				// What is matched in the stream may come before the rest, and is remembered.
				raw, chunk := c.bestContent(sig, func(b *rule.Buffer) bool { return b.Kind.Layer == rule.Payload && len(b.Transforms) == 0 })
				for _, dir := range sig.directions() {
					if c.cfg.NoPrefilter && sig.onStream {
						s.others[overTCP][dir].add(sig, n)
					} else if raw != nil && sig.onStream {
						whole[dir].add(raw, chunk, n)
						streams[dir].add(raw, chunk, n)
					}
				}
			}
			for _, dir := range sig.directions() {
				if content == nil || c.cfg.NoPrefilter {
					for _, p := range sig.apps.Protocols() {
						t := s.txRules(p)
						t.others[dir] = append(t.others[dir], n)
					}
					continue
				}
				k := key{slot, sig.apps, dir}
				if inTx[k] == nil {
					inTx[k] = &building{slot: slot}
				}
				inTx[k].add(content, pattern, n)
			}
			continue
		}
		content, pattern := c.payloadFast(sig)
		if c.cfg.NoPrefilter {
			content = nil
		}
		for _, dir := range sig.directions() {
			for _, t := range sig.transports() {
				if content == nil {
					s.others[t][dir].add(sig, n)
					continue
				}
				if t != overTCP {
					packets[t][dir].add(content, pattern, n)
					continue
				}
				whole[dir].add(content, pattern, n)
				if !sig.onlyStream() {
					packets[t][dir].add(content, pattern, n)
				}
				if sig.onPacket {
					segments[dir].add(content, pattern, n)
				}
				if sig.onStream {
					streams[dir].add(content, pattern, n)
				}
			}
		}
	}
	for dir := range 2 {
		for t := range transports {
			s.packets[t][dir] = packets[t][dir].done(c.cfg.Seed)
		}
		s.segments[dir], s.streams[dir] = segments[dir].done(c.cfg.Seed), streams[dir].done(c.cfg.Seed)
		s.whole[dir] = whole[dir].done(c.cfg.Seed)
	}
	twins := c.twins()
	for k, b := range inTx {
		// Patterns of both are searched for in both.
		to, ok := twins[k.slot]
		other := key{to, k.apps, k.dir}
		if !ok || inTx[other] == nil {
			continue
		}
		inTx[other].merge(b)
		delete(inTx, k)
	}
	// Rules of several protocols are in the searches of each: as one search, since the sets
	// of protocols are few.
	for k, b := range inTx {
		x := b.done(c.cfg.Seed)
		for from, to := range twins {
			if to == k.slot {
				x.twin = from
			}
		}
		for _, p := range k.apps.Protocols() {
			t := s.txRules(p)
			t.searches[k.dir] = append(t.searches[k.dir], x)
		}
	}
	for _, t := range s.transactions {
		for dir := range t.searches {
			sortSearches(t.searches[dir])
		}
	}
}

func (s *Set) txRules(p rule.Protocol) *txRules {
	t := s.transactions[p]
	if t == nil {
		t = &txRules{}
		s.transactions[p] = t
	}
	return t
}

// directions are those in which the rule is looked for.
func (s *signature) directions() []app.Direction {
	switch {
	case s.toServer && s.toClient:
		return []app.Direction{app.ToServer, app.ToClient}
	case s.toServer:
		return []app.Direction{app.ToServer}
	}
	return []app.Direction{app.ToClient}
}

// transports are those whose packets the rule can match.
func (s *signature) transports() []int {
	switch p := s.transport; {
	case p.IsApp():
		switch p.Transports() {
		case rule.OverTCP:
			return []int{overTCP}
		case rule.OverUDP:
			return []int{overUDP}
		}
		return []int{overTCP, overUDP}
	case p == rule.TCP || p == rule.TCPPacket || p == rule.TCPStream:
		return []int{overTCP}
	case p == rule.UDP:
		return []int{overUDP}
	case p == rule.IP || p == rule.IPv4 || p == rule.IPv6 || p == rule.PacketHeader || p == rule.Ethernet:
		return []int{overTCP, overUDP, overOther}
	}
	return []int{overOther}
}

// payloadFast is the content that a rule of packets is searched by, or nil.
func (c *compiler) payloadFast(s *signature) (*rule.Content, []byte) {
	r := s.rule
	content, pattern := r.FastContent()
	if content == nil {
		return nil, nil
	}
	if len(pattern) <= shortPattern && (fewPorts(s.dport) || fewPorts(s.sport)) && !s.either && !s.both {
		return nil, nil // by port it is found at less cost
	}
	if b := &r.Buffers[r.Fast.Buffer]; b.Kind.Layer != rule.Payload || len(b.Transforms) > 0 {
		return c.bestContent(s, func(b *rule.Buffer) bool { return b.Kind.Layer == rule.Payload && len(b.Transforms) == 0 })
	}
	return content, pattern
}

// txFast is the content that a rule of transactions is searched by, and its slot.
func (c *compiler) txFast(s *signature) (*rule.Content, []byte, int32) {
	r := s.rule
	inner := func(b *rule.Buffer) bool { return b.Kind.Layer == rule.InnerApp || b.Kind.Layer == rule.FileData }
	content, pattern := r.FastContent()
	at := r.Fast.Buffer
	if content == nil {
		return nil, nil, 0
	}
	if !inner(&r.Buffers[at]) {
		if content, pattern = c.bestContent(s, inner); content == nil {
			return nil, nil, 0
		}
		for i := range r.Buffers {
			for _, m := range r.Buffers[i].Matches {
				if m == rule.Match(content) {
					at = i
				}
			}
		}
	}
	slot, err := c.slot(&r.Buffers[at])
	if err != nil {
		return nil, nil, 0
	}
	return content, pattern, slot
}

// bestContent is the longest content that a match must have in some buffers, or nil.
func (c *compiler) bestContent(s *signature, in func(*rule.Buffer) bool) (best *rule.Content, pattern []byte) {
	for i := range s.rule.Buffers {
		b := &s.rule.Buffers[i]
		if !in(b) {
			continue
		}
		for _, m := range b.Matches {
			if a, ok := m.(*rule.Absent); ok && a.OrElse {
				break
			}
			if x, ok := m.(*rule.Content); ok && !x.Is(rule.Negated) && len(x.Pattern) > len(pattern) {
				best, pattern = x, x.Pattern
			}
		}
	}
	return best, pattern
}

// maxPorts bounds how many ports of a rule are listed one by one.
const maxPorts = 32

// fewPorts says whether a set is worth listing.
func fewPorts(s *rule.PortSet) bool {
	if s == nil {
		return false
	}
	total := 0
	for _, r := range s.Ranges {
		total += int(r.To-r.From) + 1
	}
	return total <= maxPorts
}

func (l *portLists) add(s *signature, n int32) {
	list, set := &l.ports, s.dport
	switch {
	case s.either || s.both:
		l.any = append(l.any, n)
		return
	case fewPorts(s.dport):
	case fewPorts(s.sport):
		list, set = &l.from, s.sport
	default:
		l.any = append(l.any, n)
		return
	}
	if *list == nil {
		*list = map[uint16][]int32{}
	}
	for _, r := range set.Ranges {
		for p := int(r.From); p <= int(r.To); p++ {
			(*list)[uint16(p)] = append((*list)[uint16(p)], n)
		}
	}
}
