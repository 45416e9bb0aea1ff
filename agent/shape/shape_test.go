package shape

import (
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	config "ngfw.sh/config/qos"
	"ngfw.sh/dataplane/ids/rule"
	"ngfw.sh/dataplane/qos"
	"ngfw.sh/internal/fault"
)

// kernel notes what it is asked for.
type kernel struct {
	said  []string
	cfg   qos.Config
	fail  error
	stats []qos.Statistic
}

func (k *kernel) Apply(c qos.Config, p qos.Ports) error {
	if k.fail != nil {
		return k.fail
	}
	k.said, k.cfg = append(k.said, "apply"), c
	return nil
}
func (k *kernel) Resume(c qos.Config, p qos.Ports) error { return k.Apply(c, p) }
func (k *kernel) Follow(qos.Ports) error                 { k.said = append(k.said, "follow"); return k.fail }
func (k *kernel) Off() error                             { k.said = append(k.said, "off"); k.cfg = qos.Config{}; return nil }
func (k *kernel) Degraded() []string                     { return nil }
func (k *kernel) Statistics() ([]qos.Statistic, error)   { return k.stats, nil }

func newSection(t *testing.T, k *kernel, dir string) *Section {
	return New(DefaultConfig(dir), Deps{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Kernel: k, Ports: func() qos.Ports { return qos.Ports{} }})
}

const on = `{"enabled":true,"upload_mbps":20,"download_mbps":100.5,"scheduler":"cake","cake_options":{"nat":false},
"classes":[{"id":7,"name":"late","priority":6,"applications":["ssh"]},
	{"id":3,"name":"voice","priority":0,"guaranteed_mbps":2.5,"max_mbps":5,"dscp_markings":["EF"],"applications":["sip","https"],"ports":["udp/8000-8010"]}],
"device_limits":[{"mac":"02-00-00-00-00-05","download_mbps":8},{"mac":"02:00:00:00:00:06","priority":0}]}`

func TestConvert(t *testing.T) {
	d, err := config.Decode([]byte(on))
	if err != nil {
		t.Fatal(err)
	}
	got, err := convert(d)
	if err != nil {
		t.Fatal(err)
	}
	want := qos.Config{
		Upload: 20e6, Download: 100_500_000, Queue: qos.Cake, Priority: config.DefaultPriority,
		Cake: qos.CakeOptions{Isolation: "triple-isolate", RTT: 100_000},
		Classes: []qos.Class{
			{ID: 3, Name: "voice", Priority: 0, Guaranteed: 2_500_000, Max: 5e6, Codepoints: []uint8{46},
				Ports: []qos.PortRange{{Protocol: 17, From: 8000, To: 8010}, {From: 5060, To: 5061}, {From: 443, To: 443}},
				Apps:  []uint8{AppNumber("sip"), AppNumber("tls"), AppNumber("quic")}},
			{ID: 7, Name: "late", Priority: 6, Ports: []qos.PortRange{{Protocol: 6, From: 22, To: 22}}, Apps: []uint8{AppNumber("ssh")}},
		},
		Devices: []qos.Device{{MAC: qos.MAC{2, 0, 0, 0, 0, 5}, Download: 8e6, Priority: -1}, {MAC: qos.MAC{2, 0, 0, 0, 0, 6}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestTheMatchersNames: what a class may name is called by the matcher as it says, or
// is known by its ports.
func TestTheMatchersNames(t *testing.T) {
	if len(found) > 255 {
		t.Fatalf("%d names do not fit a byte", len(found))
	}
	for _, name := range config.Applications() {
		ports, _ := config.ApplicationPorts(name)
		for _, as := range config.FoundAs(name) {
			if p, ok := rule.ParseProtocol(as); (!ok || !p.IsApp()) && (len(ports) == 0 || as != name) {
				t.Errorf("%s: the matcher knows no %s", name, as)
			}
		}
	}
}

func TestTry(t *testing.T) {
	k, dir := &kernel{}, t.TempDir()
	s := newSection(t, k, dir)
	if err := s.Restore(); err != nil || !slices.Equal(k.said, []string{"off"}) {
		t.Fatal(err, k.said)
	}
	trial, err := s.Try(4, []byte(on))
	if err != nil || k.cfg.Upload != 20e6 || s.Version() != 4 {
		t.Fatal(err, k.cfg, s.Version())
	}
	if err := trial.Keep(); err != nil {
		t.Fatal(err)
	}

	// What is wrong, or fails, leaves what was.
	if _, err := s.Try(5, []byte(`{"enabled":true,"upload_mbps":1,"download_mbps":0.01}`)); err == nil || !fault.Is(err, fault.InvalidConfig) {
		t.Error(err)
	}
	k.fail = errors.New("no HTB here")
	if _, err := s.Try(5, []byte(on)); err == nil || !fault.Is(err, fault.Unavailable) || s.Version() != 4 {
		t.Error(err, s.Version())
	}
	k.fail = nil

	// What is taken back is as before.
	trial, err = s.Try(6, []byte(`{"enabled":false}`))
	if err != nil || k.cfg.Upload != 0 || s.Version() != 6 {
		t.Fatal(err, k.cfg)
	}
	if err := trial.Undo(); err != nil || k.cfg.Upload != 20e6 || s.Version() != 4 {
		t.Error(err, k.cfg, s.Version())
	}

	again := newSection(t, &kernel{}, dir)
	if err := again.Restore(); err != nil || again.Version() != 4 {
		t.Error(err, again.Version())
	}
	broken := &kernel{fail: errors.New("no")}
	if err := newSection(t, broken, dir).Restore(); err != nil {
		t.Errorf("the agent does not start: %v", err)
	}
}

func TestFound(t *testing.T) {
	var told []uint8
	s := newSection(t, &kernel{}, t.TempDir())
	s.deps.Tell = func(_, _ netip.AddrPort, _, app uint8) (bool, error) { told = append(told, app); return true, nil }
	say := func(app string) { s.Found(netip.AddrPort{}, netip.AddrPort{}, 6, app) }
	say("ssh") // no class in force names anything
	if _, err := s.Try(1, []byte(on)); err != nil {
		t.Fatal(err)
	}
	say("ssh")
	say("failed")
	if !slices.Equal(told, []uint8{AppNumber("ssh")}) {
		t.Error(told)
	}
}

func TestReport(t *testing.T) {
	k := &kernel{stats: []qos.Statistic{
		{Counter: qos.Counter{Interface: "wan", Upload: true, ClassID: 3}, Packets: 1, Bytes: 2, Dropped: 3, Backlog: 4},
		{Counter: qos.Counter{Interface: "lan", Device: qos.MAC{2}}, Packets: 9},
	}}
	got := newSection(t, k, t.TempDir()).Report()
	if len(got) != 1 || got[0].ClassId != 3 || got[0].Direction != "upload" || got[0].Interface != "wan" || got[0].Packets != 1 || got[0].Bytes != 2 || got[0].Dropped != 3 || got[0].Backlog != 4 {
		t.Errorf("%+v", got)
	}
}
