package chdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// layoutVersion counts what we ourselves put into a data directory; the first
// line of its VERSION file. The second line is the engine's release.
const layoutVersion = 1

// lockWait bounds how long a start waits for the process before it, which may
// still be ending.
const lockWait = 10 * time.Second

// dataDir is a data directory that this process holds.
type dataDir struct {
	path string // of the engine's own files
	lock *os.File
}

// openDataDir makes or takes the directory: locked, of a version that this
// binary knows.
func openDataDir(path string) (*dataDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make the engine's data directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the engine's data directory: %w", err)
	}
	for deadline := time.Now().Add(lockWait); ; time.Sleep(20 * time.Millisecond) {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) {
			lock.Close()
			return nil, fmt.Errorf("%s is in use by another engine process: %w", path, err)
		}
	}
	d := &dataDir{path: filepath.Join(path, "clickhouse"), lock: lock}
	if err := d.checkVersion(filepath.Join(path, "VERSION")); err != nil {
		d.close()
		return nil, err
	}
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		d.close()
		return nil, fmt.Errorf("make the engine's data directory: %w", err)
	}
	return d, nil
}

func (d *dataDir) close() { d.lock.Close() } // the lock goes with the file

func (d *dataDir) checkVersion(file string) error {
	mine := fmt.Sprintf("%d\n%s\n", layoutVersion, Version)
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(d.path); err == nil {
			return fmt.Errorf("%s has data but no VERSION file: restore it, or move the data away", filepath.Dir(file))
		}
		return writeVersion(file, mine)
	}
	if err != nil {
		return fmt.Errorf("read the version of the engine's data: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	layout, err := strconv.Atoi(lines[0])
	if err != nil || len(lines) != 2 {
		return fmt.Errorf("%s is damaged: it should say a layout and an engine release", file)
	}
	if layout > layoutVersion || releaseAfter(lines[1], Version) {
		return fmt.Errorf("%s was written by engine %s (layout %d), this binary has %s (layout %d): start the newer ngfw-cloud again or restore a backup",
			filepath.Dir(file), lines[1], layout, Version, layoutVersion)
	}
	if string(text) == mine {
		return nil
	}
	return writeVersion(file, mine)
}

func writeVersion(file, text string) error {
	if err := renameio.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the version of the engine's data: %w", err)
	}
	return nil
}

// releaseAfter compares engine releases by their numbers: 26.7.3-stable.1 is
// 26, 7, 3, 1.
func releaseAfter(a, b string) bool {
	x, y := numbers(a), numbers(b)
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return x[i] > y[i]
		}
	}
	return len(x) > len(y)
}

func numbers(s string) []int {
	var out []int
	for _, f := range strings.FieldsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		n, err := strconv.Atoi(f)
		if err != nil { // beyond int: newer than anything known
			n = int(^uint(0) >> 1)
		}
		out = append(out, n)
	}
	return out
}
