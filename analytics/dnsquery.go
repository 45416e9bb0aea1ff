package analytics

import (
	"context"
	"net/netip"
	"strings"

	"ngfw.sh/internal/optional"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// DNSQuery asks for the DNS queries of the record.
type DNSQuery struct {
	queryFilter
	page

	RetentionDays int // as in LogQuery
}

// queryFilter is for DNS queries what filter is for flows.
type queryFilter struct {
	deviceID  string
	clients   []netip.Prefix
	domains   []domainFilter
	kinds     []string
	statuses  []queryStatus
	blockedBy []string
	search    string
	from, to  int64
}

// domainFilter is a name, or with below all names that end with it.
type domainFilter struct {
	name  string
	below bool
}

// ParseDNSQueries reads the parameters of a request. Its errors name the
// parameter.
func ParseDNSQueries(r *ngfwv1.DnsQueriesRequest) (DNSQuery, error) {
	q := DNSQuery{queryFilter: queryFilter{deviceID: r.GetDeviceId()}}
	var errs [7]error
	q.clients, errs[0] = list("client", r.GetClient(), readPrefix)
	q.domains, errs[1] = list("domain", r.GetDomain(), readDomain)
	q.kinds, errs[2] = list("query_type", r.GetQueryType(), readQueryType)
	q.statuses, errs[3] = list("status", r.GetStatus(), enumeration[queryStatus](queryStatusNames[:]))
	q.blockedBy, errs[4] = list("blocked_by", r.GetBlockedBy(), readText)
	q.search, _, errs[5] = readSearch(r.GetQ())
	q.from, q.to, errs[6] = readSpan(r.GetFrom(), r.GetTo())
	for _, err := range errs {
		if err != nil {
			return DNSQuery{}, err
		}
	}
	var err error
	q.page, err = readPage(r, r.Limit)
	return q, err
}

func readDomain(s string) (domainFilter, error) {
	name, below := strings.CutPrefix(s, "*.")
	name = domainName(name)
	if name == "" || len(name) > maxDomain || strings.ContainsAny(name, "* ") {
		return domainFilter{}, wrong("is not a domain, nor *. before one")
	}
	return domainFilter{name, below}, nil
}

func readQueryType(s string) (string, error) {
	if s, err := readText(s); err != nil || len(s) > maxQueryType {
		return "", wrong("is not a type of DNS queries")
	}
	return strings.ToUpper(s), nil
}

// conditions puts the filter into a query.
func (f *queryFilter) conditions(w *where) {
	if f.deviceID != "" {
		w.and("device_id = " + w.bind("String", f.deviceID))
	}
	if f.from != 0 {
		w.and("ts >= " + w.bindTime(f.from))
	}
	if f.to != 0 {
		w.and("ts < " + w.bindTime(f.to))
	}
	w.andAny(prefixConditions(w, "client_ip", f.clients))
	var names []string
	for _, d := range f.domains {
		if d.below {
			names = append(names, "endsWith(domain, "+w.bind("String", "."+d.name)+")")
		} else {
			names = append(names, "domain = "+w.bind("String", d.name))
		}
	}
	w.andAny(names)
	in(w, "query_type", "Array(String)", f.kinds)
	in(w, "status", "Array(String)", texts(f.statuses))
	in(w, "blocked_by", "Array(String)", f.blockedBy)
	if f.search != "" {
		w.and("domain LIKE " + w.bind("String", "%"+likeEscapes.Replace(f.search)+"%"))
	}
}

// queryListing reads DNS queries.
var queryListing = listing[query]{&queries, `device_id, origin, batch, row, toUnixTimestamp64Micro(ts), client_ip, domain, query_type,
CAST(status, 'Int8'), response_us, blocked_by, answer`,
	func(s scanner) (*query, error) {
		q := &query{key: key{stamp: &stamp{}}}
		var status int8
		err := s.Scan(&q.deviceID, &q.origin, &q.number, &q.n, &q.time, &q.client, &q.domain, &q.kind, &status, &q.response, &q.blockedBy, &q.answer)
		q.status, q.client = queryStatus(status), q.client.Unmap()
		return q, err
	}, func(q *query) *key { return &q.key }}

// DNSQueries answers a page of the DNS log, as Logs does of the traffic log.
func (db *DB) DNSQueries(ctx context.Context, orgID string, q DNSQuery) (*ngfwv1.DnsQueriesResponse, error) {
	if err := db.down(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, db.cfg.QueryTimeout)
	defer cancel()
	defer db.metrics.query("dns_queries", db.now())

	res := &ngfwv1.DnsQueriesResponse{Queries: []*ngfwv1.DnsQuery{}}
	timeless := q.queryFilter
	timeless.from, timeless.to = 0, 0
	asked := question{q.conditions, timeless.conditions, q.from, q.to}
	got, err := pageOf(ctx, db, scope{orgID, q.RetentionDays, db.now()}, q.page, queryListing, asked,
		func(q *query) { res.Queries = append(res.Queries, q.entry()) })
	if err != nil {
		return nil, err
	}
	res.Total, res.TotalExact, res.NextCursor = got.total, got.exact, optional.Of(got.next)
	return res, nil
}

// entry is the query as the API shows it.
func (q *query) entry() *ngfwv1.DnsQuery {
	return &ngfwv1.DnsQuery{
		Id: q.id(), DeviceId: q.deviceID, Timestamp: float64(q.time) / 1e6, Client: q.client.String(),
		Domain: q.domain, QueryType: q.kind, Status: q.status.String(), ResponseTimeMs: float64(q.response) / 1000,
		BlockedBy: optional.Of(q.blockedBy), Answer: optional.Of(q.answer),
	}
}
