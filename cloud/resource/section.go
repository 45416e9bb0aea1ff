package resource

import (
	"context"
	"encoding/json"

	"ngfw.sh/cloud/store"
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

	// Guard judges what a write would change for a router, beside Check: before is the
	// newest document. Nil: nothing.
	Guard func(ctx context.Context, deviceID string, before, after D) error

	// Render makes what the router reads out of the document. Nil: the document
	// itself.
	Render func(doc D, version int64) (any, error)

	// Asked: a router gets the section only once somebody has written it. Routers
	// that are older than the section refuse a configuration that holds it.
	Asked bool

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

func (s *Section[D]) asked() bool { return s.desc.Asked }

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

// judge is Check and Guard of a draft.
func (s *Section[D]) judge(ctx context.Context, deviceID string, sec store.Section, after D) error {
	if err := s.desc.Check(after); err != nil || s.desc.Guard == nil {
		return err
	}
	before, err := s.decode(deviceID, sec)
	if err != nil {
		return err
	}
	return s.desc.Guard(ctx, deviceID, before, after)
}

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
	doc, err = s.decode(deviceID, sec)
	return doc, sec, ids, err
}
