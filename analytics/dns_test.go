package analytics

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// resolved is a query that a router's resolver answered.
func resolved(at time.Time, client, domain string, status ngfwv1.QueryStatus, change ...func(*ngfwv1.QueryEvent)) *ngfwv1.QueryEvent {
	q := &ngfwv1.QueryEvent{TimeNs: at.UnixNano(), ClientIp: ip(client), Domain: domain, QueryType: "A", Status: status, ResponseNs: 2_500_000}
	for _, c := range change {
		c(q)
	}
	return q
}

const (
	dnsAllowed = ngfwv1.QueryStatus_QUERY_STATUS_ALLOWED
	dnsBlocked = ngfwv1.QueryStatus_QUERY_STATUS_BLOCKED
	dnsCached  = ngfwv1.QueryStatus_QUERY_STATUS_CACHED
	dnsError   = ngfwv1.QueryStatus_QUERY_STATUS_ERROR
)

func TestDNSQueries(t *testing.T) {
	db := openTest(t, nil)
	now := time.Now().Truncate(time.Minute).Add(-time.Minute)
	store(t, db, org, &ngfwv1.FlowBatch{Epoch: "e", Number: 1, Queries: []*ngfwv1.QueryEvent{
		resolved(now, "192.168.1.10", "Ads.Example.ORG.", dnsBlocked, func(q *ngfwv1.QueryEvent) { q.BlockedBy = "ads" }),
		resolved(now.Add(-time.Second), "192.168.1.10", "www.example.org", dnsAllowed, func(q *ngfwv1.QueryEvent) { q.Answer = "203.0.113.8" }),
		resolved(now.Add(-2*time.Second), "fd00::10", "example.org", dnsCached, func(q *ngfwv1.QueryEvent) { q.QueryType, q.ResponseNs = "aaaa", 100_000 }),
		resolved(now.Add(-time.Hour), "192.168.1.11", "notexample.org", dnsError),
	}})
	store(t, db, Origin{OrgID: "org-2", DeviceID: "dev-2", RetentionDays: 30}, &ngfwv1.FlowBatch{Epoch: "e", Number: 1, Queries: []*ngfwv1.QueryEvent{
		resolved(now, "10.0.0.1", "other.example", dnsBlocked),
	}})
	find := func(r *ngfwv1.DnsQueriesRequest) *ngfwv1.DnsQueriesResponse {
		t.Helper()
		q, err := ParseDNSQueries(r)
		if err != nil {
			t.Fatal(err)
		}
		res, err := db.DNSQueries(t.Context(), org.OrgID, q)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}

	t.Run("fields", func(t *testing.T) {
		got := find(&ngfwv1.DnsQueriesRequest{})
		want := []*ngfwv1.DnsQuery{
			{DeviceId: "dev-1", Timestamp: float64(now.Unix()), Client: "192.168.1.10", Domain: "ads.example.org", QueryType: "A", Status: "blocked", ResponseTimeMs: 2.5, BlockedBy: present("ads")},
			{DeviceId: "dev-1", Timestamp: float64(now.Unix() - 1), Client: "192.168.1.10", Domain: "www.example.org", QueryType: "A", Status: "allowed", ResponseTimeMs: 2.5, Answer: present("203.0.113.8")},
			{DeviceId: "dev-1", Timestamp: float64(now.Unix() - 2), Client: "fd00::10", Domain: "example.org", QueryType: "AAAA", Status: "cached", ResponseTimeMs: 0.1},
			{DeviceId: "dev-1", Timestamp: float64(now.Unix() - 3600), Client: "192.168.1.11", Domain: "notexample.org", QueryType: "A", Status: "error", ResponseTimeMs: 2.5},
		}
		if d := cmp.Diff(want, got.Queries, protocmp.Transform(), protocmp.IgnoreFields(&ngfwv1.DnsQuery{}, "id")); d != "" || got.Total != 4 {
			t.Errorf("%d queries (-want +got)\n%s", got.Total, d)
		}
	})
	t.Run("filters", func(t *testing.T) {
		for _, c := range []struct {
			r    *ngfwv1.DnsQueriesRequest
			want int64
		}{
			{&ngfwv1.DnsQueriesRequest{Client: []string{"192.168.1.0/24"}}, 3},
			{&ngfwv1.DnsQueriesRequest{Client: []string{"fd00::10,192.168.1.11"}}, 2},
			{&ngfwv1.DnsQueriesRequest{Domain: []string{"Example.org."}}, 1},
			{&ngfwv1.DnsQueriesRequest{Domain: []string{"*.example.org"}}, 2},
			{&ngfwv1.DnsQueriesRequest{Domain: []string{"*.example.org", "example.org"}}, 3},
			{&ngfwv1.DnsQueriesRequest{Domain: []string{"%"}}, 0},
			{&ngfwv1.DnsQueriesRequest{QueryType: []string{"AAAA"}}, 1},
			{&ngfwv1.DnsQueriesRequest{QueryType: []string{"aaaa,a"}}, 4},
			{&ngfwv1.DnsQueriesRequest{Status: []string{"blocked", "error"}}, 2},
			{&ngfwv1.DnsQueriesRequest{BlockedBy: []string{"ads"}}, 1},
			{&ngfwv1.DnsQueriesRequest{BlockedBy: []string{"' OR 1=1 --"}}, 0},
			{&ngfwv1.DnsQueriesRequest{Q: "EXAMPLE"}, 4},
			{&ngfwv1.DnsQueriesRequest{Q: "_"}, 0},
			{&ngfwv1.DnsQueriesRequest{From: fmt.Sprint(now.Unix())}, 1},
			{&ngfwv1.DnsQueriesRequest{To: fmt.Sprint(now.Unix())}, 3},
			{&ngfwv1.DnsQueriesRequest{DeviceId: "dev-2"}, 0},
		} {
			if got := find(c.r); got.Total != c.want || len(got.Queries) != int(c.want) {
				t.Errorf("%v: %d, want %d", c.r, got.Total, c.want)
			}
		}
	})
	t.Run("pages", func(t *testing.T) {
		var seen []string
		for cursor := ""; ; {
			got := find(&ngfwv1.DnsQueriesRequest{Limit: new(int32(3)), Cursor: cursor})
			for _, q := range got.Queries {
				seen = append(seen, q.Domain)
			}
			if got.NextCursor == nil {
				break
			}
			cursor = *got.NextCursor
		}
		if d := cmp.Diff([]string{"ads.example.org", "www.example.org", "example.org", "notexample.org"}, seen); d != "" {
			t.Error(d)
		}
	})
	t.Run("statistics", func(t *testing.T) {
		q, err := ParseDNSStats(&ngfwv1.DnsStatsRequest{Period: "24h", Step: "1h"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := db.DNSStats(t.Context(), org.OrgID, q)
		if err != nil {
			t.Fatal(err)
		}
		var over, blocked int64
		for _, b := range got.QueriesOverTime {
			over, blocked = over+b.Queries, blocked+b.Blocked
		}
		if n := len(got.QueriesOverTime); over != 4 || blocked != 1 || n < 24 || n > 25 {
			t.Errorf("over time: %d queries, %d blocked in %d hours", over, blocked, n)
		}
		want := &ngfwv1.DnsStats{
			TotalQueries: 4, BlockedQueries: 1, CachedQueries: 1, AvgResponseTimeMs: 1.7,
			TopDomains: []*ngfwv1.DnsStats_Domain{{Domain: "ads.example.org", Queries: 1}, {Domain: "example.org", Queries: 1}, {Domain: "notexample.org", Queries: 1}, {Domain: "www.example.org", Queries: 1}},
			TopBlocked: []*ngfwv1.DnsStats_Domain{{Domain: "ads.example.org", Queries: 1}},
			TopClients: []*ngfwv1.DnsStats_Client{{Client: "192.168.1.10", Queries: 2, Blocked: 1}, {Client: "192.168.1.11", Queries: 1}, {Client: "fd00::10", Queries: 1}},
		}
		if d := cmp.Diff(want, got, protocmp.Transform(), protocmp.IgnoreFields(&ngfwv1.DnsStats{}, "from", "to", "queries_over_time")); d != "" {
			t.Errorf("statistics (-want +got)\n%s", d)
		}
	})
	t.Run("parameters", func(t *testing.T) {
		for field, r := range map[string]*ngfwv1.DnsQueriesRequest{
			"client": {Client: []string{"x"}}, "domain": {Domain: []string{"a*b"}}, "status": {Status: []string{"dropped"}},
			"to": {From: "9", To: "8"}, "limit": {Limit: new(int32(501))}, "query_type": {QueryType: []string{"A\x01B"}}, "q": {Q: "\x00"},
		} {
			_, err := ParseDNSQueries(r)
			var f *fault.Error
			if !errors.As(err, &f) || f.Code != fault.InvalidConfig || f.Fields[0].Path != field {
				t.Errorf("%s: %v", field, err)
			}
		}
	})
}
