package analytics

import (
	"sync"

	"ngfw.sh/internal/fault"
)

// exports counts those that run. Each holds a question to the database for as long as
// its client likes to read, so one organisation may have half of them.
type exports struct {
	most int

	mu   sync.Mutex // guards what follows
	all  int
	orgs map[string]int
}

func newExports(most int) *exports { return &exports{most: most, orgs: map[string]int{}} }

// enter lets an export in, or says why not; leave must follow when it did.
func (e *exports) enter(orgID string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch own := max(e.most/2, 1); {
	case e.all >= e.most:
		return fault.New(fault.Unavailable, "%d exports are running, which is the limit: try again when one has ended", e.most)
	case e.orgs[orgID] >= own:
		return fault.New(fault.Unavailable, "%d exports of the organisation are running, which is the limit: try again when one has ended", own)
	}
	e.all++
	e.orgs[orgID]++
	return nil
}

func (e *exports) leave(orgID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all--
	if e.orgs[orgID]--; e.orgs[orgID] == 0 {
		delete(e.orgs, orgID)
	}
}
