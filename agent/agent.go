// Package agent is the daemon on the router: it wires the data plane, the
// sections that configure it, the records that come out of it, and the link to
// the cloud. It runs without a cloud for ever, under the last good
// configuration; when it ends, packets go on under the same policy.
//
// One agent runs per state directory, held by a lock file.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"ngfw.sh/agent/confirm"
	"ngfw.sh/agent/control"
	"ngfw.sh/agent/feed"
	"ngfw.sh/agent/firewall"
	"ngfw.sh/agent/flowlog"
	"ngfw.sh/agent/hits"
	"ngfw.sh/agent/inspect"
	"ngfw.sh/agent/link"
	"ngfw.sh/agent/settings"
	"ngfw.sh/agent/shape"
	"ngfw.sh/agent/spool"
	"ngfw.sh/agent/telemetry"
	"ngfw.sh/dataplane"
	"ngfw.sh/dataplane/flow"
	"ngfw.sh/dataplane/netfilter"
	"ngfw.sh/dataplane/qos"
	"ngfw.sh/internal/geoip"
)

// Config of a run.
type Config struct {
	Settings   settings.Settings
	PolicyFile string // enforce this file, without a cloud
	IDSFile    string // with it: inspect by the section ids in this file
	QoSFile    string // with it: shape by the section qos in this file
	Version    string
}

// Agent is the daemon. Run it once.
type Agent struct {
	cfg     Config
	log     *slog.Logger
	started time.Time

	dataplane *dataplane.Dataplane
	firewall  *firewall.Section
	hits      *hits.Store
	feed      *feed.Feed
	spool     *spool.Spool
	facts     *flowlog.Facts // what the matcher knows of flows
	places    *geoip.File[geoip.Database]
	flows     *flow.Reader
	telemetry *telemetry.Collector
	netlink   *telemetry.Netlink
	link      *link.Client // nil: no cloud configured
	confirm   *confirm.Confirmer
	inspect   *inspect.Section
	shape     *shape.Section
	events    *os.File // the matcher's, if it is wanted
	mode      *mode
	refused   refusedFile
	registry  *prometheus.Registry
}

// New makes an agent that has touched nothing yet.
func New(cfg Config, log *slog.Logger) *Agent {
	return &Agent{cfg: cfg, log: log, registry: newRegistry()}
}

// Run is the daemon until ctx ends. Then packets go on as they are.
func (a *Agent) Run(ctx context.Context) error {
	a.started = time.Now()
	lock, err := a.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	defer a.close()
	if err := a.open(); err != nil {
		return err
	}
	if err := a.enforce(ctx); err != nil {
		return err
	}
	if err := a.reconcile(); err != nil {
		return err
	}
	return a.serve(ctx)
}

// lock holds the state directory: two agents over one set of pins would both
// tell every flow.
func (a *Agent) lock() (*os.File, error) { return lock(a.cfg.Settings.StateDir) }

func lock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "agent.lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the state directory: %w", err)
	}
	for began := time.Now(); unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil; time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > lastBreath {
			f.Close()
			return nil, fmt.Errorf("another ngfw-agent works in %s: stop it first", dir)
		}
	}
	return f, nil
}

// lastBreath is how long one that was killed may still hold what it had open.
const lastBreath = 3 * time.Second

func (a *Agent) open() error {
	s := a.cfg.Settings
	var err error
	a.dataplane, err = dataplane.Open(dataplane.Config{
		Pins: s.BPFDir, XDP: dataplane.XDPMode(s.XDP), TC: dataplane.TCMode(s.TC), FastPath: dataplane.FastPath(s.FastPath), MaxFlows: uint32(s.Flow.MaxFlows),
		Clock: dataplane.Clock(s.Clock),
	}, dataplane.Deps{Log: a.log})
	if err != nil {
		return err
	}
	if err := a.openEarly(); err != nil {
		return err
	}
	a.firewall = firewall.New(firewall.Config{StateDir: s.StateDir}, firewall.Deps{
		Log: a.log, Kernel: a.dataplane, Netfilter: netfilter.Apply, Loaded: netfilter.State, Addresses: ownAddresses, Opened: a.openRouter,
		Countries: firewall.CountriesOf(s.GeoIP),
		Forget:    netfilter.Forget, Renew: netfilter.Renew,
	})
	if a.hits, err = hits.Open(hits.DefaultConfig(s.StateDir), hits.Deps{Log: a.log, Live: a.ruleCounters}); err != nil {
		return err
	}
	sc := spool.DefaultConfig()
	sc.Dir, sc.MaxBytes, sc.Sync = filepath.Join(s.StateDir, "spool"), int64(s.Spool.MaxBytes), s.Spool.Fsync
	if a.spool, err = spool.Open(sc, spool.Deps{Logger: a.log, Registerer: a.registry}); err != nil {
		return err
	}
	a.facts = flowlog.NewFacts(factsKept)
	a.places = geoip.NewFile(s.GeoIP, geoip.Open)
	if a.places.Get(); a.places.Err() != nil {
		a.log.Warn("rows of the traffic log name no country", "err", a.places.Err())
	}
	if err := a.openInspection(); err != nil {
		return err
	}
	a.openShaping()
	fc := flow.DefaultConfig()
	fc.UpdateInterval = s.Flow.UpdateInterval
	a.flows = flow.New(fc, flow.Deps{Log: a.log, Sink: a.record, Settle: a.spool.Flush}, a.dataplane.FlowMaps())
	if a.mode, err = openMode(s.StateDir); err != nil {
		return err
	}
	if a.netlink, err = telemetry.OpenNetlink(); err != nil {
		return err
	}
	tc := telemetry.DefaultConfig()
	tc.Version = a.cfg.Version
	a.telemetry = telemetry.New(tc, telemetry.Deps{
		Network: a.netlink, Conntrack: a.netlink, Registerer: a.registry, Logger: a.log,
		WANInterfaces: a.firewall.WAN, Dataplane: a.dataplaneReport, Rules: a.ruleReport, NAT: a.natReport, QoS: a.shape.Report,
	})
	a.registry.MustRegister(&collector{a})
	return a.openLink()
}

func (a *Agent) openLink() error {
	s := a.cfg.Settings
	if s.Server == "" || a.cfg.PolicyFile != "" {
		return nil
	}
	key, err := s.Key()
	if err != nil {
		return err
	}
	c := link.DefaultConfig()
	c.Server, c.CAFile, c.APIKey, c.Insecure = s.Server, s.CAFile, key, s.Insecure
	c.AgentVersion, c.FirmwareVersion = a.cfg.Version, a.cfg.Version
	a.link, err = link.New(c, link.Deps{
		Spool: a.spool, Handler: handler{a}, Status: a.statusReport, Metrics: a.telemetry.Metrics, Simulate: a.explain,
		Dialing: a.dataplane.SetCloud, Logger: a.log, Registerer: a.registry,
	})
	if err != nil {
		return err
	}
	a.confirm = confirm.New(confirm.Config{Within: s.ConfirmWithin}, confirm.Deps{Proof: a.link.Proof, Logger: a.log})
	return nil
}

func (a *Agent) close() {
	var errs []error
	if a.spool != nil {
		errs = append(errs, a.spool.Close())
	}
	if a.netlink != nil {
		a.netlink.Close()
	}
	if a.events != nil {
		errs = append(errs, a.events.Close())
	}
	if a.dataplane != nil {
		errs = append(errs, a.dataplane.Close())
	}
	if err := errors.Join(errs...); err != nil {
		a.log.Warn("closing", "err", err)
	}
}

// enforce starts under the policy file or the last good section. Without either
// the agent touches no packet.
func (a *Agent) enforce(ctx context.Context) error {
	if a.cfg.PolicyFile != "" {
		if err := a.enforceFile(ctx); err != nil {
			return err
		}
		if a.cfg.QoSFile != "" {
			return nil
		}
		return a.shape.Restore()
	}
	have, err := a.firewall.Restore()
	if err != nil {
		return err
	}
	if err := a.shape.Restore(); err != nil {
		return err
	}
	if err := a.inspect.Restore(ctx); err != nil {
		return err
	}
	if !have {
		a.log.Info("no policy yet: no packet is touched until the cloud sends one")
	}
	return nil
}

func (a *Agent) enforceFile(ctx context.Context) error {
	doc, err := os.ReadFile(a.cfg.PolicyFile)
	if err != nil {
		return fmt.Errorf("read the policy: %w", err)
	}
	// Each reading is a revision of its own, so that flows are judged again.
	revision := max(a.dataplane.Revision(), 0) + 1
	if err := a.firewall.Apply(ctx, revision, doc); err != nil {
		return fmt.Errorf("%s: %w", a.cfg.PolicyFile, err)
	}
	return errors.Join(a.inspectFile(ctx, revision), a.shapeFile(revision))
}

// openRouter is called once the first policy is enforced and the backstop holds.
func (a *Agent) openRouter() error {
	if err := a.dataplane.AttachAll(); err != nil {
		a.log.Error("an interface stays closed", "err", err)
	}
	return enableForwarding()
}

// factsKept bounds the flows of which something is known: some 16 MB at most.
const factsKept = 1 << 16

// record hands flow events to the spool.
func (a *Agent) record(events []flow.Event) error {
	rows := flowlog.Rows(events, names{a})
	for i, e := range events {
		a.facts.Fill(e, rows[i])
	}
	return a.spool.Append(rows)
}

// names resolves numbers for the flow log.
type names struct{ *Agent }

func (n names) PortName(index uint32) string { return n.dataplane.PortName(index) }

func (n names) Country(addr netip.Addr) string {
	if db := n.places.Get(); db != nil {
		return db.Country(addr)
	}
	return ""
}

// reconcile tells the flow reader what the spool remembers to have told.
func (a *Agent) reconcile() error {
	told := map[uint64]flow.Told{}
	for id, t := range a.spool.LastTotals() {
		told[id] = flow.Told{Closed: t.Closed, Counts: flow.Counts{
			PacketsSent: t.PacketsSent, PacketsReceived: t.PacketsReceived, BytesSent: t.BytesSent, BytesReceived: t.BytesReceived,
		}}
	}
	return a.flows.Reconcile(told)
}

// serve runs every part; the first that fails ends all.
func (a *Agent) serve(ctx context.Context) error {
	s := a.cfg.Settings
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.runDataplane(ctx) })
	g.Go(func() error { return a.flows.Run(ctx) })
	g.Go(func() error { return a.hits.Run(ctx, a.firewall.Rules) })
	g.Go(func() error { return a.feed.Run(ctx) })
	g.Go(func() error { return a.telemetry.Run(ctx) })
	g.Go(func() error { return a.prune(ctx) })
	g.Go(func() error { return a.inspect.Run(ctx) })
	g.Go(func() error { return a.shape.Run(ctx) })
	g.Go(func() error { return a.guard(ctx) })
	g.Go(func() error { return a.firewall.FollowCountries(ctx) })
	g.Go(func() error { return watchAddresses(ctx, a.log, a.firewall.Readdress) })
	g.Go(func() error { return a.reload(ctx) })
	g.Go(func() error {
		return control.New(control.Config{Socket: s.ControlSocket}, control.Deps{Status: a.status, Simulate: a.simulate, Trace: a.trace, Logger: a.log}).Run(ctx)
	})
	g.Go(func() error {
		return telemetry.NewServer(telemetry.ServerConfig{Listen: s.MetricsListen, AllowRemote: s.AllowRemoteMetrics},
			telemetry.ServerDeps{Gatherer: a.registry, Logger: a.log}).Run(ctx)
	})
	if a.link != nil {
		g.Go(func() error { return a.link.Run(ctx) })
	}
	a.log.Info("agent running", "version", a.cfg.Version, "revision", a.firewall.Version())
	return g.Wait()
}

// runDataplane follows the interfaces from the first policy on.
func (a *Agent) runDataplane(ctx context.Context) error {
	if !a.firewall.Wait(ctx) {
		return nil
	}
	return a.dataplane.Run(ctx)
}

// guard keeps our nftables table as it is, from the first policy on.
func (a *Agent) guard(ctx context.Context) error {
	if !a.firewall.Wait(ctx) {
		return nil
	}
	a.firewall.Guard() // what changed before the watch
	return netfilter.Watch(ctx, a.firewall.Guard)
}

// prune lets the spool forget flows that are gone.
func (a *Agent) prune(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			a.spool.PruneTotals(a.flows.Alive)
		}
	}
}

// Remove takes the firewall off this machine: programs, maps and the nftables
// table. Packets then pass unfiltered and untranslated; what is on disk stays.
// A running agent must be stopped first.
func Remove(s settings.Settings) error {
	held, err := lock(s.StateDir)
	if err != nil {
		return err
	}
	defer held.Close()
	if err := qos.Remove(); err != nil {
		return err
	}
	// The backstop last: until then what lost its programs is closed.
	if err := dataplane.Remove(s.BPFDir); err != nil {
		return err
	}
	return netfilter.Remove()
}
