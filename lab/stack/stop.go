package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// stopLimit is how long a run gets to end in order before it is killed and what
// it leaves is removed from here.
const stopLimit = 60 * time.Second

// Stop ends the run that has a directory, dead or alive, and removes everything
// that it made. It says whether there was one.
func Stop(ctx context.Context, dir string) (found bool, err error) {
	if os.Geteuid() != 0 {
		return false, errors.New("not root (run with sudo)")
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return false, err
	}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	deadline := time.Now().Add(stopLimit)
	asked := false
	for {
		held, left, err := lock(dir)
		if err == nil {
			defer held.release()
			return asked || left.Mark != "", errors.Join(sweep(ctx, dir, left, false), removeLogs(dir))
		}
		if !errors.Is(err, ErrRunning) {
			return asked, err
		}
		// Between taking the lock and recording itself a run makes nothing: the
		// next look finds it recorded, or gone.
		if run, err := holder(dir); err == nil && run.Supervisor.Alive() {
			switch {
			case !asked:
				run.Supervisor.Signal(syscall.SIGTERM)
				asked = true
			case time.Now().After(deadline):
				run.Supervisor.Signal(syscall.SIGKILL)
			}
		}
		if time.Now().After(deadline.Add(5 * time.Second)) {
			return true, fmt.Errorf("the run in %s does not end", dir)
		}
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
