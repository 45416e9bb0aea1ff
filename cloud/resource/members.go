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
	Kind    string // "rule": in the audit log, as the name of the id counter
	Noun    string // in texts; "": Kind
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

func (m Members[D, T]) noun() string {
	if m.Noun != "" {
		return m.Noun
	}
	return m.Kind
}

// find returns the index of a member.
func (m Members[D, T]) find(list []T, id int64) (int, error) {
	i := slices.IndexFunc(list, func(t T) bool { return *m.ID(&t) == id })
	if i < 0 {
		return 0, fault.New(fault.NotFound, "no %s %d", m.noun(), id)
	}
	return i, nil
}

// Create adds a member with a new id: before the member `before`, or last when
// that is 0.
func (m Members[D, T]) Create(ctx context.Context, deviceID string, add T, before int64) (T, int64, error) {
	version, err := m.Section.Perform(ctx, deviceID, m.Creation(&add, before))
	return add, version, err
}

// Update replaces a member; its id stays.
func (m Members[D, T]) Update(ctx context.Context, deviceID string, id int64, with T) (T, int64, error) {
	version, err := m.Section.Perform(ctx, deviceID, m.Replacement(id, &with))
	return with, version, err
}

// Delete removes a member.
func (m Members[D, T]) Delete(ctx context.Context, deviceID string, id int64) (int64, error) {
	return m.Section.Perform(ctx, deviceID, m.Removal(id))
}

// Order puts the members into the order of ids, which must name every one
// exactly once. field is the request's name for the list.
func (m Members[D, T]) Order(ctx context.Context, deviceID, field string, ids []int64) ([]T, int64, error) {
	var ordered []T
	version, err := m.Section.Perform(ctx, deviceID, m.Ordering(field, ids, &ordered))
	return ordered, version, err
}

func (m Members[D, T]) idText(t T) string { return strconv.FormatInt(*m.ID(&t), 10) }

func (m Members[D, T]) summary(t T, what string) string {
	return fmt.Sprintf("%s %d (%s) %s", m.noun(), *m.ID(&t), m.Label(t), what)
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
