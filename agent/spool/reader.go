package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Batch is a batch to send.
type Batch struct {
	*ngfwv1.FlowBatch
	Written time.Time // when it was closed
	Bytes   int       // on disk
}

// Reader hands out each batch that is not acknowledged once, oldest first. A
// connection takes a new one, which begins again at the oldest.
type Reader struct {
	s       *Spool
	seg     *segment
	file    *os.File // of seg, its own: the spool may remove the segment meanwhile
	off     int64
	visited uint64            // sequence of the newest segment that was begun
	handed  map[string]uint64 // newest number per epoch that was handed out
}

// Reader starts at the oldest batch that is not acknowledged.
func (s *Spool) Reader() *Reader { return &Reader{s: s, handed: map[string]uint64{}} }

// Close gives the open file up. The reader must not be used afterwards.
func (r *Reader) Close() {
	if r.file != nil {
		_ = r.file.Close()
		r.file = nil
	}
}

// Next waits for the next batch. It ends with the context's error, or with
// ErrClosed.
func (r *Reader) Next(ctx context.Context) (*Batch, error) {
	for {
		rec, wake, err := r.take()
		if err != nil {
			return nil, err
		}
		if wake != nil {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-wake:
				continue
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r.handed[rec.epoch] = max(r.handed[rec.epoch], rec.number)
		b, err := r.s.codec.decode(rec)
		if err != nil {
			r.s.damaged(err)
			continue
		}
		return &Batch{FlowBatch: b, Written: rec.written, Bytes: len(rec.data)}, nil
	}
}

// take finds the next record, or a channel that closes when there may be one.
func (r *Reader) take() (record, <-chan struct{}, error) {
	for {
		r.s.mu.Lock()
		if r.s.closed {
			r.s.mu.Unlock()
			return record{}, nil, ErrClosed
		}
		wake := r.s.wake
		end, sealed := r.placeLocked()
		var waiting record
		if r.seg == nil || r.off >= end && !sealed { // behind all that is on disk
			for _, m := range r.s.memory {
				if r.wantsLocked(m) {
					waiting = m
					break
				}
			}
		}
		r.s.mu.Unlock()

		switch {
		case waiting.data != nil:
			return waiting, nil, nil
		case r.seg == nil:
			return record{}, wake, nil
		case r.off < end:
			rec, err := r.read(end)
			if errors.Is(err, io.EOF) {
				continue
			}
			if err != nil {
				return record{}, nil, err
			}
			r.s.mu.Lock()
			wanted := r.wantsLocked(rec)
			r.s.mu.Unlock()
			if wanted {
				return rec, nil, nil
			}
		case sealed:
			r.Close()
			r.seg = nil
		default:
			return record{}, wake, nil
		}
	}
}

func (r *Reader) wantsLocked(rec record) bool {
	return rec.number > r.handed[rec.epoch] && rec.number > r.s.acked[rec.epoch]
}

// placeLocked sees to it that the reader stands in a segment, if there is one,
// and says how far that may be read and whether it has its final length.
func (r *Reader) placeLocked() (end int64, sealed bool) {
	if r.seg != nil && r.seg.gone {
		r.Close()
		r.seg = nil
	}
	if r.seg == nil {
		for _, g := range r.s.segments {
			if g.sequence <= r.visited {
				continue
			}
			if g != r.s.active && g.last <= max(r.s.acked[g.epoch], r.handed[g.epoch]) {
				continue // nothing in it for this reader
			}
			f, err := os.Open(g.path)
			if err != nil {
				r.s.corrupt++
				r.s.log.Error("segment cannot be read", "error", err)
				r.visited = g.sequence
				continue
			}
			r.seg, r.file, r.off, r.visited = g, f, segmentHeader, g.sequence
			break
		}
		if r.seg == nil {
			return 0, false
		}
	}
	return r.seg.end, r.seg != r.s.active
}

// read reads the record at the reader's place, or the next intact one before
// end; io.EOF if there is none.
func (r *Reader) read(end int64) (record, error) {
	head := make([]byte, recordHeader)
	if _, err := r.file.ReadAt(head, r.off); err == nil {
		if _, length, _, err := parseHeader(head); err == nil && r.off+recordHeader+int64(length) <= end {
			data := make([]byte, recordHeader+length)
			if _, err := r.file.ReadAt(data, r.off); err == nil {
				if rec, err := parseRecord(data); err == nil {
					r.off += int64(len(data))
					return rec, nil
				}
			}
		}
	}
	// Damaged since it was written or since Open: look for the next one.
	rest := make([]byte, end-r.off)
	n, err := r.file.ReadAt(rest, r.off)
	if err != nil && !errors.Is(err, io.EOF) {
		r.s.damaged(fmt.Errorf("read %s: %w", r.seg.path, err))
		r.off = end
		return record{}, io.EOF
	}
	rec, at, _, ok := nextRecord(rest[:n], 0)
	r.s.damaged(fmt.Errorf("%s at %d: %w", r.seg.path, r.off, errDamaged))
	if !ok {
		r.off = end
		return record{}, io.EOF
	}
	r.off += int64(at + len(rec.data))
	return rec, nil
}

func (s *Spool) damaged(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.corrupt++
	s.log.Error("damaged batch skipped", "error", err)
}
