package analytics

import (
	"context"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// partial is all groups that a part of a question has, each once: what is left to
// do is to add the groups of another part of it.
type partial[K comparable, T any] struct {
	list []T // in the order of the answer
	at   map[K]int32
}

// maxGroups bounds a partial: what has more is left to the database.
const maxGroups = 150_000

// grouping is how groups are read, told apart, added up and ordered.
type grouping[K comparable, T any] struct {
	scan  func(driver.Rows) (T, error)
	key   func(*T) K
	add   func(sum, t *T)
	order func(a, b *T) int
}

func (g grouping[K, T]) partialOf(list []T) *partial[K, T] {
	slices.SortFunc(list, func(a, b T) int { return g.order(&a, &b) })
	p := &partial[K, T]{list: list, at: make(map[K]int32, len(list))}
	for i := range list {
		p.at[g.key(&list[i])] = int32(i)
	}
	return p
}

// first are the first groups of both parts together. Where b has nothing of a
// group, its sum is that of a, and so is the order among those.
func (g grouping[K, T]) first(a, b *partial[K, T], limit int) []T {
	var out []T
	for i := range b.list {
		t := b.list[i]
		if j, ok := a.at[g.key(&t)]; ok {
			sum := a.list[j]
			g.add(&sum, &t)
			t = sum
		}
		out = append(out, t)
	}
	alone := 0
	for i := range a.list {
		if alone == limit {
			break
		}
		if _, ok := b.at[g.key(&a.list[i])]; !ok {
			out = append(out, a.list[i])
			alone++
		}
	}
	slices.SortFunc(out, func(a, b T) int { return g.order(&a, &b) })
	return out[:min(limit, len(out))]
}

// both are all groups of both parts.
func (g grouping[K, T]) both(a, b *partial[K, T]) []T {
	return g.first(a, b, len(a.list)+len(b.list))
}

// settled is how long after its time a row is usually stored by.
const settled = time.Minute

// apart divides the pieces of a question: those of whole units, which are over,
// the ragged edges of those, and the present, into which rows are still stored.
// Only the last is usually asked again within the minute.
func apart(w *where, f filter, units []unit) (whole, edges, present []piece) {
	cut := minutes.floor(w.scope.now.Add(-settled).UnixMicro())
	past := f
	if past.to == 0 || past.to > cut {
		past.to = cut
	}
	if past.from < past.to {
		for _, p := range pieces(w, past, units) {
			if p.unit != nil && p.unit.length >= minutes.length {
				whole = append(whole, p)
			} else {
				edges = append(edges, p)
			}
		}
	}
	if f.from = max(f.from, cut); f.to == 0 || f.from < f.to {
		present = pieces(w, f, nil)
	}
	return whole, edges, present
}

// recallEdges recalls what is beside the whole units; nil: there are too many
// groups.
func recallEdges[K comparable, T any](ctx context.Context, db *DB, w *where, edges, present []piece, sql func([]piece) string, g grouping[K, T]) (*partial[K, T], error) {
	ctx = ofEdges(ctx)
	past, err := recall(ctx, db, w, edges, sql(edges), g)
	if err != nil || past == nil {
		return nil, err
	}
	now, err := recall(ctx, db, w, present, sql(present), g)
	if err != nil || now == nil || len(past.list) == 0 {
		return now, err
	}
	return g.partialOf(g.both(past, now)), nil
}

// recall answers a statement over pieces, which w has begun, from what is
// remembered, or asks and remembers. nil: there are too many groups.
func recall[K comparable, T any](ctx context.Context, db *DB, w *where, ps []piece, sql string, g grouping[K, T]) (*partial[K, T], error) {
	if len(ps) == 0 {
		return g.partialOf(nil), nil
	}
	st := statementOf(sql+fmt.Sprintf(" LIMIT %d", maxGroups+1), w)
	m := memory{key: st.key(), orgID: w.scope.orgID, from: ps[0].from, to: ps[0].to, moment: db.remembered.ingested.now()}
	for _, p := range ps {
		m.from, m.to = min(m.from, p.from), max(m.to, p.to)
	}
	if v, ok := db.remembered.find(m.key); ok {
		db.metrics.recalled.WithLabelValues("yes").Inc()
		return v.(*partial[K, T]), nil
	}
	db.metrics.recalled.WithLabelValues("no").Inc()
	rows, err := db.conn.Query(ctx, st.sql, st.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []T
	for rows.Next() {
		t, err := g.scan(rows)
		if err != nil {
			return nil, fmt.Errorf("read groups: %w", err)
		}
		list = append(list, t)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	var p *partial[K, T]
	if len(list) <= maxGroups {
		p = g.partialOf(list)
		var k K
		var t T
		m.bytes = cap(list) * int(unsafe.Sizeof(t)+2*unsafe.Sizeof(k)+16)
	}
	m.value = p
	db.remembered.keep(m)
	return p, nil
}

// ofEdges spares the engine looking for roll-ups and skip indexes, which edges
// have no use for.
func ofEdges(ctx context.Context) context.Context {
	return clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"optimize_use_implicit_projections": 0, "optimize_use_projections": 0, "use_skip_indexes": 0,
	}))
}
