package analytics

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestTopClients(t *testing.T) {
	db := openTest(t, nil)
	now := time.Now()
	bytes := func(sent, received uint64) func(*ngfwv1.FlowEvent) {
		return func(e *ngfwv1.FlowEvent) { e.BytesSent, e.BytesReceived = sent, received }
	}
	from := func(a string, mac byte, host string) func(*ngfwv1.FlowEvent) {
		return func(e *ngfwv1.FlowEvent) { e.SourceIp, e.SourceMac[5], e.Hostname = ip(a), mac, host }
	}
	inward := func(to string) func(*ngfwv1.FlowEvent) {
		return func(e *ngfwv1.FlowEvent) {
			e.ZoneFrom, e.ZoneTo, e.SourceIp, e.SourceMac = "WAN", "LAN", ip("203.0.113.9"), []byte{9, 9, 9, 9, 9, 9}
			e.DestinationIp = ip("198.51.100.1") // the router's own, forwarded
			e.NatDestinationIp = ip(to)
		}
	}
	kind := func(k ngfwv1.EventKind, n uint32) func(*ngfwv1.FlowEvent) {
		return func(e *ngfwv1.FlowEvent) { e.Kind, e.Count = k, n }
	}
	store(t, db, org, batch("e", 1,
		flow(now.Add(-3*time.Minute), from("192.168.1.10", 1, "old-name"), bytes(100, 1000)),
		flow(now.Add(-2*time.Minute), from("192.168.1.10", 1, "laptop"), bytes(50, 500), kind(ngfwv1.EventKind_EVENT_KIND_CLOSE, 1)),
		flow(now.Add(-time.Minute), inward("192.168.1.10"), bytes(7, 3)),
		flow(now, from("192.168.1.11", 2, ""), bytes(1, 2), kind(ngfwv1.EventKind_EVENT_KIND_REFUSED, 5)),
		flow(now, from("192.168.1.12", 3, ""), bytes(9, 0), func(e *ngfwv1.FlowEvent) { e.ZoneTo = "IOT" }),
		flow(now, from("2001:db8::10", 4, ""), bytes(1, 5), func(e *ngfwv1.FlowEvent) { e.DestinationIp = ip("2001:db8:1::1") }),
		flow(now, func(e *ngfwv1.FlowEvent) { e.ZoneFrom, e.ZoneTo = "WAN", "WAN" }, bytes(1e9, 1e9)),
		flow(now.Add(-25*time.Hour), from("192.168.1.13", 5, ""), bytes(1e9, 1e9)),
	))
	store(t, db, Origin{org.OrgID, "dev-2", 7}, batch("e", 1, flow(now, from("192.168.1.11", 2, "tv"), bytes(0, 1))))
	store(t, db, Origin{"org-2", "dev-3", 7}, batch("e", 1, flow(now, bytes(1e9, 1e9))))

	laptop := &ngfwv1.TopClient{Ip: "192.168.1.10", Hostname: present("laptop"), Mac: present("02:00:00:00:00:01"), RxBytes: 1507, TxBytes: 153, Connections: 2}
	tv := &ngfwv1.TopClient{Ip: "192.168.1.11", Hostname: present("tv"), Mac: present("02:00:00:00:00:02"), RxBytes: 3, TxBytes: 1, Connections: 6}
	sensor := &ngfwv1.TopClient{Ip: "192.168.1.12", Mac: present("02:00:00:00:00:03"), RxBytes: 0, TxBytes: 9, Connections: 1}
	six := &ngfwv1.TopClient{Ip: "2001:db8::10", Mac: present("02:00:00:00:00:04"), RxBytes: 5, TxBytes: 1, Connections: 1}
	yesterday := &ngfwv1.TopClient{Ip: "192.168.1.13", Mac: present("02:00:00:00:00:05"), RxBytes: 1e9, TxBytes: 1e9, Connections: 1}
	for _, c := range []struct {
		name string
		r    *ngfwv1.TopRequest
		want []*ngfwv1.TopClient
	}{
		{"a day", &ngfwv1.TopRequest{}, []*ngfwv1.TopClient{laptop, sensor, six, tv}},
		{"a week", &ngfwv1.TopRequest{Period: "7d", Limit: present(int32(2))}, []*ngfwv1.TopClient{yesterday, laptop}},
		{"until an hour ago", &ngfwv1.TopRequest{To: seconds(now.Add(-time.Hour))}, []*ngfwv1.TopClient{yesterday}},
		{"a span", &ngfwv1.TopRequest{From: seconds(now.Add(-26 * time.Hour)), To: seconds(now.Add(-time.Hour))}, []*ngfwv1.TopClient{yesterday}},
		{"one device", &ngfwv1.TopRequest{DeviceId: "dev-2"}, []*ngfwv1.TopClient{{
			Ip: "192.168.1.11", Hostname: present("tv"), Mac: present("02:00:00:00:00:02"), RxBytes: 1, Connections: 1,
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			q, err := ParseTop(c.r)
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := db.TopClients(t.Context(), org.OrgID, q)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got, protocmp.Transform()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestRankings(t *testing.T) {
	db := openTest(t, nil)
	hour := time.Now().Truncate(time.Hour)
	from, to := hour.Add(-3*time.Hour), hour.Add(-time.Hour)
	of := func(changes ...func(*ngfwv1.FlowEvent)) *ngfwv1.FlowEvent {
		return flow(from.Add(40*time.Minute), changes...)
	}
	with := func(host string, bytes uint64, app, geo string) func(*ngfwv1.FlowEvent) {
		return func(e *ngfwv1.FlowEvent) {
			e.DestinationIp, e.BytesSent, e.BytesReceived, e.App, e.Geo = ip(host), bytes, 0, app, geo
		}
	}
	rule := func(id int64, name string) func(*ngfwv1.FlowEvent) {
		return func(e *ngfwv1.FlowEvent) { e.RuleId, e.RuleName = id, name }
	}
	refused := func(threat string, n uint32) func(*ngfwv1.FlowEvent) {
		return func(e *ngfwv1.FlowEvent) {
			e.Kind, e.Action, e.Threat, e.Count = ngfwv1.EventKind_EVENT_KIND_REFUSED, ngfwv1.Verdict_VERDICT_DROP, threat, n
		}
	}
	earlier := func(e *ngfwv1.FlowEvent) { e.TimeNs -= int64(2 * time.Hour) }
	later := func(e *ngfwv1.FlowEvent) { e.TimeNs += int64(50 * time.Minute) }
	store(t, db, org, batch("e", 1,
		of(with("203.0.113.1", 100, "tls", "DE"), rule(1, "web")),
		of(with("203.0.113.2", 300, "tls", "US"), rule(1, "the web"), later),
		of(with("203.0.113.2", 50, "dns", "US"), rule(2, "names")),
		of(with("192.168.2.9", 500, "", ""), rule(0, ""), func(e *ngfwv1.FlowEvent) { e.ZoneTo, e.Geo = "IOT", "DE" }),
		of(with("203.0.113.3", 10, "", "US"), rule(3, "no scans"), refused("scan", 4)),
		of(with("203.0.113.1", 7, "tls", "DE"), rule(1, "web"), earlier),
		of(with("203.0.113.9", 9000, "quic", "FR"), rule(9, "old"), earlier),
	))
	store(t, db, Origin{org.OrgID, "dev-2", 7}, batch("e", 1, of(with("203.0.113.1", 20, "tls", "DE"), rule(1, "mine"), func(e *ngfwv1.FlowEvent) { e.Threat = "scan" })))
	store(t, db, Origin{"org-2", "dev-3", 7}, batch("e", 1, of(with("203.0.113.1", 1e9, "tls", "DE"), rule(1, "theirs"))))

	was := func(bytes, connections int64) *ngfwv1.PreviousTraffic {
		return &ngfwv1.PreviousTraffic{Bytes: bytes, Connections: connections}
	}
	parse := func(r *ngfwv1.TopRequest) TopQuery {
		t.Helper()
		r.From, r.To = seconds(from), seconds(to)
		q, err := ParseTop(r)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	compared := parse(&ngfwv1.TopRequest{Compare: "previous"})
	check := func(name string, want, got any, source Source, err error, as Source) {
		t.Helper()
		if d := cmp.Diff(want, got, protocmp.Transform()); d != "" || err != nil || source != as {
			t.Errorf("%s from %s, %v:\n%s", name, source, err, d)
		}
	}
	destinations, source, err := db.TopDestinations(t.Context(), org.OrgID, compared)
	check("destinations", []*ngfwv1.TopDestination{
		{Ip: "192.168.2.9", Bytes: 500, Connections: 1, Previous: was(0, 0)},
		{Ip: "203.0.113.2", Geo: present("US"), Bytes: 350, Connections: 2, Previous: was(0, 0)},
		{Ip: "203.0.113.1", Geo: present("DE"), Bytes: 120, Connections: 2, Previous: was(7, 1)},
		{Ip: "203.0.113.3", Geo: present("US"), Bytes: 10, Connections: 4, Previous: was(0, 0)},
	}, destinations, source, err, Rollup)
	applications, source, err := db.TopApplications(t.Context(), org.OrgID, compared)
	check("applications", []*ngfwv1.TopApplication{
		{App: "tls", Bytes: 420, Connections: 3, Previous: was(7, 1)}, {App: "dns", Bytes: 50, Connections: 1, Previous: was(0, 0)},
	}, applications, source, err, Rollup)
	countries, source, err := db.TopCountries(t.Context(), org.OrgID, compared)
	check("countries", []*ngfwv1.TopCountry{
		{CountryCode: "DE", CountryName: "Germany", Bytes: 620, Connections: 3, Previous: was(7, 1)},
		{CountryCode: "US", CountryName: "United States", Bytes: 360, Connections: 6, Previous: was(0, 0)},
	}, countries, source, err, Rollup)
	rules, source, err := db.TopRules(t.Context(), org.OrgID, compared)
	check("rules", []*ngfwv1.TopRule{
		{DeviceId: "dev-1", RuleId: 3, RuleName: "no scans", Bytes: 10, Connections: 4, Previous: was(0, 0)},
		{DeviceId: "dev-1", RuleId: 1, RuleName: "the web", Bytes: 400, Connections: 2, Previous: was(7, 1)},
		{DeviceId: "dev-1", RuleId: 2, RuleName: "names", Bytes: 50, Connections: 1, Previous: was(0, 0)},
		{DeviceId: "dev-2", RuleId: 1, RuleName: "mine", Bytes: 20, Connections: 1, Previous: was(0, 0)},
	}, rules, source, err, Rollup)
	threats, source, err := db.TopThreats(t.Context(), org.OrgID, compared)
	check("threats", []*ngfwv1.TopThreat{{Threat: "scan", Bytes: 30, Connections: 5, Blocked: 4, Previous: was(0, 0)}}, threats, source, err, Rollup)
	clients, source, err := db.TopClients(t.Context(), org.OrgID, compared)
	check("clients", []*ngfwv1.TopClient{{
		Ip: "192.168.1.10", Mac: present("02:00:00:00:00:01"), TxBytes: 980, Connections: 9,
		Previous: &ngfwv1.TopClient_Previous{TxBytes: 9007, Connections: 2},
	}}, clients, source, err, Rollup)

	// A filter asks the rows.
	narrow := parse(&ngfwv1.TopRequest{App: []string{"tls"}, Geo: []string{"de", "FR"}, Limit: present(int32(1))})
	destinations, source, err = db.TopDestinations(t.Context(), org.OrgID, narrow)
	check("of tls", []*ngfwv1.TopDestination{{Ip: "203.0.113.1", Geo: present("DE"), Bytes: 120, Connections: 2}}, destinations, source, err, Exact)
	rules, source, err = db.TopRules(t.Context(), org.OrgID, parse(&ngfwv1.TopRequest{DeviceId: "dev-2"}))
	check("of a router", []*ngfwv1.TopRule{{DeviceId: "dev-2", RuleId: 1, RuleName: "mine", Bytes: 20, Connections: 1}}, rules, source, err, Rollup)

	// A plan that does not reach back tells nothing of what it hides.
	compared.RetentionDays = 1
	compared.period.from -= 20 * 3600e6
	applications, _, err = db.TopApplications(t.Context(), org.OrgID, compared)
	if err != nil || len(applications) == 0 || applications[0].Previous != nil {
		t.Errorf("%v, %v", applications, err)
	}
}
