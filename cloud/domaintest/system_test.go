package domaintest

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"ngfw.sh/cloud/store"
	"ngfw.sh/cloud/store/storetest"
	"ngfw.sh/cloud/system"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// router is a device whose reports are told at times of the test's choosing.
type router struct {
	*process
	id   string
	path string
	now  time.Time
}

func newRouter(t *testing.T) *router {
	p, path := newProcess(t)
	r := &router{process: p, id: p.register(t, "a", "edge").Id, path: path, now: time.Unix(1_700_000_000, 0)}
	r.restart(p.store)
	return r
}

// restart puts new Reports over a store, as a restarted process does.
func (r *router) restart(s system.Store) {
	r.reports = system.NewReports(system.DefaultConfig(), system.Deps{Store: s, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return r.now }})
	r.system = system.New(r.reports, r.fleet)
}

func (r *router) status() (*ngfwv1.SystemStatus, error) {
	return r.system.Status(as("a"), &ngfwv1.StatusRequest{DeviceId: r.id})
}

func (r *router) hits(t testing.TB, rule int64) *ngfwv1.RuleCounter {
	t.Helper()
	all, err := r.reports.RuleCounters(context.Background(), r.id)
	if err != nil {
		t.Fatal(err)
	}
	return all[rule]
}

func TestStatusNeedsARecentReport(t *testing.T) {
	r := newRouter(t)
	ctx := context.Background()
	offline := func(when string) {
		t.Helper()
		if _, err := r.status(); !fault.Is(err, fault.DeviceOffline) {
			t.Errorf("%s: %v", when, err)
		}
		if _, err := r.system.Interfaces(as("a"), &ngfwv1.InterfacesRequest{DeviceId: r.id}); !fault.Is(err, fault.DeviceOffline) {
			t.Errorf("%s: interfaces: %v", when, err)
		}
		if _, err := r.system.Hardware(as("a"), &ngfwv1.HardwareRequest{DeviceId: r.id}); !fault.Is(err, fault.DeviceOffline) {
			t.Errorf("%s: hardware: %v", when, err)
		}
	}
	offline("never connected")
	r.reports.Connected(ctx, r.id, system.Hello{AgentVersion: "0.9", FirmwareVersion: "v2"})
	offline("nothing reported yet")
	r.reports.Status(ctx, r.id, &ngfwv1.Status{
		Status:   &ngfwv1.SystemStatus{Uptime: 5, Cpu: 9, Interfaces: []*ngfwv1.InterfaceStatus{{Name: "eth0", Status: "up", RxBytes: 847293847234, RxRate: 1}}},
		Hardware: &ngfwv1.Hardware{Model: "APU2", Serial: "S1"},
	})
	if s, err := r.status(); err != nil || s.Cpu != 9 {
		t.Errorf("%v, %v", s, err)
	}
	if h, err := r.system.Hardware(as("a"), &ngfwv1.HardwareRequest{}); err != nil || h.Model != "APU2" {
		t.Errorf("%v, %v", h, err)
	}

	// Newer metrics show in the status.
	r.now = r.now.Add(5 * time.Second)
	r.reports.Metrics(ctx, r.id, &ngfwv1.Metrics{
		Cpu: 50, Memory: 60, Temperature: proto.Int32(70), Connections: &ngfwv1.Metrics_Connections{Total: 8},
		Interfaces: map[string]*ngfwv1.Metrics_Rates{"eth0": {RxRate: 100, TxRate: 200}, "eth9": {RxRate: 1}},
	})
	want := &ngfwv1.SystemStatus{Uptime: 5, Cpu: 50, Memory: 60, Temperature: proto.Int32(70), Connections: 8,
		Interfaces: []*ngfwv1.InterfaceStatus{{Name: "eth0", Status: "up", RxBytes: 847293847234, RxRate: 100, TxRate: 200}}}
	got, err := r.status()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}

	// Connected, it may be silent for as long as it likes; disconnected for 300 s.
	r.now = r.now.Add(time.Hour)
	if _, err := r.status(); err != nil {
		t.Error(err)
	}
	r.reports.Disconnected(ctx, r.id)
	r.now = r.now.Add(300 * time.Second)
	if _, err := r.status(); err != nil {
		t.Error(err)
	}
	r.now = r.now.Add(time.Second)
	offline("silent for too long")
}

// TestOverlappingConnections: a router that reconnects before the old
// connection is known to be dead is not offline when that ends.
func TestOverlappingConnections(t *testing.T) {
	r := newRouter(t)
	ctx := context.Background()
	state := func() string {
		d, err := r.reports.Presence(ctx, r.id)
		if err != nil {
			t.Fatal(err)
		}
		return d.Status
	}
	r.reports.Connected(ctx, r.id, system.Hello{AgentVersion: "0.9", FirmwareVersion: "v2"})
	r.reports.Connected(ctx, r.id, system.Hello{AgentVersion: "0.9", FirmwareVersion: "v2"})
	r.reports.Disconnected(ctx, r.id)
	if s := state(); s != "online" {
		t.Error(s)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	r.reports.Disconnected(gone, r.id)
	if s := state(); s != "offline" {
		t.Error(s)
	}
}

func TestReportsSurviveARestart(t *testing.T) {
	r := newRouter(t)
	ctx := context.Background()
	r.reports.Connected(ctx, r.id, system.Hello{AgentVersion: "0.9", FirmwareVersion: "v2"})
	r.reports.Status(ctx, r.id, &ngfwv1.Status{Status: &ngfwv1.SystemStatus{Cpu: 9}, Hardware: &ngfwv1.Hardware{Serial: "S1"}})
	r.reports.Metrics(ctx, r.id, &ngfwv1.Metrics{Cpu: 10, Rules: []*ngfwv1.RuleCounter{{RuleId: 3, Hits: 7, HitBytes: 700, LastHit: 1}}})
	r.reports.ConfigFailed(ctx, r.id, "firewall", 1, "no room", "rules")

	// Run writes once more when it ends.
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := r.reports.Run(ended); err != nil {
		t.Fatal(err)
	}
	r.store.Close()
	s := storetest.Reopen(t, r.path)
	r.process = start(s)
	r.restart(s)
	if got, err := r.status(); err != nil || got.Cpu != 10 {
		t.Errorf("%v, %v", got, err)
	}
	if c := r.hits(t, 3); c.GetHits() != 7 || c.GetHitBytes() != 700 || c.GetLastHit() != 1 {
		t.Errorf("%v", c)
	}
	d, err := r.reports.DeviceStatus(ctx, r.id, 1)
	if err != nil || d.Status != "offline" || d.GetLastSeen() != r.now.Unix() || d.Config.State != "failed" || d.Config.Error.GetField() != "rules" {
		t.Errorf("%v, %v", d, err)
	}
	if d, err := r.reports.Presence(ctx, r.id); err != nil || d.Serial != "S1" || d.FirmwareVersion != "v2" {
		t.Errorf("%v, %v", d, err)
	}
}

// fullDisk fails to write while it is on.
type fullDisk struct {
	system.Store
	on bool
}

func (f *fullDisk) PutReports(ctx context.Context, reports []store.Report) error {
	if f.on {
		return errors.New("no space left on device")
	}
	return f.Store.PutReports(ctx, reports)
}

func TestReportsAreTriedAgain(t *testing.T) {
	r := newRouter(t)
	ctx := context.Background()
	disk := &fullDisk{Store: r.store, on: true}
	r.restart(disk)
	r.reports.Metrics(ctx, r.id, &ngfwv1.Metrics{Rules: []*ngfwv1.RuleCounter{{RuleId: 3, Hits: 7}}})
	if err := r.reports.Flush(ctx); err == nil {
		t.Error("wrote to a full disk")
	}
	disk.on = false
	if err := r.reports.Flush(ctx); err != nil {
		t.Error(err)
	}
	r.restart(r.store)
	if c := r.hits(t, 3); c.GetHits() != 7 {
		t.Errorf("%v", c)
	}
}

// TestHitsAreTrue: whatever the router loses at a reboot, the sum is what was
// reported before plus what came since.
func TestHitsAreTrue(t *testing.T) {
	r := newRouter(t)
	ctx := context.Background()
	rule := int64(0)
	rapid.Check(t, func(t *rapid.T) {
		rule++
		var reported, total int64
		for range rapid.IntRange(1, 20).Draw(t, "reports") {
			if rapid.IntRange(0, 4).Draw(t, "reboot") == 0 {
				reported = rapid.Int64Range(0, reported).Draw(t, "kept")
				report(ctx, r, rule, reported) // the first report after it: nothing new yet
			}
			n := rapid.Int64Range(0, 1000).Draw(t, "packets")
			reported, total = reported+n, total+n
			report(ctx, r, rule, reported)
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				if err := r.reports.Flush(ctx); err != nil {
					t.Fatal(err)
				}
				r.restart(r.store)
			}
			all, err := r.reports.RuleCounters(ctx, r.id)
			if err != nil {
				t.Fatal(err)
			}
			if c := all[rule]; c.GetHits() != total || c.GetHitBytes() != 10*total {
				t.Fatalf("%v, want %d", c, total)
			}
		}
	})
}

func report(ctx context.Context, r *router, rule, hits int64) {
	r.reports.Metrics(ctx, r.id, &ngfwv1.Metrics{Rules: []*ngfwv1.RuleCounter{{RuleId: rule, Hits: hits, HitBytes: 10 * hits}}})
}

// TestCountersAreBounded: a router cannot make the cloud hold more than its
// share, nor counts that are none.
func TestCountersAreBounded(t *testing.T) {
	r := newRouter(t)
	ctx := context.Background()
	cfg := system.DefaultConfig()
	cfg.MaxCounters = 2
	r.reports = system.NewReports(cfg, system.Deps{Store: r.store, Logger: slog.New(slog.DiscardHandler)})
	r.reports.Metrics(ctx, r.id, &ngfwv1.Metrics{Rules: []*ngfwv1.RuleCounter{
		{RuleId: -1, Hits: 1}, {RuleId: 0, Hits: 1}, {RuleId: 9, Hits: -1}, {RuleId: 1, Hits: 1}, {RuleId: 2, Hits: 1}, {RuleId: 3, Hits: 1}, {RuleId: 1, Hits: 5},
	}})
	all, err := r.reports.RuleCounters(ctx, r.id)
	if err != nil || len(all) != 2 || all[1].GetHits() != 5 || all[2].GetHits() != 1 {
		t.Errorf("%v, %v", all, err)
	}
}
