package chdb

import (
	"maps"
	"runtime"
	"slices"
	"strings"
	"unsafe"
)

// session is one connection to the engine with the state that statements left
// on it. One statement at a time.
type session struct {
	lib      *library
	handle   *connection
	database string            // "" until the first USE
	settings map[string]string // that differ from the engine's own
	broken   bool              // state unknown, not to be used again
}

func (s *session) close() { s.lib.closeConn(s.handle) }

// prepare makes the database and the settings those of the statement: only
// what differs from the statement before costs anything (0.2 ms).
func (s *session) prepare(database string, settings map[string]string) error {
	if database == "" {
		database = "default"
	}
	if s.database != database {
		if _, err := s.query("USE "+quoteName(database), "Null", nil); err != nil {
			return err
		}
		s.database = database
	}
	var changes []string
	for _, k := range slices.Sorted(maps.Keys(settings)) {
		if have, ok := s.settings[k]; !ok || have != settings[k] {
			changes = append(changes, quoteName(k)+" = "+quoteText(settings[k]))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(s.settings)) {
		if _, ok := settings[k]; !ok {
			changes = append(changes, quoteName(k)+" = DEFAULT")
		}
	}
	if len(changes) == 0 {
		return nil
	}
	s.broken = true // until it is known that all changes were taken
	if _, err := s.query("SET "+strings.Join(changes, ", "), "Null", nil); err != nil {
		return err
	}
	s.broken = false
	s.settings = settings
	return nil
}

// query runs a statement to its end and returns its whole output.
func (s *session) query(statement, format string, params []param) ([]byte, error) {
	return s.take(s.call(s.lib.query, statement, format, params))
}

// take copies a result out of the engine and destroys it.
func (s *session) take(r result) ([]byte, error) {
	if r == nil {
		return nil, parseException("no result from the engine")
	}
	defer s.lib.destroyResult(r)
	if text := s.lib.resultError(r); text != "" {
		return nil, parseException(text)
	}
	n := s.lib.resultLength(r)
	if n == 0 {
		return nil, nil
	}
	return append([]byte(nil), unsafe.Slice((*byte)(s.lib.resultBuffer(r)), n)...), nil
}

type queryFunc = func(c connection, q *byte, n uint, format *byte, fn uint, names **byte, nameLens *uint, values **byte, valueLens *uint, params uint) result

// call passes a statement and its parameters with their lengths.
func (s *session) call(f queryFunc, statement, format string, params []param) result {
	var pin runtime.Pinner // the arrays below hold Go pointers
	defer pin.Unpin()
	text := func(t string) (*byte, uint) {
		b := append([]byte(t), 0) // never empty, so that there is an address
		pin.Pin(&b[0])
		return &b[0], uint(len(t))
	}
	var (
		names, values   = make([]*byte, len(params)+1), make([]*byte, len(params)+1)
		nameLen, valLen = make([]uint, len(params)+1), make([]uint, len(params)+1)
	)
	for i, p := range params {
		names[i], nameLen[i] = text(p.name)
		values[i], valLen[i] = text(p.value)
	}
	q, n := text(statement)
	fm, fn := text(format)
	return f(*s.handle, q, n, fm, fn, &names[0], &nameLen[0], &values[0], &valLen[0], uint(len(params)))
}

func quoteName(s string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(s) + "`"
}
func quoteText(s string) string {
	return "'" + strings.NewReplacer("\\", "\\\\", "'", "\\'").Replace(s) + "'"
}
