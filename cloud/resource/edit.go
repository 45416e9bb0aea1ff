package resource

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"ngfw.sh/cloud/store"
	"ngfw.sh/internal/fault"
)

// Edit is a change that can be made, or previewed. One is used once.
type Edit[D any] struct {
	apply func(*Draft[D]) error
	part  string // the part of the document that the caller sent, known once applied
}

// NewEdit makes an edit of a part of the document ("policies"): what is found
// wrong there has field paths relative to it.
func NewEdit[D any](part string, apply func(*Draft[D]) error) *Edit[D] {
	return &Edit[D]{apply: apply, part: part}
}

// Perform makes an edit, as Change does.
func (s *Section[D]) Perform(ctx context.Context, deviceID string, e *Edit[D]) (version int64, err error) {
	version, err = s.Change(ctx, deviceID, e.apply)
	return version, Relative(err, e.part)
}

// Preview gives the newest document, and what it would be after an edit. What a
// write would be refused for is refused here; nothing is stored.
func (s *Section[D]) Preview(ctx context.Context, deviceID string, e *Edit[D]) (before, after D, err error) {
	doc, sec, ids, err := s.load(ctx, deviceID)
	if err != nil {
		return before, after, storeFault(err)
	}
	if before, err = s.decode(deviceID, sec); err != nil {
		return before, after, err
	}
	d := &Draft[D]{Doc: doc, counter: s.counter, ids: ids}
	if err = e.apply(d); err == nil {
		err = s.judge(ctx, deviceID, sec, d.Doc)
	}
	return before, d.Doc, Relative(err, e.part)
}

func (s *Section[D]) decode(deviceID string, sec store.Section) (doc D, err error) {
	if err = json.Unmarshal(sec.Document, &doc); err != nil {
		err = fmt.Errorf("stored section %s of %s, version %d: %w", s.desc.Name, deviceID, sec.Version, err)
	}
	return doc, err
}

// Creation is the edit of Create; add gets its id.
func (m Members[D, T]) Creation(add *T, before int64) *Edit[D] {
	e := &Edit[D]{}
	e.apply = func(d *Draft[D]) error {
		list := m.List(&d.Doc)
		d.Current(*list)
		at := len(*list)
		if before != 0 {
			i, err := m.find(*list, before)
			if err != nil {
				return fault.Invalid("before", "there is no %s %d to stand before", m.noun(), before)
			}
			at = i
		}
		e.part = m.path(at)
		if m.GuardCreate != nil {
			if err := m.GuardCreate(&d.Doc, *add); err != nil {
				return err
			}
		}
		*m.ID(add) = d.NextID(m.Kind)
		*list = slices.Insert(*list, at, *add)
		d.Note("create", m.Kind, m.idText(*add), m.summary(*add, "created"), nil, *add)
		return nil
	}
	return e
}

// Replacement is the edit of Update; with gets the id, and what the guard fills
// in.
func (m Members[D, T]) Replacement(id int64, with *T) *Edit[D] {
	e := &Edit[D]{}
	e.apply = func(d *Draft[D]) error {
		list := m.List(&d.Doc)
		i, err := m.find(*list, id)
		if err != nil {
			return err
		}
		e.part = m.path(i)
		old := (*list)[i]
		d.Current(old, *list)
		*m.ID(with) = id
		if m.GuardUpdate != nil {
			if err := m.GuardUpdate(&d.Doc, old, with); err != nil {
				return err
			}
		}
		(*list)[i] = *with
		d.Note("update", m.Kind, m.idText(*with), m.summary(*with, "changed"), old, *with)
		return nil
	}
	return e
}

// Removal is the edit of Delete.
func (m Members[D, T]) Removal(id int64) *Edit[D] {
	return &Edit[D]{apply: func(d *Draft[D]) error {
		list := m.List(&d.Doc)
		i, err := m.find(*list, id)
		if err != nil {
			return err
		}
		old := (*list)[i]
		d.Current(old, *list)
		if m.GuardDelete != nil {
			if err := m.GuardDelete(&d.Doc, old); err != nil {
				return err
			}
		}
		*list = slices.Delete(*list, i, i+1)
		d.Note("delete", m.Kind, m.idText(old), m.summary(old, "removed"), old, nil)
		return nil
	}}
}

// Ordering is the edit of Order, which says what ids and field are; ordered gets
// the members.
func (m Members[D, T]) Ordering(field string, ids []int64, ordered *[]T) *Edit[D] {
	return &Edit[D]{apply: func(d *Draft[D]) error {
		list := m.List(&d.Doc)
		d.Current(*list)
		before := make([]int64, len(*list))
		left := make(map[int64]T, len(*list))
		for i, t := range *list {
			before[i] = *m.ID(&t)
			left[before[i]] = t
		}
		*ordered = make([]T, 0, len(*list))
		for i, id := range ids {
			t, ok := left[id]
			path := fmt.Sprintf("%s[%d]", field, i)
			switch {
			case !ok && slices.Contains(ids[:i], id):
				return fault.Invalid(path, "%s %d is named twice", m.noun(), id)
			case !ok:
				return fault.Invalid(path, "there is no %s %d", m.noun(), id)
			}
			delete(left, id)
			*ordered = append(*ordered, t)
		}
		for _, id := range before {
			if _, ok := left[id]; ok {
				return fault.Invalid(field, "%s %d is missing: the order must name every %s exactly once", m.noun(), id, m.noun())
			}
		}
		*list = *ordered
		d.Note("reorder", m.Kind, "", m.noun()+"s reordered", before, ids)
		return nil
	}}
}

func (m Members[D, T]) path(at int) string { return fmt.Sprintf("%s[%d]", m.Field, at) }
