package qos

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
)

// Link is what the programs are told of an interface.
type Link struct {
	Uplink bool
	Divert int // index of the ifb for what arrives, 0: none
}

// Programs are the packet programs' side. Package dataplane is one.
type Programs interface {
	// QoS is the table in force: -1 is none.
	QoS() (slot int, err error)
	SetQoS(slot int) error
	QoSTable(slot int) (*Table, error)
	SetQoSTable(slot int, t *Table) error
	SetQoSLinks(map[int]Link) error
	// QoSFilter is the file descriptor of a loaded program.
	QoSFilter(Filter) int
}

// Deps of a Shaper.
type Deps struct {
	Log      *slog.Logger
	Programs Programs
}

// Shaper is what is shaped. It is safe for concurrent use, and holds no state that
// the kernel does not but for counts: another process may go on where one has ended.
type Shaper struct {
	deps Deps

	mirror bool // programs cannot send anything through an ifb here

	mu      sync.Mutex // guards what follows and all changes of the kernel's state
	force   *force     // nil: nothing is shaped
	failed  string     // why the interfaces as they are now are not shaped as wanted
	earlier map[Counter]Statistic
}

// force is what is in force.
type force struct {
	cfg     Config
	have    Queue // that the kernel has, of what is wanted
	stages  []stage
	links   map[int]Link
	lacking []string
	filters map[int]bool // devices whose filter is this process's
}

// New makes a shaper that has touched nothing yet.
func New(deps Deps) *Shaper {
	return &Shaper{deps: deps, mirror: !redirects(), earlier: map[Counter]Statistic{}}
}

// Apply shapes as c says; what stands so already is left as it is. On an error what was
// in force is so still.
func (s *Shaper) Apply(c Config, ports Ports) error { return s.begin(c, ports, false) }

// Resume is Apply of what was in force before this process: an interface that
// cannot be shaped any more is left out and named, as Follow does.
func (s *Shaper) Resume(c Config, ports Ports) error { return s.begin(c, ports, true) }

func (s *Shaper) begin(c Config, ports Ports, lenient bool) error {
	if len(c.Classes) > MaxClasses || len(c.Devices) > maxDevices {
		return fmt.Errorf("%d classes and %d limited devices: at most %d and %d can be told apart", len(c.Classes), len(c.Devices), MaxClasses, maxDevices)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.apply(c, ports, lenient)
}

// Follow has the same configuration meet the interfaces as they are now: some may
// have come or gone, or have lost their tree.
func (s *Shaper) Follow(ports Ports) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.force == nil {
		return nil
	}
	err := s.apply(s.force.cfg, ports, true)
	s.failed = ""
	if err != nil {
		s.failed = err.Error()
	}
	return err
}

// Off takes everything of ours away.
func (s *Shaper) Off() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := []error{s.deps.Programs.SetQoS(-1), s.deps.Programs.SetQoSLinks(nil)}
	errs = append(errs, sweep(nil))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	s.force, s.failed = nil, ""
	clear(s.earlier)
	return nil
}

// Degraded names what is not as it was asked for.
func (s *Shaper) Degraded() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.force == nil {
		return nil
	}
	out := slices.Clone(s.force.lacking)
	if s.failed != "" {
		out = append(out, "qos: "+s.failed)
	}
	if s.force.have != s.force.cfg.Queue {
		out = append(out, fmt.Sprintf("qos: the kernel has no %s, classes queue by %s", s.force.cfg.Queue, s.force.have))
	}
	return out
}
