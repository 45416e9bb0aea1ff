// Package system owns what routers tell of themselves: the last status,
// hardware, metrics, rule counters and configuration outcome of every device
// (Reports), and the operations that show them (Service).
//
// Invariants: a rule's hits never go down, whatever the router restarts; a
// device counts as online while at least one connection of it is open; what is
// kept survives a restart of the cloud up to Config.Persist of age.
//
// Reports and Service are safe for concurrent use. Messages handed in are kept
// and must not be changed afterwards; messages handed out are copies. The
// package does not talk to routers: the link calls Reports.
package system

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

// Service is the API's SystemService.
type Service struct {
	ngfwv1.UnimplementedSystemServiceServer
	reports *Reports
	devices Devices
}

// New makes the service over the reports.
func New(reports *Reports, devices Devices) *Service {
	return &Service{reports: reports, devices: devices}
}

// report finds the last report of the caller's device, if it is still worth
// showing: the router is connected, or told something within Config.Stale.
func (s *Service) report(ctx context.Context, deviceID string) (snapshot, error) {
	caller, ok := identity.From(ctx)
	if !ok {
		return snapshot{}, fault.New(fault.Unauthorized, "who is asking is not known")
	}
	id, err := s.devices.Resolve(ctx, caller, deviceID)
	if err != nil {
		return snapshot{}, err
	}
	r, err := s.reports.snapshot(ctx, id)
	if err != nil {
		return snapshot{}, err
	}
	age := s.reports.deps.Now().Sub(r.lastSeen)
	switch {
	case !r.online && r.lastSeen.IsZero():
		return snapshot{}, fault.New(fault.DeviceOffline, "the router has never connected")
	case !r.online && age > s.reports.cfg.Stale:
		return snapshot{}, fault.New(fault.DeviceOffline, "the router is not connected; its last report is %s old", age.Round(time.Second))
	}
	return r, nil
}

// Status shows the last status, brought up to date by newer metrics.
func (s *Service) Status(ctx context.Context, req *ngfwv1.StatusRequest) (*ngfwv1.SystemStatus, error) {
	r, err := s.report(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	if r.status == nil {
		return nil, notYet("status")
	}
	return r.current(), nil
}

// Interfaces shows the interfaces of the last status.
func (s *Service) Interfaces(ctx context.Context, req *ngfwv1.InterfacesRequest) (*ngfwv1.InterfacesResponse, error) {
	r, err := s.report(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	if r.status == nil {
		return nil, notYet("status")
	}
	return &ngfwv1.InterfacesResponse{Interfaces: r.current().GetInterfaces()}, nil
}

// Hardware shows the last inventory.
func (s *Service) Hardware(ctx context.Context, req *ngfwv1.HardwareRequest) (*ngfwv1.Hardware, error) {
	r, err := s.report(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	if r.hardware == nil {
		return nil, notYet("hardware")
	}
	return r.hardware, nil
}

func notYet(what string) error {
	return fault.New(fault.DeviceOffline, "the router has not reported its %s yet", what)
}
