package regex

import "bytes"

// set gives a register a value, to be restored when the matcher returns to an
// alternative from before.
func (m *Matcher) set(r int32, v int) {
	m.stack = append(m.stack, frame{kind: frameUndo, pc: r, at: m.registers[r]})
	m.registers[r] = int32(v)
}

// commit forgets alternatives above a height; what restores registers stays.
func (m *Matcher) commit(height int) {
	kept := height
	for i := height; i < len(m.stack); i++ {
		f := m.stack[i]
		if f.kind == frameUndo {
			m.stack[kept] = f
			kept++
			continue
		}
		if f.kind == frameBranch {
			m.depth--
		}
	}
	m.stack = m.stack[:kept]
}

// unwind undoes down to a height.
func (m *Matcher) unwind(height int) {
	for i := len(m.stack) - 1; i >= height; i-- {
		switch f := m.stack[i]; f.kind {
		case frameUndo:
			m.registers[f.pc] = f.at
		case frameBranch:
			m.depth--
		}
	}
	m.stack = m.stack[:height]
}

func (m *Matcher) branch(pc int32, at int) {
	m.depth++
	m.stack = append(m.stack, frame{kind: frameBranch, pc: pc, at: int32(at)})
}

// run executes from the first instruction and returns where the match ends, or -1.
// On failure all registers are as before, unless a limit was met.
func (m *Matcher) run(code []inst, pos int) int {
	s := m.subject
	pc := int32(0)
	for {
		if m.steps--; m.steps < 0 || len(m.stack) > maxStack || !m.NoLimits && m.depth > m.limits.Depth {
			m.limited = true
			return -1
		}
		in := &code[pc]
		pc++
		switch in.op {
		case opByte:
			if pos < len(s) && s[pos] == byte(in.a) {
				pos++
				continue
			}
		case opSet:
			if pos < len(s) && in.set.has(s[pos]) {
				pos++
				continue
			}
		case opLit:
			if len(s)-pos >= len(in.lit) && string(s[pos:pos+len(in.lit)]) == string(in.lit) {
				pos += len(in.lit)
				continue
			}
		case opLitFold:
			if len(s)-pos >= len(in.lit) && EqualFold(s[pos:pos+len(in.lit)], in.lit) {
				pos += len(in.lit)
				continue
			}
		case opSplit:
			if in.not {
				m.branch(pc, pos)
				pc = in.a
			} else {
				m.branch(in.a, pos)
			}
			continue
		case opJump:
			pc = in.a
			continue
		case opSave:
			m.set(in.a, pos)
			continue
		case opAssert:
			if m.assert(assertion(in.a), pos) {
				continue
			}
		case opBackref:
			if n := m.backref(in, pos); n >= 0 {
				pos += n
				continue
			}
		case opRepeat:
			if end := m.repeat(in, pc, pos); end >= 0 {
				pos = end
				continue
			}
		case opCount:
			m.set(in.a, 0)
			m.set(in.a+1, -1)
			continue
		case opLoop:
			n := m.registers[in.a]
			switch {
			case n < in.min:
			case in.max >= 0 && n >= in.max:
				pc = in.b
			case in.mode == lazy:
				m.branch(pc, pos)
				pc = in.b
			default:
				m.branch(in.b, pos)
			}
			continue
		case opInc:
			m.set(in.a, int(m.registers[in.a])+1)
			m.set(in.a+1, pos)
			continue
		case opProgress:
			if pos == int(m.registers[in.a+1]) && m.registers[in.a] >= in.min {
				pc = in.b
			}
			continue
		case opAtomic:
			m.set(in.a, 0)
			m.registers[in.a] = int32(len(m.stack))
			continue
		case opLook:
			m.set(in.a+1, pos)
			m.set(in.a, 0)
			m.registers[in.a] = int32(len(m.stack))
			continue
		case opNot:
			m.set(in.a, 0)
			m.registers[in.a] = int32(len(m.stack))
			m.branch(in.b, pos)
			continue
		case opCommit:
			m.steps -= len(m.stack) - int(m.registers[in.a])
			m.commit(int(m.registers[in.a]))
			continue
		case opLookEnd:
			pos = int(m.registers[in.a+1])
			m.commit(int(m.registers[in.a]))
			continue
		case opNotEnd:
			m.unwind(int(m.registers[in.a]))
		case opBack:
			if pos >= int(in.a) {
				pos -= int(in.a)
				continue
			}
		case opCond:
			if m.registers[2*in.a+1] < 0 {
				pc = in.b
			}
			continue
		case opMatch:
			return pos
		}
		// Failure: return to the last alternative.
		var ok bool
		if pc, pos, ok = m.back(code); !ok {
			return -1
		}
	}
}

// back returns to the last alternative.
func (m *Matcher) back(code []inst) (pc int32, pos int, ok bool) {
	for n := len(m.stack) - 1; n >= 0; n-- {
		f := &m.stack[n]
		switch f.kind {
		case frameUndo:
			m.registers[f.pc] = f.at
			continue
		case frameBranch:
			m.depth--
			m.stack = m.stack[:n]
			if m.tries--; m.tries < 0 && !m.NoLimits {
				m.limited = true
				return 0, 0, false
			}
			return f.pc, int(f.at), true
		case frameGreedy:
			f.at--
			if follow := code[f.pc-1].follow; follow != nil {
				// Nothing is given back where what follows cannot begin.
				for from := f.at; ; f.at-- {
					if f.at < f.min {
						m.steps -= int(from-f.at) / 8
						break
					}
					if int(f.at) < len(m.subject) && follow.has(m.subject[f.at]) {
						m.steps -= int(from-f.at) / 8
						break
					}
				}
				if f.at < f.min {
					continue
				}
			}
			pc, pos = f.pc, int(f.at)
			m.stack = m.stack[:n+1]
			if f.at <= f.min {
				m.stack = m.stack[:n]
			}
			return pc, pos, true
		case frameLazy:
			in := &code[f.pc-1]
			from := f.at
			for int(f.at) < len(m.subject) && in.set.has(m.subject[f.at]) {
				f.at++
				spent := false
				if f.min > 0 {
					f.min--
					spent = f.min == 0
				}
				if in.follow != nil && (int(f.at) >= len(m.subject) || !in.follow.has(m.subject[f.at])) {
					if spent {
						break
					}
					continue
				}
				pc, pos = f.pc, int(f.at)
				m.steps -= int(f.at-from) / 8
				m.stack = m.stack[:n+1]
				if spent {
					m.stack = m.stack[:n]
				}
				return pc, pos, true
			}
			m.steps -= int(f.at-from) / 8
		}
	}
	m.stack = m.stack[:0]
	return 0, 0, false
}

// repeat matches a set several times; -1: not often enough.
func (m *Matcher) repeat(in *inst, pc int32, pos int) int {
	s := m.subject
	limit := len(s)
	if in.max >= 0 && int(in.max) < limit-pos {
		limit = pos + int(in.max)
	}
	least := pos + int(in.min)
	if least > len(s) {
		return -1
	}
	at := pos
	if in.mode == lazy {
		for at < least && in.set.has(s[at]) {
			at++
		}
		if at < least {
			return -1
		}
		m.steps -= (at - pos) / 8
		if more := int32(limit - at); more > 0 {
			f := frame{kind: frameLazy, pc: pc, at: int32(at)}
			if in.max >= 0 {
				f.min = in.max - in.min
				if f.min == 0 {
					return at
				}
			}
			m.stack = append(m.stack, f)
		}
		return at
	}
	if in.set == allSet {
		at = limit
	} else if in.set == escapedSets['N'] {
		if i := bytes.IndexByte(s[at:limit], '\n'); i >= 0 {
			at += i
		} else {
			at = limit
		}
	} else {
		for at < limit && in.set.has(s[at]) {
			at++
		}
		m.steps -= (at - pos) / 8
	}
	if at < least {
		return -1
	}
	if at > least && in.mode == greedy {
		m.stack = append(m.stack, frame{kind: frameGreedy, pc: pc, at: int32(at), min: int32(least)})
	}
	return at
}

func (m *Matcher) backref(in *inst, pos int) int {
	from, to := m.registers[2*in.a], m.registers[2*in.a+1]
	if from < 0 || to < from {
		return -1
	}
	n := int(to - from)
	if len(m.subject)-pos < n {
		return -1
	}
	m.steps -= n / 8
	a, b := m.subject[from:to], m.subject[pos:pos+n]
	if !in.not {
		if bytes.Equal(a, b) {
			return n
		}
		return -1
	}
	for i := range a {
		if foldTable[a[i]] != foldTable[b[i]] {
			return -1
		}
	}
	return n
}

func (m *Matcher) assert(a assertion, pos int) bool {
	s := m.subject
	switch a {
	case beginSubject:
		return pos == 0
	case beginSearch:
		return pos == m.from
	case beginLine:
		return pos == 0 || s[pos-1] == '\n' && pos < len(s)
	case endSubject:
		return pos == len(s)
	case endText:
		return pos == len(s) || pos == len(s)-1 && s[pos] == '\n'
	case endLine:
		return pos == len(s) || s[pos] == '\n'
	}
	before := pos > 0 && wordSet.has(s[pos-1])
	after := pos < len(s) && wordSet.has(s[pos])
	return (before != after) == (a == wordBoundary)
}
