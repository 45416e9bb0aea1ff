package analytics

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// where is the query builder: every query of rows starts here, so none can
// forget whose they are and how long they may be seen. Values are bound, never
// written into the text.
type where struct {
	terms []string
	args  []any
}

// rowsOf begins a condition on the rows of an organisation that are within
// their retention, and within keepDays if that is not 0 (a plan may have
// shrunk since they were stored).
func rowsOf(orgID string, keepDays int, now time.Time) *where {
	w := &where{}
	w.and("org_id = " + w.bind("String", orgID))
	w.and("ts >= " + w.bindTime(now.UnixMicro()) + " - toIntervalDay(retention_days)")
	if keepDays > 0 {
		w.and("ts >= " + w.bindTime(now.Add(-time.Duration(keepDays)*24*time.Hour).UnixMicro()))
	}
	return w
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
	p := "p" + strconv.Itoa(len(w.args))
	w.args = append(w.args, named(p, value))
	return "{" + p + ":" + kind + "}"
}

func (w *where) bindTime(micros int64) string {
	return w.bind("DateTime64(6, 'UTC')", fmt.Sprintf("%d.%06d", micros/1e6, micros%1e6))
}

func (w *where) bindAddress(a netip.Addr) string {
	return w.bind("IPv6", netip.AddrFrom16(a.As16()).String())
}

func (w *where) String() string { return strings.Join(w.terms, " AND ") }

// in adds "column is one of"; no values are no term.
func in[T any](w *where, column, kind string, values []T) {
	if len(values) > 0 {
		w.and(column + " IN " + w.bind(kind, values))
	}
}
