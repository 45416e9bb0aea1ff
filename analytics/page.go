package analytics

import (
	"context"
	"fmt"

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
func pageOf[R any](ctx context.Context, db *DB, s scope, p page, l listing[R], conditions func(*where), take func(*R)) (listed, error) {
	return pageAndTotal(ctx, db, s, p, l, conditions, take, func(ctx context.Context) (int64, error) {
		return total(ctx, db, s, p, l.table, conditions)
	})
}

// pageAndTotal asks for both at the same time.
func pageAndTotal[R any](ctx context.Context, db *DB, s scope, p page, l listing[R], conditions func(*where), take func(*R),
	count func(context.Context) (int64, error),
) (listed, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // the count, where the page tells the total
	type counted struct {
		n   int64
		err error
	}
	all := make(chan counted, 1)
	go func() {
		n, err := count(ctx)
		all <- counted{n, err}
	}()

	w := rowsOf(s)
	conditions(w)
	if p.cursor != nil {
		p.cursor.after(w)
	}
	sql := fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY %s LIMIT %d OFFSET %d", l.columns, l.table.name, w, rowOrder, p.limit+1, p.offset)
	rows, err := db.conn.Query(ctx, sql, w.args()...)
	if err != nil {
		return listed{}, db.explain(err)
	}
	defer rows.Close()
	var last *R
	n, more := 0, false
	for rows.Next() {
		r, err := l.scan(rows)
		if err != nil {
			return listed{}, fmt.Errorf("read a row of %s: %w", l.table.name, err)
		}
		if more = n == p.limit; more {
			continue
		}
		take(r)
		last = r
		n++
	}
	if err := rows.Err(); err != nil {
		return listed{}, db.explain(err)
	}
	var out listed
	if more {
		out.next = l.keyOf(last).place().String()
	}
	// A last page that is not empty tells the total by itself.
	if !more && p.cursor == nil && (n > 0 || p.offset == 0) {
		out.total = int64(p.offset + n)
	} else if c := <-all; c.err != nil {
		return listed{}, db.explain(c.err)
	} else {
		out.total = c.n
	}
	if out.total > exactTotal && !p.countAll {
		out.total, out.exact = exactTotal, new(bool)
	}
	return out, nil
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
	err := db.conn.QueryRow(ctx, sql, w.args()...).Scan(&n)
	return int64(n), err
}
