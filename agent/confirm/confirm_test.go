package confirm

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

type trial struct {
	kept, undone int
	err          error
}

func (t *trial) Keep() error { t.kept++; return t.err }
func (t *trial) Undo() error { t.undone++; return t.err }

func never(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
func at(context.Context) error        { return nil }

func TestSettle(t *testing.T) {
	proof := at
	c := New(Config{Within: 20 * time.Millisecond}, Deps{Logger: slog.New(slog.DiscardHandler), Proof: func(ctx context.Context) error { return proof(ctx) }})
	good, bad := []byte("good"), []byte("bad")

	kept := &trial{}
	if err := c.Settle(t.Context(), "firewall", 1, good, kept); err != nil || kept.kept != 1 || kept.undone != 0 {
		t.Errorf("%v, %+v", err, kept)
	}
	proof = never
	undone := &trial{}
	err := c.Settle(t.Context(), "firewall", 2, bad, undone)
	if err == nil || !strings.Contains(err.Error(), "taken back") || undone.kept != 0 || undone.undone != 1 {
		t.Errorf("%v, %+v", err, undone)
	}
	if err := c.Known("firewall", 2, bad); err == nil || !strings.Contains(err.Error(), "taken back") {
		t.Errorf("%v", err)
	}
	for _, other := range []error{c.Known("firewall", 3, bad), c.Known("firewall", 2, good), c.Known("dns", 2, bad)} {
		if other != nil {
			t.Error(other)
		}
	}
	proof = at
	if err := c.Settle(t.Context(), "firewall", 3, good, kept); err != nil || c.Known("firewall", 2, bad) != nil {
		t.Errorf("%v, %v", err, c.Known("firewall", 2, bad))
	}

	proof = never
	broken := &trial{err: errors.New("no memory")}
	if err := c.Settle(t.Context(), "firewall", 4, bad, broken); err == nil || !strings.Contains(err.Error(), "no memory") || c.Known("firewall", 4, bad) != nil {
		t.Errorf("%v", err)
	}
	ending, cancel := context.WithCancel(t.Context())
	cancel()
	ended := &trial{}
	if err := c.Settle(ending, "firewall", 5, bad, ended); !errors.Is(err, context.Canceled) || ended.undone != 1 || c.Known("firewall", 5, bad) != nil {
		t.Errorf("%v, %+v", err, ended)
	}
}
