package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const segmentSuffix = ".seg"

// segment is one file of records of one epoch. Files are ordered by their
// sequence, not by the epoch: a ULID carries the clock, and a router's clock may
// start in 1970.
type segment struct {
	path        string
	sequence    uint64
	epoch       string
	first, last uint64 // numbers
	batches     uint64
	rows        uint64
	end         int64 // what lies before is whole
	gone        bool  // removed
}

func (g *segment) note(r record, end int64) {
	if g.batches == 0 {
		g.epoch, g.first = r.epoch, r.number
	}
	g.last = r.number
	g.batches++
	g.rows += uint64(r.rows)
	g.end = end
}

// flushLocked closes the batch that is being collected and brings it, and what
// waits in memory, to disk.
func (s *Spool) flushLocked() {
	// A batch holds rows of one kind.
	if len(s.pending.rows) > 0 {
		s.closeLocked(&ngfwv1.FlowBatch{Events: s.pending.rows})
		s.pending.clear()
	}
	if len(s.alerts.rows) > 0 {
		s.closeLocked(&ngfwv1.FlowBatch{Alerts: s.alerts.rows})
		s.alerts.clear()
	}
	if len(s.queries.rows) > 0 {
		s.closeLocked(&ngfwv1.FlowBatch{Queries: s.queries.rows})
		s.queries.clear()
	}
	s.drainLocked()
	s.trimLocked()
}

// closeLocked gives a batch the next number and brings it to disk, or to memory.
func (s *Spool) closeLocked(b *ngfwv1.FlowBatch) {
	s.number++
	b.Epoch, b.Number = s.epoch, s.number
	r, err := s.codec.encode(b, s.now())
	switch {
	case err != nil: // not reached: Append and encode take everything that a row can be
		s.dropped.batches++
		s.dropped.rows += uint64(rowsOf(b))
		s.log.Error("batch cannot be encoded", "error", err, "rows", rowsOf(b))
	case len(s.memory) == 0 && !s.now().Before(s.retryAt) && s.tryLocked(r):
		s.tellLocked(b.Events)
	default:
		s.memory = append(s.memory, r)
		s.memorySize += int64(len(r.data))
	}
	s.notifyLocked()
}

// drainLocked writes what waits in memory, if it is time to try.
func (s *Spool) drainLocked() {
	for len(s.memory) > 0 && !s.now().Before(s.retryAt) && s.tryLocked(s.memory[0]) {
		s.tellRecordLocked(s.memory[0])
		s.popMemoryLocked()
	}
}

func (s *Spool) popMemoryLocked() {
	s.memorySize -= int64(len(s.memory[0].data))
	s.memory[0] = record{}
	s.memory = s.memory[1:]
}

// trimLocked holds the bound of memory. On a full disk the oldest batches are
// those in the oldest file, so that goes first, at most one in RetryInterval: it
// may be somebody else who takes the space.
func (s *Spool) trimLocked() {
	for s.memorySize > s.cfg.MemoryBytes && len(s.memory) > 0 {
		full := errors.Is(s.writeErr, syscall.ENOSPC) || errors.Is(s.writeErr, syscall.EDQUOT)
		if full && len(s.segments) > 0 && s.segments[0] != s.active && !s.now().Before(s.dropAt) {
			s.dropAt = s.now().Add(s.cfg.RetryInterval)
			if err := s.dropOldestLocked(); err == nil {
				s.retryAt = time.Time{}
				s.drainLocked()
				continue
			}
		}
		r := s.memory[0]
		if r.number <= s.acked[r.epoch] {
			s.tellRecordLocked(r)
			s.checkpointDue = true
		} else {
			s.dropped.batches++
			s.dropped.rows += uint64(r.rows)
		}
		s.popMemoryLocked()
	}
}

// tryLocked writes a record and keeps the outcome.
func (s *Spool) tryLocked(r record) bool {
	err := s.writeLocked(r)
	switch {
	case err != nil:
		if s.writeErr == nil {
			s.log.Error("spool cannot be written, batches wait in memory", "error", err)
		}
		s.retryAt = s.now().Add(s.cfg.RetryInterval)
	case s.writeErr != nil:
		s.log.Info("spool can be written again", "dropped_batches", s.dropped.batches)
	}
	s.writeErr = err
	return err == nil
}

func (s *Spool) writeLocked(r record) error {
	n := int64(len(r.data))
	if s.active != nil && (r.epoch != s.active.epoch || s.active.end+n > s.cfg.SegmentBytes) {
		if err := s.sealLocked(); err != nil {
			s.log.Warn("segment did not close well", "error", err)
		}
	}
	for len(s.segments) > 0 && s.segments[0] != s.active && s.bytes+s.checkpointBytes+n > s.cfg.MaxBytes {
		if err := s.dropOldestLocked(); err != nil {
			return err
		}
	}
	if s.active == nil {
		if err := s.beginLocked(r.epoch); err != nil {
			return err
		}
	}
	_, err := s.file.WriteAt(r.data, s.active.end)
	if err == nil && s.cfg.Sync {
		err = s.file.Sync()
	}
	if err != nil {
		err = fmt.Errorf("write segment: %w", err)
		if terr := s.file.Truncate(s.active.end); terr != nil || s.cfg.Sync {
			_ = s.sealLocked() // what lies behind its end is unknown: never write there again
		}
		return err
	}
	s.active.note(r, s.active.end+n)
	s.bytes += n
	return nil
}

// beginLocked starts a new file. All earlier ones are closed, so this is where
// the checkpoint is made that allows to remove them.
func (s *Spool) beginLocked(epoch string) error {
	var uncovered int64
	for _, g := range s.segments {
		if g.sequence >= s.checkpoint {
			uncovered += g.end
		}
	}
	if s.checkpointDue || uncovered >= max(s.cfg.SegmentBytes*3/4, s.checkpointBytes) {
		if err := s.writeCheckpointLocked(); err != nil {
			s.log.Warn("totals could not be saved, acknowledged segments are kept for them", "error", err)
		} else {
			s.removeAckedLocked()
		}
	}
	sequence := s.sequence + 1
	path := filepath.Join(s.cfg.Dir, fmt.Sprintf("%016x", sequence)+segmentSuffix)
	f, err := s.create(path)
	if err != nil {
		return fmt.Errorf("make segment: %w", err)
	}
	if _, err := f.WriteAt(versionHeader(segmentMagic, segmentVersion), 0); err != nil {
		_ = f.Close()
		_ = os.Remove(path)
		return fmt.Errorf("write segment: %w", err)
	}
	if s.cfg.Sync {
		if err := syncDir(s.cfg.Dir); err != nil {
			_ = f.Close()
			_ = os.Remove(path)
			return err
		}
	}
	s.sequence = sequence
	s.active = &segment{path: path, sequence: sequence, epoch: epoch, end: segmentHeader}
	s.file = f
	s.segments = append(s.segments, s.active)
	s.bytes += segmentHeader
	return nil
}

// sealLocked ends the active file.
func (s *Spool) sealLocked() error {
	if s.active == nil {
		return nil
	}
	err := s.file.Close()
	s.active, s.file = nil, nil
	s.removeAckedLocked()
	return err
}

// dropOldestLocked gives up the oldest file and counts what had not been
// acknowledged in it.
func (s *Spool) dropOldestLocked() error {
	g := s.segments[0]
	batches, rows := s.waitingIn(g)
	if err := s.removeLocked(g); err != nil {
		return err
	}
	if batches > 0 {
		s.dropped.batches += batches
		s.dropped.rows += rows
		s.log.Warn("oldest batches dropped", "epoch", g.epoch, "batches", batches, "rows", rows)
	}
	if g.sequence >= s.checkpoint {
		s.checkpointDue = true
	}
	return nil
}

// removeAckedLocked removes files that nobody needs: acknowledged to the end and
// covered by the checkpoint.
func (s *Spool) removeAckedLocked() {
	for _, g := range slices.Clone(s.segments) {
		if g != s.active && g.sequence < s.checkpoint && g.last <= s.acked[g.epoch] {
			if err := s.removeLocked(g); err != nil {
				s.log.Warn("acknowledged segment stays", "error", err)
			}
		}
	}
}

func (s *Spool) removeLocked(g *segment) error {
	if err := os.Remove(g.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove segment: %w", err)
	}
	s.bytes -= g.end
	g.gone = true
	s.segments = slices.DeleteFunc(s.segments, func(other *segment) bool { return other == g })
	if g.epoch != s.epoch && !s.holdsLocked(g.epoch) {
		delete(s.acked, g.epoch)
	}
	return nil
}

// holdsLocked says whether any batch of the epoch is still here.
func (s *Spool) holdsLocked(epoch string) bool {
	return slices.ContainsFunc(s.segments, func(g *segment) bool { return g.epoch == epoch }) ||
		slices.ContainsFunc(s.memory, func(r record) bool { return r.epoch == epoch })
}

// waitingIn counts what of a file is not acknowledged.
func (s *Spool) waitingIn(g *segment) (batches, rows uint64) {
	acked := s.acked[g.epoch]
	switch {
	case g.batches == 0 || acked >= g.last:
		return 0, 0
	case acked < g.first:
		return g.batches, g.rows
	}
	data, err := os.ReadFile(g.path)
	if err != nil { // at least the batches follow from the numbers
		return min(g.batches, g.last-acked), 0
	}
	for off := 0; ; {
		r, at, _, ok := nextRecord(data[:min(int64(len(data)), g.end)], max(off, segmentHeader))
		if !ok {
			return batches, rows
		}
		if r.number > acked {
			batches++
			rows += uint64(r.rows)
		}
		off = at + len(r.data)
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync spool directory: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync spool directory: %w", err)
	}
	return nil
}
