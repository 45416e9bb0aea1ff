package analytics

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// questions ask everything that roll-ups answer, of one span; filtered ones are
// answered from rows.
func questions(db *DB, ctx context.Context, keepDays int, r *ngfwv1.TopRequest, step string) (map[string]proto.Message, Source, error) {
	q, err := ParseTop(r)
	if err != nil {
		return nil, "", err
	}
	q.RetentionDays = keepDays
	sq, err := ParseStats(&ngfwv1.StatsRequest{DeviceId: r.DeviceId, From: r.From, To: r.To, Period: r.Period, Src: r.Src, Step: step, Compare: r.Compare})
	if err != nil {
		return nil, "", err
	}
	sq.RetentionDays = keepDays
	out := map[string]proto.Message{}
	source := Exact
	keep := func(name string, m proto.Message, s Source, e error) {
		out[name] = m
		if err == nil {
			err = e
		}
		if s == Rollup {
			source = Rollup
		}
	}
	clients, s, e := db.TopClients(ctx, org.OrgID, q)
	keep("clients", &ngfwv1.TopClientsResponse{Clients: clients}, s, e)
	destinations, s, e := db.TopDestinations(ctx, org.OrgID, q)
	keep("destinations", &ngfwv1.TopDestinationsResponse{Destinations: destinations}, s, e)
	applications, s, e := db.TopApplications(ctx, org.OrgID, q)
	keep("applications", &ngfwv1.TopApplicationsResponse{Applications: applications}, s, e)
	countries, s, e := db.TopCountries(ctx, org.OrgID, q)
	keep("countries", &ngfwv1.TopCountriesResponse{Countries: countries}, s, e)
	rules, s, e := db.TopRules(ctx, org.OrgID, q)
	keep("rules", &ngfwv1.TopRulesResponse{Rules: rules}, s, e)
	threats, s, e := db.TopThreats(ctx, org.OrgID, q)
	keep("threats", &ngfwv1.TopThreatsResponse{Threats: threats}, s, e)
	stats, s, e := db.Stats(ctx, org.OrgID, sq)
	keep("stats", stats, s, e)
	return out, source, err
}

// anywhere is a filter that every row passes, but that no roll-up knows of.
var anywhere = []string{"0.0.0.0/0", "::/0"}

// assorted changes an event at random, from few values, so that sums meet.
func assorted(rnd *rand.Rand) func(*ngfwv1.FlowEvent) {
	pick := func(s ...string) string { return s[rnd.IntN(len(s))] }
	return func(e *ngfwv1.FlowEvent) {
		e.Kind = ngfwv1.EventKind(1 + rnd.IntN(4))
		e.Action = ngfwv1.Verdict(1 + rnd.IntN(3))
		e.Protocol = uint32([]int{1, 6, 17, 47}[rnd.IntN(4)])
		e.SourceIp, e.DestinationIp = ip(fmt.Sprint("192.168.1.", rnd.IntN(4))), ip(fmt.Sprint("203.0.113.", rnd.IntN(6)))
		if rnd.IntN(4) == 0 {
			e.SourceIp, e.DestinationIp = ip(fmt.Sprint("2001:db8::", 1+rnd.IntN(3))), ip("2001:db8:1::1")
		}
		e.ZoneFrom, e.ZoneTo = pick("LAN", "LAN", "WAN", "IOT"), pick("WAN", "WAN", "LAN")
		if e.ZoneFrom == "WAN" && rnd.IntN(2) == 0 && len(e.SourceIp) == 4 {
			e.NatDestinationIp = ip("192.168.1.2")
		}
		e.RuleId = rnd.Int64N(4)
		e.RuleName = fmt.Sprint("rule ", e.RuleId, pick("", " again"))
		e.App, e.Geo, e.Threat = pick("", "tls", "dns"), pick("", "DE", "US"), pick("", "", "scan", "botnet")
		e.Hostname = pick("", "laptop", "phone")
		e.BytesSent, e.BytesReceived = rnd.Uint64N(1000), rnd.Uint64N(1000)
		e.PacketsSent, e.PacketsReceived = rnd.Uint64N(10), rnd.Uint64N(10)
		e.Count = 1 + rnd.Uint32N(3)
	}
}

// rollupsEqualRows asks the same of roll-ups and of rows.
func rollupsEqualRows(t *testing.T, db *DB, keep int, r *ngfwv1.TopRequest, step string, want Source) map[string]proto.Message {
	t.Helper()
	got, source, err := questions(db, t.Context(), keep, r, step)
	if err != nil {
		t.Fatal(err)
	}
	if want != "" && source != want {
		t.Errorf("source %q, want %q", source, want)
	}
	narrow := proto.CloneOf(r)
	narrow.Src = anywhere
	exact, source, err := questions(db, t.Context(), keep, narrow, step)
	if err != nil || source != Exact {
		t.Fatal(source, err)
	}
	if d := cmp.Diff(exact, got, protocmp.Transform()); d != "" {
		t.Errorf("%v keeping %d, rows (-) and roll-ups (+):\n%s", r, keep, d)
	}
	return got
}

// TestRollupsEqualRows asks the same of roll-ups and of rows, for spans that
// begin and end anywhere, with rows that are kept for different times.
func TestRollupsEqualRows(t *testing.T) {
	clock := newTestClock()
	now := clock.now().Truncate(time.Microsecond)
	clock.set(now)
	db := openTest(t, func(_ *Config, d *Deps) { d.Now = clock.now })
	rnd := rand.New(rand.NewPCG(1, 2))
	var all []*row
	for i, days := range []int{1, 2, 7, 40} {
		o := Origin{org.OrgID, fmt.Sprint("dev-", i), days}
		for n := range uint64(4) {
			var events []*ngfwv1.FlowEvent
			for range 150 {
				at := now.Add(-time.Duration(rnd.Int64N(int64(time.Duration(days) * 24 * time.Hour))))
				events = append(events, flow(at, assorted(rnd)))
			}
			store(t, db, o, batch("e", n+1, events...))
			rows := decode(&stamp{retention: uint16(days), deviceID: o.DeviceID}, batch("e", n+1, events...), now).rows
			for i := range rows {
				all = append(all, &rows[i])
			}
		}
	}
	store(t, db, Origin{"org-2", "dev-x", 7}, batch("e", 1, flow(now.Add(-3*time.Hour))))

	second := func(t time.Time) string { return fmt.Sprintf("%d.%06d", t.Unix(), t.Nanosecond()/1000) }
	for _, after := range []time.Duration{0, 30 * time.Hour, 10 * 24 * time.Hour} {
		clock.set(now.Add(after))
		for i := range 3 {
			from := now.Add(after - time.Duration(rnd.Int64N(int64(45*24*time.Hour))))
			to := from.Add(time.Duration(rnd.Int64N(int64(50 * 24 * time.Hour))))
			if i%2 == 1 {
				to = from.Add(time.Duration(rnd.Int64N(int64(50 * time.Hour))))
			}
			keep := []int{0, 1, 7, 30}[rnd.IntN(4)]
			r := &ngfwv1.TopRequest{From: second(from), To: second(to), Limit: present(int32(100))}
			if i == 0 {
				r.DeviceId = "dev-3"
			}
			if i == 1 {
				r.Compare = "previous"
			}
			step := []string{"", "1d", "36h"}[rnd.IntN(3)]
			got := rollupsEqualRows(t, db, keep, r, step, "")["stats"].(*ngfwv1.TrafficStats)
			var bytes, connections int64
			for _, row := range all {
				at := time.UnixMicro(row.time)
				age := clock.now().Sub(at)
				if at.Before(from) || !at.Before(to) || r.DeviceId != "" && r.DeviceId != row.deviceID ||
					age > time.Duration(row.retention)*24*time.Hour || keep != 0 && age > time.Duration(keep)*24*time.Hour {
					continue
				}
				bytes += int64(row.bytesSent + row.bytesReceived)
				if row.event == eventOpen || row.event == eventRefused {
					connections += int64(row.count)
				}
			}
			if got.TotalBytes != bytes || got.TotalConnections != connections {
				t.Errorf("%v keeping %d: %d bytes, %d connections, want %d, %d", r, keep, got.TotalBytes, got.TotalConnections, bytes, connections)
			}
		}
	}
	t.Run("periods", func(t *testing.T) {
		if clustered {
			t.Skip("long, and the same statements as on one server")
		}
		midnight := time.UnixMicro(day.ceil(now.UnixMicro()))
		for name, at := range map[string]time.Time{
			"now": now, "at midnight": midnight, "just before": midnight.Add(-time.Microsecond), "just after": midnight.Add(time.Microsecond),
			"on the hour": midnight.Add(3 * time.Hour), "in the first minute": midnight.Add(20 * time.Second),
		} {
			clock.set(at)
			for _, p := range []string{"1h", "24h", "7d", "30d"} {
				if name == "now" || p == "24h" {
					t.Log(name, p)
					rollupsEqualRows(t, db, 0, &ngfwv1.TopRequest{Period: p, Compare: "previous"}, "", Rollup)
				}
			}
		}
	})
	clock.set(now)
	t.Run("roll-ups are read", func(t *testing.T) {
		for _, r := range rollups {
			ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"force_optimize_projection_name": r.name}))
			from := day.floor(now.UnixMicro()) / 1e6
			request := &ngfwv1.TopRequest{From: fmt.Sprint(from - 5*86400), To: fmt.Sprint(from - 86400)}
			q, err := ParseTop(request)
			if err != nil {
				t.Fatal(err)
			}
			switch r.name {
			case byMinute.name, byApplication.name, byCountry.name:
				sq, e := ParseStats(&ngfwv1.StatsRequest{From: request.From, To: request.To})
				if e != nil {
					t.Fatal(e)
				}
				_, _, err = db.Stats(ctx, org.OrgID, sq)
			case byVerdict.name:
				_, _, err = db.TopRules(ctx, org.OrgID, q)
				if err == nil {
					_, _, err = db.TopThreats(ctx, org.OrgID, q)
				}
			case byClient.name, byClientMinutes.name:
				if r.name == byClientMinutes.name {
					q.period.to -= 5 * 60e6
				}
				_, _, err = db.TopClients(ctx, org.OrgID, q)
			case byTargetPerDay.name:
				_, _, err = db.TopDestinations(ctx, org.OrgID, q)
			case byTarget.name, byTargetQuarter.name:
				q.period.to -= 11 * 3600e6
				_, _, err = db.TopDestinations(ctx, org.OrgID, q)
			}
			if err != nil {
				t.Errorf("%s: %v", r.name, err)
			}
		}
	})
}
