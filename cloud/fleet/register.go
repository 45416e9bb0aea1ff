package fleet

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"ngfw.sh/cloud/etag"
	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/store"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const (
	keyPrefix = "ngfw_dev_"
	keyLength = len(keyPrefix) + 32
)

// RegisterDevice makes a device with factory configuration and tells its key,
// once.
func (s *Service) RegisterDevice(ctx context.Context, req *ngfwv1.RegisterDeviceRequest) (*ngfwv1.RegisteredDevice, error) {
	c, err := callerOf(ctx)
	if err != nil {
		return nil, err
	}
	d := store.Device{
		ID: store.NewID("dev"), OrgID: c.OrgID, Name: req.GetName(), Model: req.GetModel(), Tags: req.GetTags(),
		Location: req.Location, Notes: req.Notes, Mode: modeTakeover, TimeZone: "UTC", CreatedAt: s.deps.Now().Unix(),
	}
	if err := validate(d); err != nil {
		return nil, err
	}
	sections, err := s.deps.Configuration.Factory()
	if err != nil {
		return nil, err
	}
	key := newKey()
	entry := store.AuditBy(c, "register", "device", d.ID)
	entry.DeviceID = d.ID
	entry.Changes = store.Changes{Summary: "device " + d.Name + " registered", After: auditForm(d)}
	err = s.deps.Store.CreateDevice(ctx, store.NewDevice{
		Device: d, KeyHash: hash(key), Limit: s.limit(c), Sections: sections, Audit: entry,
	})
	if over, ok := errors.AsType[*store.LimitError](err); ok {
		f := fault.New(fault.PlanLimit, "the plan allows %d routers and %d are registered: remove one or change the plan", over.Limit, over.Current)
		f.Details = map[string]any{"limit_info": map[string]any{"limit": over.Limit, "current": over.Current}}
		return nil, f
	}
	if err != nil {
		return nil, err
	}
	s.deps.Logger.Info("device registered", "device", d.ID, "organization", c.OrgID, "user", c.UserID)
	etag.Tell(ctx, auditForm(d))
	m, err := s.show(ctx, d)
	if err != nil {
		return nil, err
	}
	return &ngfwv1.RegisteredDevice{
		Id: m.Id, Name: m.Name, Model: m.Model, Serial: m.Serial, FirmwareVersion: m.FirmwareVersion, Status: m.Status,
		LastSeen: m.LastSeen, CreatedAt: m.CreatedAt, Tags: m.Tags, Location: m.Location, Notes: m.Notes,
		Mode: m.Mode, TimeZone: m.TimeZone, ApiKey: key, ConnectUrl: s.cfg.ConnectURL,
	}, nil
}

func (s *Service) limit(c identity.Caller) int {
	if n, ok := s.cfg.Routers[c.Plan]; ok {
		return n
	}
	return s.cfg.Routers["starter"]
}

// Identified is the device that a key belongs to.
type Identified struct{ ID, OrgID, Plan string }

// AuthenticateDevice finds the device of a key. The comparison is a lookup by
// the key's hash, which tells an attacker nothing about near misses.
func (s *Service) AuthenticateDevice(ctx context.Context, apiKey string) (Identified, error) {
	refused := fault.New(fault.Unauthorized, "the device key is not valid: register the device, or configure it with the key from its registration")
	if !strings.HasPrefix(apiKey, keyPrefix) || len(apiKey) != keyLength {
		return Identified{}, refused
	}
	d, plan, err := s.deps.Store.DeviceByKey(ctx, hash(apiKey))
	if errors.Is(err, store.ErrNotFound) {
		return Identified{}, refused
	}
	if err != nil {
		return Identified{}, err
	}
	return Identified{ID: d.ID, OrgID: d.OrgID, Plan: plan}, nil
}

// Document is what a device should run: its configuration and its mode.
func (s *Service) Document(ctx context.Context, deviceID string) (version int64, sections map[string][]byte, mode string, err error) {
	d, err := s.deps.Store.Device(ctx, deviceID)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil, "", noSuchDevice(err)
	}
	if err != nil {
		return 0, nil, "", err
	}
	version, sections, err = s.deps.Configuration.Document(ctx, deviceID)
	return version, sections, d.Mode, err
}

func newKey() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return keyPrefix + hex.EncodeToString(b[:])
}

// hash needs no salt and no work factor: a key is 128 random bits.
func hash(key string) []byte {
	h := sha256.Sum256([]byte(key))
	return h[:]
}
