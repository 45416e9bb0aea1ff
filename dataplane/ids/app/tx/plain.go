package tx

import "ngfw.sh/dataplane/ids/rule"

// Plain is a transaction whose buffers are put into it as they are read. It
// does for protocols whose messages are taken whole.
type Plain struct {
	Common
	// Key and Fields are what Record says; no Key: nothing.
	Key    string
	Fields map[string]any
	// Match answers keywords that are neither buffers nor numbers, if it is set.
	Match func(keyword string, args []string, dir Direction) (match, known bool)
	// Final are the directions whose buffers are all there though the transaction goes on.
	Final [2]bool

	sided   bool
	side    Direction
	buffers [2][]named
	numbers [2][]numbered64
}

type named struct {
	kind string
	data []byte
}

type numbered64 struct {
	keyword string
	value   uint64
}

// Side says that the transaction is a message of one direction: rules that name none
// look at it once.
func (t *Plain) Side(dir Direction) { t.sided, t.side = true, dir }

// From is Side for a message with answers in the other direction: rules look at both, but its
// values are those of one.
func (t *Plain) From(dir Direction) { t.side = dir }

// Of is the direction it is a message of.
func (t *Plain) Of() Direction { return t.side }

// Inspected says whether a direction is looked at.
func (t *Plain) Inspected(dir Direction) bool { return !t.sided || dir == t.side }

// Put adds a buffer, copying it.
func (t *Plain) Put(dir Direction, kind string, data []byte) {
	if len(t.buffers[dir]) < 4096 {
		t.buffers[dir] = append(t.buffers[dir], named{kind, append([]byte(nil), data...)})
	}
}

// Append makes a buffer longer, or begins it.
func (t *Plain) Append(dir Direction, kind string, data []byte, limit int) {
	for i := range t.buffers[dir] {
		if b := &t.buffers[dir][i]; b.kind == kind {
			b.data = append(b.data, data[:max(0, min(len(data), limit-len(b.data)))]...)
			return
		}
	}
	t.Put(dir, kind, data[:min(len(data), limit)])
}

// Rename makes the buffers of a kind another's.
func (t *Plain) Rename(dir Direction, from, to string) {
	for i := range t.buffers[dir] {
		if t.buffers[dir][i].kind == from {
			t.buffers[dir][i].kind = to
		}
	}
}

// Has says whether there is a buffer of a kind.
func (t *Plain) Has(dir Direction, kind string) bool {
	for i := range t.buffers[dir] {
		if t.buffers[dir][i].kind == kind {
			return true
		}
	}
	return false
}

// Number adds a number.
func (t *Plain) Number(dir Direction, keyword string, value uint64) {
	if len(t.numbers[dir]) < 4096 {
		t.numbers[dir] = append(t.numbers[dir], numbered64{keyword, value})
	}
}

// Field adds to the record.
func (t *Plain) Field(name string, value any) {
	if t.Fields == nil {
		t.Fields = map[string]any{}
	}
	t.Fields[name] = value
}

// Settled says whether a kind's buffers will not change.
func (t *Plain) Settled(kind *rule.BufferKind, dir Direction) bool {
	if kind.Layer == rule.FileData {
		return t.FilesSettled(dir)
	}
	return t.Ended[dir] || t.Final[dir]
}

// Buffers appends the buffers of a kind.
func (t *Plain) Buffers(kind *rule.BufferKind, dir Direction, to []Buffer) []Buffer {
	if kind.Layer == rule.FileData {
		return t.FileBuffers(kind, dir, to)
	}
	for i := range t.buffers[dir] {
		if b := &t.buffers[dir][i]; b.kind == kind.Name {
			to = append(to, Buffer{Data: b.data, Whole: t.Ended[dir] || t.Final[dir]})
		}
	}
	return to
}

// Numbers appends the values of a keyword.
func (t *Plain) Numbers(keyword string, dir Direction, to []uint64) []uint64 {
	for i := range t.numbers[dir] {
		if n := &t.numbers[dir][i]; n.keyword == keyword {
			to = append(to, n.value)
		}
	}
	return to
}

// Words answers other keywords.
func (t *Plain) Words(keyword string, args []string, dir Direction) (match, known bool) {
	if t.Match == nil {
		return false, false
	}
	return t.Match(keyword, args, dir)
}

// Record is what the event log says of it.
func (t *Plain) Record() (string, any) {
	if t.Key == "" {
		return "", nil
	}
	if t.Fields == nil {
		return t.Key, map[string]any{}
	}
	return t.Key, t.Fields
}

// End finishes both directions.
func (t *Plain) End() {
	t.Ended = [2]bool{true, true}
	for dir := range t.files {
		t.CloseFiles(Direction(dir), FileClosed)
	}
}

// PlainList is a list of them with a parser's common methods.
type PlainList struct {
	List[*Plain]
	Spoken rule.Protocol
	Limits Limits
	Lost   [2]bool
}

func (p *PlainList) Protocol() rule.Protocol { return p.Spoken }

// Gap gives a direction up.
func (p *PlainList) Gap(dir Direction, _ int) { p.Lost[dir] = true }

// Close ends what is open.
func (p *PlainList) Close(dir Direction) {
	for _, t := range p.All() {
		if !t.Ended[dir] {
			t.Ended[dir] = true
			t.CloseFiles(dir, FileTruncated)
		}
	}
}

func (p *PlainList) Done() Done {
	if p.Lost[0] && p.Lost[1] {
		return GaveUp
	}
	return NotDone
}

// Full says that no more transactions fit.
func (p *PlainList) Full() bool { return len(p.All()) >= p.Limits.Transactions }

// Message adds a transaction that is one message of a direction, and complete.
func (p *PlainList) Message(key string) *Plain {
	t := &Plain{Key: key}
	if !p.Full() {
		p.Add(t)
	}
	t.End()
	return t
}
