// Package confirm owns the second half of a configuration change: what was
// applied is kept only if the router can still talk to its cloud within a time, and
// else taken back. A router that locked itself out comes back by itself.
//
// What was taken back is remembered, and refused at once when the cloud sends the same
// again: it would only cut the router off once more. Another version is tried.
//
// A Confirmer tries one change at a time; it is safe for concurrent use otherwise.
package confirm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"ngfw.sh/internal/fault"
)

// Config says how long a change is on trial.
type Config struct{ Within time.Duration }

// DefaultConfig gives a change half a minute.
func DefaultConfig() Config { return Config{Within: 30 * time.Second} }

// Deps is what a Confirmer works with.
type Deps struct {
	// Proof returns nil once the cloud has answered something that was sent after the
	// call, over whatever connection.
	Proof  func(context.Context) error
	Logger *slog.Logger
}

// Trial is a change that was applied and may still be taken back.
type Trial interface {
	Keep() error
	Undo() error
}

// Confirmer tries changes.
type Confirmer struct {
	cfg  Config
	deps Deps

	mu     sync.Mutex
	failed map[string]failure // by section
}

type failure struct {
	version int64
	sum     [sha256.Size]byte
	err     error
}

// New makes a Confirmer.
func New(cfg Config, deps Deps) *Confirmer {
	return &Confirmer{cfg: cfg, deps: deps, failed: map[string]failure{}}
}

// Known says why a document was taken back before; nil: it was not.
func (c *Confirmer) Known(section string, version int64, document []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := sha256.Sum256(document)
	if f, ok := c.failed[section]; ok && f.version == version && bytes.Equal(f.sum[:], sum[:]) {
		return f.err
	}
	return nil
}

// Settle waits for the proof and keeps the change, or takes it back and says why.
func (c *Confirmer) Settle(ctx context.Context, section string, version int64, document []byte, t Trial) error {
	waiting, cancel := context.WithTimeout(ctx, c.cfg.Within)
	defer cancel()
	proof := c.deps.Proof(waiting)
	if proof == nil {
		c.mu.Lock()
		delete(c.failed, section)
		c.mu.Unlock()
		return t.Keep()
	}
	if ctx.Err() != nil {
		// The agent ends. What is not confirmed is not kept on disk: it starts under the
		// configuration before.
		return errors.Join(ctx.Err(), t.Undo())
	}
	why := fault.New(fault.InvalidConfig, "taken back: the cloud could not be reached within %v after it was applied", c.cfg.Within)
	c.deps.Logger.Error("configuration taken back: the cloud cannot be reached under it", "section", section, "version", version, "within", c.cfg.Within, "err", proof)
	if err := t.Undo(); err != nil {
		return fmt.Errorf("%s; and what was before cannot be enforced again: %w", why.Message, err)
	}
	c.mu.Lock()
	c.failed[section] = failure{version, sha256.Sum256(document), why}
	c.mu.Unlock()
	return why
}
