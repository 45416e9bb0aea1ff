// Package stack owns the whole of ngfw.sh running on one machine: the cloud, a
// lab, the agent in the lab's router and continuing traffic, kept alive
// together and gone together. `make run` is this package.
//
// Everything it makes lies in one directory (Config.Dir), in a lab of its own
// and in processes that carry a mark in their environment. Whatever way a run
// ends, Stop or the next Run finds what is left by these three and removes it;
// nothing else is ever touched. A lock on the directory lets one run at a time
// have it.
//
// It drives the built programs over their command lines and the REST interface,
// as a user does, and imports neither cloud nor agent.
package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/relay"
)

// Config says where a run has its things.
type Config struct {
	Name       string // of the lab
	Dir        string // for data, logs, credentials; removed at the end
	Bin        string // directory of the three programs
	Listen     string // the cloud's REST, streams and dashboard
	GRPCListen string // the cloud's agents
	Traffic    bool   // make continuing traffic
}

// DefaultConfig is what `make run` means.
func DefaultConfig() Config {
	return Config{
		Name: lab.DefaultName, Dir: ".run", Bin: "bin",
		Listen: "127.0.0.1:8080", GRPCListen: "127.0.0.1:9090", Traffic: true,
	}
}

// Deps is what a Stack works with.
type Deps struct {
	Log *slog.Logger     // what happens to the services
	Say func(msg string) // progress, for whoever waits
}

// Stack is one run.
type Stack struct {
	cfg   Config
	deps  Deps
	mark  string
	lab   *lab.Lab
	api   *client
	ready chan struct{}

	services []*service // in the order of their start
	agent    *service
}

// Limits of the steps of a start. The first start of the analytics engine reads
// a large library from disk.
const (
	cloudLimit = 2 * time.Minute
	syncLimit  = time.Minute
	flowLimit  = time.Minute
)

// New prepares a run; nothing happens before Run.
func New(cfg Config, deps Deps) (*Stack, error) {
	if _, err := lab.Named(cfg.Name); err != nil {
		return nil, err
	}
	for what, path := range map[string]*string{"directory": &cfg.Dir, "programs": &cfg.Bin} {
		abs, err := filepath.Abs(*path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		*path = abs
	}
	for name, address := range map[string]string{"NGFW_LISTEN": cfg.Listen, "NGFW_GRPC_LISTEN": cfg.GRPCListen} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, fmt.Errorf("%s: %q is not host:port", name, address)
		}
	}
	if deps.Say == nil {
		deps.Say = func(string) {}
	}
	return &Stack{cfg: cfg, deps: deps, ready: make(chan struct{})}, nil
}

// Ready is closed when a packet has been all the way through: forwarded by the
// router, recorded, and visible over the API.
func (s *Stack) Ready() <-chan struct{} { return s.ready }

// Run runs everything until ctx ends, and then removes all of it. After a
// failure the logs stay in Config.Dir.
func (s *Stack) Run(ctx context.Context) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("not root: network namespaces and BPF need it (run with sudo)")
	}
	for _, program := range []string{"ngfw-cloud", "ngfw-agent", "ngfw-lab"} {
		if _, err := os.Stat(s.program(program)); err != nil {
			return fmt.Errorf("%w: make build makes it", err)
		}
	}
	held, left, err := lock(s.cfg.Dir)
	if err != nil {
		return err
	}
	defer held.release()
	if err := sweep(ctx, s.cfg.Dir, left, false); err != nil {
		return fmt.Errorf("remove what an earlier run left: %w", err)
	}
	if err := errors.Join(notForeign(s.cfg.Dir), removeLogs(s.cfg.Dir)); err != nil {
		return err
	}
	if err := s.portsFree(); err != nil {
		return err
	}
	me := newRecord(s.cfg.Name)
	s.mark = me.Mark
	if err := held.write(me); err != nil {
		return err
	}
	up, cancel := context.WithCancel(ctx)
	defer func() {
		s.stopServices()
		cancel()
		failed := err != nil && ctx.Err() == nil
		err = errors.Join(err, sweep(context.WithoutCancel(ctx), s.cfg.Dir, me, failed))
		if failed {
			err = fmt.Errorf("%w\nthe logs are in %s", err, s.cfg.Dir)
		}
	}()
	if err := s.start(up); err != nil {
		if ctx.Err() != nil {
			return nil // interrupted while starting
		}
		return err
	}
	close(s.ready)
	<-ctx.Done()
	s.deps.Say("stopping")
	return nil
}

// start brings everything up, in the order in which one needs the other.
func (s *Stack) start(ctx context.Context) error {
	s.deps.Say("starting the cloud")
	if err := s.startCloud(ctx); err != nil {
		return err
	}
	s.deps.Say("registering the router")
	device, err := s.registerDevice(ctx)
	if err != nil {
		return err
	}
	s.deps.Say("making the lab")
	s.lab, err = lab.Up(ctx, lab.Config{Name: s.cfg.Name, Owner: lab.Self()})
	if errors.Is(err, lab.ErrInUse) {
		return fmt.Errorf("%w: bin/ngfw-lab down --name %s removes it, NGFW_LAB_NAME=other makes another", err, s.cfg.Name)
	}
	if err != nil {
		return err
	}
	if err := s.startRelay(ctx); err != nil {
		return err
	}
	s.service("serve", lab.INET, "ngfw-lab", "serve", "--name", s.cfg.Name)
	s.deps.Say("starting the agent in the lab's router")
	if err := s.startAgent(ctx, device); err != nil {
		return err
	}
	s.deps.Say("waiting for the first flow to be recorded")
	if err := s.awaitFlow(ctx, device); err != nil {
		return err
	}
	if s.cfg.Traffic {
		s.service("traffic", "", "ngfw-lab", "traffic", "--name", s.cfg.Name)
	}
	return s.writeEnvironment(device)
}

// startRelay opens the router's way to the cloud. It ends with this process.
func (s *Stack) startRelay(ctx context.Context) error {
	r := relay.New(relay.Config{To: dialable(s.cfg.GRPCListen)}, relay.Deps{Lab: s.lab, Log: s.deps.Log})
	failed := make(chan error, 1)
	go func() {
		err := r.Run(ctx)
		if err != nil {
			s.deps.Log.Error("the relay to the cloud ended", "error", err)
		}
		failed <- err
	}()
	select {
	case <-r.Ready():
		return nil
	case err := <-failed:
		return err
	}
}

func (s *Stack) program(name string) string { return filepath.Join(s.cfg.Bin, name) }
func (s *Stack) path(elem ...string) string {
	return filepath.Join(append([]string{s.cfg.Dir}, elem...)...)
}

// portsFree says early, and better than a log, that a port is taken.
func (s *Stack) portsFree() error {
	for name, address := range map[string]string{"NGFW_LISTEN": s.cfg.Listen, "NGFW_GRPC_LISTEN": s.cfg.GRPCListen} {
		ln, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("%w: choose another by %s=127.0.0.1:PORT", err, name)
		}
		ln.Close()
	}
	return nil
}

// dialable is how to reach what listens on address.
func dialable(address string) string {
	host, port, _ := net.SplitHostPort(address)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
