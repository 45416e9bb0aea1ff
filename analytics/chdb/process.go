package chdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	startTimeout = time.Minute // opening a large data directory takes a while
	backoffMin   = 100 * time.Millisecond
	backoffMax   = 10 * time.Second
	steady       = time.Minute // up for so long: the next failure is a new one
	killGrace    = stopGrace + 5*time.Second
)

// ErrDown is in the chain of errors while the engine process is not up.
var ErrDown = errors.New("the ClickHouse engine is not running")

// Process supervises the engine's child process: it starts, probes and
// restarts it with back-off. The child dies with this process.
type Process struct {
	cfg     Config
	command []string // program and first arguments; Config.Args follow
	log     *slog.Logger
	client  *http.Transport
	started atomic.Int64

	mu    sync.Mutex // guards below
	pid   int
	state error         // nil: up
	up    chan struct{} // closed while up
}

// NewProcess prepares the supervisor of "command… Config.Args()…", which must
// end up in Serve. It fails where no start could succeed: no library.
func NewProcess(cfg Config, command []string, log *slog.Logger) (*Process, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		address, done, err := socketAddress(cfg.Socket)
		if err != nil {
			return nil, err
		}
		defer done()
		return (&net.Dialer{}).DialContext(ctx, "unix", address)
	}
	return &Process{
		cfg: cfg, command: command, log: log,
		client: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: cfg.Connections, DisableCompression: true},
		state:  fmt.Errorf("%w: it was not started", ErrDown), up: make(chan struct{}),
	}, nil
}

// Run keeps the child up until ctx ends, then stops it in order. It fails when
// the first start fails: what is wrong then (a newer data directory, a library
// that does not load) a repetition does not cure.
func (p *Process) Run(ctx context.Context) error {
	wait := backoffMin
	for {
		begun := time.Now()
		wasUp, err := p.once(ctx)
		if ctx.Err() != nil {
			p.set(0, fmt.Errorf("%w: it was stopped", ErrDown))
			return err
		}
		if !wasUp && p.started.Load() == 1 {
			err = fmt.Errorf("start the ClickHouse engine: %w", err)
			p.set(0, err)
			return err
		}
		p.set(0, fmt.Errorf("%w, it is being restarted: %w", ErrDown, err))
		if time.Since(begun) > steady {
			wait = backoffMin
		}
		p.log.Error("clickhouse engine ended", "error", err, "restart_in", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, backoffMax)
	}
}

// Restarts counts the starts after the first.
func (p *Process) Restarts() int64 { return max(p.started.Load()-1, 0) }

// Pid is the child's process id, 0 while there is none.
func (p *Process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pid
}

// State is nil while the engine is up, else why it is not.
func (p *Process) State() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// Ready waits until the engine is up.
func (p *Process) Ready(ctx context.Context) error {
	p.mu.Lock()
	up := p.up
	p.mu.Unlock()
	select {
	case <-up:
		return nil
	case <-ctx.Done():
		return errors.Join(p.State(), ctx.Err())
	}
}

// RoundTrip sends one request of the driver to the child.
func (p *Process) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := p.State(); err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	return p.client.RoundTrip(req)
}

func (p *Process) set(pid int, state error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pid = pid
	if (p.state == nil) != (state == nil) {
		if state == nil {
			close(p.up)
		} else {
			p.up = make(chan struct{})
		}
	}
	p.state = state
}
