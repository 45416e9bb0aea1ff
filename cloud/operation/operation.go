// Package operation owns work that outlasts the request which began it: its
// number, its progress, and what came of it, kept for a day.
//
// Work runs in this process and ends with it: what a start finds unfinished
// has failed, and says so. An organisation has a few operations at a time, so that
// none can take the service from the others.
//
// Service is safe for concurrent use. Operations begun before Run wait for it.
package operation

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/store"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Config bounds operations.
type Config struct {
	Concurrent int           // of an organisation
	Keep       time.Duration // after the end
	Timeout    time.Duration // of one
}

// DefaultConfig keeps operations for a day.
func DefaultConfig() Config {
	return Config{Concurrent: 2, Keep: 24 * time.Hour, Timeout: 10 * time.Minute}
}

// Store keeps operations.
type Store interface {
	CreateOperation(ctx context.Context, o store.Operation) error
	UpdateOperation(ctx context.Context, o store.Operation) error
	Operation(ctx context.Context, orgID, id string) (store.Operation, error)
	SweepOperations(ctx context.Context, before int64) error
	AbandonOperations(ctx context.Context, at int64, reason string) error
}

// Deps is what the service works with.
type Deps struct {
	Store  Store
	Logger *slog.Logger
	Now    func() time.Time // nil: the clock
}

// Work does the operation. It calls progress, of 1, now and then, and answers the
// result. A fault it answers is told; another error is logged and told as internal.
//
// Its context is of the operation and holds the caller who began it.
type Work = func(ctx context.Context, progress func(float64)) (proto.Message, error)

// Service runs operations, and is the API's OperationService.
type Service struct {
	ngfwv1.UnimplementedOperationServiceServer
	cfg  Config
	deps Deps

	mu      sync.Mutex
	running map[string]int // by organisation
	live    map[string]*live
	begun   chan *live
}

// live is an operation that has not ended.
type live struct {
	store.Operation
	work   Work
	caller identity.Caller

	mu       sync.Mutex
	progress float64
	told     bool // the work says how far it is
}

// New makes the service; its operations begin when it runs.
func New(cfg Config, deps Deps) *Service {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Service{cfg: cfg, deps: deps, running: map[string]int{}, live: map[string]*live{}, begun: make(chan *live, 64)}
}

// Start begins work for the caller's organisation and answers how to follow it.
func (s *Service) Start(ctx context.Context, kind string, work Work) (*ngfwv1.OperationStarted, error) {
	c, ok := identity.From(ctx)
	if !ok || c.OrgID == "" {
		return nil, fault.New(fault.Unauthorized, "who is asking is not known")
	}
	if err := s.enter(c.OrgID); err != nil {
		return nil, err
	}
	o := &live{work: work, caller: c, Operation: store.Operation{
		ID: store.NewID("op"), OrgID: c.OrgID, Kind: kind, Status: "pending", CreatedAt: s.deps.Now().Unix(),
	}}
	if err := s.deps.Store.CreateOperation(ctx, o.Operation); err != nil {
		s.leave(c.OrgID)
		return nil, err
	}
	s.mu.Lock()
	s.live[o.ID] = o
	s.mu.Unlock()
	select {
	case s.begun <- o:
	default:
		s.end(ctx, o, nil, fault.New(fault.Unavailable, "too many operations are waiting: try again in a moment"))
	}
	return &ngfwv1.OperationStarted{Status: "pending", OperationId: o.ID}, nil
}

func (s *Service) enter(orgID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[orgID] >= s.cfg.Concurrent {
		return fault.New(fault.Unavailable, "%d operations are running, which is the limit: wait until one has ended", s.cfg.Concurrent)
	}
	s.running[orgID]++
	return nil
}

func (s *Service) leave(orgID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[orgID]--; s.running[orgID] == 0 {
		delete(s.running, orgID)
	}
}
