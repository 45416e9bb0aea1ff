package analytics

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// somewhere knows one network, one country and one card.
type somewhere struct{}

func (somewhere) Country(a netip.Addr) string {
	if strings.HasPrefix(a.String(), "203.0.113.") {
		return "NL"
	}
	return ""
}

func (somewhere) AS(a netip.Addr) (uint32, string) {
	if strings.HasPrefix(a.String(), "203.0.113.") {
		return 64500, "Documentation"
	}
	return 0, ""
}

func (somewhere) Vendor(mac string) string {
	return map[string]string{"02:00:00:00:00:01": "Cards, Inc."}[mac]
}

// TestPlaces: a country is kept with the row, where its router named none; the rest is
// told with it, in the log, by id, and live.
func TestPlaces(t *testing.T) {
	db := openTest(t, func(_ *Config, d *Deps) { d.Places = somewhere{} })
	sub, err := db.Subscribe(org.OrgID, LogQuery{}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	now := time.Now()
	store(t, db, org, batch("e", 1,
		flow(now),
		flow(now.Add(-time.Second), func(e *ngfwv1.FlowEvent) { e.Geo = "DE" }),
		flow(now.Add(-2*time.Second), func(e *ngfwv1.FlowEvent) { e.ZoneTo, e.SourceMac = "IOT", nil }),
		flow(now.Add(-3*time.Second), func(e *ngfwv1.FlowEvent) {
			e.ZoneFrom, e.ZoneTo, e.SourceIp, e.DestinationIp = "WAN", "LAN", e.DestinationIp, e.SourceIp
			e.SourceMac = []byte{2, 0, 0, 0, 0, 9}
		}),
	))
	said := func(e *ngfwv1.LogEntry) []any { return []any{e.GetGeo(), e.GetAsn(), e.GetAsName(), e.GetSourceVendor()} }
	want := [][]any{
		{"NL", uint32(64500), "Documentation", "Cards, Inc."}, {"DE", uint32(64500), "Documentation", "Cards, Inc."},
		{"", uint32(0), "", ""}, {"NL", uint32(64500), "Documentation", ""},
	}
	log := ask(t, db, org.OrgID, &ngfwv1.LogsRequest{}).Logs
	if len(log) != len(want) {
		t.Fatalf("%d rows", len(log))
	}
	for i, e := range log {
		if d := cmp.Diff(want[i], said(e)); d != "" {
			t.Errorf("row %d: %s", i, d)
		}
		one, err := db.Find(t.Context(), org.OrgID, 7, e.Id)
		if err != nil || cmp.Diff(want[i], said(one)) != "" {
			t.Errorf("row %d by id: %v %v", i, one, err)
		}
	}
	if got := ask(t, db, org.OrgID, &ngfwv1.LogsRequest{Geo: []string{"NL"}}).Total; got != 2 {
		t.Errorf("%d rows of NL", got)
	}
	for i := range want {
		frame, err := sub.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want[i], said(frame.Data)); d != "" {
			t.Errorf("frame %d: %s", i, d)
		}
	}
}
