package store

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// withDevice is a database with one organisation and one device.
func withDevice(t *testing.T) (*Store, Device) {
	t.Helper()
	s, err := Open(context.Background(), filepath.Join(t.TempDir(), "cloud.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if _, err := s.db.Exec("INSERT INTO organizations (id, name, plan, created_at) VALUES ('o', 'o', 'pro', 1)"); err != nil {
		t.Fatal(err)
	}
	d := Device{ID: "dev_1", OrgID: "o", Name: "edge", Tags: []string{"a"}, Mode: "observe", TimeZone: "UTC", CreatedAt: 1}
	err = s.CreateDevice(context.Background(), NewDevice{
		Device: d, KeyHash: []byte("h"), Limit: -1,
		Sections: []FactorySection{{Name: "firewall", Document: []byte(`{"n":0}`), IDs: map[string]int64{"rule": 5}}, {Name: "dns", Document: []byte(`{}`)}},
		Audit:    AuditEntry{OrgID: "o", UserID: "u", Action: "register"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, d
}

func write(s *Store, section string, base int64, doc string, ids map[string]int64) (int64, error) {
	return s.PutSection(context.Background(), SectionWrite{
		DeviceID: "dev_1", Section: section, Base: base, Document: []byte(doc), IDs: ids,
		Audit: AuditEntry{OrgID: "o", UserID: "u", Action: "update"},
	})
}

func TestSectionVersions(t *testing.T) {
	s, d := withDevice(t)
	ctx := context.Background()
	if got, err := s.Device(ctx, d.ID); err != nil || cmp.Diff(d, got) != "" {
		t.Errorf("%+v, %v", got, err)
	}
	if v, err := write(s, "firewall", 1, `{"n":1}`, map[string]int64{"rule": 3}); err != nil || v != 3 {
		t.Errorf("version %d, %v", v, err)
	}
	// A write from an older document changes nothing, nor does one from nothing.
	for _, base := range []int64{0, 1, 2, 4} {
		if _, err := write(s, "firewall", base, `{"n":9}`, map[string]int64{"rule": 99}); !errors.Is(err, ErrStale) {
			t.Errorf("base %d: %v", base, err)
		}
	}
	if v, err := write(s, "dns", 2, `{"d":1}`, nil); err != nil || v != 4 {
		t.Errorf("version %d, %v", v, err)
	}
	if v, err := write(s, "qos", 0, `{}`, nil); err != nil || v != 5 {
		t.Errorf("version %d, %v", v, err)
	}
	sec, ids, err := s.Section(ctx, d.ID, "firewall")
	if err != nil || sec.Version != 3 || string(sec.Document) != `{"n":1}` || ids["rule"] != 5 {
		t.Errorf("%+v, %v, %v", sec, ids, err)
	}
	version, all, err := s.Sections(ctx, d.ID)
	if err != nil || version != 5 || len(all) != 3 || all[0].Name != "dns" || all[0].Version != 4 || all[1].Version != 3 {
		t.Errorf("%d, %+v, %v", version, all, err)
	}
	if entries, err := s.Audit(ctx, "o", 10); err != nil || len(entries) != 4 {
		t.Errorf("%d audit entries, %v", len(entries), err)
	}
}

// TestAuditAndWriteStandTogether: a write whose audit entry cannot be written
// did not happen.
func TestAuditAndWriteStandTogether(t *testing.T) {
	s, d := withDevice(t)
	ctx := context.Background()
	bad := AuditEntry{OrgID: "no such organisation"}
	if _, err := s.PutSection(ctx, SectionWrite{DeviceID: d.ID, Section: "firewall", Base: 1, Document: []byte(`{}`), Audit: bad}); err == nil {
		t.Error("written without an audit entry")
	}
	if err := s.DeleteDevice(ctx, "o", d.ID, bad); err == nil {
		t.Error("removed without an audit entry")
	}
	err := s.UpdateDevice(ctx, d.ID, func(old Device) (DeviceUpdate, error) {
		old.Name = "changed"
		return DeviceUpdate{Device: old, Audit: bad, Rewrite: map[string]func([]byte) ([]byte, error){
			"firewall": func([]byte) ([]byte, error) { return []byte(`{"n":2}`), nil },
		}}, nil
	})
	if err == nil {
		t.Error("changed without an audit entry")
	}
	if v, err := s.ConfigVersion(ctx, d.ID); err != nil || v != 2 {
		t.Errorf("version %d, %v", v, err)
	}
	if got, err := s.Device(ctx, d.ID); err != nil || got.Name != "edge" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDeleteDeviceTakesEverythingWithIt(t *testing.T) {
	s, d := withDevice(t)
	ctx := context.Background()
	if err := s.PutReports(ctx, []Report{{DeviceID: d.ID, LastSeen: 1, Counters: []byte("{}"), Config: []byte("{}")}}); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteDevice(ctx, "other", d.ID, AuditEntry{OrgID: "o"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("removed by another organisation: %v", err)
	}
	if err := s.DeleteDevice(ctx, "o", d.ID, AuditEntry{OrgID: "o", Action: "remove"}); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"devices", "config_versions", "config_ids", "device_reports"} {
		var n int
		if err := s.db.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil || n != 0 {
			t.Errorf("%s holds %d rows, %v", table, n, err)
		}
	}
	if _, err := write(s, "firewall", 0, `{}`, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("wrote to a removed device: %v", err)
	}
	if entries, err := s.Audit(ctx, "o", 10); err != nil || len(entries) != 2 || entries[0].Action != "remove" {
		t.Errorf("%+v, %v", entries, err)
	}
}
