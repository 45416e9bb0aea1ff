// Package qos owns the operations on the section "qos" of a router's
// configuration: how fast its uplinks are, classes of traffic, and what single devices may
// take. What they mean is package config/qos'; how they are kept and pushed package
// resource's.
//
// Invariants: nothing is stored that config/qos refuses, guarantees that do not fit
// the link among it; classes keep their ids for ever; a device has one limit.
//
// Service is safe for concurrent use and keeps no state of its own.
package qos

import (
	"context"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"ngfw.sh/cloud/etag"
	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/resource"
	"ngfw.sh/config/qos"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// SectionName is the section's name in the agent protocol.
const SectionName = "qos"

// Devices resolves which device a caller means and may see.
type Devices interface {
	Resolve(ctx context.Context, c identity.Caller, deviceID string) (string, error)
}

// Counters knows what has passed the queues of a router, as it last reported.
type Counters interface {
	QoSCounters(ctx context.Context, deviceID string) ([]*ngfwv1.QosCounter, error)
}

// Deps is what the service works with.
type Deps struct {
	Configuration *resource.Service
	Devices       Devices
	Counters      Counters
}

// Service is the API's QoSService.
type Service struct {
	ngfwv1.UnimplementedQoSServiceServer
	deps    Deps
	section *resource.Section[qos.Document]
	classes resource.Members[qos.Document, qos.Class]
}

// New makes the service and registers its section.
func New(deps Deps) *Service {
	section := resource.Register(deps.Configuration, resource.Description[qos.Document]{
		Name:    SectionName,
		Factory: func() (qos.Document, map[string]int64) { return qos.Default(), nil },
		Check:   qos.Validate,
		Asked:   true,
	})
	return &Service{deps: deps, section: section, classes: classMembers(section)}
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
func (s *Service) read(ctx context.Context, deviceID string) (id string, d qos.Document, err error) {
	if id, err = s.device(ctx, deviceID); err != nil {
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
