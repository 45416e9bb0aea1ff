package system

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ngfw.sh/cloud/store"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Store keeps reports over a restart. *store.Store is one.
type Store interface {
	Report(ctx context.Context, deviceID string) (store.Report, error)
	PutReports(ctx context.Context, reports []store.Report) error
}

// Config bounds Reports.
type Config struct {
	Stale       time.Duration // how old a report of a disconnected router may be to be shown
	Persist     time.Duration // how often what changed is written to the store
	MaxCounters int           // rules of one device whose counters are kept
	Step        time.Duration // what a sample of a device's history is the mean of
	Samples     int           // that are kept of one device
	KeepHistory time.Duration // how often the history of a device is written, which is longer than the rest
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{Stale: 300 * time.Second, Persist: 30 * time.Second, MaxCounters: 65536, Step: 20 * time.Second, Samples: 180, KeepHistory: 10 * time.Minute}
}

// Deps is what Reports works with. All but Store may be left out.
type Deps struct {
	Store      Store
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
}

// Reports holds the last report of every device that was heard of or asked for.
type Reports struct {
	cfg     Config
	deps    Deps
	metrics metrics

	mu      sync.Mutex // guards devices and what they point to
	devices map[string]*report
}

// report is what one device last told.
type report struct {
	connections  int // open ones: a new one may overlap the one it replaces
	connectedAt  time.Time
	lastSeen     time.Time
	agentVersion string
	firmware     string
	status       *ngfwv1.SystemStatus
	statusAt     time.Time
	hardware     *ngfwv1.Hardware
	last         *ngfwv1.Metrics
	metricsAt    time.Time
	counters     map[int64]counter
	config       outcome
	history      history
	historyAt    time.Time // when it was written
	dirty        bool      // differs from what the store has
}

// NewReports makes an empty Reports; devices are read from the store when they
// are first met.
func NewReports(cfg Config, deps Deps) *Reports {
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Reports{cfg: cfg, deps: deps, metrics: newMetrics(deps.Registerer), devices: map[string]*report{}}
}

// with runs f on a device's report, under the lock.
func (r *Reports) with(ctx context.Context, deviceID string, f func(*report)) error {
	r.mu.Lock()
	if d, ok := r.devices[deviceID]; ok {
		f(d)
		r.mu.Unlock()
		return nil
	}
	r.mu.Unlock()

	stored, err := r.deps.Store.Report(ctx, deviceID)
	fresh := &report{counters: map[int64]counter{}}
	if err == nil {
		fresh, err = decode(stored)
	} else if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("read last report of %s: %w", deviceID, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	d, ok := r.devices[deviceID]
	if !ok {
		d = fresh
		r.devices[deviceID] = d
	}
	f(d)
	return nil
}

// heard is with for what a router says: it marks the device as seen.
func (r *Reports) heard(ctx context.Context, deviceID, kind string, f func(*report)) error {
	r.metrics.received.WithLabelValues(kind).Inc()
	return r.with(ctx, deviceID, func(d *report) {
		d.lastSeen = r.deps.Now()
		d.dirty = true
		f(d)
	})
}

// Hello is what a router says of itself when it connects.
type Hello struct {
	AgentVersion    string
	FirmwareVersion string
	Address         string
	At              time.Time
	Applied         map[string]int64 // section → version; "full" is the whole document
}

// Connected tells that a connection of the device opened. Exactly one
// Disconnected follows for each.
func (r *Reports) Connected(ctx context.Context, deviceID string, hello Hello) error {
	return r.heard(ctx, deviceID, "connected", func(d *report) {
		d.connections++
		d.connectedAt = d.lastSeen
		d.agentVersion, d.firmware = hello.AgentVersion, hello.FirmwareVersion
		d.config.runs(hello.Applied)
		if d.connections == 1 {
			r.metrics.online.Inc()
		}
	})
}

// Disconnected tells that a connection of the device ended.
func (r *Reports) Disconnected(ctx context.Context, deviceID string) error {
	// The context of a connection has ended with it.
	return r.heard(context.WithoutCancel(ctx), deviceID, "disconnected", func(d *report) {
		if d.connections == 0 {
			return // forgotten meanwhile
		}
		if d.connections--; d.connections == 0 {
			r.metrics.online.Dec()
		}
	})
}

// Status takes a status; the hardware in it, where it is given.
func (r *Reports) Status(ctx context.Context, deviceID string, s *ngfwv1.Status) error {
	return r.heard(ctx, deviceID, "status", func(d *report) {
		if s.GetStatus() != nil {
			d.status, d.statusAt = s.GetStatus(), d.lastSeen
			if fw := s.GetStatus().GetFirmware(); fw != "" {
				d.firmware = fw
			}
		}
		if s.GetHardware() != nil {
			d.hardware = s.GetHardware()
		}
	})
}

// Metrics takes metrics and the rule counters in them.
func (r *Reports) Metrics(ctx context.Context, deviceID string, m *ngfwv1.Metrics) error {
	return r.heard(ctx, deviceID, "metrics", func(d *report) {
		d.last, d.metricsAt = withoutRules(m), d.lastSeen
		d.history.add(d.lastSeen, r.cfg.Step, r.cfg.Samples, m)
		if n := d.count(ofRules, m.GetRules(), r.cfg.MaxCounters) + d.count(ofNAT, m.GetNat(), r.cfg.MaxCounters); n > 0 {
			r.metrics.refused.Add(float64(n))
		}
	})
}

// ConfigApplied tells that the router runs this version of a section; "full" of
// the whole document.
func (r *Reports) ConfigApplied(ctx context.Context, deviceID, section string, version int64) error {
	return r.heard(ctx, deviceID, "config_applied", func(d *report) { d.config.apply(section, version) })
}

// ConfigFailed tells that the router refused or rolled back this version.
func (r *Reports) ConfigFailed(ctx context.Context, deviceID, section string, version int64, message, field string) error {
	r.deps.Logger.Warn("router did not take its configuration", "device", deviceID, "section", section,
		"version", version, "field", field, "error", message)
	return r.heard(ctx, deviceID, "config_failed", func(d *report) {
		d.config.fail(section, failure{Version: version, Message: message, Field: field})
	})
}

// Forget drops a removed device.
func (r *Reports) Forget(deviceID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d, ok := r.devices[deviceID]; ok && d.connections > 0 {
		r.metrics.online.Dec()
	}
	delete(r.devices, deviceID)
}
