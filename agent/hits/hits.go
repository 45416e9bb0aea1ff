// Package hits owns the rules' counters as they are reported: absolute since a
// rule was created. The kernel's counters start anew with each boot; what they
// had reached before is kept on disk and added.
package hits

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/renameio/v2"
)

// Count of one rule.
type Count struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
	Last    int64  `json:"last"` // Unix seconds, 0: never
}

// Config of a Store.
type Config struct {
	StateDir string
	Interval time.Duration // between two saves: a reboot loses at most this
}

// DefaultConfig saves every minute.
func DefaultConfig(dir string) Config { return Config{StateDir: dir, Interval: time.Minute} }

// Deps of a Store.
type Deps struct {
	Log *slog.Logger
	// Live are the kernel's counters by rule id, that of a NAT rule negative, and the instance of the maps
	// that hold them: another instance has begun from zero.
	Live func() (instance string, counts map[int64]Count, err error)
}

// Store adds the kernel's counters to those of earlier instances.
type Store struct {
	cfg  Config
	deps Deps

	mu   sync.Mutex
	file file
}

type file struct {
	Format   int             `json:"format"`
	Instance string          `json:"instance"`
	Base     map[int64]Count `json:"base"` // of earlier instances
	Live     map[int64]Count `json:"live"` // of this one, when it was saved
}

const format = 1

// Open reads what earlier instances have counted.
func Open(cfg Config, deps Deps) (*Store, error) {
	s := &Store{cfg: cfg, deps: deps, file: file{Base: map[int64]Count{}}}
	data, err := os.ReadFile(s.path())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return s, nil
	case err != nil:
		return nil, fmt.Errorf("read rule counters: %w", err)
	}
	if err := json.Unmarshal(data, &s.file); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w: remove it, counting begins anew", s.path(), err)
	}
	if s.file.Format > format {
		return nil, fmt.Errorf("%s has format %d, this binary knows %d: start the newer ngfw-agent", s.path(), s.file.Format, format)
	}
	if s.file.Base == nil {
		s.file.Base = map[int64]Count{}
	}
	return s, nil
}

func (s *Store) path() string { return filepath.Join(s.cfg.StateDir, "hits.json") }

// Counts are the absolute counts of every rule that has counted.
func (s *Store) Counts() (map[int64]Count, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts()
}

func (s *Store) counts() (map[int64]Count, error) {
	instance, live, err := s.deps.Live()
	if err != nil {
		return nil, err
	}
	if instance != s.file.Instance {
		for id, c := range s.file.Live {
			s.file.Base[id] = s.file.Base[id].plus(c)
		}
		s.file.Instance = instance
	}
	s.file.Live = live
	all := make(map[int64]Count, len(live))
	for id, c := range s.file.Base {
		all[id] = c
	}
	for id, c := range live {
		all[id] = all[id].plus(c)
	}
	return all, nil
}

func (c Count) plus(o Count) Count {
	return Count{c.Packets + o.Packets, c.Bytes + o.Bytes, max(c.Last, o.Last)}
}

// Save writes the counts to disk. Rules that are not in keep are forgotten;
// ids are never used again.
func (s *Store) Save(keep []int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.counts(); err != nil {
		return err
	}
	kept := make(map[int64]Count, len(keep))
	for _, id := range keep {
		if c, ok := s.file.Base[id]; ok {
			kept[id] = c
		}
	}
	s.file.Base, s.file.Format = kept, format
	data, err := json.Marshal(s.file)
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(s.path(), data, 0o600); err != nil {
		return fmt.Errorf("store rule counters: %w", err)
	}
	return nil
}

// Run saves at intervals and once more at the end.
func (s *Store) Run(ctx context.Context, keep func() []int64) error {
	tick := time.NewTicker(s.cfg.Interval)
	defer tick.Stop()
	for {
		done := false
		select {
		case <-ctx.Done():
			done = true
		case <-tick.C:
		}
		if err := s.Save(keep()); err != nil {
			s.deps.Log.Warn("rule counters not stored, a reboot would lose more of them", "err", err)
		}
		if done {
			return nil
		}
	}
}
