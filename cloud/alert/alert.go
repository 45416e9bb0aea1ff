// Package alert owns who may see which alerts of intrusion detection: those of
// the caller's own organisation, of a device only if it is theirs, and none
// older than the plan keeps. How alerts are kept, found and streamed is package
// analytics' alone.
//
// Service is safe for concurrent use and keeps no state. Whether a plan has
// intrusion detection at all is the API's matter.
package alert

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

// Scope is what of the history a request may see.
type Scope struct {
	OrgID         string
	RetentionDays int // alerts older than that are not there
}

// History is the record of alerts. Its errors are faults where the request is to
// blame.
type History interface {
	Alerts(ctx context.Context, s Scope, req *ngfwv1.AlertsRequest) (*ngfwv1.AlertsResponse, error)
	Stats(ctx context.Context, s Scope, req *ngfwv1.AlertStatsRequest) (*ngfwv1.AlertStats, error)
	Subscribe(ctx context.Context, s Scope, filter *ngfwv1.AlertsRequest, cursor string) (Subscription, error)
}

// Subscription is a live stream of alerts.
type Subscription interface {
	// Next waits for a frame; its error ends the stream.
	Next(ctx context.Context) (*ngfwv1.StreamFrame, error)
	Close()
}

// Deps is what the service works with.
type Deps struct {
	History History
	Devices Devices
	// RetentionDays is how far back a plan sees.
	RetentionDays func(plan string) int
}

// Service is the API's AlertService.
type Service struct {
	ngfwv1.UnimplementedAlertServiceServer
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

// Alerts pages through the alert history.
func (s *Service) Alerts(ctx context.Context, req *ngfwv1.AlertsRequest) (*ngfwv1.AlertsResponse, error) {
	scope, err := s.scope(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	return s.deps.History.Alerts(ctx, scope, req)
}

// Stats counts alerts.
func (s *Service) Stats(ctx context.Context, req *ngfwv1.AlertStatsRequest) (*ngfwv1.AlertStats, error) {
	scope, err := s.scope(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	return s.deps.History.Stats(ctx, scope, req)
}

// StreamAlerts sends alerts as they are recorded, until the caller leaves.
func (s *Service) StreamAlerts(req *ngfwv1.StreamAlertsRequest, stream ngfwv1.AlertService_StreamAlertsServer) error {
	ctx := stream.Context()
	filter := req.GetFilter()
	if filter == nil {
		filter = &ngfwv1.AlertsRequest{}
	}
	scope, err := s.scope(ctx, filter.GetDeviceId())
	if err != nil {
		return err
	}
	sub, err := s.deps.History.Subscribe(ctx, scope, filter, req.GetCursor())
	if err != nil {
		return err
	}
	defer sub.Close()
	// The caller learns that alerts are being watched for before there is one.
	if err := stream.SendHeader(nil); err != nil {
		return err
	}
	for {
		frame, err := sub.Next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(frame); err != nil {
			return err
		}
	}
}
