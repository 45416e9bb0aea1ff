// Package labtest owns labs for Go tests: each test gets one of its own, under
// a name of its own, and it is gone when the test ends, however it ends. What a
// killed test binary leaves behind, the next one to make a lab removes.
//
// Tests that need one are skipped, with a word about it, where they do not run
// as root.
package labtest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/relay"
	"ngfw.sh/lab/server"
)

// prefix marks the names of labs that tests made.
const prefix = "test-"

// execLimit bounds one command of a test; a hanging client fails it with what
// it said so far.
const execLimit = 60 * time.Second

var (
	sweep sync.Once
	count atomic.Int64
)

// Option changes what lab New makes.
type Option func(*options)

type options struct {
	cfg     lab.Config
	serve   bool
	relayTo string
}

// Forward makes the router a plain one, see lab.Config.
func Forward() Option { return func(o *options) { o.cfg.Forward = true } }

// Servers runs inet's servers.
func Servers() Option { return func(o *options) { o.serve = true } }

// Relay carries the router's connections to relay.Address() on to an address of
// the test's own namespace.
func Relay(to string) Option { return func(o *options) { o.relayTo = to } }

// Lab is a lab and the test that it belongs to.
type Lab struct {
	*lab.Lab
	t testing.TB
}

// New makes a lab for a test.
func New(t testing.TB, opts ...Option) *Lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root, to make network namespaces")
	}
	sweep.Do(func() {
		if err := lab.Sweep(context.Background(), func(name string) bool { return strings.HasPrefix(name, prefix) }); err != nil {
			t.Logf("remove what earlier tests left: %v", err)
		}
	})
	o := options{cfg: lab.Config{
		Name:  fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), count.Add(1)),
		Owner: lab.Self(),
	}}
	for _, opt := range opts {
		opt(&o)
	}
	made, err := lab.Up(t.Context(), o.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Down(context.Background(), made.Name()); err != nil {
			t.Error(err)
		}
	})
	l := &Lab{Lab: made, t: t}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	if o.serve {
		s := server.New(server.DefaultConfig(), server.Deps{Lab: made, Log: log})
		l.background(s.Run, s.Ready())
	}
	if o.relayTo != "" {
		r := relay.New(relay.Config{To: o.relayTo}, relay.Deps{Lab: made, Log: log})
		l.background(r.Run, r.Ready())
	}
	return l
}

// background runs a service until the test ends, before the lab is removed.
func (l *Lab) background(run func(context.Context) error, ready <-chan struct{}) {
	l.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	select {
	case <-ready:
	case err := <-done:
		cancel()
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			l.t.Error(err)
		}
	})
}

// Exec runs a command in a host and returns what it printed; the test fails if
// the command does.
func (l *Lab) Exec(host string, command ...string) string {
	l.t.Helper()
	out, err := l.TryExec(host, command...)
	if err != nil {
		l.t.Fatalf("in %s: %s: %v", host, strings.Join(command, " "), err)
	}
	return out
}

// TryExec is Exec for commands that may fail; the error holds what they said.
func (l *Lab) TryExec(host string, command ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience(execLimit))
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.WaitDelay = time.Second
	if err := l.Lab.Run(host, cmd); err != nil {
		return out.String(), fmt.Errorf("%w\n%s%s", err, &out, &said)
	}
	return out.String(), nil
}

// In runs f in a host's namespace, on the test's goroutine: sockets that f opens
// stay there, goroutines that it starts do not.
func (l *Lab) In(host string, f func()) {
	l.t.Helper()
	if err := l.Lab.In(host, func() error { f(); return nil }); err != nil {
		l.t.Fatal(err)
	}
}

// Start runs a command in a host until the test ends.
func (l *Lab) Start(host string, cmd *exec.Cmd) {
	l.t.Helper()
	wait, err := l.Lab.Start(host, cmd)
	if err != nil {
		l.t.Fatalf("in %s: %s: %v", host, cmd, err)
	}
	l.t.Cleanup(func() {
		cmd.Process.Kill()
		wait()
	})
}

// Patience is a limit as it is on this machine: NGFW_PATIENCE says how many times
// longer on a slow one, such as an emulated one.
func Patience(limit time.Duration) time.Duration {
	if times, err := strconv.Atoi(os.Getenv("NGFW_PATIENCE")); err == nil && times > 0 {
		limit *= time.Duration(times)
	}
	return limit
}

// Eventually waits for a condition, a tenth of a second between looks, and
// fails the test with its last complaint when the limit passes, see Patience.
func Eventually(t testing.TB, limit time.Duration, condition func() error) {
	t.Helper()
	limit = Patience(limit)
	deadline := time.Now().Add(limit)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still not so after %v: %v", limit, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
