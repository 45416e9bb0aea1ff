package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// silence ends a step that says nothing for its limit, and has it told before where
// it hangs: by the kernel, and by the step itself, whose goroutines SIGQUIT writes.
type silence struct {
	limit time.Duration
	ask   func() error // the kernel
	timer *time.Timer

	mu    sync.Mutex
	met   error
	ended bool
}

func (s *silence) watch(step *os.Process) {
	s.timer = time.AfterFunc(math.MaxInt64, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case s.ended:
			return
		case s.met != nil: // it was asked, and says nothing again
			step.Kill()
			return
		}
		s.met = errors.Join(fmt.Errorf("nothing was said for %v", s.limit), s.ask(), step.Signal(unix.SIGQUIT))
		s.timer.Reset(s.limit)
	})
	s.timer.Reset(s.limit)
}

// heard is to be called when the step says something.
func (s *silence) heard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.timer.Reset(s.limit)
	}
}

// end answers what was wrong; nothing is watched any more.
func (s *silence) end() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.timer.Stop()
	return s.met
}

// askKernel has the kernel write to its console what each processor does and which
// tasks are blocked (Documentation/admin-guide/sysrq.rst).
func askKernel() error {
	var failed []error
	for _, key := range []string{"9", "l", "w"} { // 9: it leaves nothing out
		failed = append(failed, os.WriteFile("/proc/sysrq-trigger", []byte(key), 0))
	}
	return errors.Join(failed...)
}
