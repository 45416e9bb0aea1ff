// Package resource owns the routers' configuration as versioned documents. A
// section ("firewall", "dns" …) is one JSON document per device; a write loads
// the newest one, changes it, has the whole validated, and stores the result as
// the device's next version with its author and an audit entry in the same
// transaction. Then the router is told.
//
// Invariants: versions count up per device, over all sections; ids of list
// members are never given out twice, also after a delete or a restart; what is
// stored has passed the section's Check; a write that changes nothing makes no
// version.
//
// A section is described once (Section), its lists of members with ids once
// each (Members); standard operations come from the description, odd ones are
// code over Section.Change. Everything here is safe for concurrent use.
//
// It does not know who may touch a device: callers resolve that first. It does
// not talk to routers either; Pusher does.
package resource

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"ngfw.sh/cloud/store"
	"ngfw.sh/internal/fault"
)

// Store keeps the versions. *store.Store is one.
type Store interface {
	Section(ctx context.Context, deviceID, section string) (store.Section, map[string]int64, error)
	Sections(ctx context.Context, deviceID string) (version int64, all []store.Section, err error)
	SectionAt(ctx context.Context, deviceID, section string, version int64) (store.StoredVersion, error)
	SectionAsOf(ctx context.Context, deviceID, section string, at int64) (store.StoredVersion, error)
	PutSection(ctx context.Context, w store.SectionWrite) (version int64, err error)
}

// Pusher learns that a device should have something newer than it has. It must
// not block.
type Pusher interface{ Wanted(deviceID string) }

type nobody struct{}

func (nobody) Wanted(string) {}

// Config bounds the service.
type Config struct {
	// Attempts is how often a write is made anew when another process wrote in
	// between.
	Attempts int
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config { return Config{Attempts: 8} }

// Deps is what the service works with. All but Store may be left out; a command
// beside the server has nobody to push.
type Deps struct {
	Store      Store
	Pusher     Pusher
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Service holds the sections that are known.
type Service struct {
	cfg     Config
	deps    Deps
	metrics metrics

	mu       sync.RWMutex // guards sections
	sections []described

	// Writers of one device queue here, so that within a process no work is
	// done twice; across processes the version check in the store decides.
	seed  maphash.Seed
	lanes [64]sync.Mutex
}

// described is a Section without its document's type.
type described interface {
	name() string
	asked() bool
	factory() (store.FactorySection, error)
	timeZone(name string) func(document []byte) ([]byte, error) // nil: holds none
	render(s store.Section) ([]byte, error)
}

// New makes a service without sections; Register adds them.
func New(cfg Config, deps Deps) *Service {
	if deps.Pusher == nil {
		deps.Pusher = nobody{}
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{cfg: cfg, deps: deps, metrics: newMetrics(deps.Registerer), seed: maphash.MakeSeed()}
}

func (s *Service) lane(deviceID string) *sync.Mutex {
	return &s.lanes[maphash.String(s.seed, deviceID)%uint64(len(s.lanes))]
}

func (s *Service) known() []described {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sections
}

// Factory is what a new device starts with: every section that it gets unasked, as
// its description has it.
func (s *Service) Factory() ([]store.FactorySection, error) {
	var out []store.FactorySection
	for _, d := range s.known() {
		if d.asked() {
			continue // read as the factory has it until somebody writes it
		}
		f, err := d.factory()
		if err != nil {
			return nil, fmt.Errorf("factory configuration of %s: %w", d.name(), err)
		}
		out = append(out, f)
	}
	return out, nil
}

// TimeZone says, per section that holds the router's time zone, how a stored
// document takes a new one.
func (s *Service) TimeZone(name string) map[string]func(document []byte) ([]byte, error) {
	out := map[string]func([]byte) ([]byte, error){}
	for _, d := range s.known() {
		if f := d.timeZone(name); f != nil {
			out[d.name()] = f
		}
	}
	return out
}

// Document is the configuration that a device should run: its version and its
// sections as the agent reads them. A device that was removed has none: NOT_FOUND.
func (s *Service) Document(ctx context.Context, deviceID string) (version int64, sections map[string][]byte, err error) {
	version, stored, err := s.deps.Store.Sections(ctx, deviceID)
	if err != nil {
		return 0, nil, err
	}
	if version == 0 { // registering writes the first
		return 0, nil, storeFault(store.ErrNotFound)
	}
	byName := make(map[string]store.Section, len(stored))
	for _, sec := range stored {
		byName[sec.Name] = sec
	}
	sections = map[string][]byte{}
	for _, d := range s.known() {
		sec, ok := byName[d.name()]
		if !ok && d.asked() {
			continue
		}
		if !ok { // the device is older than the section
			f, err := d.factory()
			if err != nil {
				return 0, nil, fmt.Errorf("factory configuration of %s: %w", d.name(), err)
			}
			sec = store.Section{Name: f.Name, Document: f.Document}
		}
		if sections[d.name()], err = d.render(sec); err != nil {
			return 0, nil, fmt.Errorf("render section %s: %w", d.name(), err)
		}
	}
	return version, sections, nil
}

// storeFault turns the store's errors into what the caller may read.
func storeFault(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fault.New(fault.NotFound, "no such device").Because(err)
	case errors.Is(err, store.ErrStale):
		return fault.New(fault.Conflict, "the configuration is being changed by others: try again").Because(err)
	}
	return err
}
