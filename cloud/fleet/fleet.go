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
	"log/slog"
	"time"

	"ngfw.sh/cloud/store"
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
	// History is what a device was like in the last hour.
	History(ctx context.Context, deviceID string) ([]*ngfwv1.MetricsSample, error)
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
