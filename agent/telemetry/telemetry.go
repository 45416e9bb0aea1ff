// Package telemetry owns what the router says of itself: the status, metrics
// and hardware payloads of the specification and the Prometheus endpoint, all
// read from the running kernel.
//
// One sampler (Run) reads the kernel every Config.Interval and keeps an
// immutable sample; every report is derived from the newest one, so a report
// costs no system call and all reports of a moment agree. Rates and the cpu
// percentage are means between the two newest samples. What the machine does not
// have is absent (no sensor: no temperature), what could not be read is counted
// in ngfw_telemetry_failures_total and logged once until it works again; nothing
// is made up.
//
// Interfaces come from netlink and ethtool alone: /sys/class/net shows the
// network namespace in which sysfs was mounted, which need not be the agent's.
//
// All methods of Collector are safe for concurrent use. The package changes
// nothing in the kernel, and knows neither the cloud nor the packet programs:
// their parts of the metrics come in through Deps.
package telemetry

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Config is how often the kernel is read.
type Config struct {
	Interval time.Duration // between samples
	// ConntrackInterval is the shortest time between two walks of the conntrack
	// table (for the split by protocol; the total is read with each sample). A
	// walk that takes long is repeated less often, see conntrackPause.
	ConntrackInterval time.Duration
	Version           string // of this build, reported as firmware
}

// DefaultConfig samples as often as metrics are sent.
func DefaultConfig() Config {
	return Config{Interval: 5 * time.Second, ConntrackInterval: 30 * time.Second, Version: "devel"}
}

// Deps are the surfaces that a Collector reads. Functions left nil have
// nothing to report.
type Deps struct {
	Root       fs.FS                       // holds proc and sys; the real root when nil
	Network    Network                     // interfaces and routes
	Conntrack  Conntrack                   // nil: connections are not split by protocol
	FreeSpace  func(string) (Space, error) // of a mount point; statfs when nil
	Registerer prometheus.Registerer       // nil: nothing is registered
	Logger     *slog.Logger
	Now        func() time.Time

	WANInterfaces func() []string              // of zone WAN; without any, the default route's
	Dataplane     func() *ngfwv1.Dataplane     // counters of the packet programs and the spool
	Rules         func() []*ngfwv1.RuleCounter // every rule that has counted
	NAT           func() []*ngfwv1.RuleCounter // every NAT rule that has counted
	QoS           func() []*ngfwv1.QosCounter  // every queue of the uplinks
	DNS           func() *ngfwv1.Metrics_Dns   // counters of the DNS filter
}

// Conntrack counts the entries of the connection table by protocol.
type Conntrack interface {
	Protocols(ctx context.Context) (Protocols, error)
}

// Protocols is the connection table split by protocol.
type Protocols struct{ TCP, UDP, Other int64 }

// Collector keeps the newest sample. Make it with New.
type Collector struct {
	cfg     Config
	deps    Deps
	metrics metrics

	split atomic.Pointer[Protocols] // of the last walk of the conntrack table

	mu      sync.Mutex // serialises sampling
	failing map[string]bool
	newest  atomic.Pointer[sample] // written under mu
}

// New makes a Collector that has not looked at anything yet.
func New(cfg Config, deps Deps) *Collector {
	if deps.Root == nil {
		deps.Root = os.DirFS("/")
	}
	if deps.FreeSpace == nil {
		deps.FreeSpace = statfs
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	c := &Collector{cfg: cfg, deps: deps, failing: map[string]bool{}}
	c.metrics = newMetrics(c, deps.Registerer)
	return c
}

// Run samples until ctx ends; it returns nil then.
func (c *Collector) Run(ctx context.Context) error {
	if c.cfg.Interval <= 0 || c.cfg.ConntrackInterval <= 0 {
		return errors.New("telemetry: intervals must be positive")
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		tick := time.NewTicker(c.cfg.Interval)
		defer tick.Stop()
		for {
			c.take()
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
	if c.deps.Conntrack != nil {
		g.Go(func() error {
			for {
				began := time.Now()
				c.walkConntrack(ctx)
				select {
				case <-ctx.Done():
					return nil
				case <-time.After(conntrackPause(c.cfg.ConntrackInterval, time.Since(began))):
				}
			}
		})
	}
	return g.Wait()
}

// conntrackPause keeps the walks below one percent of one core, however large
// the table grows.
func conntrackPause(least, took time.Duration) time.Duration { return max(least, 100*took) }

func (c *Collector) walkConntrack(ctx context.Context) {
	p, err := c.deps.Conntrack.Protocols(ctx)
	if ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	c.outcome("conntrack table", err)
	c.mu.Unlock()
	if err != nil {
		c.split.Store(nil) // an old split would be taken for a true one
		return
	}
	c.split.Store(&p)
}

// current is the newest sample; without a running sampler the first reader
// takes one.
func (c *Collector) current() *sample {
	if s := c.newest.Load(); s != nil {
		return s
	}
	return c.take()
}

// outcome logs a source's change between working and failing. Callers hold mu.
func (c *Collector) outcome(source string, err error) {
	if err != nil {
		c.metrics.failures.WithLabelValues(source).Inc()
		if !c.failing[source] {
			c.deps.Logger.Warn("telemetry source cannot be read", "source", source, "err", err)
		}
	} else if c.failing[source] {
		c.deps.Logger.Info("telemetry source works again", "source", source)
	}
	c.failing[source] = err != nil
}
