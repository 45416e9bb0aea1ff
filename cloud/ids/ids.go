// Package ids owns the operations on the section "ids" of a router's
// configuration: what is inspected, the categories, the operator's own rules
// and suppressions. What they mean is package config/ids'; how they are kept and pushed
// package resource's; alerts are analytics'.
//
// Invariants: nothing is stored that config/ids refuses; a rule that does not
// parse is refused with line, column and reason; an organisation's plan bounds the
// custom rules of each router.
//
// Service is safe for concurrent use and keeps no state of its own.
package ids

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"ngfw.sh/cloud/etag"
	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/resource"
	"ngfw.sh/config/ids"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// SectionName is the section's name in the agent protocol.
const SectionName = "ids"

// Devices resolves which device a caller means and may see.
type Devices interface {
	Resolve(ctx context.Context, c identity.Caller, deviceID string) (string, error)
}

// Loaded knows how many rules of each category a router has loaded, as it last
// reported.
type Loaded interface {
	LoadedRules(ctx context.Context, deviceID string) (map[string]int64, error)
}

// Config bounds the service.
type Config struct {
	// Rules is how many custom rules a router has on each plan; -1: no bound. A plan not
	// named here has none.
	Rules map[string]int
}

// DefaultConfig returns the plans of the specification.
func DefaultConfig() Config {
	return Config{Rules: map[string]int{"pro": 10, "business": 100, "business_plus": -1}}
}

// Deps is what the service works with.
type Deps struct {
	Configuration *resource.Service
	Devices       Devices
	Loaded        Loaded
	Now           func() time.Time // nil: the clock
}

// Service is the API's IDSService.
type Service struct {
	ngfwv1.UnimplementedIDSServiceServer
	cfg          Config
	deps         Deps
	section      *resource.Section[ids.Document]
	rules        resource.Members[ids.Document, ids.Rule]
	suppressions resource.Members[ids.Document, ids.Suppression]
}

// New makes the service and registers its section.
func New(cfg Config, deps Deps) *Service {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	section := resource.Register(deps.Configuration, resource.Description[ids.Document]{
		Name:    SectionName,
		Factory: func() (ids.Document, map[string]int64) { return ids.Default(), nil },
		Check:   ids.Validate,
	})
	return &Service{cfg: cfg, deps: deps, section: section, rules: ruleMembers(section), suppressions: suppressionMembers(section)}
}

// caller resolves the request's device for its caller.
func (s *Service) caller(ctx context.Context, deviceID string) (identity.Caller, string, error) {
	c, ok := identity.From(ctx)
	if !ok {
		return c, "", fault.New(fault.Unauthorized, "who is asking is not known")
	}
	id, err := s.deps.Devices.Resolve(ctx, c, deviceID)
	return c, id, err
}

// read resolves the request's device and reads its section.
func (s *Service) read(ctx context.Context, deviceID string) (id string, d ids.Document, err error) {
	if _, id, err = s.caller(ctx, deviceID); err != nil {
		return "", d, err
	}
	d, _, err = s.section.Read(ctx, id)
	return id, d, err
}

// tellVersion tells the version that holds a write.
func tellVersion(ctx context.Context, version int64) {
	// Outside of a gRPC call there is nobody to tell.
	_ = grpc.SetHeader(ctx, metadata.Pairs("x-config-version", strconv.FormatInt(version, 10)))
}

// tellWritten tells the version that holds a write, and the state that it made.
func tellWritten(ctx context.Context, version int64, resource any) {
	tellVersion(ctx, version)
	etag.Tell(ctx, resource)
}

// ReadIDSConfig shows what is inspected.
func (s *Service) ReadIDSConfig(ctx context.Context, req *ngfwv1.IDSConfigRequest) (*ngfwv1.IDSConfig, error) {
	_, d, err := s.read(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	out := showConfig(d)
	etag.Tell(ctx, out)
	return out, nil
}

// UpdateIDSConfig replaces what is inspected. Categories, rules and suppressions
// have operations of their own.
func (s *Service) UpdateIDSConfig(ctx context.Context, req *ngfwv1.UpdateIDSConfigRequest) (*ngfwv1.IDSConfig, error) {
	_, id, err := s.caller(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	var now ids.Document
	version, err := s.section.Change(ctx, id, func(d *resource.Draft[ids.Document]) error {
		before := showConfig(d.Doc)
		d.Current(before)
		if err := readConfig(req.GetConfig(), &d.Doc); err != nil {
			return err
		}
		now = d.Doc
		d.Note("update", "config", "", summary(now), before, showConfig(now))
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := showConfig(now)
	tellWritten(ctx, version, out)
	return out, nil
}

func summary(d ids.Document) string {
	if !d.Enabled {
		return "inspection off"
	}
	return fmt.Sprintf("inspection on, mode %s, %d sources", d.Mode, len(d.Sources))
}
