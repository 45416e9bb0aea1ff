package analytics

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// ExportQuery asks for all rows of a filter as a file.
type ExportQuery struct {
	filter
	format *format

	RetentionDays int // as in LogQuery
}

// format is how a file of rows is written.
type format struct {
	name, contentType string
	writer            func(io.Writer) (rowWriter, error)
}

// rowWriter writes rows, one after the other. Close ends the file, not what it
// is written to.
type rowWriter interface {
	Write(*row) error
	Close() error
}

var formats = []format{
	{"csv", "text/csv; charset=utf-8; header=present", newCSV},
	{"ndjson", "application/x-ndjson", newNDJSON},
	{"parquet", "application/vnd.apache.parquet", newParquet},
}

// ParseExport reads the parameters of a request. Its errors name the parameter.
func ParseExport(r *ngfwv1.ExportLogsRequest) (q ExportQuery, err error) {
	for i := range formats {
		if formats[i].name == r.GetFormat() {
			q.format = &formats[i]
		}
	}
	if q.format == nil {
		return q, fault.Invalid("format", "%.100q is not one of csv, ndjson, parquet", r.GetFormat())
	}
	if q.filter, err = readFilter(r); err != nil {
		return q, err
	}
	q.from, q.to, err = readSpan(r.GetFrom(), r.GetTo())
	return q, err
}

// Name is what the file is called.
func (q ExportQuery) Name(now time.Time) string {
	return "traffic-" + now.UTC().Format("20060102T150405Z") + "." + q.format.name
}

// ContentType is the media type of the file.
func (q ExportQuery) ContentType() string { return q.format.contentType }

// exportBuffer is what is written at a time.
const exportBuffer = 64 << 10

// Export writes the rows of the filter, newest first. begin is called once, when
// the database has answered; an error before that is one of the question, one
// after it leaves an unfinished file. Rows are read as fast as they are taken
// and no faster.
func (db *DB) Export(ctx context.Context, orgID string, q ExportQuery, begin func() io.Writer) error {
	if err := db.down(); err != nil {
		return err
	}
	if err := db.exports.enter(orgID); err != nil {
		return err
	}
	defer db.exports.leave(orgID)
	ctx, cancel := context.WithTimeoutCause(ctx, db.cfg.ExportTimeout, errExportTime)
	defer cancel()
	defer db.metrics.query("export", db.now())

	w := rowsOf(scope{orgID, q.RetentionDays, db.now()})
	q.conditions(w)
	// Read in the order of the table: nothing is sorted, so memory is bounded
	// whatever the number of rows.
	rows, err := db.conn.Query(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"optimize_read_in_order": 1})),
		fmt.Sprintf("SELECT %s FROM flows WHERE %s ORDER BY %s", logColumns, w, rowOrder), w.args()...)
	if err != nil {
		return db.explain(err)
	}
	defer rows.Close()
	out := bufio.NewWriterSize(begin(), exportBuffer)
	file, err := q.format.writer(out)
	if err != nil {
		return err
	}
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return fmt.Errorf("read a flow row: %w", err)
		}
		if err := file.Write(r); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		if errors.Is(context.Cause(ctx), errExportTime) {
			return errExportTime
		}
		return db.explain(err)
	}
	if err := file.Close(); err != nil {
		return err
	}
	return out.Flush()
}

var errExportTime = fault.New(fault.Unavailable, "the export took too long: narrow it by time or by filters")
