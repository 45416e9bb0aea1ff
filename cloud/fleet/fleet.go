// Package fleet owns the routers of an organisation: registering them, their
// keys, what a user may say about them, and which one a request means.
//
// Invariants: a device belongs to one organisation for ever; its key is shown
// once and kept as a hash; an organisation never has more devices than its plan
// allows, however many register at once; a removed device's connection is
// closed before the answer.
//
// Service is safe for concurrent use and keeps no state of its own. It does not
// talk to routers (Links does) and does not hold what they report (Reports
// does).
package fleet

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/store"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Store keeps the devices. *store.Store is one.
type Store interface {
	CreateDevice(ctx context.Context, n store.NewDevice) error
	Devices(ctx context.Context, orgID string) ([]store.Device, error)
	Device(ctx context.Context, id string) (store.Device, error)
	DeviceByKey(ctx context.Context, keyHash []byte) (d store.Device, plan string, err error)
	UpdateDevice(ctx context.Context, id string, change func(old store.Device) (store.DeviceUpdate, error)) error
	DeleteDevice(ctx context.Context, orgID, id string, a store.AuditEntry) error
	ConfigVersion(ctx context.Context, deviceID string) (int64, error)
}

// Links holds the routers' connections.
type Links interface {
	// Disconnect closes a device's connection at once.
	Disconnect(deviceID string)
	// Wanted says that the device should have something newer than it has: a
	// configuration version or a mode. It does not block.
	Wanted(deviceID string)
}

// Reports knows what routers last told.
type Reports interface {
	// Presence sets status, last seen, firmware, model and serial.
	Presence(ctx context.Context, deviceID string) (*ngfwv1.Device, error)
	// DeviceStatus sets everything but id and mode.
	DeviceStatus(ctx context.Context, deviceID string, wanted int64) (*ngfwv1.DeviceStatus, error)
	Forget(deviceID string)
}

// Configuration holds the documents of devices: those that a device starts
// with, those that it should run, and how they take what they say of it.
type Configuration interface {
	Factory() ([]store.FactorySection, error)
	Document(ctx context.Context, deviceID string) (version int64, sections map[string][]byte, err error)
	// TimeZone returns, per section, how a document takes a new time zone.
	TimeZone(name string) map[string]func(document []byte) ([]byte, error)
}

// Config sets the service up.
type Config struct {
	ConnectURL string         // where routers connect, told at registration: grpcs://…
	Routers    map[string]int // devices per plan, -1 any number; a plan not named here counts as "starter"
}

// DefaultConfig returns the plans of the specification; ConnectURL is left to
// the caller.
func DefaultConfig() Config {
	return Config{Routers: map[string]int{"starter": 1, "pro": 3, "business": 10, "business_plus": 25}}
}

// Deps is what the service works with. Links, Logger and Now may be left out; a
// command beside the server has no links.
type Deps struct {
	Store         Store
	Links         Links
	Reports       Reports
	Configuration Configuration
	Logger        *slog.Logger
	Now           func() time.Time
}

type noLinks struct{}

func (noLinks) Disconnect(string) {}
func (noLinks) Wanted(string)     {}

// Service is the API's FleetService.
type Service struct {
	ngfwv1.UnimplementedFleetServiceServer
	cfg  Config
	deps Deps
}

// New makes the service.
func New(cfg Config, deps Deps) *Service {
	if deps.Links == nil {
		deps.Links = noLinks{}
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Service{cfg: cfg, deps: deps}
}

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
