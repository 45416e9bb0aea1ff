package analytics

import (
	"context"

	"ngfw.sh/internal/optional"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// logColumns are what scan reads, in its order.
const logColumns = `device_id, origin, batch, row, toUnixTimestamp64Micro(ts), CAST(event, 'Int8'), CAST(action, 'Int8'),
protocol, flow_id, source_ip, source_port, destination_ip, destination_port,
interface_in, interface_out, zone_from, zone_to, rule_id, rule_name, reason, policy_revision,
packets_sent, packets_received, bytes_sent, bytes_received, duration_us, count, icmp_type, icmp_code,
nat_source_ip, nat_source_port, nat_destination_ip, nat_destination_port,
source_mac, app, geo, threat, hostname`

// scan reads one row of logColumns.
func scan(s scanner) (*row, error) {
	r := &row{key: key{stamp: &stamp{}}}
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

// logListing reads flows.
var logListing = listing[row]{&flows, logColumns, scan, func(r *row) *key { return &r.key }}

// Logs answers a page of the log, newest first. The total is that of the whole
// filter, exact up to 10,000 and beyond that only when the query asks for it.
func (db *DB) Logs(ctx context.Context, orgID string, q LogQuery) (*ngfwv1.LogsResponse, error) {
	if err := db.down(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, db.cfg.QueryTimeout)
	defer cancel()
	defer db.metrics.query("logs", db.now())

	s := scope{orgID, q.RetentionDays, db.now()}
	f := q.filter
	if err := db.narrowTargets(ctx, s, &f); err != nil {
		return nil, db.explain(err)
	}
	res := &ngfwv1.LogsResponse{Logs: []*ngfwv1.LogEntry{}}
	if f.among != nil && len(f.among) == 0 {
		return res, nil // nothing has gone there
	}
	timeless := f
	timeless.from, timeless.to = 0, 0
	asked := question{f.conditions, timeless.conditions, f.from, f.to}
	got, err := pageAndTotal(ctx, db, s, q.page, logListing, asked, func(r *row) { res.Logs = append(res.Logs, db.entry(r)) },
		func(ctx context.Context) (int64, error) { return db.count(ctx, s, f, q.page) })
	if err != nil {
		return nil, err
	}
	res.Total, res.TotalExact, res.NextCursor = got.total, got.exact, optional.Of(got.next)
	return res, nil
}
