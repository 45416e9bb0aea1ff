package analytics

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"ngfw.sh/internal/fault"
)

const (
	defaultLimit = 50
	maxLimit     = 500
	maxOffset    = 10_000
	exactTotal   = 10_000 // beyond it the total is told only when asked for
)

// page says which rows of all that pass a filter are wanted.
type page struct {
	limit, offset int
	cursor        *place
	countAll      bool
}

// paged is a request for a page.
type paged interface {
	GetOffset() int32
	GetCursor() string
	GetCount() string
}

func readPage(r paged, limit *int32) (page, error) {
	p := page{limit: defaultLimit, offset: int(r.GetOffset())}
	if limit != nil {
		p.limit = int(*limit)
	}
	if p.limit < 1 || p.limit > maxLimit {
		return page{}, fault.Invalid("limit", "must be from 1 to %d", maxLimit)
	}
	if p.offset < 0 || p.offset > maxOffset {
		return page{}, fault.Invalid("offset", "must be from 0 to %d: page on with cursor", maxOffset)
	}
	if c := r.GetCursor(); c != "" {
		at, err := parsePlace(c)
		if err != nil {
			return page{}, err
		}
		if p.offset != 0 {
			return page{}, fault.Invalid("offset", "cannot go together with cursor")
		}
		p.cursor = &at
	}
	switch r.GetCount() {
	case "":
	case "exact":
		p.countAll = true
	default:
		return page{}, fault.Invalid("count", "%.100q is not exact", r.GetCount())
	}
	return p, nil
}

// rowOrder is that of pages: the table's, newest first.
const rowOrder = "ts DESC, origin DESC, batch DESC, row DESC"

type scanner interface{ Scan(dest ...any) error }

// listing is how one table's rows are read.
type listing[R any] struct {
	table   *table
	columns string // what scan reads, in its order
	scan    func(scanner) (*R, error)
	keyOf   func(*R) *key
}

// listed is a page.
type listed struct {
	total int64
	exact *bool // false: there are more than total
	next  string
}

// pageOf answers a page, newest first. The total is that of the whole filter,
// exact up to exactTotal and beyond that only when the page asks for it.
func pageOf[R any](ctx context.Context, db *DB, s scope, p page, l listing[R], q question, take func(*R)) (listed, error) {
	return pageAndTotal(ctx, db, s, p, l, q, take, func(ctx context.Context) (int64, error) {
		return total(ctx, db, s, p, l.table, q.conditions)
	})
}

// question is what a page is of: conditions, and the times among them.
type question struct {
	conditions func(*where)
	timeless   func(*where) // the conditions without the times
	from, to   int64        // Unix microseconds, to not included; 0: open
}

// key tells questions about an organisation's rows of a table apart, whatever
// stretch of time they are about.
func (q question) key(s scope, t *table) string {
	w := &where{scope: s, bound: new([]any)}
	w.and(w.bind("String", s.orgID))
	q.timeless(w)
	return statement{t.name + " " + w.String(), w.args()}.key()
}

// pageAndTotal asks for both at the same time, unless the page is likely to tell
// the total by itself.
func pageAndTotal[R any](ctx context.Context, db *DB, s scope, p page, l listing[R], q question, take func(*R),
	count func(context.Context) (int64, error),
) (listed, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // the count, where the page tells the total
	type counted struct {
		n   int64
		err error
	}
	all := make(chan counted, 1)
	begin := sync.OnceFunc(func() {
		go func() {
			n, err := count(ctx)
			all <- counted{n, err}
		}()
	})
	if !db.reach.scarce(q.key(s, l.table)) || p.cursor != nil {
		begin()
	}

	rows, more, err := newest(ctx, db, s, p, l, q)
	if err != nil {
		return listed{}, err
	}
	for _, r := range rows {
		take(r)
	}
	var out listed
	if more {
		out.next = l.keyOf(rows[len(rows)-1]).place().String()
	}
	// A last page that is not empty tells the total by itself.
	if !more && p.cursor == nil && (len(rows) > 0 || p.offset == 0) {
		out.total = int64(p.offset + len(rows))
	} else {
		begin()
		c := <-all
		if c.err != nil {
			return listed{}, db.explain(c.err)
		}
		out.total = c.n
	}
	if out.total > exactTotal && !p.countAll {
		out.total, out.exact = exactTotal, new(bool)
	}
	return out, nil
}

// newest are the rows of a page; more tells that there are further ones. It looks
// where the page was found the last time before it looks everywhere.
func newest[R any](ctx context.Context, db *DB, s scope, p page, l listing[R], q question) (rows []*R, more bool, err error) {
	key, wanted := q.key(s, l.table), p.offset+p.limit+1
	until := s.now.Add(futureTolerance).UnixMicro()
	if q.to != 0 {
		until = min(until, q.to)
	}
	if p.cursor != nil {
		until = min(until, p.cursor.time+1)
	}
	open := q.to == 0 && p.cursor == nil // and so always about the newest
	if !open {
		key += " before"
	}
	for _, from := range db.reach.from(key, until, wanted) {
		if from != 0 && from <= max(q.from, s.first()) {
			continue // the last one is no longer
		}
		if rows, err = between(ctx, db, s, p, l, q, from); err != nil {
			return nil, false, err
		}
		if more = len(rows) > p.limit; more {
			break
		}
	}
	timeOf := func(i int) int64 { return l.keyOf(rows[i]).time }
	if more {
		first, last := timeOf(0), timeOf(p.limit)
		if p.offset > 0 {
			first = until // of what was passed over nothing is known
		}
		at := reached{per: time.Duration(first-last) * time.Microsecond / time.Duration(wanted)}
		if open {
			at.newest = timeOf(0)
		}
		db.reach.note(key, at)
		rows = rows[:p.limit]
	} else if open && q.from == 0 {
		db.reach.note(key, reached{scarce: true})
	}
	return rows, more, nil
}

// between reads the rows of a page from a time on, and the one that follows.
func between[R any](ctx context.Context, db *DB, s scope, p page, l listing[R], q question, from int64) ([]*R, error) {
	w := rowsOf(s)
	q.conditions(w)
	if p.cursor != nil {
		p.cursor.after(w)
	}
	if from > 0 {
		w.and("ts >= " + w.bindTime(from))
		w.and("day >= " + w.bind("Date", time.UnixMicro(from).UTC().Format(time.DateOnly))) // that of the batch's newest row
	}
	sql := fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY %s LIMIT %d OFFSET %d", l.columns, l.table.name, w, rowOrder, p.limit+1, p.offset)
	rows, err := db.conn.Query(ofRows(ctx), sql, w.args()...)
	if err != nil {
		return nil, db.explain(err)
	}
	defer rows.Close()
	var out []*R
	for rows.Next() {
		r, err := l.scan(rows)
		if err != nil {
			return nil, fmt.Errorf("read a row of %s: %w", l.table.name, err)
		}
		out = append(out, r)
	}
	return out, db.explain(rows.Err())
}

// total counts the rows of the filter, one beyond exactTotal at most unless all
// are asked for.
func total(ctx context.Context, db *DB, s scope, p page, t *table, conditions func(*where)) (int64, error) {
	w := rowsOf(s)
	conditions(w)
	sql := fmt.Sprintf("SELECT count() FROM (SELECT 1 FROM %s WHERE %s LIMIT %d)", t.name, w, exactTotal+1)
	if p.countAll {
		sql = fmt.Sprintf("SELECT count() FROM %s WHERE %s", t.name, w)
	}
	var n uint64
	err := db.conn.QueryRow(ofRows(ctx), sql, w.args()...).Scan(&n)
	return int64(n), err
}

// ofRows spares the engine looking for a roll-up that could answer.
func ofRows(ctx context.Context) context.Context {
	return clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"optimize_use_projections": 0}))
}
