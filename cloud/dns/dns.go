// Package dns owns who may see which recorded DNS queries: those of the caller's
// own organisation, of a device only if it is theirs, and none older than the plan
// keeps. How queries are kept and counted is package analytics' alone; what a
// router's resolver is told to do is none of its matters.
//
// Service is safe for concurrent use and keeps no state.
package dns

import (
	"context"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Devices resolves which device a caller means and may see.
type Devices interface {
	Resolve(ctx context.Context, c identity.Caller, deviceID string) (string, error)
}

// Scope bounds an answer.
type Scope struct {
	OrgID         string
	RetentionDays int // queries older than that are not there
}

// History answers from the record. It refuses parameters that mean nothing, by
// their names.
type History interface {
	Queries(ctx context.Context, s Scope, req *ngfwv1.DnsQueriesRequest) (*ngfwv1.DnsQueriesResponse, error)
	Stats(ctx context.Context, s Scope, req *ngfwv1.DnsStatsRequest) (*ngfwv1.DnsStats, error)
}

// Deps are what the service works with.
type Deps struct {
	History History
	Devices Devices
	// RetentionDays is how far back a plan sees.
	RetentionDays func(plan string) int
}

// Service is the API's DnsHistoryService.
type Service struct {
	ngfwv1.UnimplementedDnsHistoryServiceServer
	deps Deps
}

// New makes the service.
func New(deps Deps) *Service { return &Service{deps: deps} }

// scope says what the caller may see, and refuses a device that is not theirs.
func (s *Service) scope(ctx context.Context, deviceID string) (Scope, error) {
	c, ok := identity.From(ctx)
	if !ok || c.OrgID == "" {
		return Scope{}, fault.New(fault.Unauthorized, "who is asking is not known")
	}
	if deviceID != "" {
		if _, err := s.deps.Devices.Resolve(ctx, c, deviceID); err != nil {
			return Scope{}, err
		}
	}
	return Scope{OrgID: c.OrgID, RetentionDays: s.deps.RetentionDays(c.Plan)}, nil
}

// Queries answers a page of the log, newest first.
func (s *Service) Queries(ctx context.Context, req *ngfwv1.DnsQueriesRequest) (*ngfwv1.DnsQueriesResponse, error) {
	scope, err := s.scope(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	return s.deps.History.Queries(ctx, scope, req)
}

// Stats counts queries over time and by kind.
func (s *Service) Stats(ctx context.Context, req *ngfwv1.DnsStatsRequest) (*ngfwv1.DnsStats, error) {
	scope, err := s.scope(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	return s.deps.History.Stats(ctx, scope, req)
}
