// Package inspect owns the router's section "ids": it has accepted flows that are
// forwarded go through the matcher, by the rules that the section names, and does what
// the matcher says.
//
// A change is made in this order: sets are read and compiled; the engine takes the new
// rules, from each packet on and without losing what it knows of flows; then
// queues and programs follow. What does not load leaves everything as it was. A set
// that cannot be fetched keeps its last copy; a rule that is not understood is left out and
// told.
//
// A Section is safe for concurrent use. Packets are the queues' goroutines' alone.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ngfw.sh/agent/flowlog"
	"ngfw.sh/agent/ruleset"
	"ngfw.sh/config/ids"
	"ngfw.sh/dataplane"
	"ngfw.sh/dataplane/netfilter"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// Kernel is the packet programs' side. Package dataplane is one.
type Kernel interface {
	Inspect(dataplane.Inspection) error
	Tell(client, server netip.AddrPort, protocol uint8, w dataplane.Word) (bool, error)
}

// Sets gives rule sets. Package ruleset is one.
type Sets interface {
	Get(ctx context.Context, source ids.Source, fresh bool) (*ruleset.Set, error)
	Prune(sources []ids.Source) error
}

// Config of the section.
type Config struct {
	StateDir string
	First    uint16 // number of the first queue
	Queues   int    // that run side by side
	// Patience bounds the fetching of all sources at one change: others wait behind it.
	Patience time.Duration
}

// DefaultConfig runs a queue on each processor, up to four.
func DefaultConfig(stateDir string) Config {
	return Config{StateDir: stateDir, First: 4100, Queues: min(runtime.NumCPU(), 4), Patience: 2 * time.Minute}
}

// Deps of the section.
type Deps struct {
	Log    *slog.Logger
	Kernel Kernel
	Sets   Sets
	// Queue has marked packets go to queues.
	Queue func(netfilter.Queues) error
	// Facts take what is learnt of flows, Alerts what is found.
	Facts  *flowlog.Facts
	Alerts func([]*ngfwv1.AlertEvent) error
	Events io.Writer // takes EVE; nil: nowhere
	// Found is told what application a flow is, once; nil: nobody is.
	Found      func(client, server netip.AddrPort, protocol uint8, app string)
	Registerer prometheus.Registerer
}

// Section is what is inspected.
type Section struct {
	cfg  Config
	deps Deps

	// change is held while a document is put into force, which may wait for servers. Who
	// holds it alone writes what mu guards, and reads it without mu.
	change sync.Mutex

	mu      sync.Mutex // guards what follows; never held for long: reports and metrics read it
	version int64
	doc     ids.Document
	loaded  Loaded
	running *running // nil: nothing is inspected
	fetched time.Time
	lacking map[string]string // source → why it is not, or no longer, up to date
	metrics *metrics
}

// New makes a section that inspects nothing yet.
func New(cfg Config, deps Deps) *Section {
	s := &Section{cfg: cfg, deps: deps, doc: ids.Default(), lacking: map[string]string{}}
	s.metrics = newMetrics(deps.Registerer, s)
	newTotals(deps.Registerer, s)
	return s
}

// Restore inspects by the last good document, with the copies of its sets.
func (s *Section) Restore(ctx context.Context) error {
	version, text, ok, err := readState(s.cfg.StateDir)
	if err != nil || !ok {
		return err
	}
	// The router opens after this: a set without a copy is fetched later.
	ctx, enough := context.WithTimeout(ctx, min(s.cfg.Patience, 5*time.Second))
	defer enough()
	_, err = s.try(ctx, version, text, false)
	if err != nil {
		// What another version of the agent accepted must not keep this one from running.
		s.deps.Log.Error("the stored section ids is not in force: nothing is inspected", "version", version, "err", err)
	}
	return nil
}

// Try puts a document into force. On an error everything is as it was; a fault names
// the field.
func (s *Section) Try(ctx context.Context, version int64, document []byte) (*Trial, error) {
	return s.try(ctx, version, document, true)
}

func (s *Section) try(ctx context.Context, version int64, document []byte, fresh bool) (*Trial, error) {
	doc, err := ids.Decode(document)
	if err != nil {
		return nil, err
	}
	s.change.Lock()
	defer s.change.Unlock()
	t := &Trial{section: s, version: version, document: document, before: s.version, doc: s.doc}
	if err := s.force(ctx, doc, fresh); err != nil {
		return nil, err
	}
	s.set(func() { s.version, s.doc = version, doc })
	return t, nil
}

// set changes what others read. change is held.
func (s *Section) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// force makes doc what happens. change is held.
func (s *Section) force(ctx context.Context, doc ids.Document, fresh bool) error {
	if !doc.Enabled {
		err := s.stop()
		s.set(func() { s.loaded, s.lacking = Loaded{}, map[string]string{} })
		return err
	}
	l, lacking, err := s.load(ctx, doc, fresh)
	if err != nil {
		return err
	}
	if s.running == nil || !s.running.fits(doc) {
		if err := s.start(doc, l); err != nil {
			return err
		}
	} else {
		s.running.use(doc, l)
	}
	s.set(func() { s.loaded, s.lacking, s.fetched = *l, lacking, time.Now() })
	for name, why := range lacking {
		s.deps.Log.Warn("a rule set is not up to date", "source", name, "err", why)
	}
	s.deps.Log.Info("inspection", "mode", doc.Mode, "rules", l.Rules, "refused", len(l.Refused), "queues", s.cfg.Queues)
	return nil
}

// start runs queues and sends packets there. Where that fails, what was inspected
// before is inspected again. change is held.
func (s *Section) start(doc ids.Document, l *Loaded) error {
	was, before, set := s.running != nil, s.doc, s.loaded
	if err := s.stop(); err != nil {
		return err
	}
	err := s.begin(doc, l)
	if err != nil && was {
		if again := s.begin(before, &set); again != nil {
			s.deps.Log.Error("nothing is inspected: what was before cannot be begun again", "err", again)
		}
	}
	return err
}

// begin is start where nothing runs.
func (s *Section) begin(doc ids.Document, l *Loaded) error {
	r := newRunning(s.cfg, s.deps, s.metrics, doc, l)
	if err := r.begin(); err != nil {
		r.end()
		return err
	}
	s.set(func() { s.running = r })
	err := s.deps.Queue(netfilter.Queues{First: s.cfg.First, Count: uint16(s.cfg.Queues), Bypass: doc.FailOpen})
	if err == nil {
		err = s.deps.Kernel.Inspect(dataplane.Inspection{On: true, Interfaces: doc.Interfaces})
	}
	if err != nil {
		return errors.Join(fault.New(fault.Unavailable, "packets cannot be sent to the matcher").Because(err), s.stop())
	}
	return nil
}

// stop lets packets pass the matcher by. change is held.
func (s *Section) stop() error {
	r := s.running
	if r == nil {
		return nil
	}
	// First the mark, then the way, then who waits at its end: no packet is left there.
	err := errors.Join(
		s.deps.Kernel.Inspect(dataplane.Inspection{}),
		s.deps.Queue(netfilter.Queues{}),
	)
	s.set(func() { s.running = nil })
	r.end()
	return err
}

// Run fetches the sources again at their interval, until ctx ends. Then the queues end;
// with the rule's bypass packets pass.
func (s *Section) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.change.Lock()
			defer s.change.Unlock()
			if r := s.running; r != nil {
				s.set(func() { s.running = nil })
				r.end()
			}
			return nil
		case <-tick.C:
		}
		s.renew(ctx)
		s.remember()
	}
}

// retry is when a source that could not be had is asked again.
const retry = 10 * time.Minute

// renew fetches the sources again if it is time.
func (s *Section) renew(ctx context.Context) {
	s.change.Lock()
	defer s.change.Unlock()
	wait := time.Duration(s.doc.UpdateInterval) * time.Second
	if len(s.lacking) > 0 {
		wait = min(wait, retry)
	}
	if s.running == nil || time.Since(s.fetched) < wait {
		return
	}
	if err := s.force(ctx, s.doc, true); err != nil {
		s.deps.Log.Error("rule sets are not renewed; the ones before stay", "err", err)
		s.set(func() { s.fetched = time.Now() })
	}
}

// Version is that of the document in force; 0: none.
func (s *Section) Version() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// Rules counts the rules in force, by category.
func (s *Section) Rules() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loaded.Categories
}

// Degraded says what is not as the document wants it.
func (s *Section) Degraded() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for name, why := range s.lacking {
		out = append(out, fmt.Sprintf("ids, rule set %s: %s", name, why))
	}
	if s.running != nil {
		for _, name := range s.doc.Interfaces {
			if _, err := net.InterfaceByName(name); err != nil {
				out = append(out, fmt.Sprintf("ids, interface %s: nothing of it is inspected: %v", name, err))
			}
		}
		out = append(out, s.running.failures()...)
	}
	return out
}

// Trial is a document that is in force and not yet kept.
type Trial struct {
	section  *Section
	version  int64
	document []byte
	before   int64
	doc      ids.Document
}

// Keep puts the document on disk, and forgets sets that it no longer names.
func (t *Trial) Keep() error {
	s := t.section
	if err := writeState(s.cfg.StateDir, t.version, t.document); err != nil {
		s.deps.Log.Error("the section ids is in force but not stored", "version", t.version, "err", err)
	}
	s.change.Lock()
	defer s.change.Unlock()
	if err := s.deps.Sets.Prune(s.doc.Sources); err != nil {
		s.deps.Log.Warn("old copies of rule sets are left", "err", err)
	}
	return nil
}

// Undo goes back to what was before.
func (t *Trial) Undo() error {
	s := t.section
	s.change.Lock()
	defer s.change.Unlock()
	if s.version != t.version {
		return nil
	}
	if err := s.force(context.Background(), t.doc, false); err != nil {
		return err
	}
	s.set(func() { s.version, s.doc = t.before, t.doc })
	return nil
}
