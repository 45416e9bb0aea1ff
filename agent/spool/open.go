package spool

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// Open takes the directory over, finds what an earlier run left, cuts torn
// tails, and begins a new epoch.
func Open(cfg Config, deps Deps) (*Spool, error) {
	cfg.SegmentBytes = min(cfg.SegmentBytes, cfg.MaxBytes/8) // a small bound is dropped in small pieces
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Registerer == nil {
		deps.Registerer = prometheus.NewRegistry()
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Create == nil {
		deps.Create = func(path string) (File, error) {
			return os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		}
	}
	s := &Spool{
		cfg: cfg, now: deps.Now, create: deps.Create, log: deps.Logger,
		wake: make(chan struct{}), acked: map[string]uint64{}, totals: map[uint64]Totals{},
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make spool directory: %w", err)
	}
	var err error
	if s.lock, err = lockDir(cfg.Dir); err != nil {
		return nil, err
	}
	if s.codec, err = newCodec(); err == nil {
		if err = s.recover(); err == nil {
			if err = s.newEpochLocked(); err == nil {
				s.metrics, err = newMetrics(s, deps.Registerer)
			}
		}
	}
	if err != nil {
		_ = s.lock.Close()
		return nil, err
	}
	return s, nil
}

func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock spool: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("spool %s is used by another agent", dir)
		}
		return nil, fmt.Errorf("lock spool %s: %w", dir, err)
	}
	return f, nil
}

// newEpochLocked begins an epoch: its numbers start again at 1, so its name must
// never have been used.
func (s *Spool) newEpochLocked() error {
	id, err := ulid.New(ulid.Timestamp(s.now()), rand.Reader)
	if err != nil {
		return fmt.Errorf("make spool epoch: %w", err)
	}
	s.epoch, s.number = id.String(), 0
	return nil
}

// recover reads the directory. Nothing is appended to an old file, so a torn
// tail could stay; it is cut so that sizes are true.
func (s *Spool) recover() error {
	if err := s.readCheckpoint(); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("read spool: %w", err)
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), segmentSuffix)
		if !ok {
			continue
		}
		sequence, err := strconv.ParseUint(name, 16, 64)
		if err != nil {
			return fmt.Errorf("spool %s: %s is no segment name: move it away", s.cfg.Dir, e.Name())
		}
		s.segments = append(s.segments, &segment{path: filepath.Join(s.cfg.Dir, e.Name()), sequence: sequence})
		s.sequence = max(s.sequence, sequence)
	}
	sort.Slice(s.segments, func(i, j int) bool { return s.segments[i].sequence < s.segments[j].sequence })
	kept := s.segments[:0]
	for _, g := range s.segments {
		if err := s.scan(g); err != nil {
			return err
		}
		if g.batches == 0 {
			if err := os.Remove(g.path); err != nil {
				return fmt.Errorf("remove empty segment: %w", err)
			}
			continue
		}
		s.bytes += g.end
		kept = append(kept, g)
	}
	s.segments = kept
	return nil
}

// scan reads one file: counts, totals, where it ends.
func (s *Spool) scan(g *segment) error {
	data, err := os.ReadFile(g.path)
	if err != nil {
		return fmt.Errorf("read segment: %w", err)
	}
	off := segmentHeader
	intact, err := checkVersion(data, segmentMagic, segmentVersion)
	if err != nil {
		return fmt.Errorf("%s %w", g.path, err)
	}
	if !intact {
		off = 0 // records describe themselves; the loop below counts the damage
	}
	for {
		r, at, skipped, ok := nextRecord(data, off)
		if !ok {
			if skipped {
				s.log.Warn("torn end of segment cut", "file", g.path, "at", max(g.end, segmentHeader), "bytes", len(data)-off)
			}
			break
		}
		if skipped {
			s.corrupt++
			s.log.Error("damaged batch in segment skipped", "file", g.path, "from", off, "to", at)
		}
		g.note(r, int64(at+len(r.data)))
		off = at + len(r.data)
		if g.sequence >= s.checkpoint {
			s.tellRecordLocked(r)
		}
	}
	if g.batches > 0 && g.end < int64(len(data)) {
		if err := os.Truncate(g.path, g.end); err != nil {
			s.log.Warn("torn end could not be cut", "file", g.path, "error", err)
		}
	}
	return nil
}
