// Package spool owns the batches of flow events, alerts and DNS queries of a
// router from the moment they are written until the cloud has acknowledged them,
// and what has been told about each flow so far.
//
// # Contract
//
// Append collects events into a batch (AppendAlerts and AppendQueries into others
// beside it, of the same numbers); a batch is closed after FlushInterval
// or when it is full, gets the next number of the epoch, and is written to disk
// as one record with a checksum: it is there whole or not at all. From then on
// (epoch, number) names exactly these events for ever: an epoch is one Open, a
// ULID, and its numbers only grow. A batch leaves the disk when it has been
// acknowledged, or when the bound is reached: then the oldest go first, in whole
// segments, counted in batches and rows.
//
// A restarted agent learns from LastTotals what it has told about each flow and
// tells only the difference to what the kernel counted. That record and the
// increments are the same bytes, FlowEvent.total_* beside the increments, under
// one checksum. So wherever kill -9 falls, an event is either on disk, told once
// and in LastTotals, or it is in neither and is told again by the next
// difference. An agent must therefore keep no second record of its own of what
// it has told: events that Append took are settled only by what Open finds.
// Totals outlive the acknowledgement: when segments are given up, the newest
// totals of all their flows are first written to a checkpoint.
//
// A disk that refuses a write stops nobody: batches wait in memory (MemoryBytes)
// and are sent from there; the oldest of them are dropped and counted when that
// is full; the write is tried again every second. Only what was sent from memory
// and not written before a kill -9 can be told twice.
//
// Without Sync a batch survives the death of the process, not a power cut; the
// kernel's counters do not survive that either, so sums stay true.
//
// # Concurrency
//
// All methods of Spool are safe for concurrent use. A Reader belongs to one
// goroutine. Writes happen in Append and in a timer that Close stops. One
// process owns a directory, held by a lock.
//
// It knows no network and does not look into events beyond their flow and
// totals.
package spool

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// ErrClosed is returned after Close.
var ErrClosed = errors.New("spool is closed")

// Config says where batches lie and how many.
type Config struct {
	Dir             string
	MaxBytes        int64         // bound of the directory, the checkpoint included
	SegmentBytes    int64         // size of a file, the grain of dropping; at most an eighth of MaxBytes
	MemoryBytes     int64         // bound of what waits for a disk that refuses writes
	FlushInterval   time.Duration // age at which a batch is closed
	BacklogInterval time.Duration // the same while more than BacklogBatches wait: fewer, larger batches
	BacklogBatches  uint64
	BatchEvents     int
	BatchBytes      int
	MaxFlows        int           // flows whose totals are kept
	RetryInterval   time.Duration // between attempts to write to a disk that refused
	Sync            bool          // fdatasync after each batch: survives a power cut
}

// DefaultConfig lacks only Dir.
func DefaultConfig() Config {
	return Config{
		MaxBytes:        256 << 20,
		SegmentBytes:    4 << 20,
		MemoryBytes:     4 << 20,
		FlushInterval:   100 * time.Millisecond,
		BacklogInterval: time.Second,
		BacklogBatches:  32,
		BatchEvents:     2000,
		BatchBytes:      512 << 10,
		MaxFlows:        1 << 20,
		RetryInterval:   time.Second,
	}
}

func (c Config) validate() error {
	switch {
	case c.Dir == "":
		return errors.New("spool: no directory given")
	case c.BatchBytes <= 0 || c.BatchBytes > maxPayload/2 || c.BatchEvents <= 0:
		return fmt.Errorf("spool: a batch of %d events and %d bytes is out of range (1 to %d bytes)", c.BatchEvents, c.BatchBytes, maxPayload/2)
	case c.SegmentBytes < 1<<7:
		return fmt.Errorf("spool: a bound of %d bytes is too small", c.MaxBytes)
	case c.MemoryBytes <= 0 || c.MaxFlows <= 0 || c.FlushInterval <= 0 || c.RetryInterval <= 0:
		return errors.New("spool: memory bound, flow bound and intervals must be positive")
	}
	return nil
}

// Deps is what the spool needs of its surroundings; zero members get defaults.
type Deps struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Now        func() time.Time
	// Create makes a new segment file: the edge to the disk, replaced in tests.
	Create func(path string) (File, error)
}

// File is an open segment that is being written.
type File interface {
	WriteAt(p []byte, off int64) (int, error)
	Truncate(size int64) error
	Sync() error
	Close() error
}

// Spool is an open directory. Close it.
type Spool struct {
	cfg     Config
	now     func() time.Time
	create  func(string) (File, error)
	log     *slog.Logger
	metrics *metrics
	codec   *codec
	lock    *os.File

	mu      sync.Mutex // guards all below
	closed  bool
	epoch   string
	number  uint64 // of the newest batch of the epoch
	pending collected[*ngfwv1.FlowEvent]
	alerts  collected[*ngfwv1.AlertEvent]
	queries collected[*ngfwv1.QueryEvent]
	timer   *time.Timer
	armed   bool

	segments   []*segment // oldest first
	active     *segment   // the last of segments while it is written
	file       File       // of active
	sequence   uint64     // of the newest segment ever
	bytes      int64      // of all segments
	memory     []record   // closed batches that the disk has not taken, in order
	memorySize int64
	retryAt    time.Time // not before is the disk tried again
	dropAt     time.Time // not before is a segment given up for a full disk
	writeErr   error
	wake       chan struct{} // closed and replaced when there is something new to read

	acked map[string]uint64 // last acknowledged number per epoch

	totals          map[uint64]Totals
	checkpoint      uint64 // segments below it are covered by the checkpoint
	checkpointBytes int64
	checkpointDue   bool // totals were told that no segment holds

	dropped  struct{ batches, rows uint64 }
	corrupt  uint64
	unstored uint64 // flows whose totals found no room
}

// Flush closes the batch that is being collected and writes it; the error says
// what the disk said, the batch then waits in memory.
func (s *Spool) Flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.retryAt = time.Time{}
	s.flushLocked()
	s.armLocked()
	return s.writeErr
}

// Close writes what is collected and gives the directory up. What could not be
// written is gone, and the error says so.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.retryAt = time.Time{}
	s.flushLocked()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	s.notifyLocked()
	var errs []error
	if n := len(s.memory); n > 0 {
		errs = append(errs, fmt.Errorf("%d batches are lost, the spool could not be written: %w", n, s.writeErr))
	}
	if s.checkpointDue {
		errs = append(errs, s.writeCheckpointLocked())
	}
	errs = append(errs, s.sealLocked(), s.lock.Close())
	s.codec.close()
	s.metrics.unregister()
	return errors.Join(errs...)
}

// armLocked starts the timer that closes the batch, or that tries the disk again.
func (s *Spool) armLocked() {
	if s.armed || s.closed || s.pendingLocked() == 0 && len(s.memory) == 0 {
		return
	}
	d := s.cfg.FlushInterval
	switch {
	case s.pendingLocked() == 0:
		d = max(d, s.cfg.RetryInterval)
	case s.number-s.acked[s.epoch] > s.cfg.BacklogBatches:
		d = max(d, s.cfg.BacklogInterval)
	}
	s.armed = true
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.onTimer)
	} else {
		s.timer.Reset(d)
	}
}

func (s *Spool) onTimer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = false
	if s.closed {
		return
	}
	s.flushLocked()
	s.armLocked()
}

func (s *Spool) notifyLocked() {
	close(s.wake)
	s.wake = make(chan struct{})
}
