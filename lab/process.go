package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process names a process for good: a number alone may come to mean another.
type Process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot, field 22 of /proc/PID/stat
}

// Self is the calling process.
func Self() Process { return Process{PID: os.Getpid(), Start: startTime(os.Getpid())} }

// ProcessOf names the process with a number, while it lives.
func ProcessOf(pid int) (Process, bool) {
	p := Process{PID: pid, Start: startTime(pid)}
	return p, p.Start != 0
}

// Alive says whether the process still runs; one that has ended and was not
// waited for does not.
func (p Process) Alive() bool {
	return p.PID > 0 && p.Start != 0 && startTime(p.PID) == p.Start
}

// startTime is 0 for a process that does not exist or has ended.
func startTime(pid int) uint64 {
	state, start := stat(fmt.Sprintf("/proc/%d/stat", pid))
	if ended(state) && !threads(pid) {
		return 0
	}
	return start
}

// threads says whether a thread still runs. The first one of a killed process may
// be gone while another still holds its files: its sockets answer until that ends.
func threads(pid int) bool {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, t := range tasks {
		if state, _ := stat(dir + "/" + t.Name() + "/stat"); !ended(state) {
			return true
		}
	}
	return false
}

func ended(state string) bool { return state == "" || state == "Z" || state == "X" }

// stat reads the third and the 22nd field of a stat file: the state, empty for
// what does not exist, and the start.
func stat(file string) (state string, start uint64) {
	line, err := os.ReadFile(file)
	if err != nil {
		return "", 0
	}
	// The second field is the name in parentheses and may hold anything.
	fields := strings.Fields(string(line[bytes.LastIndexByte(line, ')')+1:]))
	if len(fields) < 20 {
		return "", 0
	}
	start, _ = strconv.ParseUint(fields[19], 10, 64)
	return fields[0], start
}

// Signal sends a signal to the process if it still runs. It is held by a
// descriptor and looked at again before, so no other process can be hit.
func (p Process) Signal(sig os.Signal) {
	handle, err := os.FindProcess(p.PID) // a pidfd
	if err != nil {
		return
	}
	defer handle.Release()
	if p.Alive() {
		handle.Signal(sig)
	}
}

// End asks processes to end and kills those that have not within grace. It
// returns when all are gone.
func End(ctx context.Context, processes []Process, grace time.Duration) error {
	signal := func(sig os.Signal) {
		for _, p := range processes {
			p.Signal(sig)
		}
	}
	signal(syscall.SIGTERM)
	if waitGone(ctx, processes, grace) {
		return nil
	}
	signal(syscall.SIGKILL)
	if waitGone(context.WithoutCancel(ctx), processes, 5*time.Second) {
		return nil
	}
	return errors.New("a process does not end although killed")
}

func waitGone(ctx context.Context, processes []Process, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		alive := false
		for _, p := range processes {
			alive = alive || p.Alive()
		}
		if !alive {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// Processes lists those processes, the caller aside, that fit.
func Processes(fits func(pid int) bool) []Process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() || !fits(pid) {
			continue
		}
		// Named first and asked again: between the two it may have ended.
		if p, ok := ProcessOf(pid); ok && fits(pid) {
			found = append(found, p)
		}
	}
	return found
}
