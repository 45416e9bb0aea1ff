package hits

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// kernel counts as the data plane does: from zero with each instance.
type kernel struct {
	instance string
	counts   map[int64]Count
	err      error
}

func (k *kernel) live() (string, map[int64]Count, error) {
	counts := map[int64]Count{}
	for id, c := range k.counts {
		counts[id] = c
	}
	return k.instance, counts, k.err
}

func open(t *testing.T, dir string, k *kernel) *Store {
	t.Helper()
	s, err := Open(Config{StateDir: dir, Interval: time.Hour}, Deps{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Live: k.live})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func want(t *testing.T, when string, s *Store, counts map[int64]Count) {
	t.Helper()
	got, err := s.Counts()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(counts, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", when, d)
	}
}

func save(t *testing.T, s *Store, keep ...int64) {
	t.Helper()
	if err := s.Save(keep); err != nil {
		t.Fatal(err)
	}
}

func TestCountsGoOnOverBootsAndRestarts(t *testing.T) {
	dir := t.TempDir()
	k := &kernel{instance: "boot 1", counts: map[int64]Count{3: {10, 1000, 100}, 4: {1, 40, 90}}}
	s := open(t, dir, k)
	want(t, "at first", s, map[int64]Count{3: {10, 1000, 100}, 4: {1, 40, 90}})
	save(t, s, 3, 4)

	// The agent starts anew, the kernel's counters go on.
	k.counts[3] = Count{12, 1200, 110}
	s = open(t, dir, k)
	want(t, "after a restart", s, map[int64]Count{3: {12, 1200, 110}, 4: {1, 40, 90}})
	save(t, s, 3, 4)
	k.counts[3] = Count{15, 1500, 120} // three packets that a power cut takes

	// The machine starts anew, the kernel's counters from zero.
	k.instance, k.counts = "boot 2", map[int64]Count{3: {2, 200, 500}}
	s = open(t, dir, k)
	for range 2 {
		want(t, "after a boot", s, map[int64]Count{3: {14, 1400, 500}, 4: {1, 40, 90}})
	}
	save(t, s, 3, 4)
	s = open(t, dir, k)
	want(t, "and a restart", s, map[int64]Count{3: {14, 1400, 500}, 4: {1, 40, 90}})

	// Maps made anew under a running agent.
	k.instance, k.counts = "boot 2, maps removed", map[int64]Count{3: {1, 100, 600}, 5: {7, 700, 601}}
	want(t, "after maps were removed", s, map[int64]Count{3: {15, 1500, 600}, 4: {1, 40, 90}, 5: {7, 700, 601}})
	// A boot whose first saving never came.
	s = open(t, dir, k)
	want(t, "and the agent killed", s, map[int64]Count{3: {15, 1500, 600}, 4: {1, 40, 90}, 5: {7, 700, 601}})
}

func TestRemovedRulesAreForgotten(t *testing.T) {
	dir := t.TempDir()
	k := &kernel{instance: "1", counts: map[int64]Count{3: {10, 1000, 100}, 4: {1, 40, 90}}}
	s := open(t, dir, k)
	save(t, s, 3, 4)
	k.instance, k.counts = "2", map[int64]Count{3: {1, 100, 200}} // 4 is disabled: it counts nothing
	s = open(t, dir, k)
	save(t, s, 3, 4)
	want(t, "disabled", s, map[int64]Count{3: {11, 1100, 200}, 4: {1, 40, 90}})
	save(t, s, 3)
	want(t, "removed", s, map[int64]Count{3: {11, 1100, 200}})
	s = open(t, dir, k)
	want(t, "removed, after a restart", s, map[int64]Count{3: {11, 1100, 200}})
}

func TestUnreadableKernelChangesNothing(t *testing.T) {
	dir := t.TempDir()
	k := &kernel{instance: "1", counts: map[int64]Count{3: {10, 1000, 100}}}
	s := open(t, dir, k)
	save(t, s, 3)
	before, _ := os.ReadFile(filepath.Join(dir, "hits.json"))
	k.err = errors.New("no such map")
	if _, err := s.Counts(); !errors.Is(err, k.err) {
		t.Error(err)
	}
	if err := s.Save([]int64{3}); !errors.Is(err, k.err) {
		t.Error(err)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, "hits.json")); string(after) != string(before) {
		t.Errorf("stored is now %s", after)
	}
	k.err = nil
	want(t, "readable again", s, map[int64]Count{3: {10, 1000, 100}})
}

func TestFileThatCannotBeUsed(t *testing.T) {
	for name, tc := range map[string]struct{ content, remedy string }{
		"cut":   {`{"format":1,"inst`, "remove it"},
		"empty": {``, "remove it"},
		"newer": {`{"format":2,"instance":"x"}`, "start the newer ngfw-agent"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "hits.json")
		if err := os.WriteFile(path, []byte(tc.content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(DefaultConfig(dir), Deps{})
		if err == nil || !strings.Contains(err.Error(), tc.remedy) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if after, _ := os.ReadFile(path); string(after) != tc.content {
			t.Errorf("%s: the file was touched", name)
		}
	}
}

func TestRunSavesAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	k := &kernel{instance: "1", counts: map[int64]Count{3: {10, 1000, 100}}}
	s := open(t, dir, k)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Run(ctx, func() []int64 { return []int64{3} }); err != nil {
		t.Fatal(err)
	}
	k.instance, k.counts = "2", nil
	want(t, "after a boot", open(t, dir, k), map[int64]Count{3: {10, 1000, 100}})
}
