package qos

import (
	"context"
	"fmt"

	"ngfw.sh/cloud/etag"
	"ngfw.sh/cloud/resource"
	"ngfw.sh/config/qos"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// ReadQoSConfig shows how fast the uplinks are, and how they are shared.
func (s *Service) ReadQoSConfig(ctx context.Context, req *ngfwv1.QoSConfigRequest) (*ngfwv1.QoSConfig, error) {
	_, d, err := s.read(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	out, err := showConfig(d)
	if err != nil {
		return nil, err
	}
	etag.Tell(ctx, out)
	return out, nil
}

// UpdateQoSConfig replaces that. Classes and device limits have operations of their
// own.
func (s *Service) UpdateQoSConfig(ctx context.Context, req *ngfwv1.UpdateQoSConfigRequest) (*ngfwv1.QoSConfig, error) {
	id, err := s.device(ctx, req.GetDeviceId())
	if err != nil {
		return nil, err
	}
	var now *ngfwv1.QoSConfig
	version, err := s.section.Change(ctx, id, func(d *resource.Draft[qos.Document]) error {
		before, err := showConfig(d.Doc)
		if err != nil {
			return err
		}
		d.Current(before)
		if err := readConfig(req.GetConfig(), &d.Doc); err != nil {
			return err
		}
		if err := d.Doc.CheckRates(); err != nil {
			return err
		}
		if now, err = showConfig(d.Doc); err != nil {
			return err
		}
		d.Note("update", "config", "", summary(d.Doc), before, now)
		return nil
	})
	if err != nil {
		return nil, err
	}
	tellWritten(ctx, version, now)
	return now, nil
}

func summary(d qos.Document) string {
	if !d.Enabled {
		return "shaping off"
	}
	return fmt.Sprintf("shaping on, %v Mbit/s up and %v down, %s", d.UploadMbps, d.DownloadMbps, d.Scheduler)
}

// readConfig replaces the part of the section that the request holds; what it leaves out has
// its default.
func readConfig(m *ngfwv1.QoSConfig, d *qos.Document) error {
	if m == nil {
		return fault.New(fault.BadRequest, "the body is required")
	}
	fresh := qos.Default()
	fresh.Classes, fresh.DeviceLimits = d.Classes, d.DeviceLimits
	fresh.Enabled, fresh.UploadMbps, fresh.DownloadMbps = m.GetEnabled(), m.GetUploadMbps(), m.GetDownloadMbps()
	if m.Scheduler != nil {
		fresh.Scheduler = qos.Scheduler(m.GetScheduler())
	}
	if m.CakeOptions != nil {
		options, err := resource.FromMessage(m.CakeOptions, qos.DecodeCakeOptions)
		if err != nil {
			return err
		}
		fresh.CakeOptions = &options
	}
	*d = fresh
	return nil
}

func showConfig(d qos.Document) (*ngfwv1.QoSConfig, error) {
	scheduler := string(d.Scheduler)
	out := &ngfwv1.QoSConfig{Enabled: d.Enabled, UploadMbps: d.UploadMbps, DownloadMbps: d.DownloadMbps, Scheduler: &scheduler}
	if d.CakeOptions == nil {
		return out, nil
	}
	out.CakeOptions = &ngfwv1.QoSCakeOptions{}
	return out, resource.ToMessage(d.CakeOptions, out.CakeOptions)
}
