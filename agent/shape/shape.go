// Package shape owns the router's section "qos": it has the kernel share the uplinks
// as the section says, and tells what has passed.
//
// A document is put into force as a whole or not at all; package dataplane/qos says
// how. It stays in force without this process. Interfaces that come later, or that
// lose their queues, get them within seconds. Applications are told by ports; where
// packets are inspected, also by what the matcher finds.
//
// A Section is safe for concurrent use.
package shape

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/vishvananda/netlink"

	config "ngfw.sh/config/qos"
	"ngfw.sh/dataplane/qos"
	"ngfw.sh/internal/fault"
)

// Kernel is what shapes. Package dataplane/qos has one.
type Kernel interface {
	Apply(qos.Config, qos.Ports) error
	Resume(qos.Config, qos.Ports) error
	Follow(qos.Ports) error
	Off() error
	Degraded() []string
	Statistics() ([]qos.Statistic, error)
}

// Config of the section.
type Config struct {
	StateDir string
	Interval time.Duration // between two looks at the interfaces
}

// DefaultConfig looks every five seconds, as the data plane does.
func DefaultConfig(stateDir string) Config {
	return Config{StateDir: stateDir, Interval: 5 * time.Second}
}

// Deps of the section.
type Deps struct {
	Log    *slog.Logger
	Kernel Kernel
	Ports  func() qos.Ports // as the policy's zones have them
	// Tell says to the packet programs what a flow is, by AppNumber; false: they do not
	// know the flow.
	Tell       func(client, server netip.AddrPort, protocol, app uint8) (bool, error)
	Registerer prometheus.Registerer
}

// Section is what is shaped.
type Section struct {
	cfg  Config
	deps Deps

	mu      sync.Mutex // guards what follows; held while a document is put into force
	version int64
	doc     config.Document

	apps atomic.Bool // some class in force names an application
}

// New makes a section that has touched nothing yet.
func New(cfg Config, deps Deps) *Section {
	s := &Section{cfg: cfg, deps: deps, doc: config.Default()}
	if deps.Registerer != nil {
		deps.Registerer.MustRegister(&collector{s})
	}
	return s
}

// Restore shapes by the last good document. Where the kernel does so already, it is
// left as it is; where there is no document, nothing of ours is left.
func (s *Section) Restore() error {
	version, text, ok, err := readState(s.cfg.StateDir)
	if err != nil {
		return err
	}
	if !ok {
		return s.deps.Kernel.Off()
	}
	if _, err := s.try(version, text, s.deps.Kernel.Resume); err != nil {
		// What another version of the agent accepted must not keep this one from running.
		s.deps.Log.Error("the stored section qos is not in force", "version", version, "err", err)
	}
	return nil
}

// Resume puts a document into force that is not kept. Where the kernel shapes so
// already, it is left as it is.
func (s *Section) Resume(version int64, document []byte) error {
	_, err := s.try(version, document, s.deps.Kernel.Resume)
	return err
}

// Try puts a document into force. On an error everything is as it was; a fault names
// the field.
func (s *Section) Try(version int64, document []byte) (*Trial, error) {
	return s.try(version, document, s.deps.Kernel.Apply)
}

func (s *Section) try(version int64, document []byte, apply func(qos.Config, qos.Ports) error) (*Trial, error) {
	doc, err := config.Decode(document)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &Trial{section: s, version: version, document: document, before: s.version, doc: s.doc}
	if err := s.force(doc, apply); err != nil {
		return nil, err
	}
	s.set(version, doc)
	return t, nil
}

// set notes what is in force. mu is held.
func (s *Section) set(version int64, doc config.Document) {
	s.version, s.doc = version, doc
	s.apps.Store(doc.Enabled && slices.ContainsFunc(doc.Classes, func(c config.Class) bool { return len(c.Applications) > 0 }))
}

// Found takes what the matcher has found a flow to be: from its next packet on it is of
// the first class that names this application, if no earlier one matches.
func (s *Section) Found(client, server netip.AddrPort, protocol uint8, app string) {
	number := AppNumber(app)
	if number == 0 || s.deps.Tell == nil || !s.apps.Load() {
		return
	}
	if _, err := s.deps.Tell(client, server, protocol, number); err != nil {
		s.deps.Log.Warn("a flow keeps the class of its port", "app", app, "err", err)
	}
}

// force makes doc what happens. mu is held.
func (s *Section) force(doc config.Document, apply func(qos.Config, qos.Ports) error) error {
	if !doc.Enabled {
		if err := s.deps.Kernel.Off(); err != nil {
			return fault.New(fault.Unavailable, "the queues cannot be taken away: %v", err).Because(err)
		}
		return nil
	}
	c, err := convert(doc)
	if err != nil {
		return err
	}
	if err := apply(c, s.deps.Ports()); err != nil {
		return fault.New(fault.Unavailable, "traffic cannot be shaped: %v", err).Because(err)
	}
	s.deps.Log.Info("traffic is shaped", "upload_mbps", doc.UploadMbps, "download_mbps", doc.DownloadMbps,
		"classes", len(doc.Classes), "devices", len(doc.DeviceLimits))
	return nil
}

// Run follows the interfaces until ctx ends. What is in force stays so.
func (s *Section) Run(ctx context.Context) error {
	updates := make(chan netlink.LinkUpdate, 64)
	done := make(chan struct{})
	defer close(done)
	if err := netlink.LinkSubscribe(updates, done); err != nil {
		return fmt.Errorf("watch interfaces: %w", err)
	}
	tick := time.NewTicker(s.cfg.Interval)
	defer tick.Stop()
	said := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case _, ok := <-updates:
			if !ok {
				return errors.New("watch interfaces: the kernel closed the subscription")
			}
			for len(updates) > 0 { // one look for all of them
				<-updates
			}
		}
		now := ""
		if err := s.follow(); err != nil {
			now = err.Error()
		}
		if now != "" && now != said {
			s.deps.Log.Error("interfaces are not shaped as wanted", "err", now)
		}
		said = now
	}
}

func (s *Section) follow() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deps.Kernel.Follow(s.deps.Ports())
}

// Version is that of the document in force; 0: none.
func (s *Section) Version() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// Degraded names what is not as the document wants it.
func (s *Section) Degraded() []string { return s.deps.Kernel.Degraded() }

// Trial is a document that is in force and not yet kept.
type Trial struct {
	section  *Section
	version  int64
	document []byte
	before   int64
	doc      config.Document
}

// Keep puts the document on disk.
func (t *Trial) Keep() error {
	s := t.section
	if err := writeState(s.cfg.StateDir, t.version, t.document); err != nil {
		s.deps.Log.Error("the section qos is in force but not stored", "version", t.version, "err", err)
	}
	return nil
}

// Undo goes back to what was before.
func (t *Trial) Undo() error {
	s := t.section
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.version != t.version {
		return nil
	}
	if err := s.force(t.doc, s.deps.Kernel.Resume); err != nil {
		return err
	}
	s.set(t.before, t.doc)
	return nil
}
