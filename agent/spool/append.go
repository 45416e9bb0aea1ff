package spool

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// collected are rows of one kind that no batch holds yet.
type collected[E proto.Message] struct {
	rows  []E
	bytes int
}

func (c *collected[E]) clear() {
	clear(c.rows)
	c.rows, c.bytes = c.rows[:0], 0
}

// Append takes the events over: the caller must not touch them again. A disk
// that fails is no error here but shows in Stats; an error means that an event
// can never be kept (nil, larger than a batch) or that the spool is closed, and
// that nothing of this call was taken.
func (s *Spool) Append(events []*ngfwv1.FlowEvent) error { return collect(s, &s.pending, events) }

// AppendAlerts is Append for alerts.
func (s *Spool) AppendAlerts(alerts []*ngfwv1.AlertEvent) error { return collect(s, &s.alerts, alerts) }

// AppendQueries is Append for DNS queries.
func (s *Spool) AppendQueries(queries []*ngfwv1.QueryEvent) error {
	return collect(s, &s.queries, queries)
}

func collect[E proto.Message](s *Spool, into *collected[E], rows []E) error {
	sizes := make([]int, len(rows))
	for i, e := range rows {
		if !e.ProtoReflect().IsValid() {
			return fmt.Errorf("event %d of %d is nil", i, len(rows))
		}
		if sizes[i] = proto.Size(e); sizes[i] > s.cfg.BatchBytes {
			return fmt.Errorf("event %d of %d has %d bytes, a batch holds %d", i, len(rows), sizes[i], s.cfg.BatchBytes)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	for i, e := range rows {
		if len(into.rows) >= s.cfg.BatchEvents || into.bytes+sizes[i] > s.cfg.BatchBytes {
			s.flushLocked()
		}
		into.rows = append(into.rows, e)
		into.bytes += sizes[i]
	}
	if len(into.rows) >= s.cfg.BatchEvents {
		s.flushLocked()
	}
	s.armLocked()
	return nil
}

// pendingLocked counts the rows that no batch holds yet.
func (s *Spool) pendingLocked() int {
	return len(s.pending.rows) + len(s.alerts.rows) + len(s.queries.rows)
}

// rowsOf counts the rows of a batch, whatever their kind.
func rowsOf(b *ngfwv1.FlowBatch) int { return len(b.Events) + len(b.Alerts) + len(b.Queries) }
