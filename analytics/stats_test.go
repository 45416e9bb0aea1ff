package analytics

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestStats(t *testing.T) {
	clock := newTestClock()
	now := time.Date(2026, 9, 14, 12, 34, 56, 0, time.UTC)
	clock.set(now)
	db := openTest(t, func(_ *Config, d *Deps) { d.Now = clock.now })
	at := func(h, m int) time.Time { return time.Date(2026, 9, 14, h, m, 30, 0, time.UTC) }
	sizes := func(sent, received uint64) func(*ngfwv1.FlowEvent) {
		return func(e *ngfwv1.FlowEvent) {
			e.BytesSent, e.BytesReceived, e.PacketsSent, e.PacketsReceived = sent, received, 1, 1
		}
	}
	refused := func(v ngfwv1.Verdict, n uint32, threat string) func(*ngfwv1.FlowEvent) {
		return func(e *ngfwv1.FlowEvent) {
			e.Kind, e.Action, e.Count, e.Threat = ngfwv1.EventKind_EVENT_KIND_REFUSED, v, n, threat
			e.BytesReceived, e.PacketsReceived = 0, 0
		}
	}
	long := Origin{org.OrgID, org.DeviceID, 3650} // the engine drops what is past its own clock
	store(t, db, long, batch("e", 1,
		flow(at(10, 1), sizes(100, 1000), func(e *ngfwv1.FlowEvent) { e.App, e.Geo = "tls", "DE" }),
		flow(at(10, 2), sizes(10, 20), func(e *ngfwv1.FlowEvent) { e.Kind, e.App, e.Geo = ngfwv1.EventKind_EVENT_KIND_CLOSE, "tls", "DE" }),
		flow(at(10, 7), sizes(5, 7), func(e *ngfwv1.FlowEvent) { e.ZoneFrom, e.ZoneTo, e.Protocol, e.App = "WAN", "LAN", 17, "dns" }),
		flow(at(10, 8), sizes(300, 400), func(e *ngfwv1.FlowEvent) { e.ZoneTo = "IOT" }),
		flow(at(11, 59), sizes(50, 0), refused(ngfwv1.Verdict_VERDICT_DROP, 3, "scan")),
		flow(at(11, 59), sizes(60, 0), refused(ngfwv1.Verdict_VERDICT_REJECT, 2, "")),
		flow(at(9, 0), sizes(7, 7)), // before
	))
	from, to := at(10, 1).Unix()-30, at(12, 0).Unix()
	r := &ngfwv1.StatsRequest{From: fmt.Sprint(from), To: fmt.Sprint(to), Step: "1h", Compare: "previous"}
	q, err := ParseStats(r)
	if err != nil {
		t.Fatal(err)
	}
	got, source, err := db.Stats(t.Context(), org.OrgID, q)
	if err != nil || source != Rollup {
		t.Fatal(source, err)
	}
	hour := func(h int) int64 { return time.Date(2026, 9, 14, h, 0, 0, 0, time.UTC).Unix() }
	want := &ngfwv1.TrafficStats{
		From: from, To: to, TotalBytes: 1952, TotalPackets: 10, TotalConnections: 8, Accepted: 3, Dropped: 3, Rejected: 2, ThreatsBlocked: 3,
		ByProtocol:    []*ngfwv1.TrafficStats_Protocol{{Protocol: "tcp", Bytes: 1940, Packets: 8}, {Protocol: "udp", Bytes: 12, Packets: 2}},
		ByApplication: []*ngfwv1.TrafficStats_Application{{App: "tls", Bytes: 1130, Connections: 1}, {App: "dns", Bytes: 12, Connections: 1}},
		ByGeo:         []*ngfwv1.TrafficStats_Country{{CountryCode: "DE", CountryName: "Germany", Bytes: 1130, Connections: 1}},
		OverTime: []*ngfwv1.TrafficStats_Bucket{
			{Timestamp: hour(10), BytesIn: 1025, BytesOut: 117, Packets: 8, Accepted: 3},
			{Timestamp: hour(11), BytesOut: 110, Packets: 2, Dropped: 3, Rejected: 2},
			{Timestamp: hour(12)},
		},
		Previous: &ngfwv1.TrafficStats_Previous{From: from - (to - from), To: from, TotalBytes: 14, TotalPackets: 2, TotalConnections: 1, Accepted: 1},
	}
	if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
		t.Error(d)
	}

	t.Run("a plan that does not reach back shows no span before", func(t *testing.T) {
		q := q
		q.period.from -= 23 * 3600e6
		q.RetentionDays = 1
		got, _, err := db.Stats(t.Context(), org.OrgID, q)
		if err != nil || got.Previous != nil {
			t.Errorf("%v, %v", got.GetPrevious(), err)
		}
	})
	t.Run("buckets", func(t *testing.T) {
		for _, c := range []struct {
			r     *ngfwv1.StatsRequest
			n     int
			first int64
			step  int64
		}{
			{&ngfwv1.StatsRequest{}, 288, now.Unix() + 4 - 86400, 300}, // the minute that has begun is whole
			{&ngfwv1.StatsRequest{Period: "1h"}, 60, now.Unix() + 4 - 3600, 60},
			{&ngfwv1.StatsRequest{Period: "30d"}, 241, now.Unix() - 30*86400 - (now.Unix() % 10800), 10800},
			{&ngfwv1.StatsRequest{From: "10", To: "95", Step: "10"}, 9, 10, 10},
			{&ngfwv1.StatsRequest{From: "11", To: "95", Step: "10s"}, 9, 10, 10},
		} {
			q, err := ParseStats(c.r)
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := db.Stats(t.Context(), "org-x", q)
			if err != nil {
				t.Fatal(err)
			}
			b := got.OverTime
			if len(b) != c.n || b[0].Timestamp != c.first || b[1].Timestamp != c.first+c.step || b[0].Timestamp%c.step != 0 || b[len(b)-1].Timestamp >= got.To {
				t.Errorf("%v: %d from %d by %d until %d, want %d from %d", c.r, len(b), b[0].Timestamp, b[1].Timestamp-b[0].Timestamp, got.To, c.n, c.first)
			}
		}
	})
}

func TestQuestionParameters(t *testing.T) {
	for _, c := range []struct {
		field string
		r     *ngfwv1.StatsRequest
	}{
		{"step", &ngfwv1.StatsRequest{Step: "0"}},
		{"step", &ngfwv1.StatsRequest{Step: "-5m"}},
		{"step", &ngfwv1.StatsRequest{Step: "m"}},
		{"step", &ngfwv1.StatsRequest{Step: "99999999d"}},
		{"step", &ngfwv1.StatsRequest{Step: "1s; DROP TABLE flows"}},
		{"step", &ngfwv1.StatsRequest{From: "1000000", To: "2000000", Step: "60"}},
		{"period", &ngfwv1.StatsRequest{Period: "1y"}},
		{"period", &ngfwv1.StatsRequest{Period: "24h", From: "100"}},
		{"to", &ngfwv1.StatsRequest{From: "200", To: "100"}},
		{"from", &ngfwv1.StatsRequest{From: "1", To: "9999999999"}},
		{"compare", &ngfwv1.StatsRequest{Compare: "next"}},
		{"geo", &ngfwv1.StatsRequest{Geo: []string{"Germany"}}},
		{"action", &ngfwv1.StatsRequest{Action: []string{"allow"}}},
		{"src", &ngfwv1.StatsRequest{Src: []string{"') OR 1=1 --"}}},
	} {
		_, err := ParseStats(c.r)
		if f, ok := fault.As(err); !ok || f.Field() != c.field {
			t.Errorf("%v: %v, want one that names %s", c.r, err, c.field)
		}
		if c.field == "step" {
			continue
		}
		_, err = ParseTop(&ngfwv1.TopRequest{Period: c.r.Period, From: c.r.From, To: c.r.To, Compare: c.r.Compare, Geo: c.r.Geo, Action: c.r.Action, Src: c.r.Src})
		if f, ok := fault.As(err); !ok || f.Field() != c.field {
			t.Errorf("top, %v: %v, want one that names %s", c.r, err, c.field)
		}
	}
	for _, limit := range []int32{0, -1, 501} {
		if f, _ := fault.As(func() error { _, err := ParseTop(&ngfwv1.TopRequest{Limit: &limit}); return err }()); f.Field() != "limit" {
			t.Errorf("limit %d: %v", limit, f)
		}
	}
	t.Run("a span in which nothing can be", func(t *testing.T) {
		db := openTest(t, nil)
		store(t, db, org, batch("e", 1, flow(time.Now())))
		for _, span := range [][2]int64{{5_000_000_000, 5_000_003_600}, {10_000_000_000, 10_000_000_060}, {100, 200}} {
			r := &ngfwv1.TopRequest{From: fmt.Sprint(span[0]), To: fmt.Sprint(span[1]), Compare: "previous"}
			answers, _, err := questions(db, t.Context(), 0, r, "")
			if stats, _ := answers["stats"].(*ngfwv1.TrafficStats); err != nil || stats.GetTotalBytes() != 0 || len(stats.GetOverTime()) == 0 {
				t.Errorf("%v: %v, %v", span, answers, err)
			}
		}
		q, err := ParseTop(&ngfwv1.TopRequest{From: fmt.Sprint(time.Now().Unix() - 3600), To: "5000000000"})
		if err == nil {
			_, _, err = db.TopClients(t.Context(), org.OrgID, q)
		}
		if f, ok := fault.As(err); !ok || f.Field() != "from" {
			t.Errorf("a span of a century: %v", err)
		}
	})
	// Open at one end, and the other beyond any sense: found out when asked.
	db := openTest(t, nil)
	for field, r := range map[string]*ngfwv1.StatsRequest{"from": {From: "5"}, "step": {From: fmt.Sprint(time.Now().Unix() - 86400), Step: "1s"}} {
		q, err := ParseStats(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err = db.Stats(t.Context(), org.OrgID, q); true {
			if f, ok := fault.As(err); !ok || f.Field() != field {
				t.Errorf("%v: %v, want one that names %s", r, err, field)
			}
		}
	}
}
