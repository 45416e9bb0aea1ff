package analytics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// TestEngineKilledDuringIngest kills the engine process at random moments while
// devices store. Every acknowledged row must be there exactly once, with no
// word from the caller but "again".
func TestEngineKilledDuringIngest(t *testing.T) {
	needLibrary(t)
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	cfg := DefaultConfig()
	cfg.DataDir = t.TempDir()
	deps := Deps{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), EngineCommand: []string{os.Args[0], "engine"}}
	db := runTest(t, cfg, deps)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	const devices, rows = 8, 50
	now := time.Now()
	var (
		wg           sync.WaitGroup
		acknowledged [devices]atomic.Uint64
		refused      atomic.Int64
	)
	for i := range devices {
		wg.Go(func() {
			o := Origin{org.OrgID, fmt.Sprint("dev-", i), 7}
			events := make([]*ngfwv1.FlowEvent, rows)
			for j := range events {
				// Of whole hours, so that questions are answered from roll-ups; no two of one
				// time, so that the newest name of a client is one.
				at := now.Add(-time.Duration(2+j%3)*time.Hour - time.Duration(i*rows+j)*time.Millisecond)
				events[j] = flow(at, assorted(rand.New(rand.NewPCG(uint64(i), uint64(j)))))
			}
			for n := uint64(1); ctx.Err() == nil; n++ {
				for {
					err := db.Store(context.Background(), o, batch("e", n, events...))
					if err == nil {
						break
					}
					if !fault.Is(err, fault.Unavailable) {
						t.Errorf("device %d batch %d: %v, want UNAVAILABLE", i, n, err)
						return
					}
					refused.Add(1)
					if ready, cancel := context.WithTimeout(context.Background(), 30*time.Second); db.process.Ready(ready) != nil {
						cancel()
						t.Errorf("the engine does not come back: %v", db.process.State())
						return
					} else {
						cancel()
					}
				}
				acknowledged[i].Store(n)
			}
		})
	}
	total := func() (n uint64) {
		for i := range acknowledged {
			n += acknowledged[i].Load()
		}
		return n
	}
	for range rounds {
		begun := total()
		waitFor(t, "batches between kills", func() bool { return total() >= begun+uint64(10+rand.IntN(60)) })
		anyMoment()
		pid := db.process.Pid()
		if pid != 0 {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		waitFor(t, "the engine to be back", func() bool { return db.process.Pid() != pid && db.process.State() == nil })
	}
	last := total()
	waitFor(t, "batches after the last kill", func() bool { return total() > last+devices })
	cancel()
	wg.Wait()
	if err := db.Health(t.Context()); err != nil {
		t.Fatal(err)
	}
	if db.EngineRestarts() < int64(rounds) {
		t.Errorf("%d restarts, want %d", db.EngineRestarts(), rounds)
	}
	for i := range devices {
		storedOnce(t, db, fmt.Sprint("dev-", i), acknowledged[i].Load(), rows)
	}
	stats := rollupsEqualRows(t, db, 0, &ngfwv1.TopRequest{From: seconds(now.Add(-24 * time.Hour)), To: seconds(now), Limit: present(int32(100))}, "", Rollup)["stats"].(*ngfwv1.TrafficStats)
	if stats.TotalBytes == 0 {
		t.Error("no bytes summed")
	}
	t.Logf("%d batches acknowledged, %d refused, %d restarts", total(), refused.Load(), db.EngineRestarts())
}

// TestRestartKeepsRows stops everything in order and starts it again on the
// same directory.
func TestRestartKeepsRows(t *testing.T) {
	needLibrary(t)
	cfg := DefaultConfig()
	cfg.DataDir = t.TempDir()
	deps := Deps{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), EngineCommand: []string{os.Args[0], "engine"}}
	db, stop := startTest(t, cfg, deps)
	store(t, db, org, batch("e", 1, flow(time.Now())))
	stop()
	if err := db.Store(t.Context(), org, batch("e", 2, flow(time.Now()))); !fault.Is(err, fault.Unavailable) {
		t.Errorf("store after the end: %v", err)
	}
	again := runTest(t, cfg, deps)
	store(t, again, org, batch("e", 1, flow(time.Now())))
	if n := ask(t, again, org.OrgID, &ngfwv1.LogsRequest{}).Total; n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
	t.Run("while the engine is away every answer says so", func(t *testing.T) {
		pid := again.process.Pid()
		syscall.Kill(pid, syscall.SIGSTOP)
		defer syscall.Kill(pid, syscall.SIGCONT)
		waitFor(t, "every thread to have stopped", func() bool {
			states, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
			return err == nil && !slices.ContainsFunc(states, func(path string) bool {
				stat, err := os.ReadFile(path)
				return err == nil && !bytes.Contains(stat, []byte(") T "))
			})
		})
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		err := again.Health(ctx)
		if !fault.Is(err, fault.Unavailable) && !errors.Is(err, context.Canceled) {
			t.Errorf("health: %v", err)
		}
	})
}

func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
