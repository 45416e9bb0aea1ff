// Package link owns the router's connection to its cloud: it finds the cloud,
// authenticates, answers what the cloud asks, reports, and moves batches out of
// the spool, for ever, in a process that never needs the cloud to do its work.
//
// Invariants: nothing is sent before AuthOk but Auth; the second message is
// Status; batches follow only after the cloud has said what it has stored; a
// batch leaves the spool only when it is acknowledged. A configuration older
// than the applied one is refused. What this agent cannot do is refused by name.
// The key is never logged.
//
// Concurrency: Run owns all goroutines; each connection has one that receives,
// one that sends, and a few that produce. Changes of the configuration are made
// one after the other by a goroutine that outlives a connection, since a change
// may break the very link that asked for it. State and Endpoint may be called
// from anywhere.
//
// It does not know what a configuration means (Handler), nor what is in a batch.
package link

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ngfw.sh/agent/spool"
	"ngfw.sh/internal/backoff"
	"ngfw.sh/internal/secret"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Config says where the cloud is and how patient the agent.
type Config struct {
	Server   string // grpcs://host:port; grpc:// without TLS, to loopback or with Insecure
	CAFile   string // PEM; "" trusts the system's authorities
	APIKey   secret.Text
	DeviceID string // optional: the cloud refuses if the key is another device's
	Insecure bool   // allows grpc:// to any address

	AgentVersion    string
	FirmwareVersion string

	DialTimeout     time.Duration // for an address, and for TLS
	AuthTimeout     time.Duration
	StatusInterval  time.Duration
	MetricsInterval time.Duration
	KeepAlive       time.Duration // a link silent for one and a half of it is dead
	ReconnectMin    time.Duration
	ReconnectMax    time.Duration
	Healthy         time.Duration // a connection that lasted so long resets the back-off
	WindowBatches   int           // sent without an acknowledgement
	WindowBytes     int
}

// DefaultConfig lacks Server and APIKey.
func DefaultConfig() Config {
	return Config{
		DialTimeout:     10 * time.Second,
		AuthTimeout:     10 * time.Second,
		StatusInterval:  time.Minute,
		MetricsInterval: 5 * time.Second,
		KeepAlive:       30 * time.Second,
		ReconnectMin:    time.Second,
		ReconnectMax:    time.Minute,
		Healthy:         time.Minute,
		WindowBatches:   32,
		WindowBytes:     4 << 20,
	}
}

// Handler is the daemon's side of a configuration change. Its methods are called
// one at a time and may take as long as a change takes; the context ends with
// Run, not with the connection. An error that is a fault names its field.
type Handler interface {
	// ConfigPush brings one section to a version, ConfigFull all of them in one step.
	ConfigPush(ctx context.Context, section string, version int64, doc []byte) error
	ConfigFull(ctx context.Context, version int64, doc []byte) error
	Mode(ctx context.Context, mode string, sections map[string]string) error
	// Applied is the version that each section runs; called at any time.
	Applied() map[string]int64
}

// Deps is what the link needs of the daemon. Simulate, Dialing, Resolver,
// Logger, Registerer and Now may be left out.
type Deps struct {
	Spool   *spool.Spool
	Handler Handler
	Status  func(context.Context) *ngfwv1.Status
	Metrics func(context.Context) *ngfwv1.Metrics
	// Simulate says what would become of a packet; an error that is a fault is
	// told to the cloud.
	Simulate func(context.Context, *ngfwv1.Packet) (*ngfwv1.Explanation, error)
	// Dialing is told each address before the first packet to it, so that the
	// data plane can permit exactly this connection. An error skips the address.
	Dialing func(netip.AddrPort) error
	// Resolver finds the addresses of the cloud's name.
	Resolver interface {
		LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	}
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time // wall clock
}

// Client is the link. Run it once.
type Client struct {
	cfg     Config
	deps    Deps
	target  target
	log     *slog.Logger
	metrics *metrics
	changes *changes

	mu       sync.Mutex // guards what follows
	state    State
	endpoint netip.AddrPort
	resolved []netip.Addr // last good answer, for when the resolver fails
}

// State is the link as `status` shows it.
type State struct {
	Connected   bool
	Since       time.Time // of the present state; zero: never connected
	DeviceID    string    // as the cloud says
	LastError   string    // why the last connection ended or did not come about
	ClockOffset time.Duration
	ClockKnown  bool // ClockOffset (cloud's clock minus ours, to a second) was learnt
}

// New checks the configuration and connects nothing.
func New(cfg Config, deps Deps) (*Client, error) {
	target, err := parseTarget(cfg.Server, cfg.Insecure)
	if err != nil {
		return nil, err
	}
	if cfg.APIKey == "" {
		return nil, errors.New("no API key: give it with `ngfw-agent configure --api-key`")
	}
	if deps.Spool == nil || deps.Handler == nil || deps.Status == nil || deps.Metrics == nil {
		return nil, errors.New("link: spool, handler, status and metrics are required")
	}
	for _, d := range []time.Duration{cfg.DialTimeout, cfg.AuthTimeout, cfg.StatusInterval, cfg.MetricsInterval, cfg.KeepAlive, cfg.ReconnectMin, cfg.ReconnectMax} {
		if d <= 0 {
			return nil, errors.New("link: intervals must be positive")
		}
	}
	if cfg.WindowBatches <= 0 || cfg.WindowBytes <= 0 {
		return nil, errors.New("link: the window must be positive")
	}
	if _, err := cfg.roots(); err != nil {
		return nil, err
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Registerer == nil {
		deps.Registerer = prometheus.NewRegistry()
	}
	if deps.Resolver == nil {
		deps.Resolver = net.DefaultResolver
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	m, err := newMetrics(deps.Registerer)
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, deps: deps, target: target, log: deps.Logger, metrics: m}
	c.changes = newChanges(deps.Handler, deps.Logger, m)
	return c, nil
}

func (c Config) roots() (*x509.CertPool, error) {
	if c.CAFile == "" {
		return nil, nil // the system's
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read the cloud's CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", c.CAFile)
	}
	return pool, nil
}

// Run connects and reconnects until the context ends; it returns nil then.
func (c *Client) Run(ctx context.Context) error {
	var worker sync.WaitGroup
	worker.Go(func() { c.changes.run(ctx) })
	defer worker.Wait()
	wait := backoff.Backoff{Min: c.cfg.ReconnectMin, Max: c.cfg.ReconnectMax}
	for {
		lasted, err := c.connect(ctx)
		c.lost(err)
		if ctx.Err() != nil {
			return nil
		}
		if lasted >= c.cfg.Healthy {
			wait.Reset()
		}
		var refused *refusedError
		var pause time.Duration
		if errors.As(err, &refused) {
			pause = wait.Long()
			c.metrics.refused.Inc()
			c.log.Error("the cloud refuses this router: is its key revoked, or the device removed?", "reason", refused.reason, "server", c.cfg.Server, "retry_in", pause.Round(time.Second))
		} else {
			pause = wait.Next()
			c.log.Warn("no connection to the cloud", "server", c.cfg.Server, "error", err, "retry_in", pause.Round(time.Millisecond))
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		c.metrics.reconnects.Inc()
	}
}

// State is the present state.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Endpoint is the cloud's address as last dialled; false before the first.
func (c *Client) Endpoint() (netip.AddrPort, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.endpoint, c.endpoint.IsValid()
}

func (c *Client) established(ok *ngfwv1.AuthOk) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.deps.Now()
	c.state = State{Connected: true, Since: now, DeviceID: ok.DeviceId}
	if ok.ServerTime > 0 {
		c.state.ClockOffset, c.state.ClockKnown = time.Unix(ok.ServerTime, 0).Sub(now).Round(time.Second), true
	}
	c.metrics.connected.Set(1)
}

func (c *Client) lost(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Connected {
		c.state.Connected, c.state.Since = false, c.deps.Now()
	}
	if err != nil {
		c.state.LastError = err.Error()
	}
	c.metrics.connected.Set(0)
}

// refusedError is a cloud that knows us and does not want us.
type refusedError struct{ reason string }

func (e *refusedError) Error() string { return "refused by the cloud: " + e.reason }
