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
	"io"

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
	OrgID         string
	RetentionDays int // rows older than that are not there
}

// Log is the record of flows. Its errors are faults where the request is to
// blame. source says what an answer was summed from: "exact" or "rollup".
type Log interface {
	Logs(ctx context.Context, s Scope, req *ngfwv1.LogsRequest) (*ngfwv1.LogsResponse, error)
	Stats(ctx context.Context, s Scope, req *ngfwv1.StatsRequest) (_ *ngfwv1.TrafficStats, source string, _ error)
	TopClients(ctx context.Context, s Scope, req *ngfwv1.TopRequest) (_ []*ngfwv1.TopClient, source string, _ error)
	TopDestinations(ctx context.Context, s Scope, req *ngfwv1.TopRequest) (_ []*ngfwv1.TopDestination, source string, _ error)
	TopApplications(ctx context.Context, s Scope, req *ngfwv1.TopRequest) (_ []*ngfwv1.TopApplication, source string, _ error)
	TopCountries(ctx context.Context, s Scope, req *ngfwv1.TopRequest) (_ []*ngfwv1.TopCountry, source string, _ error)
	TopRules(ctx context.Context, s Scope, req *ngfwv1.TopRequest) (_ []*ngfwv1.TopRule, source string, _ error)
	TopThreats(ctx context.Context, s Scope, req *ngfwv1.TopRequest) (_ []*ngfwv1.TopThreat, source string, _ error)

	// Export writes a file of rows; begin is called once, before the first byte.
	Export(ctx context.Context, s Scope, req *ngfwv1.ExportLogsRequest, begin func(name, contentType string) io.Writer) error
	// Find answers one row of the log; NOT_FOUND if the scope does not hold it.
	Find(ctx context.Context, s Scope, id string) (*ngfwv1.LogEntry, error)
	Subscribe(ctx context.Context, s Scope, filter *ngfwv1.LogsRequest, cursor string) (Subscription, error)
}

// Policies know what decided a row, as it was then.
type Policies interface {
	Explain(ctx context.Context, e *ngfwv1.LogEntry) (*ngfwv1.LogExplanation, error)
}

// Subscription is a live stream of rows.
type Subscription interface {
	// Next waits for a frame; its error ends the stream.
	Next(ctx context.Context) (*ngfwv1.StreamFrame, error)
	// Bundle waits for frames and gives those that wait as one of type "bundle".
	Bundle(ctx context.Context) (*ngfwv1.StreamFrame, error)
	Close()
}

// Config sets the service up.
type Config struct {
	// RetentionDays is how far back each plan sees; a plan not named here counts
	// as "starter".
	RetentionDays map[string]int
}

// DefaultConfig returns the plans of the specification.
func DefaultConfig() Config {
	return Config{RetentionDays: map[string]int{"starter": 1, "pro": 7, "business": 30, "business_plus": 90}}
}

// Deps is what the service works with.
type Deps struct {
	Log      Log
	Devices  Devices
	Policies Policies
}

// Service is the API's TrafficService.
type Service struct {
	ngfwv1.UnimplementedTrafficServiceServer
	cfg  Config
	deps Deps
}

// New makes the service.
func New(cfg Config, deps Deps) *Service { return &Service{cfg: cfg, deps: deps} }

// DaysOf is how many days back an organisation on this plan sees.
func (c Config) DaysOf(plan string) int {
	if days, ok := c.RetentionDays[plan]; ok {
		return days
	}
	return c.RetentionDays["starter"]
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
	return Scope{OrgID: c.OrgID, RetentionDays: s.cfg.DaysOf(c.Plan)}, nil
}

// Logs pages through the traffic log.
func (s *Service) Logs(ctx context.Context, req *ngfwv1.LogsRequest) (*ngfwv1.LogsResponse, error) {
	scope, err := s.scope(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	res, err := s.deps.Log.Logs(ctx, scope, req)
	return res, tellSource(ctx, "exact", err)
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
	// The caller learns that rows are being watched for before there is one.
	if err := stream.SendHeader(nil); err != nil {
		return err
	}
	next := sub.Next
	if req.GetBundled() {
		next = sub.Bundle
	}
	for {
		frame, err := next(ctx)
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
