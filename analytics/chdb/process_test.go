package chdb

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startProcess runs a supervised engine process for the test.
func startProcess(t *testing.T, dir string) (*Process, func() error) {
	t.Helper()
	needLibrary(t)
	cfg := DefaultConfig()
	cfg.DataDir = dir
	p, err := NewProcess(cfg, []string{os.Args[0], "engine"}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	stop := func() error {
		cancel()
		err := <-ended
		ended <- err
		return err
	}
	t.Cleanup(func() { stop() })
	wait, done := context.WithTimeout(ctx, 30*time.Second)
	defer done()
	if err := p.Ready(wait); err != nil {
		t.Fatal(err)
	}
	return p, stop
}

func TestChild(t *testing.T) {
	// Longer than a socket address.
	dir := filepath.Join(t.TempDir(), strings.Repeat("long-", 20))
	p, stop := startProcess(t, dir)
	driverSuite(t, p)

	info, err := os.Stat(filepath.Join(dir, "engine.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket %v, %v, want mode 0600", info, err)
	}

	t.Run("it comes back after kill -9", func(t *testing.T) {
		before := p.Pid()
		if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		for p.Pid() == before || p.State() != nil {
			if ctx.Err() != nil {
				t.Fatal(p.State())
			}
			time.Sleep(time.Millisecond)
		}
		if p.Restarts() != 1 {
			t.Errorf("restarts %d, want 1", p.Restarts())
		}
		var n uint64
		if err := dial(t, p).QueryRow(ctx, "SELECT count() FROM suite").Scan(&n); err != nil || n != 2000 {
			t.Errorf("rows %d, %v, want 2000", n, err)
		}
	})
	t.Run("it stops in order", func(t *testing.T) {
		pid := p.Pid()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d: %v, want none", pid, err)
		}
		if !errors.Is(p.State(), ErrDown) {
			t.Errorf("state %v", p.State())
		}
	})
}

func TestChildThatCannotStart(t *testing.T) {
	needLibrary(t)
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/VERSION", []byte("1\n99.1.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.DataDir = dir
	p, err := NewProcess(cfg, []string{os.Args[0], "engine"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "99.1.1") {
		t.Errorf("%v, want the child's own word", err)
	}
}
