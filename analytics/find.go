package analytics

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"math"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Find answers the row with an id that the log has shown.
func (db *DB) Find(ctx context.Context, orgID string, retentionDays int, id string) (*ngfwv1.LogEntry, error) {
	if err := db.down(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, db.cfg.QueryTimeout)
	defer cancel()
	defer db.metrics.query("find", db.now())

	origin, number, n, ok := parseID(id)
	if !ok {
		return nil, errNoRow
	}
	w := rowsOf(scope{orgID, retentionDays, db.now()})
	w.and("origin = " + w.bind("UInt64", origin))
	w.and("batch = " + w.bind("UInt64", number))
	w.and("row = " + w.bind("UInt32", n))
	rows, err := db.conn.Query(ctx, "SELECT "+logColumns+" FROM flows WHERE "+w.String()+" LIMIT 1", w.args()...)
	if err != nil {
		return nil, db.explain(err)
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return nil, db.explain(err)
		}
		return nil, errNoRow
	}
	r, err := scan(rows)
	if err != nil {
		return nil, err
	}
	return db.entry(r), nil
}

var errNoRow = fault.New(fault.NotFound, "no such log entry, or it is older than the log is kept")

// parseID takes the id of a row apart.
func parseID(id string) (origin, number uint64, n uint32, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(id)
	if err != nil || len(b) < 10 {
		return 0, 0, 0, false
	}
	origin, b = binary.BigEndian.Uint64(b), b[8:]
	number, k := binary.Uvarint(b)
	if k <= 0 {
		return 0, 0, 0, false
	}
	last, m := binary.Uvarint(b[k:])
	if m <= 0 || m != len(b)-k || last > math.MaxUint32 {
		return 0, 0, 0, false
	}
	return origin, number, uint32(last), true
}
