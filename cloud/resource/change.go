package resource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"ngfw.sh/cloud/etag"
	"ngfw.sh/cloud/identity"
	"ngfw.sh/cloud/store"
	"ngfw.sh/internal/fault"
)

// Draft is a document being changed.
type Draft[D any] struct {
	Doc D

	counter func(kind string) string
	ids     map[string]int64
	note    *note
	asked   bool     // the write is meant for one state alone
	current []string // the states that it may be meant for
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

// Current names what the edit is about as it is now, and the list that holds it: a write
// may be meant for this state alone (package etag).
func (d *Draft[D]) Current(resources ...any) {
	if !d.asked {
		return
	}
	for _, r := range resources {
		d.current = append(d.current, etag.Of(r))
	}
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

// maxDocument bounds a section as JSON. A router refuses longer messages by breaking the
// connection off, and would be without one from then on; several sections may come in one.
const maxDocument = 4 << 20

func (s *Section[D]) change(ctx context.Context, caller identity.Caller, deviceID string, edit func(*Draft[D]) error) (int64, error) {
	outcome := func(o string) { s.svc.metrics.writes.WithLabelValues(s.desc.Name, o).Inc() }

	doc, sec, ids, err := s.load(ctx, deviceID)
	if err != nil {
		outcome("failed")
		return 0, err
	}
	d := &Draft[D]{Doc: doc, counter: s.counter, ids: maps.Clone(ids), asked: etag.Asked(ctx)}
	if err := edit(d); err != nil {
		outcome("refused")
		return 0, err
	}
	b, err := json.Marshal(d.Doc)
	if err != nil {
		outcome("failed")
		return 0, fmt.Errorf("encode section %s: %w", s.desc.Name, err)
	}
	if len(b) > maxDocument && len(b) > len(sec.Document) {
		outcome("refused")
		return 0, fault.New(fault.PayloadTooLarge, "the section %s would be larger than %d MiB, which is more than a router takes", s.desc.Name, maxDocument>>20)
	}
	if bytes.Equal(b, sec.Document) {
		if err := etag.Check(ctx, d.current...); err != nil {
			outcome("refused")
			return 0, err
		}
		outcome("unchanged")
		return sec.Version, nil
	}
	if d.note == nil {
		outcome("failed")
		return 0, fmt.Errorf("section %s: a change without a note", s.desc.Name)
	}
	err = s.judge(ctx, deviceID, sec, d.Doc)
	if err == nil {
		err = etag.Check(ctx, d.current...) // after what would be wrong anyway (RFC 9110 section 13.2.2)
	}
	if err != nil {
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
