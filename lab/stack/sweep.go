package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"ngfw.sh/lab"
)

// markVariable is in the environment of every process of a run, also of those
// that its processes start.
const markVariable = "NGFW_LAB_RUN"

// sweepGrace is how long a process gets to end by itself: the cloud has a
// database to close.
const sweepGrace = 15 * time.Second

// sweep removes everything that a recorded run made: processes, lab, files. The
// caller holds the lock.
func sweep(ctx context.Context, dir string, r record, keepLogs bool) error {
	if r.Mark == "" {
		return nil // no run got as far as making something
	}
	failed := lab.End(ctx, marked(r.Mark), sweepGrace)
	if l, err := lab.Named(r.Lab); err == nil {
		// A lab of that name which somebody else made since is left alone.
		if s, ok := l.State(); ok && s.Owner != nil && *s.Owner == r.Supervisor {
			failed = errors.Join(failed, lab.Down(ctx, r.Lab))
		}
	}
	return errors.Join(failed, removeFiles(dir, keepLogs))
}

func marked(mark string) []lab.Process {
	want := []byte(markVariable + "=" + mark)
	return lab.Processes(func(pid int) bool {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			return false
		}
		for v := range bytes.SplitSeq(environ, []byte{0}) {
			if bytes.Equal(v, want) {
				return true
			}
		}
		return false
	})
}

// services are the names that programs run under.
var services = []string{"cloud", "serve", "agent", "traffic"}

// SupervisorLog is where a detached run logs.
const SupervisorLog = "lab.log"

// removeFiles removes what a run makes in its directory, by name: other things
// there (benchmark results, or whatever a mistaken directory holds) stay.
func removeFiles(dir string, keepLogs bool) error {
	failed := errors.Join(os.RemoveAll(filepath.Join(dir, "cloud")), os.RemoveAll(filepath.Join(dir, "agent")))
	names := []string{"env", "env.new"}
	for _, service := range services {
		names = append(names, service+".pid")
	}
	failed = errors.Join(failed, removeNamed(dir, names))
	if !keepLogs {
		failed = errors.Join(failed, removeLogs(dir))
	}
	return failed
}

func removeLogs(dir string) error {
	var names []string
	for _, service := range services {
		names = append(names, service+".log")
	}
	return removeNamed(dir, append(names, SupervisorLog))
}

func removeNamed(dir string, names []string) error {
	var failed error
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// notForeign refuses a directory that holds what a run would make and no run
// has recorded: nothing there is ours to remove.
func notForeign(dir string) error {
	for _, name := range []string{"cloud", "agent"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("%s is there and no run made it: name another directory, or remove it", filepath.Join(dir, name))
		}
	}
	return nil
}
