package resource

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ngfw.sh/internal/fault"
)

// Members describes a list inside a section's document whose members have ids:
// rules, zones, peers. T holds no pointers into the document.
type Members[D, T any] struct {
	Section *Section[D]
	Kind    string // "rule": in texts, in the audit log, as the name of the id counter
	Field   string // "rules": the list's name in the document, as it stands in error paths
	List    func(*D) *[]T
	ID      func(*T) *int64
	Label   func(T) string // a member's name, for summaries

	// Guards say what a write must not do beyond what Check judges. Nil: nothing.
	// Their field paths are the member's own.
	GuardCreate func(doc *D, add T) error
	GuardUpdate func(doc *D, old T, with *T) error // may fill in what the caller left out
	GuardDelete func(doc *D, old T) error
}

// find returns the index of a member.
func (m Members[D, T]) find(list []T, id int64) (int, error) {
	i := slices.IndexFunc(list, func(t T) bool { return *m.ID(&t) == id })
	if i < 0 {
		return 0, fault.New(fault.NotFound, "no %s %d", m.Kind, id)
	}
	return i, nil
}

// Create adds a member with a new id: before the member `before`, or last when
// that is 0.
func (m Members[D, T]) Create(ctx context.Context, deviceID string, add T, before int64) (T, int64, error) {
	var at int
	version, err := m.Section.Change(ctx, deviceID, func(d *Draft[D]) error {
		list := m.List(&d.Doc)
		at = len(*list)
		if before != 0 {
			i, err := m.find(*list, before)
			if err != nil {
				return fault.Invalid("before", "there is no %s %d to stand before", m.Kind, before)
			}
			at = i
		}
		if m.GuardCreate != nil {
			if err := m.GuardCreate(&d.Doc, add); err != nil {
				return err
			}
		}
		*m.ID(&add) = d.NextID(m.Kind)
		*list = slices.Insert(*list, at, add)
		d.Note("create", m.Kind, m.idText(add), m.summary(add, "created"), nil, add)
		return nil
	})
	return add, version, m.relative(err, at)
}

// Update replaces a member; its id stays.
func (m Members[D, T]) Update(ctx context.Context, deviceID string, id int64, with T) (T, int64, error) {
	var at int
	version, err := m.Section.Change(ctx, deviceID, func(d *Draft[D]) error {
		list := m.List(&d.Doc)
		i, err := m.find(*list, id)
		if err != nil {
			return err
		}
		at = i
		old := (*list)[i]
		*m.ID(&with) = id
		if m.GuardUpdate != nil {
			if err := m.GuardUpdate(&d.Doc, old, &with); err != nil {
				return err
			}
		}
		(*list)[i] = with
		d.Note("update", m.Kind, m.idText(with), m.summary(with, "changed"), old, with)
		return nil
	})
	return with, version, m.relative(err, at)
}

// Delete removes a member.
func (m Members[D, T]) Delete(ctx context.Context, deviceID string, id int64) (int64, error) {
	return m.Section.Change(ctx, deviceID, func(d *Draft[D]) error {
		list := m.List(&d.Doc)
		i, err := m.find(*list, id)
		if err != nil {
			return err
		}
		old := (*list)[i]
		if m.GuardDelete != nil {
			if err := m.GuardDelete(&d.Doc, old); err != nil {
				return err
			}
		}
		*list = slices.Delete(*list, i, i+1)
		d.Note("delete", m.Kind, m.idText(old), m.summary(old, "removed"), old, nil)
		return nil
	})
}

// Order puts the members into the order of ids, which must name every one
// exactly once. field is the request's name for the list.
func (m Members[D, T]) Order(ctx context.Context, deviceID, field string, ids []int64) ([]T, int64, error) {
	var ordered []T
	version, err := m.Section.Change(ctx, deviceID, func(d *Draft[D]) error {
		list := m.List(&d.Doc)
		before := make([]int64, len(*list))
		left := make(map[int64]T, len(*list))
		for i, t := range *list {
			before[i] = *m.ID(&t)
			left[before[i]] = t
		}
		ordered = make([]T, 0, len(*list))
		for i, id := range ids {
			t, ok := left[id]
			path := fmt.Sprintf("%s[%d]", field, i)
			switch {
			case !ok && slices.Contains(ids[:i], id):
				return fault.Invalid(path, "%s %d is named twice", m.Kind, id)
			case !ok:
				return fault.Invalid(path, "there is no %s %d", m.Kind, id)
			}
			delete(left, id)
			ordered = append(ordered, t)
		}
		for _, id := range before {
			if _, ok := left[id]; ok {
				return fault.Invalid(field, "%s %d is missing: the order must name every %s exactly once", m.Kind, id, m.Kind)
			}
		}
		*list = ordered
		d.Note("reorder", m.Kind, "", m.Field+" reordered", before, ids)
		return nil
	})
	return ordered, version, err
}

func (m Members[D, T]) idText(t T) string { return strconv.FormatInt(*m.ID(&t), 10) }

func (m Members[D, T]) summary(t T, what string) string {
	return fmt.Sprintf("%s %d (%s) %s", m.Kind, *m.ID(&t), m.Label(t), what)
}

// relative rewrites field paths of the whole document ("rules[3].source") to
// those of the member that the caller sent ("source"). Paths elsewhere stay.
func (m Members[D, T]) relative(err error, at int) error {
	return Relative(err, fmt.Sprintf("%s[%d]", m.Field, at))
}

// Relative takes the path of a part of the document off the field paths of a
// fault, where they lead into it. What is wrong with the part as a whole has no
// field: the text says it.
func Relative(err error, part string) error {
	f, ok := fault.As(err)
	if !ok {
		return err
	}
	out := *f
	out.Fields = nil
	for _, field := range f.Fields {
		if rest, inside := strings.CutPrefix(field.Path, part); inside && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			if field.Path = strings.TrimPrefix(rest, "."); field.Path == "" {
				continue
			}
		}
		out.Fields = append(out.Fields, field)
	}
	return &out
}
