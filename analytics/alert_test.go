package analytics

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// found is an alert of high severity about a download; changes make others of
// it.
func found(at time.Time, changes ...func(*ngfwv1.AlertEvent)) *ngfwv1.AlertEvent {
	a := &ngfwv1.AlertEvent{
		TimeNs: at.UnixNano(), Severity: ngfwv1.AlertSeverity_ALERT_SEVERITY_HIGH, Signature: "GPL ATTACK_RESPONSE id check returned root",
		SignatureId: 2100498, Category: "Potentially Bad Traffic", SourceIp: ip("203.0.113.5"), SourcePort: 80,
		DestinationIp: ip("192.168.1.10"), DestinationPort: 40000, Protocol: 6, AppProto: "http", Blocked: true, FlowId: 0x1234,
		Payload: []byte("uid=0(root)\xff"), Metadata: map[string]string{"created_at": "2010_09_23"},
	}
	for _, c := range changes {
		c(a)
	}
	return a
}

func raise(t testing.TB, db *DB, o Origin, epoch string, number uint64, alerts ...*ngfwv1.AlertEvent) {
	t.Helper()
	store(t, db, o, &ngfwv1.FlowBatch{Epoch: epoch, Number: number, Alerts: alerts})
}

func askAlerts(t testing.TB, db *DB, orgID string, r *ngfwv1.AlertsRequest) *ngfwv1.AlertsResponse {
	t.Helper()
	q, err := ParseAlerts(r)
	if err != nil {
		t.Fatal(err)
	}
	res, err := db.Alerts(t.Context(), orgID, q)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// Alerts share numbers with flow rows: whichever table a batch went into, it is
// there once, and the position is that of the highest.
func TestAlertsAreStoredOnceBesideFlows(t *testing.T) {
	db := openTest(t, nil)
	now := time.Now().Truncate(time.Second)
	store(t, db, org, batch("e", 1, flow(now)))
	raise(t, db, org, "e", 2, found(now))
	raise(t, db, org, "e", 2, found(now))
	mixed := []*ngfwv1.FlowBatch{
		batch("e", 3, flow(now)), {Epoch: "e", Number: 4, Alerts: []*ngfwv1.AlertEvent{found(now), found(now)}},
		{Epoch: "e", Number: 5, Queries: []*ngfwv1.QueryEvent{{TimeNs: now.UnixNano(), ClientIp: ip("192.168.1.10"), Domain: "Example.ORG.", QueryType: "a", Status: ngfwv1.QueryStatus_QUERY_STATUS_ALLOWED}}},
		batch("e", 6, flow(now)), batch("e", 7, flow(now)), {Epoch: "e", Number: 8, Alerts: []*ngfwv1.AlertEvent{found(now)}},
	}
	if n, err := db.StoreAll(t.Context(), org, mixed); n != len(mixed) || err != nil {
		t.Fatal(n, err)
	}
	again := runTest(t, db.cfg, Deps{Log: db.log, Engine: engineFor()})
	for _, d := range []*DB{db, again} {
		if p, err := d.Positions(t.Context(), org.DeviceID); err != nil || p["e"] != 8 {
			t.Errorf("position %v, %v", p, err)
		}
	}
	if n, err := again.StoreAll(t.Context(), org, mixed); n != len(mixed) || err != nil { // the acknowledgement was lost
		t.Fatal(n, err)
	}
	if n := ask(t, db, org.OrgID, &ngfwv1.LogsRequest{}).Total; n != 4 {
		t.Errorf("%d flow rows, want 4", n)
	}
	if n := askAlerts(t, db, org.OrgID, &ngfwv1.AlertsRequest{}).Total; n != 4 {
		t.Errorf("%d alerts, want 4", n)
	}
	err := db.Store(t.Context(), org, &ngfwv1.FlowBatch{Epoch: "e", Number: 9, Events: []*ngfwv1.FlowEvent{flow(now)}, Alerts: []*ngfwv1.AlertEvent{found(now)}})
	if !fault.Is(err, fault.BadRequest) {
		t.Errorf("a batch of two kinds: %v", err)
	}
}

func TestAlertShowsEveryField(t *testing.T) {
	db := openTest(t, nil)
	at := time.Now().Add(-time.Minute).Truncate(time.Second)
	q, err := ParseAlerts(&ngfwv1.AlertsRequest{Severity: []string{"high"}})
	if err != nil {
		t.Fatal(err)
	}
	sub, err := db.SubscribeAlerts(org.OrgID, q, "")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	raise(t, db, org, "e", 1, found(at), found(at.Add(-time.Second), func(a *ngfwv1.AlertEvent) {
		a.Severity, a.Blocked, a.Payload, a.Metadata, a.AppProto, a.Protocol = ngfwv1.AlertSeverity_ALERT_SEVERITY_LOW, false, nil, nil, "", 17
	}), nil, found(at, func(a *ngfwv1.AlertEvent) { a.Severity = 9 }), found(at, func(a *ngfwv1.AlertEvent) { a.SourceIp = []byte{1} }))
	got := askAlerts(t, db, org.OrgID, &ngfwv1.AlertsRequest{})
	want := []*ngfwv1.IdsAlert{{
		DeviceId: "dev-1", Timestamp: float64(at.Unix()), Severity: "high", Signature: "GPL ATTACK_RESPONSE id check returned root", SignatureId: 2100498,
		Category: "Potentially Bad Traffic", SourceIp: "203.0.113.5", SourcePort: 80, DestinationIp: "192.168.1.10", DestinationPort: 40000,
		Protocol: "tcp", AppProto: present("http"), Action: "blocked", FlowId: "0000000000001234", PayloadPreview: present("dWlkPTAocm9vdCn/"),
		Metadata: map[string]string{"created_at": "2010_09_23"},
	}, {
		DeviceId: "dev-1", Timestamp: float64(at.Unix() - 1), Severity: "low", Signature: "GPL ATTACK_RESPONSE id check returned root", SignatureId: 2100498,
		Category: "Potentially Bad Traffic", SourceIp: "203.0.113.5", SourcePort: 80, DestinationIp: "192.168.1.10", DestinationPort: 40000,
		Protocol: "udp", Action: "allowed", FlowId: "0000000000001234",
	}}
	if d := cmp.Diff(want, got.Alerts, protocmp.Transform(), protocmp.IgnoreFields(&ngfwv1.IdsAlert{}, "id")); d != "" {
		t.Errorf("alerts (-want +got)\n%s", d)
	}
	frame, err := sub.Next(t.Context())
	if err != nil || frame.Type != "alert" {
		t.Fatal(frame, err)
	}
	if d := cmp.Diff(got.Alerts[0], frame.Alert, protocmp.Transform()); d != "" {
		t.Errorf("live (-stored +live)\n%s", d)
	}
	if n := askAlerts(t, db, "org-2", &ngfwv1.AlertsRequest{}).Total; n != 0 {
		t.Errorf("another organisation sees %d", n)
	}
}

// TestAlertFilter holds the two forms of the filter equal.
func TestAlertFilter(t *testing.T) {
	db := openTest(t, nil)
	rnd := rand.New(rand.NewPCG(3, 4))
	now := time.Now().Truncate(time.Second)
	var events []*ngfwv1.AlertEvent
	for i := range 200 {
		events = append(events, found(now.Add(-time.Duration(rnd.IntN(7200))*time.Second), func(a *ngfwv1.AlertEvent) {
			a.Severity, a.Blocked, a.Protocol = ngfwv1.AlertSeverity(1+rnd.IntN(4)), rnd.IntN(2) == 0, []uint32{1, 6, 17}[rnd.IntN(3)]
			a.SignatureId, a.Signature = int64(rnd.IntN(5)), fmt.Sprintf("50%%_of Signature \\%d", rnd.IntN(5))
			a.Category = []string{"", "Malware", "a,b"}[rnd.IntN(3)]
			a.SourceIp, a.DestinationIp = ip(fmt.Sprint("10.0.0.", rnd.IntN(6))), ip(fmt.Sprint("203.0.113.", rnd.IntN(6)))
			a.DestinationPort, a.FlowId = uint32(79+rnd.IntN(3)), uint64(i)
		}))
	}
	raise(t, db, org, "e", 1, events...)
	rows := decodeAll(&stamp{deviceID: org.DeviceID, retention: 7}, slices.Values(events), len(events), now, func(a *alert) *key { return &a.key }, (*alert).decode).rows
	for _, r := range []*ngfwv1.AlertsRequest{
		{}, {Severity: []string{"low", "critical"}}, {Action: []string{"blocked"}}, {Category: []string{"Malware"}}, {SignatureId: []string{"3,4"}},
		{FlowId: []string{"0000000000000011"}}, {Src: []string{"10.0.0.4/31"}}, {Dst: []string{"203.0.113.2"}}, {Port: []string{"80-81"}}, {Proto: []string{"udp,icmp"}},
		{Q: "%_OF sign"}, {Q: "%"}, {Q: `\3`}, {Q: "50__"}, {Q: "10.0.0.1"}, {Q: "malw"}, {DeviceId: "dev-1"}, {DeviceId: "dev-9"},
		{From: fmt.Sprint(now.Unix() - 3600)}, {To: fmt.Sprint(now.Unix() - 3600), Severity: []string{"high"}},
	} {
		r.Limit = present(int32(500))
		q, err := ParseAlerts(r)
		if err != nil {
			t.Fatal(err)
		}
		got := askAlerts(t, db, org.OrgID, r)
		want := slices.DeleteFunc(slices.Clone(rows), func(a alert) bool { return !q.match(&a) })
		if int(got.Total) != len(want) || len(got.Alerts) != len(want) {
			t.Errorf("%v: %d of %d by SQL, %d by Go", r, len(got.Alerts), got.Total, len(want))
		}
	}
	t.Run("pages", func(t *testing.T) {
		seen := map[string]bool{}
		for r := (&ngfwv1.AlertsRequest{Limit: present(int32(30))}); ; {
			page := askAlerts(t, db, org.OrgID, r)
			for _, a := range page.Alerts {
				seen[a.Id] = true
			}
			if r.Cursor = page.GetNextCursor(); r.Cursor == "" {
				break
			}
		}
		if len(seen) != 200 {
			t.Errorf("%d different alerts on all pages", len(seen))
		}
	})
	t.Run("statistics", func(t *testing.T) {
		q, err := ParseAlertStats(&ngfwv1.AlertStatsRequest{From: fmt.Sprint(now.Unix() - 7200), To: fmt.Sprint(now.Unix() + 1), Step: "10m"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := db.AlertStats(t.Context(), org.OrgID, q)
		if err != nil {
			t.Fatal(err)
		}
		var overTime, bySeverity, blocked, high int64
		for _, b := range got.OverTime {
			overTime += b.Count
		}
		for _, s := range got.BySeverity {
			bySeverity += s.Count
		}
		for i := range rows {
			if rows[i].outcome == outcomeBlocked {
				blocked++
			}
			if rows[i].severity.String() == "high" {
				high++
			}
		}
		if got.Total != 200 || overTime != 200 || bySeverity != 200 || got.Blocked != blocked || got.BySeverity[1].Count != high ||
			len(got.ByCategory) != 3 || len(got.TopSignatures) != 5 || len(got.TopSources) != 6 || got.TopSources[0].Count < got.TopSources[5].Count {
			t.Errorf("%v", got)
		}
	})
}

func TestAlertParameters(t *testing.T) {
	for field, r := range map[string]*ngfwv1.AlertsRequest{
		"severity": {Severity: []string{"worst"}}, "action": {Action: []string{"drop"}}, "category": {Category: []string{"a\x00"}},
		"signature_id": {SignatureId: []string{"1 OR 1"}}, "flow_id": {FlowId: []string{"12"}}, "src": {Src: []string{"nowhere"}}, "dst": {Dst: []string{"1.2.3.4/33"}},
		"port": {Port: []string{"9-1"}}, "proto": {Proto: []string{"x"}}, "q": {Q: "a\nb"}, "from": {From: "yesterday"}, "to": {From: "20", To: "10"},
		"limit": {Limit: present(int32(501))}, "offset": {Offset: present(int32(-1))}, "cursor": {Cursor: "x"}, "count": {Count: "all"},
	} {
		_, err := ParseAlerts(r)
		if f, ok := fault.As(err); !ok || f.Field() != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := (&DB{}).SubscribeAlerts("o", AlertQuery{}, "!"); err == nil {
		t.Error("a cursor of nothing is taken")
	}
}
