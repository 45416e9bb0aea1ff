package resource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/store"
	"ngfw.sh/internal/fault"
)

// Description says what a section is. D is its document; its JSON form is what
// is stored.
type Description[D any] struct {
	Name string

	// Factory is the document of a new device and the last id it uses of every
	// kind.
	Factory func() (D, map[string]int64)

	// Check judges a whole document before it is stored: what it refuses is
	// never kept. Field paths are the document's.
	Check func(D) error

	// Render makes what the router reads out of the document. Nil: the document
	// itself.
	Render func(doc D, version int64) (any, error)

	// TimeZone puts the router's time zone into the document. Nil: the document
	// does not hold it.
	TimeZone func(doc *D, name string)
}

// Section is a described section within a service.
type Section[D any] struct {
	svc  *Service
	desc Description[D]
}

// Register adds a section to the service. Sections are registered while the
// service is put together, before any device is served.
func Register[D any](s *Service, d Description[D]) *Section[D] {
	sec := &Section[D]{svc: s, desc: d}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sections = append(s.sections[:len(s.sections):len(s.sections)], sec)
	return sec
}

func (s *Section[D]) name() string { return s.desc.Name }

func (s *Section[D]) factory() (store.FactorySection, error) {
	doc, used := s.desc.Factory()
	ids := map[string]int64{}
	for kind, last := range used {
		ids[s.counter(kind)] = last
	}
	b, err := json.Marshal(doc)
	return store.FactorySection{Name: s.desc.Name, Document: b, IDs: ids}, err
}

// counter names a kind's id counter, and the kind in the audit log: sections
// may have kinds of the same name.
func (s *Section[D]) counter(kind string) string { return s.desc.Name + "." + kind }

func (s *Section[D]) timeZone(name string) func([]byte) ([]byte, error) {
	if s.desc.TimeZone == nil {
		return nil
	}
	return func(document []byte) ([]byte, error) {
		var doc D
		if err := json.Unmarshal(document, &doc); err != nil {
			return nil, err
		}
		s.desc.TimeZone(&doc, name)
		return json.Marshal(doc)
	}
}

func (s *Section[D]) render(sec store.Section) ([]byte, error) {
	if s.desc.Render == nil {
		return sec.Document, nil
	}
	var doc D
	if err := json.Unmarshal(sec.Document, &doc); err != nil {
		return nil, err
	}
	out, err := s.desc.Render(doc, sec.Version)
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}

// Draft is a document being changed.
type Draft[D any] struct {
	Doc D

	counter func(kind string) string
	ids     map[string]int64
	note    *note
}

type note struct {
	action, kind, id, summary string
	before, after             any
}

// NextID gives out the next id of a kind. It is spent only if the change is
// stored.
func (d *Draft[D]) NextID(kind string) int64 {
	c := d.counter(kind)
	d.ids[c]++
	return d.ids[c]
}

// Note says what the change is, for the version's summary and the audit log.
// before and after are the resource, nil where there was or is none; they are
// taken as they are now.
func (d *Draft[D]) Note(action, kind, id, summary string, before, after any) {
	d.note = &note{action, kind, id, summary, before, after}
}

// Read returns the newest document and the version it was written at.
func (s *Section[D]) Read(ctx context.Context, deviceID string) (D, int64, error) {
	doc, sec, _, err := s.load(ctx, deviceID)
	return doc, sec.Version, err
}

func (s *Section[D]) load(ctx context.Context, deviceID string) (doc D, sec store.Section, ids map[string]int64, err error) {
	sec, ids, err = s.svc.deps.Store.Section(ctx, deviceID, s.desc.Name)
	if err != nil {
		return doc, sec, nil, err
	}
	if sec.Version == 0 { // the device is older than the section
		f, err := s.factory()
		if err != nil {
			return doc, sec, nil, err
		}
		sec.Document = f.Document
		for kind, last := range f.IDs {
			ids[kind] = max(ids[kind], last)
		}
	}
	if err := json.Unmarshal(sec.Document, &doc); err != nil {
		return doc, sec, nil, fmt.Errorf("stored section %s of %s, version %d: %w", s.desc.Name, deviceID, sec.Version, err)
	}
	return doc, sec, ids, nil
}

// Change applies edit to the newest document and stores the result. edit may be
// called more than once, each time on a fresh document, when another process
// writes in between; an error of it ends the change. The version is the
// section's newest, also when nothing changed.
func (s *Section[D]) Change(ctx context.Context, deviceID string, edit func(*Draft[D]) error) (version int64, err error) {
	caller, ok := identity.From(ctx)
	if !ok {
		return 0, fault.New(fault.Unauthorized, "who is asking is not known")
	}
	lane := s.svc.lane(deviceID)
	lane.Lock()
	defer lane.Unlock()
	for range max(s.svc.cfg.Attempts, 1) {
		version, err = s.change(ctx, caller, deviceID, edit)
		if !errors.Is(err, store.ErrStale) {
			break
		}
		s.svc.metrics.writes.WithLabelValues(s.desc.Name, "stale").Inc()
	}
	return version, storeFault(err)
}

func (s *Section[D]) change(ctx context.Context, caller identity.Caller, deviceID string, edit func(*Draft[D]) error) (int64, error) {
	outcome := func(o string) { s.svc.metrics.writes.WithLabelValues(s.desc.Name, o).Inc() }

	doc, sec, ids, err := s.load(ctx, deviceID)
	if err != nil {
		outcome("failed")
		return 0, err
	}
	d := &Draft[D]{Doc: doc, counter: s.counter, ids: maps.Clone(ids)}
	if err := edit(d); err != nil {
		outcome("refused")
		return 0, err
	}
	b, err := json.Marshal(d.Doc)
	if err != nil {
		outcome("failed")
		return 0, fmt.Errorf("encode section %s: %w", s.desc.Name, err)
	}
	if bytes.Equal(b, sec.Document) {
		outcome("unchanged")
		return sec.Version, nil
	}
	if d.note == nil {
		outcome("failed")
		return 0, fmt.Errorf("section %s: a change without a note", s.desc.Name)
	}
	if err := s.desc.Check(d.Doc); err != nil {
		outcome("refused")
		return 0, err
	}
	entry := store.AuditBy(caller, d.note.action, s.counter(d.note.kind), d.note.id)
	entry.DeviceID = deviceID
	entry.Changes = store.Changes{Summary: d.note.summary, Before: d.note.before, After: d.note.after}
	version, err := s.svc.deps.Store.PutSection(ctx, store.SectionWrite{
		DeviceID: deviceID, Section: s.desc.Name, Base: sec.Version,
		Document: b, IDs: d.ids, Summary: d.note.summary, Audit: entry,
	})
	if err != nil {
		if !errors.Is(err, store.ErrStale) {
			outcome("failed")
		}
		return 0, err
	}
	outcome("stored")
	s.svc.deps.Logger.Info("configuration changed", "device", deviceID, "section", s.desc.Name,
		"version", version, "user", caller.UserID, "change", d.note.summary)
	s.svc.deps.Pusher.Wanted(deviceID)
	return version, nil
}
