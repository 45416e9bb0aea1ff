package analytics

import (
	used "container/list"
	"fmt"
	"strings"
	"sync"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// remembered keeps what statements have answered about stretches of time into
// which nothing was stored since. A statement and its values are the key, so it is
// the same question of the same rows; ingested tells whether they are still all.
// Rows go only by their retention, which the statement's values have in them.
type remembered struct {
	ingested *ingested
	most     int // bytes

	mu     sync.Mutex // guards below
	bytes  int
	recent *used.List // of *memory, the last used first
	byKey  map[string]*used.Element
}

// memory is one answer.
type memory struct {
	key      string
	moment   uint64
	orgID    string
	from, to int64 // Unix microseconds, to not included
	value    any
	bytes    int
}

func newRemembered(most int, g *ingested) *remembered {
	return &remembered{ingested: g, most: most, recent: used.New(), byKey: map[string]*used.Element{}}
}

// find gives the answer to a question if it is still the right one.
func (r *remembered) find(key string) (any, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.byKey[key]
	if !ok {
		return nil, false
	}
	m := e.Value.(*memory)
	if r.ingested.since(m.orgID, m.from, m.to, m.moment) {
		r.drop(e)
		return nil, false
	}
	r.recent.MoveToFront(e)
	return m.value, true
}

// keep remembers an answer; the moment is that before its question was asked.
func (r *remembered) keep(m memory) {
	m.bytes += len(m.key) + 256
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.byKey[m.key]; ok {
		r.drop(e)
	}
	r.byKey[m.key] = r.recent.PushFront(&m)
	for r.bytes += m.bytes; r.bytes > r.most; {
		r.drop(r.recent.Back())
	}
}

// drop is called under the lock.
func (r *remembered) drop(e *used.Element) {
	m := r.recent.Remove(e).(*memory)
	delete(r.byKey, m.key)
	r.bytes -= m.bytes
}

// statement is a text and the values of its parameters alone.
type statement struct {
	sql  string
	args []any
}

// statementOf leaves out the values of w that the text does not name.
func statementOf(sql string, w *where) statement {
	s := statement{sql: sql}
	for _, a := range w.args() {
		if strings.Contains(sql, "{"+a.(driver.NamedValue).Name+":") {
			s.args = append(s.args, a)
		}
	}
	return s
}

// key tells statements apart.
func (s statement) key() string {
	var b strings.Builder
	b.WriteString(s.sql)
	for _, a := range s.args {
		v := a.(driver.NamedValue)
		fmt.Fprintf(&b, "\x00%s\x00%q", v.Name, fmt.Sprint(v.Value))
	}
	return b.String()
}
