package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"ngfw.sh/lab"
)

// service is a program that is started again whenever it ends, until the run
// stops. Its output goes to NAME.log, its number to NAME.pid.
type service struct {
	name string
	log  *slog.Logger
	dir  string
	lab  *lab.Lab
	host string // "": the machine itself
	argv []string
	env  []string

	stop context.CancelFunc
	done chan struct{}

	mu    sync.Mutex
	ended int // how often it has ended by itself
}

const (
	restartAfter    = 100 * time.Millisecond // the first time, then longer
	restartAfterMax = 5 * time.Second
	steadyAfter     = 10 * time.Second // a run this long resets the wait
	stopGrace       = 20 * time.Second
)

// service starts a program as part of the run.
func (s *Stack) service(name, host, program string, args ...string) *service {
	ctx, cancel := context.WithCancel(context.Background())
	svc := &service{
		name: name, log: s.deps.Log.With("service", name), dir: s.cfg.Dir, lab: s.lab, host: host,
		argv: append([]string{s.program(program)}, args...),
		env:  append(os.Environ(), markVariable+"="+s.mark),
		stop: cancel, done: make(chan struct{}),
	}
	s.services = append(s.services, svc)
	go svc.run(ctx)
	return svc
}

// stopServices ends all services, the last started first, and waits for them.
func (s *Stack) stopServices() {
	for i := len(s.services) - 1; i >= 0; i-- {
		s.services[i].stop()
		<-s.services[i].done
	}
}

func (s *service) run(ctx context.Context) {
	defer close(s.done)
	wait := restartAfter
	for {
		begun := time.Now()
		err := s.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(begun) > steadyAfter {
			wait = restartAfter
		}
		s.mu.Lock()
		s.ended++
		s.mu.Unlock()
		s.log.Warn("ended by itself, starting it again", "error", err, "after", wait)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, restartAfterMax)
	}
}

// once runs the program to its end, or ends it with ctx.
func (s *service) once(ctx context.Context) error {
	out, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(s.argv[0], s.argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Env = out, out, s.env
	// A group of its own: an interrupt typed at the terminal reaches the
	// supervisor alone, which then ends things in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	var wait func() error
	if s.host == "" {
		wait, err = lab.StartChild(cmd)
	} else {
		wait, err = s.lab.Start(s.host, cmd)
	}
	if err != nil {
		return err
	}
	pidFile := s.dir + "/" + s.name + ".pid"
	os.WriteFile(pidFile, []byte(strconv.Itoa(cmd.Process.Pid)+"\n"), 0o600)
	defer os.Remove(pidFile)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		cmd.Process.Signal(syscall.SIGTERM)
	}()
	finished := make(chan error, 1)
	go func() { finished <- wait() }()
	select {
	case err = <-finished:
		return err
	case <-stopped:
	}
	select {
	case err = <-finished:
	case <-time.After(stopGrace):
		s.log.Warn("does not end, killing it")
		cmd.Process.Kill()
		err = <-finished
	}
	return err
}

func (s *service) logPath() string { return s.dir + "/" + s.name + ".log" }

// hopeless says that the service ended thrice while somebody waited for it.
func (s *service) hopeless() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended < 3 {
		return nil
	}
	return fmt.Errorf("%s does not stay up; its log ends with:\n%s", s.name, tail(s.logPath()))
}

// tail is the end of a log, for an error message.
func tail(path string) string {
	const keep = 2000
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if len(data) > keep {
		data = data[len(data)-keep:]
	}
	return string(data)
}

// until tries something until it succeeds, limit has passed, or the service
// that it hangs on has given up; what names it in the error.
func until(ctx context.Context, what string, limit time.Duration, on *service, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	for {
		if err := try(ctx); err == nil {
			return nil
		} else if ctx.Err() == nil {
			last = err
		}
		if err := on.hopeless(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			if last == nil {
				last = ctx.Err()
			}
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("%s: not within %v: %w\nthe log of %s ends with:\n%s", what, limit, last, on.name, tail(on.logPath()))
			}
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
