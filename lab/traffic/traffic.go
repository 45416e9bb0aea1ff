// Package traffic owns the clients of a lab: continuing, gentle, real traffic
// by real programs (curl, dig, iperf3), with a small capture replayed now and
// then, and attempts that a firewall should refuse.
//
// Run works until its context ends. It keeps below a twentieth of one core: a
// new activity starts about twice a second, at most maxRunning at a time.
package traffic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os/exec"
	"sync"
	"time"

	"ngfw.sh/lab"
)

// Config says how much traffic there is.
type Config struct {
	Every       time.Duration // between two activities, on average
	ReplayEvery time.Duration // between two replays of the capture
	BulkEvery   time.Duration // between two bulk transfers
	ReportEvery time.Duration // between two lines of log
}

// DefaultConfig is gentle enough to run beside everything else.
func DefaultConfig() Config {
	return Config{Every: 500 * time.Millisecond, ReplayEvery: 20 * time.Second, BulkEvery: 45 * time.Second, ReportEvery: time.Minute}
}

// Deps is what a Generator works with.
type Deps struct {
	Lab *lab.Lab
	Log *slog.Logger
}

// maxRunning bounds the activities under way: refused ones last until they
// time out.
const maxRunning = 8

// activityLimit ends an activity that hangs.
const activityLimit = 10 * time.Second

// Generator makes the traffic of one lab.
type Generator struct {
	cfg  Config
	deps Deps

	mu    sync.Mutex
	tally map[string]*outcome // by activity
}

type outcome struct{ done, failed int }

// New checks that the clients are there.
func New(cfg Config, deps Deps) (*Generator, error) {
	for program, pkg := range map[string]string{"curl": "curl", "dig": "bind9-dnsutils", "iperf3": "iperf3"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%s is missing: apt-get install %s (make deps does it)", program, pkg)
		}
	}
	return &Generator{cfg: cfg, deps: deps, tally: map[string]*outcome{}}, nil
}

// Run makes traffic until ctx ends.
func (g *Generator) Run(ctx context.Context) error {
	frames, err := recorded()
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	defer running.Wait()
	replay := time.NewTicker(g.cfg.ReplayEvery)
	defer replay.Stop()
	bulk := time.NewTicker(g.cfg.BulkEvery)
	defer bulk.Stop()
	report := time.NewTicker(g.cfg.ReportEvery)
	defer report.Stop()

	slots := make(chan struct{}, maxRunning)
	start := func(a activity) {
		select {
		case slots <- struct{}{}:
		default:
			return // busy: this one is left out
		}
		running.Go(func() {
			defer func() { <-slots }()
			g.perform(ctx, a)
		})
	}
	start(activity{name: "replay", act: replayFrames(frames)})
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
			start(pick())
			next.Reset(g.cfg.Every/2 + rand.N(g.cfg.Every))
		case <-replay.C:
			start(activity{name: "replay", act: replayFrames(frames)})
		case <-bulk.C:
			start(bulkTransfer())
		case <-report.C:
			g.report()
		}
	}
}

func (g *Generator) perform(ctx context.Context, a activity) {
	limited, cancel := context.WithTimeout(ctx, activityLimit)
	defer cancel()
	err := a.act(limited, g.deps.Lab)
	if ctx.Err() != nil {
		return
	}
	if err != nil && !a.refused {
		g.deps.Log.Debug("activity failed", "activity", a.name, "error", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	o := g.tally[a.name]
	if o == nil {
		o = new(outcome)
		g.tally[a.name] = o
	}
	if o.done++; err != nil {
		o.failed++
	}
}

// report logs what was done since the last report. Refused attempts are meant
// to fail; a firewall's rules may make others fail too.
func (g *Generator) report() {
	g.mu.Lock()
	defer g.mu.Unlock()
	var attrs []any
	for name, o := range g.tally {
		attrs = append(attrs, slog.Group(name, "done", o.done, "failed", o.failed))
	}
	g.deps.Log.Info("traffic", attrs...)
	clear(g.tally)
}

// command is an activity by one program in one host.
func command(host string, argv ...string) func(context.Context, *lab.Lab) error {
	return func(ctx context.Context, l *lab.Lab) error {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		cmd.WaitDelay = time.Second
		err := l.Run(host, cmd)
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			return fmt.Errorf("in %s: %v: %w", host, argv, err)
		}
		return err
	}
}
