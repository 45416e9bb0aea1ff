package spool

// Stats is the spool as a person or a status message wants to see it.
type Stats struct {
	Epoch          string
	Bytes          int64  // on disk
	Batches        uint64 // waiting for the acknowledgement, on disk and in memory
	MemoryBatches  int    // of these, not on disk
	MemoryBytes    int64
	DroppedBatches uint64 // since Open
	DroppedRows    uint64
	Damaged        uint64 // places on disk that could not be read
	Flows          int    // whose totals are kept
	UnstoredFlows  uint64 // events of flows whose totals found no room
	Error          string // of the last write, "" when it went well
}

// Stats reads the counters.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{
		Epoch: s.epoch, Bytes: s.bytes + s.checkpointBytes,
		MemoryBatches: len(s.memory), MemoryBytes: s.memorySize,
		DroppedBatches: s.dropped.batches, DroppedRows: s.dropped.rows,
		Damaged: s.corrupt, Flows: len(s.totals), UnstoredFlows: s.unstored,
	}
	for _, g := range s.segments {
		acked := s.acked[g.epoch]
		if g.batches > 0 && acked < g.last {
			st.Batches += min(g.batches, g.last-acked)
		}
	}
	for _, r := range s.memory {
		if r.number > s.acked[r.epoch] {
			st.Batches++
		}
	}
	if s.writeErr != nil {
		st.Error = s.writeErr.Error()
	}
	return st
}
