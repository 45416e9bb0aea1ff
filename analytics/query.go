package analytics

import (
	"math"
	"net/netip"
	"strings"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

type queryStatus int8

const (
	queryBlocked queryStatus = 2
	queryCached  queryStatus = 3
)

var queryStatusNames = [...]string{"", "allowed", "blocked", "cached", "error"}

func (s queryStatus) String() string { return queryStatusNames[s] }

// query is a question that a router's resolver was asked.
type query struct {
	key

	client    netip.Addr // never a mapped IPv4
	domain    string
	kind      string
	status    queryStatus
	response  uint64 // microseconds
	blockedBy string
	answer    string
}

// queries holds one row for each DNS query.
var queries = table{
	name: "dns_queries",
	columns: keyed(func(q *query) *key { return &q.key },
		col("client_ip", "IPv6", plain, func(q *query) [16]byte { return mapped(q.client) }),
		col("domain", "String", plain, func(q *query) string { return q.domain }),
		col("query_type", name, "", func(q *query) string { return q.kind }),
		col("status", "Enum8('allowed' = 1, 'blocked' = 2, 'cached' = 3, 'error' = 4)", plain, func(q *query) int8 { return int8(q.status) }),
		col("response_us", "UInt64", small, func(q *query) uint64 { return q.response }),
		col("blocked_by", name, "", func(q *query) string { return q.blockedBy }),
		col("answer", "String", plain, func(q *query) string { return q.answer }),
	),
	indexes: []string{
		"INDEX by_client client_ip TYPE bloom_filter(0.01) GRANULARITY 4",
		"INDEX by_domain domain TYPE bloom_filter(0.01) GRANULARITY 4",
		"INDEX by_status status TYPE set(8) GRANULARITY 4",
		"INDEX by_device device_id TYPE set(16) GRANULARITY 4",
		positions,
	},
	tail: keyedTail,
}

// decode fills the query and returns "" or why the event means nothing.
func (q *query) decode(e *ngfwv1.QueryEvent) (reason string) {
	if e == nil {
		return "empty"
	}
	var ok bool
	if q.client, ok = address(e.ClientIp); !ok || !q.client.IsValid() {
		return "client_ip"
	}
	if e.Status < 1 || int(e.Status) >= len(queryStatusNames) {
		return "status"
	}
	if e.Domain == "" || len(e.Domain) > maxDomain || len(e.QueryType) > maxQueryType {
		return "domain"
	}
	if len(e.BlockedBy) > maxText || len(e.Answer) > maxText {
		return "text"
	}
	if e.ResponseNs < 0 || e.ResponseNs > math.MaxInt64/2 {
		return "counter"
	}
	q.domain, q.kind, q.status = domainName(e.Domain), strings.ToUpper(e.QueryType), queryStatus(e.Status)
	q.response, q.blockedBy, q.answer = uint64(e.ResponseNs/1000), e.BlockedBy, e.Answer
	return ""
}

const (
	maxDomain    = 255 // RFC 1035, section 2.3.4
	maxQueryType = 32
)

// domainName is a name as it is stored.
func domainName(s string) string { return strings.ToLower(strings.TrimSuffix(s, ".")) }
