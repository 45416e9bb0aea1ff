package analytics

import (
	"context"
	"fmt"
	"time"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// logColumns are what scan reads, in its order.
const logColumns = `device_id, origin, batch, row, toUnixTimestamp64Micro(ts), CAST(event, 'Int8'), CAST(action, 'Int8'),
protocol, flow_id, source_ip, source_port, destination_ip, destination_port,
interface_in, interface_out, zone_from, zone_to, rule_id, rule_name, reason, policy_revision,
packets_sent, packets_received, bytes_sent, bytes_received, duration_us, count, icmp_type, icmp_code,
nat_source_ip, nat_source_port, nat_destination_ip, nat_destination_port,
source_mac, app, geo, threat, hostname`

const logOrder = "ts DESC, origin DESC, batch DESC, row DESC"

type scanner interface{ Scan(dest ...any) error }

// scan reads one row of logColumns.
func scan(s scanner) (*row, error) {
	r := &row{stamp: &stamp{}}
	var ev, ac int8
	err := s.Scan(&r.deviceID, &r.origin, &r.number, &r.n, &r.time, &ev, &ac,
		&r.protocol, &r.flowID, &r.src, &r.srcPort, &r.dst, &r.dstPort,
		&r.interfaceIn, &r.interfaceOut, &r.zoneFrom, &r.zoneTo, &r.ruleID, &r.ruleName, &r.reason, &r.revision,
		&r.packetsSent, &r.packetsReceived, &r.bytesSent, &r.bytesReceived, &r.duration, &r.count, &r.icmpType, &r.icmpCode,
		&r.natSrc, &r.natSrcPort, &r.natDst, &r.natDstPort,
		&r.mac, &r.app, &r.geo, &r.threat, &r.hostname)
	r.event, r.action = event(ev), action(ac)
	r.src, r.dst = r.src.Unmap(), r.dst.Unmap()
	r.natSrc, r.natDst = translated(r.natSrc), translated(r.natDst)
	return r, err
}

// Logs answers a page of the log, newest first. The total is that of the whole
// filter, exact up to 10,000 and beyond that only when the query asks for it.
func (db *DB) Logs(ctx context.Context, orgID string, q LogQuery) (*ngfwv1.LogsResponse, error) {
	if err := db.down(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, db.cfg.QueryTimeout)
	defer cancel()
	defer db.metrics.query("logs", db.now())

	now := db.now()
	res := &ngfwv1.LogsResponse{Logs: []*ngfwv1.LogEntry{}}
	w := rowsOf(scope{orgID, q.RetentionDays, now})
	q.conditions(w)
	if q.cursor != nil {
		q.cursor.after(w)
	}
	sql := fmt.Sprintf("SELECT %s FROM flows WHERE %s ORDER BY %s LIMIT %d OFFSET %d", logColumns, w, logOrder, q.limit+1, q.offset)
	rows, err := db.conn.Query(ctx, sql, w.args()...)
	if err != nil {
		return nil, db.explain(err)
	}
	defer rows.Close()
	var last *row
	more := false
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("read a flow row: %w", err)
		}
		if more = len(res.Logs) == q.limit; more {
			continue
		}
		res.Logs = append(res.Logs, r.entry())
		last = r
	}
	if err := rows.Err(); err != nil {
		return nil, db.explain(err)
	}
	if more {
		res.NextCursor = last.place().String()
	}
	// A last page that is not empty tells the total by itself.
	if !more && q.cursor == nil && (len(res.Logs) > 0 || q.offset == 0) {
		res.Total = int64(q.offset + len(res.Logs))
		return bounded(res, q), nil
	}
	if res.Total, err = db.total(ctx, orgID, q, now); err != nil {
		return nil, db.explain(err)
	}
	return bounded(res, q), nil
}

// total counts the rows of the filter, one beyond exactTotal at most unless all
// are asked for.
func (db *DB) total(ctx context.Context, orgID string, q LogQuery, now time.Time) (int64, error) {
	w := rowsOf(scope{orgID, q.RetentionDays, now})
	q.conditions(w)
	sql := fmt.Sprintf("SELECT count() FROM (SELECT 1 FROM flows WHERE %s LIMIT %d)", w, exactTotal+1)
	if q.countAll {
		sql = fmt.Sprintf("SELECT count() FROM flows WHERE %s", w)
	}
	var n uint64
	err := db.conn.QueryRow(ctx, sql, w.args()...).Scan(&n)
	return int64(n), err
}

// bounded tells a total beyond exactTotal as that and not exact.
func bounded(res *ngfwv1.LogsResponse, q LogQuery) *ngfwv1.LogsResponse {
	if res.Total > exactTotal && !q.countAll {
		res.Total, res.TotalExact = exactTotal, new(bool)
	}
	return res
}
