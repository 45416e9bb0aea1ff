package detect

import (
	"sync"
	"sync/atomic"

	"ngfw.sh/dataplane/ids/app"
)

// memory is what detection remembers of a flow. It is kept small: most flows set no bit.
type memory struct {
	bits     []uint32
	ints     []flowInt
	captured []capture
	limits   []flowLimit

	tag           tagValue // of the session
	heavy         uint8    // how often its expressions took all that they may, lately
	addressesDone [2]bool  // rules about addresses alone were evaluated
	protocolDone  [2]bool  // and those about the detected protocol
	passed        bool     // a pass rule was about the flow
	dropped       bool     // or a drop rule; nothing more of it is inspected, inline or not

	set          *Set // whose rules are meant by what follows
	inStream     [2]inStream
	streamHad    []streamHad
	transactions []*txState // of those that are open, by their ids
	doneBelow    uint64     // those before are done for good
}

// adopt forgets what is about the rules of another set: numbers of rules mean others now.
// What has been searched is searched again, and what has matched in a transaction is
// known by its identity, so that it is not told twice.
func (m *memory) adopt(s *Set) {
	if m.set == s {
		return
	}
	m.set = s
	m.streamHad = m.streamHad[:0]
	for i := range m.inStream {
		m.inStream[i] = inStream{rules: m.inStream[i].rules[:0]}
	}
	for _, t := range m.transactions {
		if !t.done {
			told := t.told
			t.reset(t.id)
			t.told = told
		}
	}
}

// Renew makes f a new flow that uses what another was remembered in.
func (f *Flow) Renew() {
	m := &f.memory
	keep := memory{bits: m.bits[:0], ints: m.ints[:0], captured: m.captured[:0], limits: m.limits[:0], streamHad: m.streamHad[:0], transactions: m.transactions[:0]}
	for i := range m.inStream {
		keep.inStream[i].rules = m.inStream[i].rules[:0]
	}
	*f = Flow{memory: keep}
}

// Forget gives back what is remembered of the transactions of a flow that has ended.
func (w *Worker) Forget(f *Flow) {
	w.free = append(w.free, f.transactions...)
	clear(f.transactions)
	f.transactions = f.transactions[:0]
	w.trim()
}

// trim bounds what is kept for the next transactions.
func (w *Worker) trim() {
	if len(w.free) > spareTransactions {
		clear(w.free[spareTransactions:])
		w.free = w.free[:spareTransactions]
	}
}

const spareTransactions = 1024

// inStream are rules whose fast pattern is in what is kept of a stream.
type inStream struct {
	end   uint64 // where the last search ended
	rules []streamRule
}

// streamHad is a rule of transactions whose part about the stream has matched while those up
// to a number were open.
type streamHad struct {
	rule int32
	dir  app.Direction
	upTo uint64
}

const maxStreamHad = 64

type streamRule struct {
	rule int32
	at   uint64 // its pattern ended no later
}

// maxInStream bounds them. Where there are more, those that were first go: their
// pattern leaves what is kept first.
const maxInStream = 256

func (s *inStream) add(rule int32, at uint64) {
	for i := range s.rules {
		if s.rules[i].rule == rule {
			s.rules[i].at = at
			return
		}
	}
	if len(s.rules) == maxInStream {
		copy(s.rules, s.rules[1:])
		s.rules = s.rules[:maxInStream-1]
	}
	s.rules = append(s.rules, streamRule{rule, at})
}

type flowInt struct{ name, value uint32 }

// capture is what a regular expression captured into a variable of the flow.
type capture struct {
	name  uint32
	value []byte
}

const (
	maxFlowBits  = 1024 // of a flow
	maxCaptures  = 16
	maxCaptured  = 256 // bytes of one
	maxOpenState = 512 // transactions remembered in a flow
)

func (m *memory) hasBit(n uint32) bool {
	for _, b := range m.bits {
		if b == n {
			return true
		}
	}
	return false
}

func (m *memory) setBit(n uint32) {
	if !m.hasBit(n) && len(m.bits) < maxFlowBits {
		m.bits = append(m.bits, n)
	}
}

func (m *memory) unsetBit(n uint32) {
	for i, b := range m.bits {
		if b == n {
			m.bits[i] = m.bits[len(m.bits)-1]
			m.bits = m.bits[:len(m.bits)-1]
			return
		}
	}
}

func (m *memory) int(n uint32) (uint32, bool) {
	for _, x := range m.ints {
		if x.name == n {
			return x.value, true
		}
	}
	return 0, false
}

func (m *memory) setInt(n, v uint32) {
	for i := range m.ints {
		if m.ints[i].name == n {
			m.ints[i].value = v
			return
		}
	}
	if len(m.ints) < maxFlowBits {
		m.ints = append(m.ints, flowInt{n, v})
	}
}

// Bits lists the names of the flow's bits, for the event log.
func (f *Flow) Bits(to []string) []string {
	for _, b := range f.bits {
		to = append(to, names.name(b))
	}
	return to
}

// Ints calls f for each number of the flow.
func (f *Flow) Ints(each func(name string, value uint32)) {
	for _, x := range f.ints {
		each(names.name(x.name), x.value)
	}
}

// Captured calls f for each variable of the flow that an expression captured.
func (f *Flow) Captured(each func(name string, value []byte)) {
	for _, c := range f.captured {
		each(names.name(c.name), c.value)
	}
}

// Passed says whether a pass rule lets the rest of the flow through.
func (f *Flow) Passed() bool { return f.passed }

// HasBit says whether a bit of the flow is set.
func (f *Flow) HasBit(name string) bool {
	n, ok := names.find(name)
	return ok && f.hasBit(n)
}

// Flow bits and numbers are known by numbers that hold for the process, so that flows
// keep theirs when rules are replaced. There are as many as rules ever named.
var names nameTable

type nameTable struct {
	mu     sync.Mutex // guards numbers and the growth of list
	number map[string]uint32
	list   atomic.Pointer[[]string]
}

func (t *nameTable) intern(name string) uint32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n, ok := t.number[name]; ok {
		return n
	}
	if t.number == nil {
		t.number = map[string]uint32{}
	}
	var list []string
	if l := t.list.Load(); l != nil {
		list = *l
	}
	n := uint32(len(list))
	t.number[name] = n
	list = append(list, name)
	t.list.Store(&list)
	return n
}

func (t *nameTable) find(name string) (uint32, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, ok := t.number[name]
	return n, ok
}

func (t *nameTable) name(n uint32) string {
	if l := t.list.Load(); l != nil && int(n) < len(*l) {
		return (*l)[n]
	}
	return ""
}

// txState is what is remembered of a transaction until it ends.
type txState struct {
	id      uint64
	pending []pending
	known   []int32 // rules and directions that are or were pending
	filter  [4]uint64
	sides   [2]sideState
	told    []uint64 // rules that have matched, by gid and sid, and direction
	context []txContext
	done    bool
}

// sideState is what is remembered of one direction of a transaction.
type sideState struct {
	scanned [4]uint64 // searches that are done with
	growing []growing
	started bool
	ended   bool
}

// growing is how far a search has come in a buffer that grows.
type growing struct {
	search int32
	buffer int32
	upTo   uint64
}

// pending is a rule that has not matched yet and still may.
type pending struct {
	rule int32
	dir  app.Direction
	had  uint64 // those of its tests that have matched
	file int    // the file that is being looked at; those before it are decided
}

func (t *txState) reset(id uint64) {
	t.id, t.done = id, false
	t.pending, t.known, t.told = t.pending[:0], t.known[:0], t.told[:0]
	t.filter, t.context = [4]uint64{}, nil
	for i := range t.sides {
		s := &t.sides[i]
		*s = sideState{growing: s.growing[:0]}
	}
}

// add makes a rule pending, once.
func (t *txState) add(n int32, dir app.Direction) {
	key := n<<1 | int32(dir)
	word, bit := &t.filter[(key>>6)&3], uint64(1)<<(key&63)
	if *word&bit != 0 {
		for _, k := range t.known {
			if k == key {
				return
			}
		}
	}
	*word |= bit
	t.known = append(t.known, key)
	t.pending = append(t.pending, pending{rule: n, dir: dir})
}
