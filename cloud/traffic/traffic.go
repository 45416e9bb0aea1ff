// Package traffic owns who may see which recorded flows: the rows of the
// caller's own organisation, of a device only if it is theirs, and none older
// than the plan keeps. How flows are kept, found and streamed is package
// analytics' alone.
//
// Service is safe for concurrent use and keeps no state. Heartbeats, changes of
// the filter within a stream and the number of streams are the API's.
package traffic

import (
	"context"
	"time"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Devices resolves which device a caller means and may see.
type Devices interface {
	Resolve(ctx context.Context, c identity.Caller, deviceID string) (string, error)
}

// Scope is what of the record a request may see.
type Scope struct {
	OrgID string
	Since time.Time // rows before it are not there
}

// Log is the record of flows. Its errors are faults where the request is to
// blame.
type Log interface {
	Logs(ctx context.Context, s Scope, req *ngfwv1.LogsRequest) (*ngfwv1.LogsResponse, error)
	TopClients(ctx context.Context, s Scope, req *ngfwv1.TopRequest) ([]*ngfwv1.TopClient, error)
	Subscribe(ctx context.Context, s Scope, filter *ngfwv1.LogsRequest, cursor string) (Subscription, error)
}

// Subscription is a live stream of rows.
type Subscription interface {
	// Next waits for a frame; its error ends the stream.
	Next(ctx context.Context) (*ngfwv1.StreamFrame, error)
	Close()
}

// Config sets the service up.
type Config struct {
	// Retention is how far back each plan sees; a plan not named here counts as
	// "starter".
	Retention map[string]time.Duration
}

// DefaultConfig returns the plans of the specification.
func DefaultConfig() Config {
	const day = 24 * time.Hour
	return Config{Retention: map[string]time.Duration{"starter": day, "pro": 7 * day, "business": 30 * day, "business_plus": 90 * day}}
}

// Deps is what the service works with.
type Deps struct {
	Log     Log
	Devices Devices
	Now     func() time.Time // nil: time.Now
}

// Service is the API's TrafficService.
type Service struct {
	ngfwv1.UnimplementedTrafficServiceServer
	cfg  Config
	deps Deps
}

// New makes the service.
func New(cfg Config, deps Deps) *Service {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Service{cfg: cfg, deps: deps}
}

// RetentionOf is how long rows of a plan's organisations are kept.
func (c Config) RetentionOf(plan string) time.Duration {
	if d, ok := c.Retention[plan]; ok {
		return d
	}
	return c.Retention["starter"]
}

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
	return Scope{OrgID: c.OrgID, Since: s.deps.Now().Add(-s.cfg.RetentionOf(c.Plan))}, nil
}

// Logs pages through the traffic log.
func (s *Service) Logs(ctx context.Context, req *ngfwv1.LogsRequest) (*ngfwv1.LogsResponse, error) {
	scope, err := s.scope(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	return s.deps.Log.Logs(ctx, scope, req)
}

// TopClients ranks clients by their bytes.
func (s *Service) TopClients(ctx context.Context, req *ngfwv1.TopRequest) (*ngfwv1.TopClientsResponse, error) {
	scope, err := s.scope(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	clients, err := s.deps.Log.TopClients(ctx, scope, req)
	return &ngfwv1.TopClientsResponse{Clients: clients}, err
}

// StreamLogs sends rows as they are recorded, until the caller leaves.
func (s *Service) StreamLogs(req *ngfwv1.StreamLogsRequest, stream ngfwv1.TrafficService_StreamLogsServer) error {
	ctx := stream.Context()
	filter := req.GetFilter()
	if filter == nil {
		filter = &ngfwv1.LogsRequest{}
	}
	scope, err := s.scope(ctx, filter.GetDeviceId())
	if err != nil {
		return err
	}
	sub, err := s.deps.Log.Subscribe(ctx, scope, filter, req.GetCursor())
	if err != nil {
		return err
	}
	defer sub.Close()
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
