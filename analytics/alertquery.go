package analytics

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"ngfw.sh/internal/optional"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// AlertQuery is a question to the alert history, or the filter of a live
// stream, which leaves paging aside.
type AlertQuery struct {
	alertFilter
	page

	RetentionDays int // as in LogQuery
}

// alertFilter is for alerts what filter is for flows.
type alertFilter struct {
	deviceID   string
	severities []severity
	outcomes   []outcome
	categories []string
	signatures []int64
	flows      []uint64
	sources    []netip.Prefix
	targets    []netip.Prefix
	ports      []portRange
	protocols  []uint8
	search     string
	address    netip.Addr
	from, to   int64
}

// ParseAlerts reads the parameters of a request. Its errors name the parameter.
func ParseAlerts(r *ngfwv1.AlertsRequest) (AlertQuery, error) {
	q := AlertQuery{alertFilter: alertFilter{deviceID: r.GetDeviceId()}}
	var errs [11]error
	q.severities, errs[0] = list("severity", r.GetSeverity(), enumeration[severity](severityNames[:]))
	q.outcomes, errs[1] = list("action", r.GetAction(), enumeration[outcome](outcomeNames[:]))
	q.categories, errs[2] = list("category", r.GetCategory(), readText)
	q.signatures, errs[3] = list("signature_id", r.GetSignatureId(), readSignature)
	q.flows, errs[4] = list("flow_id", r.GetFlowId(), readFlow)
	q.sources, errs[5] = list("src", r.GetSrc(), readPrefix)
	q.targets, errs[6] = list("dst", r.GetDst(), readPrefix)
	q.ports, errs[7] = list("port", r.GetPort(), readPorts)
	q.protocols, errs[8] = list("proto", r.GetProto(), readProtocol)
	q.search, q.address, errs[9] = readSearch(r.GetQ())
	q.from, q.to, errs[10] = readSpan(r.GetFrom(), r.GetTo())
	for _, err := range errs {
		if err != nil {
			return AlertQuery{}, err
		}
	}
	var err error
	q.page, err = readPage(r, r.Limit)
	return q, err
}

func readSignature(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, wrong("is not the id of a signature")
	}
	return n, nil
}

func readFlow(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) != 16 {
		return 0, wrong("is not a flow_id of the log")
	}
	return n, nil
}

// conditions puts the filter into a query.
func (f *alertFilter) conditions(w *where) {
	if f.deviceID != "" {
		w.and("device_id = " + w.bind("String", f.deviceID))
	}
	if f.from != 0 {
		w.and("ts >= " + w.bindTime(f.from))
	}
	if f.to != 0 {
		w.and("ts < " + w.bindTime(f.to))
	}
	in(w, "severity", "Array(String)", texts(f.severities))
	in(w, "action", "Array(String)", texts(f.outcomes))
	in(w, "category", "Array(String)", f.categories)
	in(w, "signature_id", "Array(Int64)", f.signatures)
	in(w, "flow_id", "Array(UInt64)", f.flows)
	in(w, "protocol", "Array(UInt16)", widened(f.protocols))
	w.andAny(prefixConditions(w, "source_ip", f.sources))
	w.andAny(prefixConditions(w, "destination_ip", f.targets))
	w.andAny(portConditions(w, "destination_port", f.ports))
	w.andAny(searchConditions(w, f.search, f.address))
}

// match is the filter in Go.
func (f *alertFilter) match(a *alert) bool {
	switch {
	case f.deviceID != "" && f.deviceID != a.deviceID,
		f.from != 0 && a.time < f.from,
		f.to != 0 && a.time >= f.to,
		!oneOf(f.severities, a.severity),
		!oneOf(f.outcomes, a.outcome),
		!oneOf(f.categories, a.category),
		!oneOf(f.signatures, a.sid),
		!oneOf(f.flows, a.flowID),
		!oneOf(f.protocols, a.protocol),
		!within(f.sources, a.src),
		!within(f.targets, a.dst),
		len(f.ports) > 0 && !slices.ContainsFunc(f.ports, func(p portRange) bool { return p.lo <= a.dstPort && a.dstPort <= p.hi }):
		return false
	}
	return f.search == "" || strings.Contains(a.words, f.search) ||
		f.address.IsValid() && (a.src == f.address || a.dst == f.address)
}

// alertListing reads alerts.
var alertListing = listing[alert]{&alerts, `device_id, origin, batch, row, toUnixTimestamp64Micro(ts), CAST(severity, 'Int8'), CAST(action, 'Int8'),
signature, signature_id, category, source_ip, source_port, destination_ip, destination_port, protocol, app_proto, flow_id, payload, metadata`,
	func(s scanner) (*alert, error) {
		a := &alert{key: key{stamp: &stamp{}}}
		var sev, out int8
		err := s.Scan(&a.deviceID, &a.origin, &a.number, &a.n, &a.time, &sev, &out,
			&a.signature, &a.sid, &a.category, &a.src, &a.srcPort, &a.dst, &a.dstPort, &a.protocol, &a.app, &a.flowID, &a.payload, &a.metadata)
		a.severity, a.outcome, a.src, a.dst = severity(sev), outcome(out), a.src.Unmap(), a.dst.Unmap()
		return a, err
	}, func(a *alert) *key { return &a.key }}

// Alerts answers a page of the alert history, as Logs does of the log.
func (db *DB) Alerts(ctx context.Context, orgID string, q AlertQuery) (*ngfwv1.AlertsResponse, error) {
	if err := db.down(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, db.cfg.QueryTimeout)
	defer cancel()
	defer db.metrics.query("alerts", db.now())

	res := &ngfwv1.AlertsResponse{Alerts: []*ngfwv1.IdsAlert{}}
	timeless := q.alertFilter
	timeless.from, timeless.to = 0, 0
	asked := question{q.conditions, timeless.conditions, q.from, q.to}
	got, err := pageOf(ctx, db, scope{orgID, q.RetentionDays, db.now()}, q.page, alertListing, asked,
		func(a *alert) { res.Alerts = append(res.Alerts, a.entry()) })
	if err != nil {
		return nil, err
	}
	res.Total, res.TotalExact, res.NextCursor = got.total, got.exact, optional.Of(got.next)
	return res, nil
}

// SubscribeAlerts is Subscribe for alerts.
func (db *DB) SubscribeAlerts(orgID string, q AlertQuery, cursor string) (*Subscription[alert], error) {
	after, err := parseLiveCursor(cursor)
	if err != nil {
		return nil, err
	}
	return db.liveAlerts.subscribe(orgID, q.alertFilter.match, after)
}
