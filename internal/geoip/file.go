package geoip

import (
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// fileCheck is how often a replaced file is looked for.
const fileCheck = 30 * time.Second

// File is what a file tells of addresses, read when it is first asked and again when
// the file has been replaced. While it cannot be read, what was read before holds.
// It is safe for concurrent use; a file is read while others go on with the old one.
type File[T any] struct {
	path string
	open func(path string) (*T, error)
	now  func() time.Time

	read  atomic.Pointer[T]
	due   atomic.Int64 // Unix nanoseconds of the next look
	mu    sync.Mutex   // guards below, and is held by whoever reads
	state fileState
	err   error
}

type fileState struct {
	modified time.Time
	size     int64
}

// NewFile reads nothing yet. path "" tells nothing for ever.
func NewFile[T any](path string, open func(path string) (*T, error)) *File[T] {
	return &File[T]{path: path, open: open, now: time.Now}
}

// Get is what the file told last, nil before it could be read.
func (f *File[T]) Get() *T {
	if f.path == "" {
		return nil
	}
	if now := f.now().UnixNano(); now >= f.due.Load() && f.mu.TryLock() {
		defer f.mu.Unlock()
		f.due.Store(now + fileCheck.Nanoseconds())
		f.err = f.look()
	}
	return f.read.Load()
}

// Err says why the file could not be read when it was last looked at.
func (f *File[T]) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *File[T]) look() error {
	info, err := os.Stat(f.path)
	if err != nil {
		return err
	}
	state := fileState{info.ModTime(), info.Size()}
	if f.read.Load() != nil && state == f.state {
		return nil
	}
	read, err := f.open(f.path)
	if err != nil {
		return err
	}
	f.state = state
	f.read.Store(read)
	return nil
}

// Outer is the address that is outside of a flow's network: what a country or a
// network is told of.
func Outer(zoneFrom, zoneTo string, source, destination netip.Addr) (netip.Addr, bool) {
	switch {
	case zoneTo == wan:
		return destination, true
	case zoneFrom == wan:
		return source, true
	}
	return netip.Addr{}, false
}

// wan is the zone outside.
const wan = "WAN"
