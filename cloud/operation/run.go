package operation

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"ngfw.sh/cloud/api/wirejson"
	"ngfw.sh/cloud/identity"
	"ngfw.sh/internal/fault"
)

var errEnded = fault.New(fault.Unavailable, "the service ended before the operation did: begin it again")

// Run runs operations until ctx ends, and fails those that it ends with.
func (s *Service) Run(ctx context.Context) error {
	if err := s.deps.Store.AbandonOperations(ctx, s.deps.Now().Unix(), failure(errEnded)); err != nil {
		return err
	}
	var running sync.WaitGroup
	defer running.Wait()
	sweep := time.NewTicker(time.Hour)
	defer sweep.Stop()
	for {
		if err := s.deps.Store.SweepOperations(ctx, s.deps.Now().Add(-s.cfg.Keep).Unix()); err != nil && ctx.Err() == nil {
			s.deps.Logger.Error("cannot forget old operations", "error", err)
		}
		for waiting := true; waiting; {
			select {
			case o := <-s.begun:
				running.Go(func() { s.run(ctx, o) })
			case <-sweep.C:
				waiting = false
			case <-ctx.Done():
				return nil
			}
		}
	}
}

func (s *Service) run(ctx context.Context, o *live) {
	o.Status = "running"
	if err := s.deps.Store.UpdateOperation(ctx, o.Operation); err != nil {
		s.deps.Logger.Error("cannot note that an operation runs", "operation", o.ID, "error", err)
	}
	limited, cancel := context.WithTimeout(identity.With(ctx, o.caller), s.cfg.Timeout)
	defer cancel()
	result, err := o.do(limited)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		err = errEnded
	case limited.Err() != nil:
		err = fault.New(fault.Unavailable, "it took longer than %v: ask for less", s.cfg.Timeout)
	}
	// The end is noted although the service may be ending.
	s.end(context.WithoutCancel(ctx), o, result, err)
}

// do turns a panic into an error: one operation must not take the others along.
func (o *live) do(ctx context.Context) (result proto.Message, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return o.work(ctx, func(done float64) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.progress, o.told = min(max(done, 0), 1), true
	})
}

func (s *Service) end(ctx context.Context, o *live, result proto.Message, err error) {
	o.Status, o.Progress, o.FinishedAt = "done", 1, s.deps.Now().Unix()
	if err == nil {
		o.Result = string(wirejson.Append(nil, result))
	} else {
		o.Status, o.Progress, o.Result, o.Error = "failed", 0, "", failure(err)
		if _, told := fault.As(err); !told {
			s.deps.Logger.Error("operation failed", "operation", o.ID, "kind", o.Kind, "error", err)
		}
	}
	if err := s.deps.Store.UpdateOperation(ctx, o.Operation); err != nil {
		s.deps.Logger.Error("cannot note the end of an operation", "operation", o.ID, "error", err)
	}
	s.mu.Lock()
	delete(s.live, o.ID)
	s.mu.Unlock()
	s.leave(o.OrgID)
}

// failure is an error as it is stored and told.
func failure(err error) string {
	told := struct {
		Code    fault.Code `json:"code"`
		Message string     `json:"message"`
		Field   string     `json:"field,omitempty"`
	}{fault.Internal, "an internal error", ""}
	if f, ok := fault.As(err); ok {
		told.Code, told.Message, told.Field = f.Code, f.Message, f.Field()
	}
	text, _ := json.Marshal(told) // of strings alone
	return string(text)
}
