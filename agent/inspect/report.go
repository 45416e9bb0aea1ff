package inspect

import (
	"ngfw.sh/config/ids"
	"ngfw.sh/dataplane/nfqueue"
)

// Report is what the matcher does now.
type Report struct {
	Mode     ids.Mode // ids.Disabled: nothing is inspected
	FailOpen bool
	Rules    int // in force
	Refused  int // rules that are left out
	Queues   []QueueReport

	InspectedBytes    uint64 // of TCP streams, each once
	Bypassed, Blocked uint64 // flows that have left the matcher for good
}

// QueueReport is what one queue has done.
type QueueReport struct {
	Number string
	Bound  bool
	nfqueue.Stats
}

// Report reads what the matcher does.
func (s *Section) Report() Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.metrics.counts
	r := Report{Mode: ids.Disabled, InspectedBytes: c.inspected.Load(), Bypassed: c.bypassed.Load(), Blocked: c.blocked.Load()}
	if s.running == nil {
		return r
	}
	r.Mode, r.FailOpen, r.Rules, r.Refused = s.doc.Mode, s.doc.FailOpen, s.loaded.Rules, s.loaded.RefusedCount
	for _, q := range s.running.queues {
		r.Queues = append(r.Queues, QueueReport{Number: q.Name(), Bound: q.Bound(), Stats: q.Stats()})
	}
	return r
}
