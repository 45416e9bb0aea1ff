package fleet

import (
	"context"
	"errors"

	"google.golang.org/protobuf/types/known/emptypb"

	"ngfw.sh/cloud/etag"
	"ngfw.sh/cloud/store"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// ListDevices lists the organisation's devices, oldest first.
func (s *Service) ListDevices(ctx context.Context, _ *ngfwv1.ListDevicesRequest) (*ngfwv1.ListDevicesResponse, error) {
	c, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	all, err := s.deps.Store.Devices(ctx, c.OrgID)
	if err != nil {
		return nil, err
	}
	out := &ngfwv1.ListDevicesResponse{}
	for _, d := range all {
		m, err := s.show(ctx, d)
		if err != nil {
			return nil, err
		}
		out.Devices = append(out.Devices, m)
	}
	return out, nil
}

// Device shows one device.
func (s *Service) Device(ctx context.Context, req *ngfwv1.DeviceRequest) (*ngfwv1.Device, error) {
	c, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	d, err := s.own(ctx, c, req.GetId())
	if err != nil {
		return nil, err
	}
	etag.Tell(ctx, auditForm(d))
	return s.show(ctx, d)
}

// DeviceStatus shows how a device is doing.
func (s *Service) DeviceStatus(ctx context.Context, req *ngfwv1.DeviceRequest) (*ngfwv1.DeviceStatus, error) {
	c, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	d, err := s.own(ctx, c, req.GetId())
	if err != nil {
		return nil, err
	}
	wanted, err := s.deps.Store.ConfigVersion(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	out, err := s.deps.Reports.DeviceStatus(ctx, d.ID, wanted)
	if err != nil {
		return nil, err
	}
	out.Id, out.Mode = d.ID, d.Mode
	return out, nil
}

// DeviceMetrics shows what a device was like in the last hour.
func (s *Service) DeviceMetrics(ctx context.Context, req *ngfwv1.DeviceRequest) (*ngfwv1.DeviceMetricsResponse, error) {
	c, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	d, err := s.own(ctx, c, req.GetId())
	if err != nil {
		return nil, err
	}
	samples, err := s.deps.Reports.History(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	return &ngfwv1.DeviceMetricsResponse{Samples: samples}, nil
}

// RemoveDevice removes a device with all its configuration. Its key is void and
// its connection closed before the answer.
func (s *Service) RemoveDevice(ctx context.Context, req *ngfwv1.DeviceRequest) (*emptypb.Empty, error) {
	c, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	d, err := s.own(ctx, c, req.GetId())
	if err != nil {
		return nil, err
	}
	if err := etag.Check(ctx, etag.Of(auditForm(d))); err != nil {
		return nil, err
	}
	entry := store.AuditBy(c, "remove", "device", d.ID)
	entry.DeviceID = d.ID
	entry.Changes = store.Changes{Summary: "device " + d.Name + " removed", Before: auditForm(d)}
	if err := s.deps.Store.DeleteDevice(ctx, c.OrgID, d.ID, entry); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return nil, noSuchDevice(err)
		}
		return nil, err
	}
	s.deps.Links.Disconnect(d.ID)
	s.deps.Reports.Forget(d.ID)
	s.deps.Logger.Info("device removed", "device", d.ID, "organization", c.OrgID, "user", c.UserID)
	return &emptypb.Empty{}, nil
}
