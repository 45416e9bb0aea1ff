package domaintest

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/store/storetest"
	"ngfw.sh/cloud/system"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestRegisterShowsTheKeyOnce(t *testing.T) {
	p, _ := newProcess(t)
	d, err := p.fleet.RegisterDevice(as("a"), &ngfwv1.RegisterDeviceRequest{
		Name: "edge", Model: proto.String("APU2"), Tags: []string{"home", "attic"}, Location: proto.String("attic"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^ngfw_dev_[0-9a-f]{32}$`).MatchString(d.ApiKey) {
		t.Errorf("key %q", d.ApiKey)
	}
	if d.ConnectUrl != "grpcs://cloud.example:9090" || d.Status != "provisioning" || d.Mode != "takeover" || d.TimeZone != "UTC" ||
		d.LastSeen != nil || d.Model != "APU2" || d.GetLocation() != "attic" || d.CreatedAt == 0 {
		t.Errorf("%v", d)
	}
	who, err := p.fleet.AuthenticateDevice(context.Background(), d.ApiKey)
	if err != nil || who.ID != d.Id || who.OrgID != "a" || who.Plan != "business_plus" {
		t.Errorf("%+v, %v", who, err)
	}
	for _, key := range []string{"", "ngfw_dev_", d.ApiKey + "0", d.ApiKey[:len(d.ApiKey)-1] + "x", "ngfw_pat_" + d.ApiKey[9:], strings.ToUpper(d.ApiKey)} {
		if _, err := p.fleet.AuthenticateDevice(context.Background(), key); !fault.Is(err, fault.Unauthorized) {
			t.Errorf("key %q: %v", key, err)
		}
	}
	entries, err := p.store.Audit(context.Background(), "a", 10)
	if err != nil || len(entries) != 1 || entries[0].Action != "register" || entries[0].DeviceID != d.Id || entries[0].UserID != "user-of-a" {
		t.Errorf("%+v, %v", entries, err)
	}
	if text := fmt.Sprintf("%+v", entries); strings.Contains(text, d.ApiKey) {
		t.Error("the key is in the audit log")
	}
}

func TestDeviceFields(t *testing.T) {
	p, _ := newProcess(t)
	id := p.register(t, "a", "edge").Id
	cases := []struct {
		field string
		in    *ngfwv1.Device
	}{
		{"name", &ngfwv1.Device{}},
		{"name", &ngfwv1.Device{Name: "  "}},
		{"name", &ngfwv1.Device{Name: strings.Repeat("ü", 256)}},
		{"name", &ngfwv1.Device{Name: "a\x00b"}},
		{"tags[1]", &ngfwv1.Device{Name: "x", Tags: []string{"a", ""}}},
		{"tags[1]", &ngfwv1.Device{Name: "x", Tags: []string{"a", "a"}}},
		{"mode", &ngfwv1.Device{Name: "x", Mode: "enforce"}},
		{"time_zone", &ngfwv1.Device{Name: "x", TimeZone: "Mars/Olympus"}},
		{"time_zone", &ngfwv1.Device{Name: "x", TimeZone: "Local"}},
		{"time_zone", &ngfwv1.Device{Name: "x", TimeZone: "../../etc/passwd"}},
		{"location", &ngfwv1.Device{Name: "x", Location: proto.String(strings.Repeat("x", 256))}},
	}
	for _, c := range cases {
		_, err := p.fleet.UpdateDevice(as("a"), &ngfwv1.UpdateDeviceRequest{Id: id, Device: c.in})
		if f, ok := fault.As(err); !ok || f.Code != fault.InvalidConfig || f.Field() != c.field {
			t.Errorf("%v: got %v, want an error at %s", c.in, err, c.field)
		}
	}
	if _, err := p.fleet.UpdateDevice(as("a"), &ngfwv1.UpdateDeviceRequest{Id: id}); !fault.Is(err, fault.InvalidConfig) {
		t.Errorf("no body: %v", err)
	}
	if _, err := p.fleet.RegisterDevice(as("a"), &ngfwv1.RegisterDeviceRequest{}); !fault.Is(err, fault.InvalidConfig) {
		t.Errorf("registered without a name: %v", err)
	}
}

// TestTimeZone: the router's configuration follows the device's time zone, as a
// new version that the router is told of.
func TestTimeZone(t *testing.T) {
	p, _ := newProcess(t)
	id := p.register(t, "a", "edge").Id
	p.addRule(t, id, rule("r", "LAN", "WAN", "drop"))
	in := &ngfwv1.Device{Name: strings.Repeat("ü", 255), TimeZone: "Europe/Berlin", Mode: "observe"}
	d, err := p.fleet.UpdateDevice(as("a"), &ngfwv1.UpdateDeviceRequest{Id: id, Device: in})
	if err != nil || d.TimeZone != "Europe/Berlin" || d.Mode != "observe" || d.Name != in.Name {
		t.Fatalf("%v, %v", d, err)
	}
	version, doc := p.document(t, id)
	if version != 3 || doc.Revision != 3 || doc.TimeZone != "Europe/Berlin" || len(doc.Rules) != 1 {
		t.Errorf("version %d: %+v", version, doc)
	}
	if n := p.links.pushes(id); n != 2 {
		t.Errorf("%d pushes", n)
	}
	// Left out: the time zone takes its default, the mode stays.
	d, err = p.fleet.UpdateDevice(as("a"), &ngfwv1.UpdateDeviceRequest{Id: id, Device: &ngfwv1.Device{Name: "edge"}})
	if err != nil || d.TimeZone != "UTC" || d.Mode != "observe" {
		t.Errorf("%v, %v", d, err)
	}
	if version, sections, mode, err := p.fleet.Document(context.Background(), id); err != nil || mode != "observe" || version != 4 || len(sections) != 1 {
		t.Errorf("%d, %v, %q, %v", version, sections, mode, err)
	}
	// A new name alone is no new configuration.
	if _, err = p.fleet.UpdateDevice(as("a"), &ngfwv1.UpdateDeviceRequest{Id: id, Device: &ngfwv1.Device{Name: "core"}}); err != nil {
		t.Fatal(err)
	}
	if v, _ := p.document(t, id); v != 4 || p.links.pushes(id) != 3 {
		t.Errorf("version %d, %d pushes", v, p.links.pushes(id))
	}
}

// TestPlanCap registers more devices at once than the plan allows.
func TestPlanCap(t *testing.T) {
	for plan, limit := range map[string]int{"starter": 1, "pro": 3, "homeplus": 1, "": 1} {
		t.Run("plan "+plan, func(t *testing.T) {
			p, _ := newProcess(t)
			storetest.Organization(t, p.store, "small", plan)
			ctx := identity.With(context.Background(), identity.Caller{UserID: "u", OrgID: "small", Plan: plan})
			var registered, refused atomic.Int32
			var wg sync.WaitGroup
			for i := range limit + 3 {
				wg.Go(func() {
					_, err := p.fleet.RegisterDevice(ctx, &ngfwv1.RegisterDeviceRequest{Name: fmt.Sprint("d", i)})
					f, ok := fault.As(err)
					switch {
					case err == nil:
						registered.Add(1)
					case ok && f.Code == fault.PlanLimit:
						refused.Add(1)
						want := map[string]any{"limit_info": map[string]any{"limit": limit, "current": limit}}
						if diff := cmp.Diff(want, f.Details); diff != "" {
							t.Error(diff)
						}
					default:
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if int(registered.Load()) != limit || refused.Load() != 3 {
				t.Errorf("%d registered, %d refused, limit %d", registered.Load(), refused.Load(), limit)
			}
		})
	}
}

func TestRemoveClosesTheConnection(t *testing.T) {
	p, _ := newProcess(t)
	d := p.register(t, "a", "edge")
	p.reports.Connected(context.Background(), d.Id, system.Hello{AgentVersion: "1.0", FirmwareVersion: "v1"})
	if _, err := p.fleet.RemoveDevice(as("a"), &ngfwv1.DeviceRequest{Id: d.Id}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{d.Id}, p.links.disconnected); diff != "" {
		t.Error(diff)
	}
	if _, err := p.fleet.AuthenticateDevice(context.Background(), d.ApiKey); !fault.Is(err, fault.Unauthorized) {
		t.Errorf("the key still works: %v", err)
	}
	if _, _, _, err := p.fleet.Document(context.Background(), d.Id); !fault.Is(err, fault.NotFound) {
		t.Errorf("there is still a configuration: %v", err)
	}
	// What the closing connection still says keeps nobody else from being written.
	other := p.register(t, "a", "next")
	p.reports.Metrics(context.Background(), d.Id, &ngfwv1.Metrics{Cpu: 1})
	p.reports.Disconnected(context.Background(), d.Id)
	p.reports.Connected(context.Background(), other.Id, system.Hello{AgentVersion: "1.0", FirmwareVersion: "v1"})
	if err := p.reports.Flush(context.Background()); err != nil {
		t.Error(err)
	}
	if r, err := p.store.Report(context.Background(), other.Id); err != nil || r.AgentVersion != "1.0" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := p.fleet.RemoveDevice(as("a"), &ngfwv1.DeviceRequest{Id: d.Id}); !fault.Is(err, fault.NotFound) {
		t.Errorf("removed twice: %v", err)
	}
	if _, err := p.firewall.CreateRule(as("a"), &ngfwv1.CreateRuleRequest{DeviceId: d.Id, Rule: rule("x", "LAN", "WAN", "drop")}); !fault.Is(err, fault.NotFound) {
		t.Errorf("rule on a removed device: %v", err)
	}
}

func TestResolve(t *testing.T) {
	p, _ := newProcess(t)
	caller, _ := identity.From(as("a"))
	resolve := func(id string) (string, error) { return p.fleet.Resolve(context.Background(), caller, id) }

	if _, err := resolve(""); !fault.Is(err, fault.NotFound) {
		t.Errorf("no device: %v", err)
	}
	one := p.register(t, "a", "one").Id
	if id, err := resolve(""); err != nil || id != one {
		t.Errorf("the only device: %q, %v", id, err)
	}
	two := p.register(t, "a", "two").Id
	if _, err := resolve(""); !fault.Is(err, fault.BadRequest) {
		t.Errorf("two devices: %v", err)
	}
	if id, err := resolve(two); err != nil || id != two {
		t.Errorf("named: %q, %v", id, err)
	}
	if id, err := resolve(p.register(t, "b", "foreign").Id); !fault.Is(err, fault.Forbidden) || id != "" {
		t.Errorf("foreign: %q, %v", id, err)
	}
	if _, err := resolve("dev_none"); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown: %v", err)
	}
	list, err := p.fleet.ListDevices(as("a"), &ngfwv1.ListDevicesRequest{})
	if err != nil || len(list.Devices) != 2 || list.Devices[0].Id != one || list.Devices[1].Id != two {
		t.Errorf("%v, %v", list, err)
	}
}

func TestDeviceStatusFollowsTheConfiguration(t *testing.T) {
	p, _ := newProcess(t)
	ctx := context.Background()
	id := p.register(t, "a", "edge").Id
	expect := func(status, state string, wanted, applied int64) *ngfwv1.DeviceStatus {
		t.Helper()
		s, err := p.fleet.DeviceStatus(as("a"), &ngfwv1.DeviceRequest{Id: id})
		if err != nil {
			t.Fatal(err)
		}
		if s.Id != id || s.Mode != "takeover" || s.Status != status || s.Config.State != state || s.Config.Wanted != wanted || s.Config.Applied != applied {
			t.Errorf("%v, want %s, %s, %d, %d", s, status, state, wanted, applied)
		}
		return s
	}
	expect("provisioning", "pending", 1, 0)
	p.reports.Connected(ctx, id, system.Hello{AgentVersion: "0.9", FirmwareVersion: "v2"})
	expect("online", "pending", 1, 0)
	p.reports.ConfigApplied(ctx, id, "full", 1)
	expect("online", "synced", 1, 1)
	p.addRule(t, id, rule("r", "LAN", "WAN", "drop"))
	expect("online", "pending", 2, 1)
	p.reports.ConfigFailed(ctx, id, "firewall", 2, "no room", "rules")
	if s := expect("online", "failed", 2, 1); s.Config.Error.GetField() != "rules" || s.Config.Error.GetMessage() != "no room" || s.Config.Error.GetSection() != "firewall" {
		t.Errorf("%v", s.Config.Error)
	}
	p.addRule(t, id, rule("s", "LAN", "WAN", "drop"))
	if s := expect("online", "pending", 3, 1); s.Config.Error != nil {
		t.Errorf("%v", s.Config.Error)
	}
	p.reports.ConfigApplied(ctx, id, "firewall", 3)
	expect("online", "synced", 3, 3)
	p.reports.Disconnected(ctx, id)
	s := expect("offline", "synced", 3, 3)
	if s.ConnectedAt != nil || s.LastSeen == nil || s.GetAgentVersion() != "0.9" {
		t.Errorf("%v", s)
	}
	d, err := p.fleet.Device(as("a"), &ngfwv1.DeviceRequest{Id: id})
	if err != nil || d.Status != "offline" || d.FirmwareVersion != "v2" || d.LastSeen == nil {
		t.Errorf("%v, %v", d, err)
	}
}
