package operation

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/store"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// ReadOperation tells how far an operation of the caller's organisation is.
func (s *Service) ReadOperation(ctx context.Context, req *ngfwv1.OperationRequest) (*ngfwv1.AsyncOperation, error) {
	c, ok := identity.From(ctx)
	if !ok || c.OrgID == "" {
		return nil, fault.New(fault.Unauthorized, "who is asking is not known")
	}
	o, err := s.deps.Store.Operation(ctx, c.OrgID, req.GetId())
	if errors.Is(err, store.ErrNotFound) {
		return nil, fault.New(fault.NotFound, "no such operation, or it ended more than %v ago", s.cfg.Keep)
	}
	if err != nil {
		return nil, err
	}
	out := &ngfwv1.AsyncOperation{Id: o.ID, Kind: o.Kind, Status: o.Status, CreatedAt: o.CreatedAt}
	switch o.Status {
	case "done":
		out.Result = &structpb.Struct{}
		if err := protojson.Unmarshal([]byte(o.Result), out.Result); err != nil {
			return nil, fmt.Errorf("read the result of operation %s: %w", o.ID, err)
		}
	case "failed":
		out.Error = &ngfwv1.OperationError{}
		if err := protojson.Unmarshal([]byte(o.Error), out.Error); err != nil {
			return nil, fmt.Errorf("read the error of operation %s: %w", o.ID, err)
		}
	}
	if o.FinishedAt != 0 {
		out.FinishedAt = &o.FinishedAt
	}
	if progress, known := s.progress(o); known {
		out.Progress = &progress
	}
	return out, nil
}

func (s *Service) progress(o store.Operation) (float64, bool) {
	s.mu.Lock()
	now := s.live[o.ID]
	s.mu.Unlock()
	if now == nil {
		return o.Progress, o.Status == "done"
	}
	now.mu.Lock()
	defer now.mu.Unlock()
	return now.progress, now.told
}
