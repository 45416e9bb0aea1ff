package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// network is a Network that shows what a test tells it.
type network struct {
	links    []Link
	route    int
	settings map[string]LinkSettings
	err      error
}

func (n *network) Links() ([]Link, error)     { return n.links, n.err }
func (n *network) DefaultRoute() (int, error) { return n.route, n.err }
func (n *network) Settings(name string) (LinkSettings, error) {
	return n.settings[name], n.err
}

func addr(s string) Address { return Address{Prefix: netip.MustParsePrefix(s)} }

func linkLocal(s string) Address {
	a := addr(s)
	a.LinkLocal = true
	return a
}

// twoPorts is a router with a WAN and a LAN port.
func twoPorts() *network {
	return &network{
		route: 2,
		links: []Link{
			{Index: 2, Name: "eth0", MAC: "02:00:00:00:00:01", MTU: 1500, State: Up, Carrier: true,
				Addresses: []Address{addr("203.0.113.42/24"), linkLocal("fe80::1/64"), addr("2001:db8::1/64")},
				Received:  Traffic{Bytes: 1000, Packets: 10}, Sent: Traffic{Bytes: 500, Packets: 5}},
			{Index: 3, Name: "eth1", MAC: "02:00:00:00:00:02", MTU: 1500, State: Down},
			{Index: 9, Name: "wg0", MTU: 1420, State: Unknown, Carrier: true, Addresses: []Address{addr("10.9.0.1/24")}},
		},
		settings: map[string]LinkSettings{
			"eth0": {Driver: "igc", Speed: 2500, Duplex: "full"},
			"eth1": {Driver: "igc"},
		},
	}
}

// golden compares a message with testdata/NAME as indented JSON.
func golden(t *testing.T, name string, m proto.Message) {
	t.Helper()
	b, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var v any // protojson's own white space is unstable on purpose
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	got, _ := json.MarshalIndent(v, "", "  ")
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)+"\n"); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

func TestReportsOfMachines(t *testing.T) {
	for _, machine := range []string{"pc", "router", "bare"} {
		t.Run(machine, func(t *testing.T) {
			deps := Deps{
				Root: os.DirFS(filepath.Join("testdata", machine)),
				FreeSpace: func(string) (Space, error) {
					return Space{Total: 1000 << 20, Free: 600 << 20, Available: 550 << 20}, nil
				},
				Now: func() time.Time { return time.Unix(1703520000, 0) },
			}
			if machine != "bare" {
				deps.Network = twoPorts()
			}
			c := New(Config{Version: "v2.4.1-stable"}, deps)
			golden(t, machine+".status.json", c.Status(context.Background()))
			golden(t, machine+".hardware.json", c.Hardware(context.Background()))
			golden(t, machine+".metrics.json", c.Metrics(context.Background()))
		})
	}
}

// clockAndTree is a machine whose files and time a test turns on.
func clockAndTree(n Network) (*Collector, fstest.MapFS, *time.Time) {
	now := time.Unix(1000, 0)
	tree := fstest.MapFS{
		"proc/uptime":  {Data: []byte("10.0 1.0\n")},
		"proc/loadavg": {Data: []byte("0 0 0 1/1 1\n")},
		"proc/stat":    {Data: []byte("cpu 100 0 0 900 0 0 0 0 0 0\n")},
		"proc/meminfo": {Data: []byte("MemTotal: 100 kB\nMemAvailable: 75 kB\n")},
	}
	c := New(DefaultConfig(), Deps{Root: tree, Network: n, Now: func() time.Time { return now }})
	return c, tree, &now
}

func TestRatesAndUsageAreBetweenSamples(t *testing.T) {
	ctx := context.Background()
	n := twoPorts()
	c, tree, now := clockAndTree(n)

	s := c.Status(ctx)
	if s.Cpu != 10 || s.Interfaces[0].RxRate != 0 {
		t.Errorf("first sample: cpu %d, rate %d; want the mean since boot, 10, and no rate", s.Cpu, s.Interfaces[0].RxRate)
	}

	tree["proc/stat"].Data = []byte("cpu 190 0 0 910 0 0 0 0 0 0\n")
	*now = now.Add(4 * time.Second)
	n.links = append([]Link(nil), n.links...)
	n.links[0].Received.Bytes += 4000
	n.links[0].Sent.Bytes += 401
	n.links[1].Index = 30 // made anew with counters from 0
	c.take()
	s = c.Status(ctx)
	if s.Cpu != 90 {
		t.Errorf("cpu %d, want 90", s.Cpu)
	}
	if i := s.Interfaces[0]; i.RxRate != 1000 || i.TxRate != 100 || i.RxBytes != 5000 {
		t.Errorf("eth0: rx %d/s, tx %d/s, %d bytes; want 1000, 100, 5000", i.RxRate, i.TxRate, i.RxBytes)
	}
	if r := c.Metrics(ctx).Interfaces["eth0"]; r.RxRate != 1000 || r.TxRate != 100 {
		t.Errorf("metrics disagree with the status: %v", r)
	}

	*now = now.Add(time.Second)
	n.links = append([]Link(nil), n.links...)
	n.links[0].Received.Bytes = 7 // the driver started from 0 again
	c.take()
	if r := c.Metrics(ctx).Interfaces["eth0"]; r.RxRate != 0 {
		t.Errorf("rate %d after a counter's reset, want 0", r.RxRate)
	}
}

func TestPartsOfOthersTravelInMetrics(t *testing.T) {
	c, _, _ := clockAndTree(twoPorts())
	c.deps.Dataplane = func() *ngfwv1.Dataplane { return &ngfwv1.Dataplane{PolicyRevision: 7} }
	c.deps.Rules = func() []*ngfwv1.RuleCounter { return []*ngfwv1.RuleCounter{{RuleId: 3, Hits: 4}} }
	c.deps.DNS = func() *ngfwv1.Metrics_Dns { return &ngfwv1.Metrics_Dns{Queries: 9} }
	m := c.Metrics(context.Background())
	if m.Dataplane.GetPolicyRevision() != 7 || len(m.Rules) != 1 || m.Rules[0].Hits != 4 || m.Dns.Queries != 9 {
		t.Errorf("metrics %v lack a part", m)
	}
}

func TestWANAddress(t *testing.T) {
	for name, tc := range map[string]struct {
		zone []string
		edit func(*network)
		want string
	}{
		"default route":              {want: "203.0.113.42"},
		"zone before route":          {zone: []string{"wg0"}, want: "10.9.0.1"},
		"zone not there yet":         {zone: []string{"ppp0"}, want: "203.0.113.42"},
		"first port without address": {zone: []string{"eth1", "eth0"}, want: "203.0.113.42"},
		"no route":                   {edit: func(n *network) { n.route = 0 }},
		"IPv6 alone": {want: "2001:db8::1", edit: func(n *network) {
			n.links[0].Addresses = []Address{linkLocal("fe80::1/64"), addr("fd00::1/64"), addr("2001:db8::1/64")}
		}},
		"link-local alone": {edit: func(n *network) { n.links[0].Addresses = []Address{linkLocal("fe80::1/64")} }},
	} {
		t.Run(name, func(t *testing.T) {
			n := twoPorts()
			if tc.edit != nil {
				tc.edit(n)
			}
			c, _, _ := clockAndTree(n)
			c.deps.WANInterfaces = func() []string { return tc.zone }
			if got := c.Status(context.Background()).GetWanIp(); got != tc.want {
				t.Errorf("wan_ip %q, want %q", got, tc.want)
			}
		})
	}
}

func TestAddressShown(t *testing.T) {
	temporary := addr("2001:db8::bad/64")
	temporary.Deprecated = true
	tentative := addr("2001:db8::1:1/64")
	tentative.Unusable = true
	second := addr("192.0.2.2/24")
	second.Secondary = true
	l := Link{Addresses: []Address{linkLocal("fe80::1/64"), temporary, tentative, addr("fd00::1/64"), addr("2001:db8::2/64"),
		linkLocal("169.254.0.1/16"), second, addr("192.0.2.1/24")}}
	if got := *l.shown(true); got != "192.0.2.1/24" {
		t.Errorf("ip %s", got)
	}
	if got := *l.shown(false); got != "2001:db8::2/64" {
		t.Errorf("ip6 %s", got)
	}
}

// A source that fails is absent and counted, and the others are reported.
func TestFailingSourceDoesNotHideOthers(t *testing.T) {
	n := twoPorts()
	n.err = errors.New("no buffer space available")
	c, tree, _ := clockAndTree(n)
	tree["proc/loadavg"].Data = []byte("garbage")
	s := c.Status(context.Background())
	if s.Memory != 25 || len(s.Interfaces) != 0 || s.WanIp != nil {
		t.Errorf("status %v, want memory 25 and no interfaces", s)
	}
	if !c.failing["interfaces"] || !c.failing["load"] || c.failing["memory"] {
		t.Errorf("failing sources %v", c.failing)
	}
}

type walker func(context.Context) (Protocols, error)

func (w walker) Protocols(ctx context.Context) (Protocols, error) { return w(ctx) }

func TestRunSamplesUntilStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	walked := make(chan struct{}, 100)
	c, _, _ := clockAndTree(twoPorts())
	c.cfg.Interval, c.cfg.ConntrackInterval = time.Millisecond, time.Hour
	c.deps.Conntrack = walker(func(context.Context) (Protocols, error) {
		walked <- struct{}{}
		return Protocols{TCP: 623, UDP: 224}, nil
	})
	sampled := make(chan struct{}, 1000)
	c.deps.WANInterfaces = func() []string {
		select {
		case sampled <- struct{}{}:
		default:
		}
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	for range 3 {
		<-sampled
	}
	<-walked
	for c.Metrics(ctx).Connections.Tcp != 623 {
		select {
		case err := <-done:
			t.Fatalf("run ended: %v", err)
		case <-sampled:
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestConntrackPause(t *testing.T) {
	if got := conntrackPause(30*time.Second, 50*time.Millisecond); got != 30*time.Second {
		t.Errorf("a short walk is repeated after %v", got)
	}
	if got := conntrackPause(30*time.Second, time.Second); got != 100*time.Second {
		t.Errorf("a walk of 1 s is repeated after %v, want 100 s", got)
	}
}
