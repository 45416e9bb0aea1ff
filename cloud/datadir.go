package cloud

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// The files of the data directory; tlsca and analytics add theirs.
const (
	databaseFile  = "cloud.db"
	keyFile       = "master.key" // opens the sealed secrets in the database
	bootstrapFile = "bootstrap.json"
	lockFile      = "lock"
	connectFile   = "connect-url" // where routers connect, for commands beside the server
	engineDir     = "analytics"   // of the embedded engine
)

// makeDataDir makes the directory, closed to others.
func makeDataDir(cfg Config) error {
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	return nil
}

// lock lets one server use the data directory: the embedded engines have one
// process each. Commands that only touch the database need no lock. The
// kernel gives it up with the process, however that ends.
func lock(cfg Config) (*os.File, error) {
	f, err := os.OpenFile(cfg.path(lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		pid, _ := os.ReadFile(f.Name())
		f.Close()
		return nil, fmt.Errorf("already running on %s (process %s)", cfg.DataDir, strings.TrimSpace(string(pid)))
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if err := f.Truncate(0); err == nil {
		fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return f, nil
}
