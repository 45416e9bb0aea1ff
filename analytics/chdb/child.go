package chdb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// once runs one child to its end. wasUp says whether it ever answered; err why
// it ended, nil after an orderly stop.
func (p *Process) once(ctx context.Context) (wasUp bool, err error) {
	// Pdeathsig is sent when the thread ends that forked, so that must live as
	// long as the child (prctl(2), PR_SET_PDEATHSIG).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	cmd := exec.Command(p.command[0], append(p.command[1:len(p.command):len(p.command)], p.cfg.Args()...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		Setpgid:   true, // an interrupt at the terminal is for the parent, which stops the child last
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return false, fmt.Errorf("start the engine process: %w", err)
	}
	p.started.Add(1)
	if err := cmd.Start(); err != nil {
		return false, fmt.Errorf("start the engine process: %w", err)
	}
	p.set(cmd.Process.Pid, fmt.Errorf("%w: it is starting", ErrDown))
	ended := make(chan error, 1)
	go func() {
		last := ""
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			last = lines.Text()
			p.log.Warn("clickhouse engine", "line", last)
		}
		err := cmd.Wait()
		if err == nil {
			err = errors.New("it ended")
		}
		if last != "" {
			err = fmt.Errorf("%s (%w)", last, err)
		}
		ended <- err
	}()

	probe, cancel := context.WithCancel(ctx)
	defer cancel()
	ready := make(chan struct{})
	go func() {
		for !p.answers(probe) {
			select {
			case <-time.After(20 * time.Millisecond):
			case <-probe.Done():
				return
			}
		}
		close(ready)
	}()
	late := time.NewTimer(startTimeout)
	defer late.Stop()
	for {
		select {
		case <-ready:
			wasUp, ready = true, nil
			late.Stop()
			p.set(cmd.Process.Pid, nil)
			p.log.Info("clickhouse engine is up", "pid", cmd.Process.Pid)
		case <-late.C:
			cmd.Process.Kill()
			return false, fmt.Errorf("it did not answer within %v (%w)", startTimeout, <-ended)
		case err := <-ended:
			return wasUp, err
		case <-ctx.Done():
			return wasUp, stop(cmd, ended)
		}
	}
}

// stop ends the child in order, or by force when it does not follow.
func stop(cmd *exec.Cmd, ended <-chan error) error {
	cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
		return nil
	case <-time.After(killGrace):
		cmd.Process.Kill()
		<-ended
		return fmt.Errorf("the engine process did not stop within %v and was killed", killGrace)
	}
}

// answers says whether a child listens.
func (p *Process) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine/", nil)
	if err != nil {
		return false
	}
	res, err := p.client.RoundTrip(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}
