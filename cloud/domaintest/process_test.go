package domaintest

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"ngfw.sh/cloud/firewall"
	"ngfw.sh/cloud/fleet"
	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/operation"
	"ngfw.sh/cloud/resource"
	"ngfw.sh/cloud/store"
	"ngfw.sh/cloud/store/storetest"
	"ngfw.sh/cloud/system"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// links records what the services ask of the routers' connections.
type links struct {
	mu           sync.Mutex
	wanted       []string
	disconnected []string
}

func (l *links) Wanted(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wanted = append(l.wanted, id)
}

func (l *links) Disconnect(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.disconnected = append(l.disconnected, id)
}

func (l *links) pushes(id string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.wanted {
		if d == id {
			n++
		}
	}
	return n
}

// process is the domain services of one process.
type process struct {
	store      *store.Store
	links      *links
	config     *resource.Service
	reports    *system.Reports
	fleet      *fleet.Service
	system     *system.Service
	traffic    *traffic
	operations *operation.Service
	firewall   *firewall.Service
}

// Ask finds every router away.
func (l *links) Ask(context.Context, string, *ngfwv1.CloudMessage) (*ngfwv1.AgentMessage, error) {
	return nil, fault.New(fault.DeviceOffline, "the router is not connected")
}

func start(s *store.Store) *process {
	l := &links{}
	p := startWith(s, l)
	p.links = l
	return p
}

// routers are the routers' connections, as the services see them.
type routers interface {
	resource.Pusher
	fleet.Links
	firewall.Routers
}

func startWith(s *store.Store, l routers) *process {
	p := &process{store: s}
	log := slog.New(slog.DiscardHandler)
	p.config = resource.New(resource.DefaultConfig(), resource.Deps{Store: s, Pusher: l, Logger: log})
	p.reports = system.NewReports(system.DefaultConfig(), system.Deps{Store: s, Logger: log})
	cfg := fleet.DefaultConfig()
	cfg.ConnectURL = "grpcs://cloud.example:9090"
	p.fleet = fleet.New(cfg, fleet.Deps{Store: s, Links: l, Reports: p.reports, Configuration: p.config, Logger: log})
	p.system = system.New(p.reports, p.fleet)
	p.operations = operation.New(operation.DefaultConfig(), operation.Deps{Store: s, Logger: log})
	p.traffic = &traffic{}
	p.firewall = firewall.New(firewall.Deps{
		Configuration: p.config, Devices: p.fleet, Counters: p.reports, Addresses: p.reports, Routers: l,
		Traffic: p.traffic, Operations: p.operations, Abilities: p.reports,
	})
	return p
}

// as is a context of a user of the organisation.
func as(org string) context.Context {
	return identity.With(context.Background(), identity.Caller{
		UserID: "user-of-" + org, OrgID: org, Plan: "business_plus", Scopes: []identity.Scope{identity.Admin}, Address: "192.0.2.1",
	})
}

// newProcess has the organisations a and b.
func newProcess(t testing.TB) (*process, string) {
	t.Helper()
	s, path := storetest.Open(t)
	storetest.Organization(t, s, "a", "business_plus")
	storetest.Organization(t, s, "b", "business_plus")
	return start(s), path
}

func (p *process) register(t testing.TB, org, name string) *ngfwv1.RegisteredDevice {
	t.Helper()
	d, err := p.fleet.RegisterDevice(as(org), &ngfwv1.RegisterDeviceRequest{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func rule(name, from, to, action string) *ngfwv1.FirewallRule {
	return &ngfwv1.FirewallRule{Name: name, ZoneFrom: from, ZoneTo: to, Action: action}
}

func (p *process) addRule(t testing.TB, device string, r *ngfwv1.FirewallRule) *ngfwv1.FirewallRule {
	t.Helper()
	out, err := p.firewall.CreateRule(as("a"), &ngfwv1.CreateRuleRequest{DeviceId: device, Rule: r})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (p *process) ruleIDs(t testing.TB, device string) (ids []int64) {
	t.Helper()
	list, err := p.firewall.ListRules(as("a"), &ngfwv1.ListRulesRequest{DeviceId: device})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list.Rules {
		ids = append(ids, r.Id)
	}
	return ids
}

func (p *process) version(t testing.TB, device string) int64 {
	t.Helper()
	v, err := p.store.ConfigVersion(context.Background(), device)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// zone finds a zone by name.
func (p *process) zone(t testing.TB, device, name string) *ngfwv1.Zone {
	t.Helper()
	list, err := p.firewall.ListZones(as("a"), &ngfwv1.ListZonesRequest{DeviceId: device})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list.Zones, func(z *ngfwv1.Zone) bool { return z.Name == name })
	if i < 0 {
		t.Fatalf("no zone %s", name)
	}
	return proto.CloneOf(list.Zones[i])
}
