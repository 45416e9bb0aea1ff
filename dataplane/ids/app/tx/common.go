package tx

import (
	"slices"

	"ngfw.sh/dataplane/ids/rule"
)

// Common is what every transaction has. A protocol's own transaction embeds it
// and says what its buffers are.
type Common struct {
	id     uint64
	slot   any
	events []string
	Ended  [2]bool
	files  [2][]*File
	spare  []*File
}

func (c *Common) ID() uint64                     { return c.id }
func (c *Common) Slot() *any                     { return &c.slot }
func (c *Common) Events() []string               { return c.events }
func (c *Common) Complete(dir Direction) bool    { return c.Ended[dir] }
func (c *Common) Files(dir Direction) []*File    { return c.files[dir] }
func (c *Common) AddFile(dir Direction, f *File) { c.files[dir] = append(c.files[dir], f) }
func (c *Common) setID(id uint64)                { c.id = id }

// Numbers is that of a protocol without any.
func (c *Common) Numbers(string, Direction, []uint64) []uint64 { return nil }

// Record is that of a protocol with nothing to tell.
func (c *Common) Record() (string, any) { return "", nil }

// Event notes that something was odd, once for each name.
func (c *Common) Event(name string) {
	if !slices.Contains(c.events, name) && len(c.events) < 64 {
		c.events = append(c.events, name)
	}
}

// FileBuffers appends the buffers of a kind of the layer FileData.
func (c *Common) FileBuffers(kind *rule.BufferKind, dir Direction, to []Buffer) []Buffer {
	for _, f := range c.files[dir] {
		switch kind.Name {
		case "file.data":
			if f.Size > 0 || f.State != FileOpen {
				to = append(to, Buffer{Data: f.Data, Offset: f.Offset, Whole: f.State != FileOpen})
			}
		case "file.name":
			if f.Name != "" {
				to = append(to, Buffer{Data: []byte(f.Name), Whole: true})
			}
		}
	}
	return to
}

// FilesSettled says that no file of a direction will grow.
func (c *Common) FilesSettled(dir Direction) bool {
	for _, f := range c.files[dir] {
		if f.State == FileOpen {
			return false
		}
	}
	return c.Ended[dir]
}

// CloseFiles ends the open files of a direction.
func (c *Common) CloseFiles(dir Direction, state FileState) {
	for _, f := range c.files[dir] {
		f.Close(state)
	}
}

// spareFiles bounds those that a transaction keeps for the next ones.
const spareFiles = 4

// Renew makes it a new transaction that uses what it was kept in. Its files are no longer
// anybody's.
func (c *Common) Renew() {
	spare := c.spare
	for dir := range c.files {
		spare = append(spare, c.files[dir]...)
		clear(c.files[dir])
	}
	if len(spare) > spareFiles {
		clear(spare[spareFiles:])
		spare = spare[:spareFiles]
	}
	*c = Common{events: c.events[:0], files: [2][]*File{c.files[0][:0], c.files[1][:0]}, spare: spare}
}

// NewFile opens a file of a direction.
func (c *Common) NewFile(dir Direction, id uint32, name string, limits *Limits) *File {
	var f *File
	if n := len(c.spare); n > 0 {
		f, c.spare = c.spare[n-1], c.spare[:n-1]
	} else {
		f = &File{}
	}
	f.open(id, name, limits)
	c.AddFile(dir, f)
	return f
}

type numbered interface {
	Transaction
	setID(uint64)
}

// List is the transactions of a flow that are not freed.
type List[T numbered] struct {
	all  []T
	some []Transaction
	next uint64
	// Room for the first ones: most flows have few at a time. A List is not to be copied.
	first     [2]T
	firstSome [2]Transaction
}

// Add gives a transaction its number and keeps it.
func (l *List[T]) Add(t T) T {
	t.setID(l.next)
	l.next++
	if l.all == nil {
		l.all, l.some = l.first[:0], l.firstSome[:0]
	}
	l.all, l.some = append(l.all, t), append(l.some, t)
	return t
}

// Renew makes it the empty list of another flow.
func (l *List[T]) Renew() {
	clear(l.all)
	clear(l.some)
	l.all, l.some, l.next = l.all[:0], l.some[:0], 0
}

// Begin says which number the first transaction has, in a flow that spoke another
// protocol before.
func (l *List[T]) Begin(id uint64) { l.next = id }

// All are the transactions, the oldest first.
func (l *List[T]) All() []T { return l.all }

// Last is the newest, or the zero T.
func (l *List[T]) Last() (t T) {
	if len(l.all) > 0 {
		t = l.all[len(l.all)-1]
	}
	return t
}

// Count is how many there have been.
func (l *List[T]) Count() uint64 { return l.next }

func (l *List[T]) Transactions() []Transaction { return l.some }

// Free forgets those before id.
func (l *List[T]) Free(id uint64) {
	n := 0
	for n < len(l.all) && l.all[n].ID() < id {
		n++
	}
	l.all, l.some = slices.Delete(l.all, 0, n), slices.Delete(l.some, 0, n)
}

// Pending joins what was left of the bytes before with the next.
type Pending struct{ left []byte }

// Join gives what was left and data, valid until Keep.
func (p *Pending) Join(data []byte) []byte {
	if len(p.left) == 0 {
		return data
	}
	p.left = append(p.left, data...)
	return p.left
}

// Keep remembers what was not used of what Join gave: its end.
func (p *Pending) Keep(rest []byte) {
	if len(p.left) == 0 {
		p.left = append(p.left, rest...)
		return
	}
	p.left = p.left[:copy(p.left, rest)]
}

// Len is how much is kept.
func (p *Pending) Len() int { return len(p.left) }

// keptPending is how much memory is kept where nothing is pending.
const keptPending = 4 << 10

// Drop forgets what is kept.
func (p *Pending) Drop() {
	if p.left = p.left[:0]; cap(p.left) > keptPending {
		p.left = nil
	}
}
