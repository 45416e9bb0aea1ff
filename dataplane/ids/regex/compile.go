package regex

// op is an instruction of the matcher.
type op uint8

const (
	opMatch    op = iota
	opByte        // a: the byte
	opSet         // set
	opLit         // lit
	opLitFold     // lit, in lower case
	opSplit       // to next, and on failure to a; not: the other way round
	opJump        // to a
	opSave        // position into register a
	opAssert      // a: the assertion
	opBackref     // a: the group; not: folded
	opRepeat      // set min..max times; mode
	opCount       // register a := 0
	opLoop        // counter in register a; min, max; exit at b; mode
	opInc         // register a++, position into register a+1
	opProgress    // position differs from register a+1, else goto b; of loops
	opAtomic      // register a := height of the stack
	opCommit      // forget what was pushed since opAtomic of a
	opLook        // like opAtomic, and position into a+1
	opLookEnd     // like opCommit, and back to the position
	opNot         // like opLook; on failure to b
	opNotEnd      // forget and undo what was pushed since opNot of a; fail
	opBack        // a bytes back
	opCond        // group a is set: to next; else to b
	opFail
)

type inst struct {
	op       op
	not      bool
	mode     mode
	a, b     int32
	min, max int32
	set      *set
	follow   *set // of opRepeat: what certainly comes next, nil if unknown
	lit      []byte
}

type compiler struct {
	re        *Regex
	registers int
	large     bool
}

func (c *compiler) emit(i inst) int {
	if len(c.re.code) >= maxCode {
		c.large = true
		return 0
	}
	c.re.code = append(c.re.code, i)
	return len(c.re.code) - 1
}

func (c *compiler) here() int32 { return int32(len(c.re.code)) }

func (c *compiler) register(n int) int32 {
	c.registers += n
	return int32(c.registers - n)
}

func (c *compiler) compile(root *node) error {
	c.node(root, nil)
	c.emit(inst{op: opMatch})
	if c.large {
		return errTooLarge
	}
	return nil
}

// node compiles n; after is what certainly follows, or nil.
func (c *compiler) node(n *node, after *set) {
	if c.large {
		return
	}
	switch n.kind {
	case kindSet:
		c.set(n.set)
	case kindCat:
		c.cat(n.subs, after)
	case kindAlt:
		c.alt(n.subs, func(sub *node) { c.node(sub, after) })
	case kindRepeat:
		c.repeat(n, after)
	case kindGroup:
		c.emit(inst{op: opSave, a: int32(2 * n.n)})
		c.node(n.subs[0], after)
		c.emit(inst{op: opSave, a: int32(2*n.n + 1)})
	case kindAtomic:
		r := c.register(1)
		c.emit(inst{op: opAtomic, a: r})
		c.node(n.subs[0], nil)
		c.emit(inst{op: opCommit, a: r})
	case kindLook:
		c.look(n)
	case kindBackref:
		c.emit(inst{op: opBackref, a: int32(n.n), not: n.fold})
	case kindAssert:
		c.emit(inst{op: opAssert, a: int32(n.assert)})
	case kindCondition:
		c.condition(n)
	case kindKeep:
		c.emit(inst{op: opSave})
	case kindFail:
		c.emit(inst{op: opFail})
	}
}

func (c *compiler) set(s *set) {
	if m, n := s.members(); n == 1 {
		c.emit(inst{op: opByte, a: int32(m[0])})
		return
	}
	c.emit(inst{op: opSet, set: s})
}

func (c *compiler) alt(subs []*node, compile func(*node)) {
	var ends []int
	for i, sub := range subs {
		if i == len(subs)-1 {
			compile(sub)
			break
		}
		split := c.emit(inst{op: opSplit})
		compile(sub)
		ends = append(ends, c.emit(inst{op: opJump}))
		c.re.code[split].a = c.here()
	}
	for _, e := range ends {
		c.re.code[e].a = c.here()
	}
}

// cat compiles a sequence, runs of bytes as one.
func (c *compiler) cat(subs []*node, after *set) {
	for i := 0; i < len(subs); {
		if lit, fold, n := run(subs[i:]); n > 1 {
			o := opLit
			if fold {
				o = opLitFold
			}
			c.emit(inst{op: o, lit: lit})
			i += n
			continue
		}
		c.node(subs[i], following(subs[i+1:], after))
		i++
	}
}

// following is what certainly begins what comes next, nil if that is unknown.
func following(rest []*node, after *set) *set {
	var s set
	for _, n := range rest {
		if n.kind == kindAssert || n.kind == kindLook || n.kind == kindKeep || n.kind == kindEmpty {
			// They match nothing, but restrict: what follows still follows.
			continue
		}
		if !n.begin(&s) {
			return &s
		}
	}
	if after == nil {
		return nil
	}
	s.union(after)
	return &s
}

// run is the literal that nodes begin with: single bytes, or letters of either case.
// n is how many nodes it takes. A run is all of one case or folded as a whole.
func run(subs []*node) (lit []byte, fold bool, n int) {
	exact := true // no letter so far must be of one case
	for _, s := range subs {
		if s.kind != kindSet {
			break
		}
		m, k := s.set.members()
		switch {
		case k == 1:
			letter := m[0] >= 'a' && m[0] <= 'z' || m[0] >= 'A' && m[0] <= 'Z'
			if letter && fold {
				return lit, fold, len(lit)
			}
			exact = exact && !letter
			lit = append(lit, m[0])
		case k == 2 && m[0] >= 'A' && m[0] <= 'Z' && m[1] == m[0]+32:
			if !exact {
				return lit, fold, len(lit)
			}
			fold = true
			lit = append(lit, m[1])
		default:
			return lit, fold, len(lit)
		}
	}
	return lit, fold, len(lit)
}

func (c *compiler) look(n *node) {
	r := c.register(2)
	begin, end := opLook, opLookEnd
	if n.not {
		begin, end = opNot, opNotEnd
	}
	at := c.emit(inst{op: begin, a: r})
	if n.behind {
		c.alt(branches(n.subs[0]), func(sub *node) {
			w, _ := sub.width()
			c.emit(inst{op: opBack, a: int32(w)})
			c.node(sub, nil)
		})
	} else {
		c.node(n.subs[0], nil)
	}
	c.emit(inst{op: end, a: r})
	c.re.code[at].b = c.here()
}

func (c *compiler) condition(n *node) {
	if look := n.subs[0]; len(n.subs) == 3 {
		// The look's own failure leads to no.
		r := c.register(1)
		c.emit(inst{op: opAtomic, a: r})
		split := c.emit(inst{op: opSplit})
		c.node(look, nil)
		c.emit(inst{op: opCommit, a: r})
		c.node(n.subs[1], nil)
		jump := c.emit(inst{op: opJump})
		c.re.code[split].a = c.here()
		c.node(n.subs[2], nil)
		c.re.code[jump].a = c.here()
		return
	}
	cond := c.emit(inst{op: opCond, a: int32(n.n)})
	c.node(n.subs[0], nil)
	jump := c.emit(inst{op: opJump})
	c.re.code[cond].b = c.here()
	c.node(n.subs[1], nil)
	c.re.code[jump].a = c.here()
}

func (c *compiler) repeat(n *node, after *set) {
	sub := n.subs[0]
	if n.max == 0 {
		return
	}
	if sub.kind == kindCat && len(sub.subs) == 1 {
		sub = sub.subs[0]
	}
	if sub.kind == kindSet {
		m := n.mode
		if m != possessive && after != nil && !after.meets(sub.set) {
			m = possessive // nothing is to be given back for what follows
		}
		if after != nil && after.full() {
			after = nil
		}
		c.emit(inst{op: opRepeat, set: sub.set, follow: after, min: int32(n.min), max: int32(n.max), mode: m})
		return
	}
	if n.mode == possessive {
		r := c.register(1)
		c.emit(inst{op: opAtomic, a: r})
		c.loop(sub, n.min, n.max, greedy)
		c.emit(inst{op: opCommit, a: r})
		return
	}
	c.loop(sub, n.min, n.max, n.mode)
}

func (c *compiler) loop(sub *node, low, high int, m mode) {
	least, _ := sub.span()
	switch {
	case low == 1 && high == 1:
		c.node(sub, nil)
		return
	case low == 0 && high == 1:
		split := c.emit(inst{op: opSplit, not: m == lazy})
		c.node(sub, nil)
		c.re.code[split].a = c.here()
		return
	case high < 0 && low <= 1 && least > 0:
		if low == 1 {
			start := c.here()
			c.node(sub, nil)
			c.emit(inst{op: opSplit, a: start, not: m != lazy})
			return
		}
		split := c.emit(inst{op: opSplit, not: m == lazy})
		c.node(sub, nil)
		c.emit(inst{op: opJump, a: int32(split)})
		c.re.code[split].a = c.here()
		return
	}
	r := c.register(2)
	c.emit(inst{op: opCount, a: r})
	top := c.emit(inst{op: opLoop, a: r, min: int32(low), max: int32(high), mode: m})
	c.emit(inst{op: opInc, a: r})
	c.node(sub, nil)
	progress := -1
	if least == 0 {
		progress = c.emit(inst{op: opProgress, a: r, min: int32(low)})
	}
	c.emit(inst{op: opJump, a: int32(top)})
	c.re.code[top].b = c.here()
	if progress >= 0 {
		c.re.code[progress].b = c.here()
	}
}
