package analytics

import (
	"fmt"
	"time"
)

// piece is a part of the record that one SELECT reads: whole units of a
// roll-up, or rows where unit is nil.
type piece struct {
	unit     *unit
	where    *where
	from, to int64 // Unix microseconds: nothing of it lies outside, to not included
}

// pieces cuts the rows of a filter, which has both ends, into parts that do not
// overlap: units of the roll-ups as coarse as they fit, given from coarse to
// fine, and the rows of the ragged edges. w begins the statement.
//
// Edges are where the span begins and ends within a unit, and where a row's
// retention ends within one: rows kept for a shorter time than the span reaches
// back have an edge of their own.
func pieces(w *where, f filter, units []unit) []piece {
	f.from = max(f.from, w.scope.first(), 0)
	// No row is stamped later, and the columns of roll-ups end in 2106.
	f.to = min(f.to, day.ceil(w.scope.now.Add(futureTolerance).UnixMicro()))
	if f.from >= f.to {
		return nil
	}
	var (
		out   []piece
		inner *unit // the coarser level that has taken [lo, hi)
		lo    = f.to
		hi    = f.to
		now   = w.scope.now.UnixMicro()
		// Rows kept for so many days or more are visible through all of the span.
		whole = (now - f.from + day.length.Microseconds() - 1) / day.length.Microseconds()
	)
	add := func(u *unit, at string, a, b int64) {
		begin := func(from, to int64) *where {
			var o *where
			if u == nil {
				o = w.another()
				f.conditions(o)
			} else {
				o = wholeOf(w, *u)
				if within := f; u.rows {
					within.from, within.to = 0, 0 // the piece's are its own
					within.conditions(o)
				} else {
					f.keys(o)
				}
			}
			o.and("day >= " + o.bind("Date", time.UnixMicro(f.from).UTC().Format(time.DateOnly)))
			out = append(out, piece{u, o, from, to})
			return o
		}
		between := func(o *where, from, to int64) string {
			return fmt.Sprintf("%s >= %s AND %s < %s", at, o.bindSpan(u, from), at, o.bindSpan(u, to))
		}
		switch {
		case inner == nil:
			o := begin(a, b)
			o.and(between(o, a, b))
			return
		case a < lo && hi < b:
			o := begin(a, b)
			o.and("(" + between(o, a, lo) + " OR " + between(o, hi, b) + ")")
		case a < lo:
			o := begin(a, lo)
			o.and(between(o, a, lo))
		case hi < b:
			o := begin(hi, b)
			o.and(between(o, hi, b))
		}
		if whole > 1 {
			o := begin(lo, hi)
			o.and("retention_days < " + o.bind("UInt32", whole))
			o.and(between(o, lo, hi))
			o.and(at + " < " + o.bindSpan(u, inner.ceil(now)) + " - toIntervalDay(retention_days)")
		}
	}
	for i := range units {
		u := &units[i]
		a, b := u.ceil(f.from), u.floor(f.to)
		if a >= b {
			continue
		}
		add(u, u.key, a, b)
		inner, lo, hi = u, a, b
	}
	add(nil, "ts", f.from, f.to)
	return out
}

// bindSpan binds an end of a piece. Rows are compared as exactly as they are stamped:
// where the engine counts by the index alone, a time in whole seconds leaves out rows
// of the second before it.
func (w *where) bindSpan(u *unit, micros int64) string {
	if u == nil || u.rows {
		return w.bindTime(micros)
	}
	return w.bindSecond(micros)
}
