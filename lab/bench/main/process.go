package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is the directory in /proc of a process of this system.
func (s *system) process(command ...string) (string, error) {
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return "", err
	}
	for _, path := range found {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
		mine := slices.ContainsFunc(args, func(a string) bool {
			return strings.HasPrefix(a, s.dir) || s.data != "" && strings.HasPrefix(a, s.data)
		})
		if mine && len(args) >= 2 && filepath.Base(args[0]) == command[0] && args[1] == command[1] {
			return filepath.Dir(path), nil
		}
	}
	return "", errors.New("no process " + strings.Join(command, " "))
}

// resident is the memory of a process of this system, in MB: now, and at most.
func (s *system) resident(command ...string) (now, peak float64, err error) {
	dir, err := s.process(command...)
	if err != nil {
		return 0, 0, err
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return 0, 0, err
	}
	return kilobytes(status, "VmRSS:") / 1024, kilobytes(status, "VmHWM:") / 1024, nil
}

func kilobytes(status []byte, key string) float64 {
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, key); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")), 64)
			if err == nil {
				return n
			}
		}
	}
	return 0
}

// effort is the time that the processes of ingest spent on a processor.
type effort struct{ generator, cloud, engine time.Duration }

func (e effort) minus(o effort) effort {
	return effort{e.generator - o.generator, e.cloud - o.cloud, e.engine - o.engine}
}

func (e effort) sum() time.Duration { return e.generator + e.cloud + e.engine }

// effort is what was spent since the start.
func (c *cloud) effort() (e effort, err error) {
	for _, p := range []struct {
		command string
		into    *time.Duration
	}{{"serve", &e.cloud}, {"engine", &e.engine}} {
		dir, err := c.process("ngfw-cloud", p.command)
		if err != nil {
			return e, err
		}
		if *p.into, err = spent(dir); err != nil {
			return e, err
		}
	}
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		return e, fmt.Errorf("own use of the processor: %w", err)
	}
	e.generator = time.Duration(own.Utime.Nano() + own.Stime.Nano())
	return e, nil
}

// spent reads utime and stime of a process, proc_pid_stat(5): fields 14 and 15, in
// ticks, which are a hundredth of a second on every Linux that Go runs on.
func spent(dir string) (time.Duration, error) {
	line, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(line), ") ") // the name may hold spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("%s/stat has %d fields", dir, len(fields))
	}
	var sum time.Duration
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s/stat: %w", dir, err)
		}
		sum += time.Duration(n) * 10 * time.Millisecond
	}
	return sum, nil
}
