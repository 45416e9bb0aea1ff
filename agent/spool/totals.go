package spool

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"os"
	"path/filepath"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Totals is what has been told about a flow, from its first event on.
type Totals struct {
	PacketsSent     uint64
	PacketsReceived uint64
	BytesSent       uint64
	BytesReceived   uint64
	// Closed: its end has been told. It is remembered until PruneTotals, for an
	// agent that was killed before it had removed the flow from the kernel's map.
	Closed bool
}

// LastTotals lists the flows of which something has been told. The spool is
// locked meanwhile: the loop must not call it.
func (s *Spool) LastTotals() iter.Seq2[uint64, Totals] {
	return func(yield func(uint64, Totals) bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for id, t := range s.totals {
			if !yield(id, t) {
				return
			}
		}
	}
}

// PruneTotals forgets the flows that are not alive. An agent calls it after each
// full scan of the kernel's flows, else flows whose end was lost, and all that
// ended, stay until MaxFlows. The spool is locked meanwhile.
func (s *Spool) PruneTotals(alive func(flow uint64) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.totals {
		if !alive(id) {
			delete(s.totals, id)
		}
	}
}

// tellLocked notes the totals of events that are on disk now, or were
// acknowledged.
func (s *Spool) tellLocked(events []*ngfwv1.FlowEvent) {
	for _, e := range events {
		if e.FlowId == 0 || e.Kind == ngfwv1.EventKind_EVENT_KIND_REFUSED {
			continue
		}
		if _, known := s.totals[e.FlowId]; !known && len(s.totals) >= s.cfg.MaxFlows && !s.forgetClosedLocked() {
			s.unstored++
			continue
		}
		s.totals[e.FlowId] = Totals{
			PacketsSent: e.TotalPacketsSent, PacketsReceived: e.TotalPacketsReceived,
			BytesSent: e.TotalBytesSent, BytesReceived: e.TotalBytesReceived,
			Closed: e.Kind == ngfwv1.EventKind_EVENT_KIND_CLOSE,
		}
	}
}

// forgetClosedLocked makes room: an agent that does not prune still keeps the
// totals of all its live flows.
func (s *Spool) forgetClosedLocked() bool {
	before := len(s.totals)
	for id, t := range s.totals {
		if t.Closed {
			delete(s.totals, id)
		}
	}
	return len(s.totals) < before
}

func (s *Spool) tellRecordLocked(r record) {
	b, err := s.codec.decode(r)
	if err != nil {
		s.corrupt++
		s.log.Error("batch cannot be read back", "error", err)
		return
	}
	s.tellLocked(b.Events)
}

// The checkpoint file: version header, first uncovered sequence, count, then 48
// bytes a flow, then CRC-32C of all.
const (
	checkpointName    = "totals"
	checkpointMagic   = "NGFWTOT\n"
	checkpointVersion = 1
	checkpointFlow    = 48
)

// writeCheckpointLocked saves the totals. It replaces the file whole: written
// beside it, synced, renamed.
func (s *Spool) writeCheckpointLocked() error {
	path := filepath.Join(s.cfg.Dir, checkpointName)
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("save totals: %w", err)
	}
	sum := crc32.New(castagnoli)
	w := bufio.NewWriterSize(f, 64<<10)
	out := io.MultiWriter(w, sum)
	b := versionHeader(checkpointMagic, checkpointVersion)
	b = binary.LittleEndian.AppendUint64(b, s.sequence+1)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(s.totals)))
	_, err = out.Write(b)
	size := int64(len(b))
	for id, t := range s.totals {
		if err != nil {
			break
		}
		b = b[:0]
		for _, v := range [...]uint64{id, t.PacketsSent, t.PacketsReceived, t.BytesSent, t.BytesReceived, flag(t.Closed)} {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
		_, err = out.Write(b)
		size += checkpointFlow
	}
	if err == nil {
		_, err = w.Write(binary.LittleEndian.AppendUint32(nil, sum.Sum32()))
	}
	err = errors.Join(err, w.Flush())
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err != nil {
		_ = os.Remove(path + ".tmp")
		return fmt.Errorf("save totals: %w", err)
	}
	// Segments are removed on the strength of this file: its name must be durable first.
	if err := syncDir(s.cfg.Dir); err != nil {
		return err
	}
	s.checkpoint, s.checkpointBytes, s.checkpointDue = s.sequence+1, size+4, false
	return nil
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// readCheckpoint loads it, if there is one.
func (s *Spool) readCheckpoint() error {
	path := filepath.Join(s.cfg.Dir, checkpointName)
	_ = os.Remove(path + ".tmp")
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read totals: %w", err)
	}
	intact, err := checkVersion(b, checkpointMagic, checkpointVersion)
	if err != nil {
		return fmt.Errorf("%s %w", path, err)
	}
	const head = segmentHeader + 16
	n := (len(b) - head - 4) / checkpointFlow
	if !intact || len(b) < head+4 || len(b) != head+n*checkpointFlow+4 ||
		binary.LittleEndian.Uint64(b[segmentHeader+8:]) != uint64(n) ||
		binary.LittleEndian.Uint32(b[len(b)-4:]) != crc32.Checksum(b[:len(b)-4], castagnoli) {
		s.corrupt++
		s.log.Error("saved totals are damaged: running flows may be counted twice once", "file", path)
		return nil
	}
	s.checkpoint = binary.LittleEndian.Uint64(b[segmentHeader:])
	s.checkpointBytes = int64(len(b))
	s.sequence = max(s.sequence, s.checkpoint-1)
	for i := range n {
		v := func(j int) uint64 { return binary.LittleEndian.Uint64(b[head+i*checkpointFlow+8*j:]) }
		s.totals[v(0)] = Totals{PacketsSent: v(1), PacketsReceived: v(2), BytesSent: v(3), BytesReceived: v(4), Closed: v(5)&1 != 0}
	}
	return nil
}
