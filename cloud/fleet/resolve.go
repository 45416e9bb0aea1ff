package fleet

import (
	"context"
	"errors"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/store"
	"ngfw.sh/internal/fault"
)

func callerOf(ctx context.Context) (identity.Caller, error) {
	c, ok := identity.From(ctx)
	if !ok || c.OrgID == "" {
		return c, fault.New(fault.Unauthorized, "who is asking is not known")
	}
	return c, nil
}

// own reads a device of the caller's organisation.
func (s *Service) own(ctx context.Context, c identity.Caller, id string) (store.Device, error) {
	d, err := s.deps.Store.Device(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return d, noSuchDevice(err)
	}
	if err == nil {
		err = ownedBy(c, d)
	}
	return d, err
}

func ownedBy(c identity.Caller, d store.Device) error {
	if d.OrgID != c.OrgID {
		return fault.New(fault.Forbidden, "the device belongs to another organisation")
	}
	return nil
}

func noSuchDevice(err error) error { return fault.New(fault.NotFound, "no such device").Because(err) }

// Resolve says which device a request means: the one it names, or the caller's
// only one.
func (s *Service) Resolve(ctx context.Context, c identity.Caller, id string) (string, error) {
	if c.OrgID == "" {
		return "", fault.New(fault.Unauthorized, "who is asking is not known")
	}
	if id != "" {
		d, err := s.own(ctx, c, id)
		if err != nil {
			return "", err
		}
		return d.ID, nil
	}
	all, err := s.deps.Store.Devices(ctx, c.OrgID)
	if err != nil {
		return "", err
	}
	switch len(all) {
	case 0:
		return "", fault.New(fault.NotFound, "no device is registered yet")
	case 1:
		return all[0].ID, nil
	}
	f := fault.New(fault.BadRequest, "there are %d devices: name one with the header X-Device-ID or ?device_id=", len(all))
	f.Fields = []fault.Field{{Path: "device_id", Message: f.Message}}
	return "", f
}
