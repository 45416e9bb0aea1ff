package devicelink

import (
	"context"
	"sync"

	"github.com/google/uuid"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const maxAsked = 32

// asks are the requests of a connection that wait for a reply.
type asks struct {
	mu      sync.Mutex
	waiting map[string]chan *ngfwv1.AgentMessage
}

// answer gives a reply to who asked; false if nobody did.
func (a *asks) answer(m *ngfwv1.AgentMessage) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	reply, ok := a.waiting[m.Id]
	if ok {
		reply <- m // holds one, and is used once
		delete(a.waiting, m.Id)
	}
	return ok
}

func (a *asks) add(id string) (<-chan *ngfwv1.AgentMessage, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) >= maxAsked {
		return nil, false
	}
	if a.waiting == nil {
		a.waiting = map[string]chan *ngfwv1.AgentMessage{}
	}
	reply := make(chan *ngfwv1.AgentMessage, 1)
	a.waiting[id] = reply
	return reply, true
}

func (a *asks) remove(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, id)
}

func (ss *session) ask(ctx context.Context, request *ngfwv1.CloudMessage) (*ngfwv1.AgentMessage, error) {
	m := &ngfwv1.CloudMessage{Id: uuid.NewString(), Payload: request.Payload}
	reply, ok := ss.asks.add(m.Id)
	if !ok {
		return nil, fault.New(fault.Unavailable, "the router has too many requests to answer")
	}
	defer ss.asks.remove(m.Id)
	select {
	case ss.out <- m:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-ss.ctx.Done():
		return nil, offline()
	}
	select {
	case r := <-reply:
		return r, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-ss.ctx.Done():
		return nil, offline()
	}
}
