package analytics

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// copyRows is how many rows a copy puts into one insert, about.
const copyRows = 100_000

// copyBatches is how many numbers of batches one piece of a copy spans.
const copyBatches = 256

// CopyFrom stores the rows of another DB here, those past their retention left out.
// It may be ended at any moment and begun again: what is there is read from the
// tables, so each row comes once. progress, if not nil, is told how many of all the
// rows are here.
//
// Batches keep their names, so routers go on behind what was copied. Rows that
// routers send here meanwhile are not confused with it. Nobody may store in source.
func (db *DB) CopyFrom(ctx context.Context, source *DB, progress func(done, total uint64)) (copied uint64, err error) {
	if err := errors.Join(db.down(), source.down()); err != nil {
		return 0, err
	}
	var (
		todo  []copyPart
		total uint64
	)
	for _, t := range tables {
		all, missing, err := db.compare(ctx, source, t)
		if err != nil {
			return 0, err
		}
		total += all
		todo = append(todo, copyParts(t, missing)...)
	}
	left := uint64(0)
	for _, p := range todo {
		left += p.rows
	}
	for _, p := range todo {
		if progress != nil {
			progress(total-left, total)
		}
		if err := db.copyPart(ctx, source, p); ctx.Err() != nil {
			return copied, fmt.Errorf("ended before all was copied: begin it again to go on: %w", ctx.Err())
		} else if err != nil {
			return copied, fmt.Errorf("copy %s of %s: %w", p.table.name, p.day.Format(time.DateOnly), brief(err))
		}
		copied += p.rows
		left -= p.rows
	}
	for _, t := range tables {
		_, missing, err := db.compare(ctx, source, t)
		if err != nil {
			return copied, err
		}
		if len(missing) > 0 {
			return copied, fmt.Errorf("copy %s: %d pieces are not there although they were stored: something removes or adds rows; end it and copy again", t.name, len(missing))
		}
	}
	if progress != nil {
		progress(total, total)
	}
	return copied, nil
}

// copyPiece names batches of a device with numbers near each other: a batch lies in one
// partition whole, and an insert stores whole pieces or nothing.
type copyPiece struct {
	retention     uint16
	day           time.Time
	device, epoch string
	group         uint64 // of numbers
}

type copyRange struct {
	copyPiece
	first, last uint64 // batches
	rows        uint64
}

// compare lists the pieces that are in source and not here, and counts all its rows.
func (db *DB) compare(ctx context.Context, source *DB, t *table) (rows uint64, missing []copyRange, err error) {
	theirs, err := source.pieces(ctx, t)
	if err != nil {
		return 0, nil, fmt.Errorf("list what the source has in %s: %w", t.name, err)
	}
	ours, err := db.pieces(ctx, t)
	if err != nil {
		return 0, nil, fmt.Errorf("list what is there in %s: %w", t.name, err)
	}
	here := make(map[copyPiece]copyRange, len(ours))
	for _, p := range ours {
		here[p.copyPiece] = p
	}
	for _, p := range theirs {
		rows += p.rows
		// A router that already sends here goes on behind the last.
		switch h, ok := here[p.copyPiece]; {
		case !ok || h.first > p.last:
			missing = append(missing, p)
		case h.rows != p.rows || h.last != p.last:
			// It was copied and has grown, there or here.
			batches, err := db.compareBatches(ctx, source, t, p)
			if err != nil {
				return 0, nil, fmt.Errorf("compare batches of %s in %s: %w", p.device, t.name, err)
			}
			missing = append(missing, batches...)
		}
	}
	return rows, missing, nil
}

// compareBatches lists the batches of a piece that are in source and not here.
func (db *DB) compareBatches(ctx context.Context, source *DB, t *table, p copyRange) ([]copyRange, error) {
	var of [2][]copyRange
	for i, side := range []*DB{source, db} {
		rows, err := side.conn.Query(ctx, fmt.Sprintf(`SELECT batch, count() FROM %s WHERE retention_days = {retention:UInt16} AND day = {day:Date}
			AND device_id = {device:String} AND epoch = {epoch:String} AND batch BETWEEN %d AND %d GROUP BY batch ORDER BY batch`, t.name, p.first, p.last),
			named("retention", p.retention), named("day", p.day.Format(time.DateOnly)), named("device", p.device), named("epoch", p.epoch))
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			b := copyRange{copyPiece: p.copyPiece}
			if err := rows.Scan(&b.first, &b.rows); err != nil {
				rows.Close()
				return nil, err
			}
			b.last = b.first
			of[i] = append(of[i], b)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(of[0], func(b copyRange) bool {
		_, here := slices.BinarySearchFunc(of[1], b, func(x, y copyRange) int { return cmp.Compare(x.first, y.first) })
		return here
	}), nil
}

func (db *DB) pieces(ctx context.Context, t *table) ([]copyRange, error) {
	rows, err := db.conn.Query(ctx, fmt.Sprintf(`SELECT retention_days, day, device_id, epoch, intDiv(batch, %d) AS numbers, min(batch), max(batch), count()
		FROM %s WHERE day + retention_days >= toDate({today:String})
		GROUP BY retention_days, day, device_id, epoch, numbers
		ORDER BY retention_days, day, device_id, epoch, numbers`, copyBatches, t.name), named("today", db.now().UTC().Format(time.DateOnly)))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []copyRange
	for rows.Next() {
		var p copyRange
		if err := rows.Scan(&p.retention, &p.day, &p.device, &p.epoch, &p.group, &p.first, &p.last, &p.rows); err != nil {
			return nil, err
		}
		p.day = p.day.UTC()
		out = append(out, p)
	}
	return out, rows.Err()
}

// copyPart is what one insert stores: ranges of batches in one partition.
type copyPart struct {
	table     *table
	retention uint16
	day       time.Time
	ranges    []copyRange // joined where they touch
	rows      uint64
}

func copyParts(t *table, missing []copyRange) []copyPart {
	var out []copyPart
	for _, p := range missing {
		n := len(out) - 1
		if n < 0 || out[n].retention != p.retention || !out[n].day.Equal(p.day) || out[n].rows+p.rows > copyRows {
			out = append(out, copyPart{table: t, retention: p.retention, day: p.day})
			n++
		}
		part := &out[n]
		part.rows += p.rows
		if i := len(part.ranges) - 1; i >= 0 && part.ranges[i].device == p.device && part.ranges[i].epoch == p.epoch && part.ranges[i].group+1 == p.group {
			part.ranges[i].last, part.ranges[i].group = p.last, p.group
			continue
		}
		part.ranges = append(part.ranges, p)
	}
	return out
}

// copyPart stores a part as one block, so all of it or nothing.
func (db *DB) copyPart(ctx context.Context, source *DB, p copyPart) error {
	var terms []string
	args := []any{named("retention", p.retention), named("day", p.day.Format(time.DateOnly))}
	for i, r := range p.ranges {
		terms = append(terms, fmt.Sprintf("device_id = {d%d:String} AND epoch = {e%d:String} AND batch BETWEEN %d AND %d", i, i, r.first, r.last))
		args = append(args, named(fmt.Sprint("d", i), r.device), named(fmt.Sprint("e", i), r.epoch))
	}
	names := make([]string, len(p.table.columns))
	for i, c := range p.table.columns {
		names[i] = c.name
	}
	reading := clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"low_cardinality_allow_in_native_format": 0}))
	rows, err := source.conn.Query(reading, fmt.Sprintf("SELECT %s FROM %s WHERE retention_days = {retention:UInt16} AND day = {day:Date} AND ((%s))",
		strings.Join(names, ", "), p.table.name, strings.Join(terms, ") OR (")), args...)
	if err != nil {
		return err
	}
	defer rows.Close()

	id := rand.Text()
	writing := clickhouse.Context(ctx, clickhouse.WithColumnNamesAndTypes(p.table.namesAndTypes()), clickhouse.WithQueryID(id))
	batch, err := db.conn.PrepareBatch(writing, p.table.insert())
	if err != nil {
		return err
	}
	defer batch.Close()
	into, values := make([]any, len(names)), make([]any, len(names))
	for i, c := range rows.ColumnTypes() {
		into[i] = reflect.New(c.ScanType()).Interface()
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i, v := range into {
			values[i] = reflect.ValueOf(v).Elem().Interface()
		}
		if err := batch.Append(values...); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if uint64(batch.Rows()) != p.rows {
		return fmt.Errorf("%d rows were listed and %d read: somebody stores in the source, or its retention ended meanwhile; copy again", p.rows, batch.Rows())
	}
	if err := batch.Send(); err != nil {
		db.awaitEnd(ctx, id, err)
		return err
	}
	return nil
}
