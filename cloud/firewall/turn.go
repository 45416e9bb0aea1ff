package firewall

import (
	"context"
	"sync"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/internal/fault"
)

// Analyses take a processor for seconds, and so does reading a policy that somebody
// sends for one.
const (
	maxAnalyses = 2  // at once, and of one organisation one: nobody takes the last
	maxWaiting  = 16 // of one organisation, with the one that runs: each holds its policy
)

// turns says whose analysis runs.
type turns struct {
	running chan struct{} // a token for each

	mu   sync.Mutex // guards what follows
	orgs map[string]*queue
}

// queue is of one organisation, while it has anything in it.
type queue struct {
	first chan struct{} // a token for who is next, or runs
	many  int
}

func newTurns() *turns {
	return &turns{running: make(chan struct{}, maxAnalyses), orgs: map[string]*queue{}}
}

// turn waits until the caller's organisation may analyse something; done must follow.
func (s *Service) turn(ctx context.Context) (done func(), err error) {
	c, ok := identity.From(ctx)
	if !ok {
		return nil, fault.New(fault.Unauthorized, "who is asking is not known")
	}
	return s.analyses.take(ctx, c.OrgID)
}

func (t *turns) take(ctx context.Context, orgID string) (done func(), err error) {
	q, err := t.enter(orgID)
	if err != nil {
		return nil, err
	}
	for i, token := range []chan struct{}{q.first, t.running} {
		select {
		case token <- struct{}{}:
		case <-ctx.Done():
			if i > 0 {
				<-q.first
			}
			t.leave(orgID)
			return nil, ctx.Err()
		}
	}
	return func() { <-t.running; <-q.first; t.leave(orgID) }, nil
}

func (t *turns) enter(orgID string) (*queue, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.orgs[orgID]
	if q == nil {
		q = &queue{first: make(chan struct{}, 1)}
		t.orgs[orgID] = q
	}
	if q.many >= maxWaiting {
		return nil, fault.New(fault.Unavailable, "%d analyses are waiting for their turn, which is the limit: try again when one has ended", maxWaiting)
	}
	q.many++
	return q, nil
}

func (t *turns) leave(orgID string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if q := t.orgs[orgID]; q.many > 1 {
		q.many--
	} else {
		delete(t.orgs, orgID)
	}
}
