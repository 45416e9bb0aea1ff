package analytics

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// ask parses and asks.
func ask(t testing.TB, db *DB, orgID string, r *ngfwv1.LogsRequest) *ngfwv1.LogsResponse {
	t.Helper()
	q, err := ParseLogs(r)
	if err != nil {
		t.Fatal(err)
	}
	res, err := db.Logs(t.Context(), orgID, q)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func store(t testing.TB, db *DB, o Origin, b *ngfwv1.FlowBatch) {
	t.Helper()
	if err := db.Store(t.Context(), o, b); err != nil {
		t.Fatal(err)
	}
}

func TestLogShowsEveryField(t *testing.T) {
	db := openTest(t, nil)
	at := time.Now().Add(-time.Minute).Truncate(time.Microsecond)
	sub, err := db.Subscribe(org.OrgID, LogQuery{}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	store(t, db, org, batch("e", 1,
		flow(at, func(e *ngfwv1.FlowEvent) {
			e.Kind, e.DurationNs = ngfwv1.EventKind_EVENT_KIND_CLOSE, 1_500_000_000
			e.App, e.Geo, e.Threat, e.Hostname = "tls", "de", "botnet", "laptop"
			e.NatSourceIp, e.NatSourcePort = ip("198.51.100.1"), 61000
			e.Count = 3
		}),
		flow(at.Add(-time.Second), func(e *ngfwv1.FlowEvent) {
			e.Kind, e.Action = ngfwv1.EventKind_EVENT_KIND_REFUSED, ngfwv1.Verdict_VERDICT_DROP
			e.Protocol, e.IcmpType, e.IcmpCode = 58, 128, 0
			e.SourceIp, e.DestinationIp = ip("2001:db8::1"), ip("2001:db8::2")
			e.SourcePort, e.DestinationPort, e.RuleId, e.RuleName, e.SourceMac = 0, 0, 0, "", nil
			e.Reason = "default"
		}),
		flow(at.Add(-2*time.Second), func(e *ngfwv1.FlowEvent) { e.Protocol = 47 }),
	))
	got := ask(t, db, org.OrgID, &ngfwv1.LogsRequest{})
	ts := float64(at.UnixMicro()) / 1e6
	want := &ngfwv1.LogsResponse{Total: 3, Logs: []*ngfwv1.LogEntry{
		{
			FlowId: "0000000000001234", DeviceId: "dev-1", Event: "close", Timestamp: ts, Action: "accept",
			Interface: "lan0", ZoneFrom: "LAN", ZoneTo: "WAN", Protocol: "tcp",
			SourceIp: "192.168.1.10", SourcePort: 40000, SourceMac: present("02:00:00:00:00:01"),
			DestinationIp: "203.0.113.5", DestinationPort: 443, RuleId: present(int64(7)), RuleName: present("web"), PolicyRevision: 3,
			App: present("tls"), Geo: present("DE"), Threat: present("botnet"), Hostname: present("laptop"),
			Bytes: 180, Packets: 3, BytesSent: 120, BytesReceived: 60, DurationMs: present(int64(1500)), Count: 3, Reason: "rule",
			Nat: &ngfwv1.NatTuple{SourceIp: "198.51.100.1", SourcePort: 61000, DestinationIp: "203.0.113.5", DestinationPort: 443},
		},
		{
			FlowId: "0000000000001234", DeviceId: "dev-1", Event: "refused", Timestamp: ts - 1, Action: "drop",
			Interface: "lan0", ZoneFrom: "LAN", ZoneTo: "WAN", Protocol: "icmpv6",
			SourceIp: "2001:db8::1", DestinationIp: "2001:db8::2", PolicyRevision: 3,
			Bytes: 180, Packets: 3, BytesSent: 120, BytesReceived: 60, Count: 1, Reason: "default",
			IcmpType: present(uint32(128)), IcmpCode: present(uint32(0)),
		},
		{
			FlowId: "0000000000001234", DeviceId: "dev-1", Event: "open", Timestamp: ts - 2, Action: "accept",
			Interface: "lan0", ZoneFrom: "LAN", ZoneTo: "WAN", Protocol: "47",
			SourceIp: "192.168.1.10", SourcePort: 40000, SourceMac: present("02:00:00:00:00:01"),
			DestinationIp: "203.0.113.5", DestinationPort: 443, RuleId: present(int64(7)), RuleName: present("web"), PolicyRevision: 3,
			Bytes: 180, Packets: 3, BytesSent: 120, BytesReceived: 60, Count: 1, Reason: "rule",
		},
	}}
	if d := cmp.Diff(want, got, protocmp.Transform(), protocmp.IgnoreFields(&ngfwv1.LogEntry{}, "id"),
		protocmp.FilterField(&ngfwv1.LogEntry{}, "timestamp", cmp.Comparer(func(a, b float64) bool { return a-b < 1e-5 && b-a < 1e-5 }))); d != "" {
		t.Errorf("log (-want +got)\n%s", d)
	}
	t.Run("the live stream shows the same", func(t *testing.T) {
		for i, want := range got.Logs {
			f, err := sub.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, f.Data, protocmp.Transform()); d != "" || f.Type != "log" {
				t.Errorf("frame %d (-stored +live)\n%s", i, d)
			}
		}
	})
	t.Run("another organisation sees nothing", func(t *testing.T) {
		if res := ask(t, db, "org-2", &ngfwv1.LogsRequest{}); res.Total != 0 || len(res.Logs) != 0 {
			t.Errorf("%v", res)
		}
	})
}

func TestPagesAreStableUnderInserts(t *testing.T) {
	db := openTest(t, nil)
	now := time.Now()
	// Many rows of the same microsecond: the order within it must hold too.
	events := func(n int, at time.Time) (out []*ngfwv1.FlowEvent) {
		for i := range n {
			out = append(out, flow(at.Add(-time.Duration(i/40)*time.Second)))
		}
		return out
	}
	store(t, db, org, batch("e", 1, events(200, now)...))
	store(t, db, Origin{org.OrgID, "dev-2", 7}, batch("e", 1, events(200, now)...))
	before := map[string]bool{}
	for _, e := range ask(t, db, org.OrgID, &ngfwv1.LogsRequest{Limit: present(int32(500))}).Logs {
		before[e.Id] = true
	}
	if len(before) != 400 {
		t.Fatalf("%d ids, want 400", len(before))
	}
	seen := map[string]bool{}
	var last *ngfwv1.LogEntry
	cursor := ""
	for page := 0; ; page++ {
		res := ask(t, db, org.OrgID, &ngfwv1.LogsRequest{Limit: present(int32(37)), Cursor: cursor})
		for _, e := range res.Logs {
			if seen[e.Id] {
				t.Fatalf("%s twice", e.Id)
			}
			if last != nil && e.Timestamp > last.Timestamp {
				t.Fatalf("%v after %v", e.Timestamp, last.Timestamp)
			}
			seen[e.Id], last = true, e
		}
		// Newer rows, and older ones that come late, between the pages.
		store(t, db, org, batch("e", uint64(page+2), flow(now.Add(time.Second)), flow(now.Add(-time.Hour))))
		if cursor = res.GetNextCursor(); cursor == "" {
			break
		}
	}
	for id := range before {
		if !seen[id] {
			t.Errorf("%s skipped", id)
		}
	}
}

func TestTotal(t *testing.T) {
	db := openTest(t, nil)
	now := time.Now()
	var events []*ngfwv1.FlowEvent
	for i := range 10_050 {
		events = append(events, flow(now.Add(-time.Duration(i)*time.Millisecond), func(e *ngfwv1.FlowEvent) { e.SourcePort = uint32(i) }))
	}
	store(t, db, org, batch("e", 1, events...))
	for _, c := range []struct {
		name string
		r    *ngfwv1.LogsRequest
		want *ngfwv1.LogsResponse
		rows int
	}{
		{"bounded", &ngfwv1.LogsRequest{}, &ngfwv1.LogsResponse{Total: 10_000, TotalExact: new(bool)}, 50},
		{"exact", &ngfwv1.LogsRequest{Count: "exact"}, &ngfwv1.LogsResponse{Total: 10_050}, 50},
		{"of the filter", &ngfwv1.LogsRequest{To: fmt.Sprint(now.Unix() - 5)}, &ngfwv1.LogsResponse{}, 50},
		{"one page", &ngfwv1.LogsRequest{From: fmt.Sprintf("%d.%06d", now.Add(-9*time.Millisecond).Unix(), now.Add(-9*time.Millisecond).Nanosecond()/1000)}, &ngfwv1.LogsResponse{Total: 10}, 10},
		{"beyond the end", &ngfwv1.LogsRequest{Offset: present(int32(10_000)), Limit: present(int32(500))}, &ngfwv1.LogsResponse{Total: 10_000, TotalExact: new(bool)}, 50},
		{"none", &ngfwv1.LogsRequest{Action: []string{"drop"}}, &ngfwv1.LogsResponse{}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ask(t, db, org.OrgID, c.r)
			if len(got.Logs) != c.rows {
				t.Errorf("%d rows, want %d", len(got.Logs), c.rows)
			}
			if c.name == "of the filter" {
				if got.Total < 4_000 || got.Total > 6_100 || got.TotalExact != nil {
					t.Errorf("total %d", got.Total)
				}
				return
			}
			if d := cmp.Diff(c.want, got, protocmp.Transform(), protocmp.IgnoreFields(&ngfwv1.LogsResponse{}, "logs", "next_cursor")); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestRetentionHidesRowsAtOnce(t *testing.T) {
	clock := newTestClock()
	db := openTest(t, func(_ *Config, d *Deps) { d.Now = clock.now })
	now := clock.now()
	for _, days := range []int{1, 7, 30} {
		store(t, db, Origin{org.OrgID, fmt.Sprint("dev-", days), days}, batch("e", 1, flow(now.Add(-time.Hour))))
	}
	for _, c := range []struct{ days, keep, want int }{{0, 0, 3}, {2, 0, 2}, {8, 0, 1}, {31, 0, 0}, {2, 1, 0}, {2, 7, 2}} {
		clock.set(now.Add(time.Duration(c.days) * 24 * time.Hour))
		q, err := ParseLogs(&ngfwv1.LogsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		q.RetentionDays = c.keep
		res, err := db.Logs(t.Context(), org.OrgID, q)
		if err != nil || len(res.Logs) != c.want || res.Total != int64(c.want) {
			t.Errorf("after %d days, plan %d: %d rows, total %d, %v, want %d", c.days, c.keep, len(res.Logs), res.Total, err, c.want)
		}
	}
}
