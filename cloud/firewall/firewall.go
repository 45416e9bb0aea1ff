// Package firewall owns the section "firewall" of a router's configuration:
// zones, groups, rules, NAT rules and the policies of zone pairs, the operations on them, and
// questions about them. What they mean is package policy's; how they are kept and
// pushed package resource's.
//
// Invariants: nothing is stored that policy.Validate refuses or that the
// routers do not enforce; rules, zones and groups keep their ids for ever; what a
// rule, policy or group names is there.
//
// The zone SELF, the router itself, stands in the list with an id like any
// other, because rules name it; it takes no interfaces and no options. Factory
// zones are not removed, and no zone is renamed: rules name zones.
//
// Service is safe for concurrent use and keeps no state of its own.
package firewall

import (
	"context"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"ngfw.sh/cloud/etag"
	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/resource"
	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Devices resolves which device a caller means and may see.
type Devices interface {
	Resolve(ctx context.Context, c identity.Caller, deviceID string) (string, error)
}

// Counters knows how often rules decided.
type Counters interface {
	RuleCounters(ctx context.Context, deviceID string) (map[int64]*ngfwv1.RuleCounter, error)
	NATCounters(ctx context.Context, deviceID string) (map[int64]*ngfwv1.RuleCounter, error)
}

// Deps is what the service works with.
type Deps struct {
	Configuration *resource.Service
	Devices       Devices
	Counters      Counters
	Addresses     Addresses
	Routers       Routers
	Traffic       Traffic
	Operations    Operations
	Abilities     Abilities
	// Countries opens a database of countries, for analyses; nil: there is none.
	Countries func() (policy.Countries, error)
}

// Service is the API's FirewallService.
type Service struct {
	ngfwv1.UnimplementedFirewallServiceServer
	deps    Deps
	section *resource.Section[policy.Policy]
	rules   resource.Members[policy.Policy, policy.Rule]
	zones   resource.Members[policy.Policy, policy.Zone]
	groups  resource.Members[policy.Policy, policy.Group]
	nat     resource.Members[policy.Policy, policy.NATRule]

	analyses *turns
}

// New makes the service and registers its section.
func New(deps Deps) *Service {
	description := description
	description.Guard = func(ctx context.Context, deviceID string, before, after policy.Policy) error {
		return enforceable(ctx, deps.Abilities, deviceID, before, after)
	}
	section := resource.Register(deps.Configuration, description)
	return &Service{
		deps: deps, section: section, rules: ruleMembers(section), zones: zoneMembers(section), groups: groupMembers(section), nat: natMembers(section),
		analyses: newTurns(),
	}
}

// device resolves the request's device for its caller.
func (s *Service) device(ctx context.Context, deviceID string) (string, error) {
	c, ok := identity.From(ctx)
	if !ok {
		return "", fault.New(fault.Unauthorized, "who is asking is not known")
	}
	return s.deps.Devices.Resolve(ctx, c, deviceID)
}

// read resolves the request's device and reads its section.
func (s *Service) read(ctx context.Context, deviceID string) (id string, p policy.Policy, err error) {
	if id, err = s.device(ctx, deviceID); err != nil {
		return "", p, err
	}
	p, _, err = s.section.Read(ctx, id)
	return id, p, err
}

// VersionHeader is the answer header of writes: the version that holds them.
const VersionHeader = "x-config-version"

func tellVersion(ctx context.Context, version int64) {
	// Outside of a gRPC call there is nobody to tell.
	_ = grpc.SetHeader(ctx, metadata.Pairs(VersionHeader, strconv.FormatInt(version, 10)))
}

// tellWritten tells the version that holds a write, and the state that it made.
func tellWritten(ctx context.Context, version int64, resource any) {
	tellVersion(ctx, version)
	etag.Tell(ctx, resource)
}
