package spool

import (
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// State lists the epochs of which batches wait, oldest first: what a connection
// tells the cloud before it sends anything.
func (s *Spool) State() *ngfwv1.SpoolState {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := &ngfwv1.SpoolState{}
	note := func(epoch string, first, last uint64) {
		if first = max(first, s.acked[epoch]+1); first > last {
			return
		}
		for _, e := range state.Epochs {
			if e.Epoch == epoch {
				e.First, e.Last = min(e.First, first), max(e.Last, last)
				return
			}
		}
		state.Epochs = append(state.Epochs, &ngfwv1.SpoolState_Epoch{Epoch: epoch, First: first, Last: last})
	}
	for _, g := range s.segments {
		if g.batches > 0 {
			note(g.epoch, g.first, g.last)
		}
	}
	for _, r := range s.memory {
		note(r.epoch, r.number, r.number)
	}
	return state
}

// Acknowledge settles every batch of the epoch up to and including number: the
// cloud has stored them for ever. A number that was never given is ignored.
func (s *Spool) Acknowledge(epoch string, number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if epoch == s.epoch && number > s.number {
		s.log.Warn("acknowledgement of a batch that does not exist", "epoch", epoch, "number", number, "newest", s.number)
		return
	}
	s.settleLocked(epoch, number)
}

// Forget is what a connection does with the cloud's SpoolPosition: drop what is
// stored there. If the cloud has stored more of the running epoch than was ever
// made here, this is not its only writer (a machine restored from a snapshot):
// a new epoch begins, so that no number names two contents.
func (s *Spool) Forget(epoch string, stored uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if epoch == s.epoch && stored > s.number {
		old, newest := s.epoch, s.number
		s.flushLocked()
		if err := s.newEpochLocked(); err != nil {
			s.log.Error("no new epoch", "error", err)
			return
		}
		s.log.Error("the cloud holds batches of this epoch that were not made here, a new epoch begins",
			"epoch", old, "stored", stored, "newest", newest, "new_epoch", s.epoch)
	}
	s.settleLocked(epoch, stored)
}

func (s *Spool) settleLocked(epoch string, number uint64) {
	if number <= s.acked[epoch] {
		return
	}
	if epoch != s.epoch && !s.holdsLocked(epoch) {
		return // long gone; do not collect names
	}
	s.acked[epoch] = number
	s.removeAckedLocked()
}
