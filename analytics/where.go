package analytics

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// where is the query builder: every query of rows starts here, so none can
// forget whose they are and how long they may be seen. Values are bound, never
// written into the text.
type where struct {
	scope scope
	terms []string
	bound *[]any // of the whole statement
}

// scope is what of the record a question may see.
type scope struct {
	orgID    string
	keepDays int // of the organisation's plan, which may have shrunk since rows were stored; 0: no bound
	now      time.Time
}

// rowsOf begins a condition on the rows of a scope that are within their
// retention.
func rowsOf(s scope) *where {
	w := &where{scope: s, bound: new([]any)}
	w.visible()
	return w
}

// another begins a further condition of the same statement.
func (w *where) another() *where {
	o := &where{scope: w.scope, bound: w.bound}
	o.visible()
	return o
}

func (w *where) visible() {
	w.and("org_id = " + w.bind("String", w.scope.orgID))
	w.and("ts >= " + w.bindTime(w.scope.now.UnixMicro()) + " - toIntervalDay(retention_days)")
	if first := w.scope.first(); first > 0 {
		w.and("ts >= " + w.bindTime(first))
	}
}

// wholeOf begins, within w's statement, a condition on whole units of time that
// lie within their retention from the first to the last moment. It names no
// column but those that every roll-up has.
func wholeOf(w *where, u unit) *where {
	o := &where{scope: w.scope, bound: w.bound}
	o.and("org_id = " + o.bind("String", o.scope.orgID))
	o.and(u.key + " >= " + o.bindSecond(u.ceil(o.scope.now.UnixMicro())) + " - toIntervalDay(retention_days)")
	if first := o.scope.first(); first > 0 {
		o.and(u.key + " >= " + o.bindSecond(u.ceil(first)))
	}
	return o
}

// first is the oldest moment that the plan shows, in Unix microseconds.
func (s scope) first() int64 {
	if s.keepDays <= 0 {
		return 0
	}
	return s.now.Add(-time.Duration(s.keepDays) * 24 * time.Hour).UnixMicro()
}

// and adds a term.
func (w *where) and(term string) { w.terms = append(w.terms, term) }

// andAny adds a term that holds when one of the alternatives does; none is no
// term.
func (w *where) andAny(alternatives []string) {
	switch len(alternatives) {
	case 0:
	case 1:
		w.and(alternatives[0])
	default:
		w.and("(" + strings.Join(alternatives, " OR ") + ")")
	}
}

// bind makes a value a parameter and returns its place in the text.
func (w *where) bind(kind string, value any) string {
	p := "p" + strconv.Itoa(len(*w.bound))
	*w.bound = append(*w.bound, named(p, value))
	return "{" + p + ":" + kind + "}"
}

func (w *where) bindTime(micros int64) string {
	return w.bind("DateTime64(6, 'UTC')", time.UnixMicro(micros).UTC().Format("2006-01-02 15:04:05.000000"))
}

// bindSecond binds a time without a fraction.
func (w *where) bindSecond(micros int64) string {
	return w.bind("DateTime('UTC')", time.UnixMicro(micros).UTC().Format(time.DateTime))
}

func (w *where) bindAddress(a netip.Addr) string {
	return w.bind("IPv6", netip.AddrFrom16(a.As16()).String())
}

// args are the values of all parameters of the statement.
func (w *where) args() []any { return *w.bound }

func (w *where) String() string { return strings.Join(w.terms, " AND ") }

// in adds "column is one of"; no values are no term.
func in[T any](w *where, column, kind string, values []T) {
	if len(values) > 0 {
		w.and(column + " IN " + w.bind(kind, values))
	}
}
