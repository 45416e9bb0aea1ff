package qos

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"ngfw.sh/cloud/etag"
	"ngfw.sh/cloud/resource"
	"ngfw.sh/config/qos"
	"ngfw.sh/internal/fault"
	"ngfw.sh/internal/optional"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const kindLimit = "device-limit"

// ListQoSDeviceLimits lists what single devices may take.
func (s *Service) ListQoSDeviceLimits(ctx context.Context, req *ngfwv1.ListQoSDeviceLimitsRequest) (*ngfwv1.ListQoSDeviceLimitsResponse, error) {
	_, d, err := s.read(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	etag.Tell(ctx, d.DeviceLimits)
	out := &ngfwv1.ListQoSDeviceLimitsResponse{}
	for _, l := range d.DeviceLimits {
		out.Limits = append(out.Limits, showLimit(l))
	}
	return out, nil
}

// SetQoSDeviceLimit makes or replaces the limit of a device.
func (s *Service) SetQoSDeviceLimit(ctx context.Context, req *ngfwv1.SetQoSDeviceLimitRequest) (*ngfwv1.QoSDeviceLimit, error) {
	id, err := s.device(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	want, err := readLimit(req.GetMac(), req.GetLimit())
	if err != nil {
		return nil, err
	}
	version, err := s.section.Perform(ctx, id, resource.NewEdit("", func(d *resource.Draft[qos.Document]) error {
		list := &d.Doc.DeviceLimits
		d.Current(*list)
		if i := limitOf(*list, want.MAC); i >= 0 {
			d.Current((*list)[i])
			d.Note("update", kindLimit, want.MAC, "limit of "+want.MAC+" changed", (*list)[i], want)
			(*list)[i] = want
			return nil
		}
		d.Note("create", kindLimit, want.MAC, "limit of "+want.MAC+" set", nil, want)
		*list = append(*list, want)
		return nil
	}))
	if err != nil {
		return nil, err
	}
	tellWritten(ctx, version, want)
	return showLimit(want), nil
}

// DeleteQoSDeviceLimit removes the limit of a device.
func (s *Service) DeleteQoSDeviceLimit(ctx context.Context, req *ngfwv1.DeleteQoSDeviceLimitRequest) (*emptypb.Empty, error) {
	id, err := s.device(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	mac, err := qos.NormalizeMAC(req.GetMac())
	if err != nil {
		return nil, fault.Invalid("mac", "%v", err)
	}
	version, err := s.section.Change(ctx, id, func(d *resource.Draft[qos.Document]) error {
		list := &d.Doc.DeviceLimits
		i := limitOf(*list, mac)
		if i < 0 {
			return fault.New(fault.NotFound, "%s has no limit", mac)
		}
		d.Current((*list)[i], *list)
		d.Note("delete", kindLimit, mac, "limit of "+mac+" removed", (*list)[i], nil)
		*list = slices.Delete(*list, i, i+1)
		return nil
	})
	if err != nil {
		return nil, err
	}
	tellVersion(ctx, version)
	return &emptypb.Empty{}, nil
}

func limitOf(list []qos.DeviceLimit, mac string) int {
	return slices.IndexFunc(list, func(l qos.DeviceLimit) bool { return l.MAC == mac })
}

// readLimit reads a limit of the device that the path names. A body that was read
// before may name it too.
func readLimit(path string, m *ngfwv1.QoSDeviceLimit) (qos.DeviceLimit, error) {
	mac, err := qos.NormalizeMAC(path)
	if err != nil {
		return qos.DeviceLimit{}, fault.Invalid("mac", "%v", err)
	}
	if given := m.GetMac(); given != "" {
		if inside, err := qos.NormalizeMAC(given); err != nil || inside != mac {
			return qos.DeviceLimit{}, fault.Invalid("mac", "the path says %s and the body %s: say it once", mac, given)
		}
	}
	l := qos.DeviceLimit{MAC: mac, Hostname: m.GetHostname()}
	if m != nil {
		l.UploadMbps, l.DownloadMbps = m.UploadMbps, m.DownloadMbps
		if m.Priority != nil {
			priority := int(m.GetPriority())
			l.Priority = &priority
		}
	}
	return l, qos.CheckDeviceLimit(l)
}

func showLimit(l qos.DeviceLimit) *ngfwv1.QoSDeviceLimit {
	out := &ngfwv1.QoSDeviceLimit{Mac: l.MAC, Hostname: optional.Of(l.Hostname), UploadMbps: l.UploadMbps, DownloadMbps: l.DownloadMbps}
	if l.Priority != nil {
		out.Priority = proto.Int32(int32(*l.Priority))
	}
	return out
}
