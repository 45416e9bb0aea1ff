package agent

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"ngfw.sh/agent/confirm"
	"ngfw.sh/internal/fault"
)

// handler is the link's way into the daemon.
type handler struct{ *Agent }

// Sections that this agent enforces, in the order in which they are applied; another
// is refused by name, never taken and ignored.
const (
	sectionFirewall = "firewall"
	sectionIDS      = "ids"
	sectionQoS      = "qos"
)

var sections = []string{sectionFirewall, sectionIDS, sectionQoS}

func (h handler) ConfigPush(ctx context.Context, section string, version int64, doc []byte) error {
	return h.apply(ctx, section, version, doc, map[string]json.RawMessage{section: doc})
}

// ConfigFull takes {"firewall":{…},…}: all sections, or none.
func (h handler) ConfigFull(ctx context.Context, version int64, doc []byte) error {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(doc, &parts); err != nil {
		return fault.New(fault.BadRequest, "the configuration is not a JSON object of sections").Because(err)
	}
	return h.apply(ctx, "full", version, doc, parts)
}

// apply tries every part, and keeps all of them only if the cloud is heard after it.
func (h handler) apply(ctx context.Context, name string, version int64, whole []byte, parts map[string]json.RawMessage) error {
	for _, section := range slices.Sorted(maps.Keys(parts)) {
		if !slices.Contains(sections, section) {
			return fault.Invalid(section, "section %q is not enforced by this agent version", section)
		}
		if err := h.mode.allows(section); err != nil {
			return err
		}
	}
	if err := h.confirm.Known(name, version, whole); err != nil {
		return err
	}
	var all trials
	onTrial := false // there is something to go back to
	for _, section := range sections {
		doc, ok := parts[section]
		if !ok {
			continue
		}
		t, again, err := h.try(ctx, section, version, doc)
		if t != nil {
			all = append(all, t)
		}
		onTrial = onTrial || again
		if err != nil && t == nil {
			return errors.Join(inSection(section, len(parts) > 1, err), all.Undo())
		}
		if err != nil { // in force, but not all that goes with it
			return errors.Join(err, all.Keep())
		}
	}
	if len(all) == 0 {
		return nil
	}
	if !onTrial {
		return all.Keep()
	}
	return h.confirm.Settle(ctx, name, version, whole, all)
}

// try puts a section into force; again: there is something to go back to.
func (h handler) try(ctx context.Context, section string, version int64, doc []byte) (t confirm.Trial, again bool, err error) {
	if section == sectionIDS {
		t, err := h.inspect.Try(ctx, version, doc)
		if t == nil {
			return nil, false, err
		}
		return t, true, err
	}
	if section == sectionQoS {
		t, err := h.shape.Try(version, doc)
		if t == nil {
			return nil, false, err
		}
		return t, true, err
	}
	f, err := h.firewall.Try(ctx, version, doc)
	if f == nil {
		return nil, false, err
	}
	return f, !f.First(), err
}

// inSection puts a fault's fields below the section, where several came together.
func inSection(section string, several bool, err error) error {
	f, ok := fault.As(err)
	if !ok || !several {
		return err
	}
	out := *f
	out.Fields = slices.Clone(f.Fields)
	for i := range out.Fields {
		out.Fields[i].Path = section + "." + out.Fields[i].Path
	}
	return &out
}

// trials are several as one.
type trials []confirm.Trial

func (all trials) Keep() (err error) {
	for _, t := range all {
		err = errors.Join(err, t.Keep())
	}
	return err
}

func (all trials) Undo() (err error) {
	for _, t := range slices.Backward(all) {
		err = errors.Join(err, t.Undo())
	}
	return err
}

func (h handler) Mode(_ context.Context, mode string, sections map[string]string) error {
	return h.mode.set(mode, sections)
}

func (h handler) Applied() map[string]int64 {
	out := map[string]int64{}
	for section, version := range map[string]int64{sectionFirewall: h.firewall.Version(), sectionIDS: h.inspect.Version(), sectionQoS: h.shape.Version()} {
		if version > 0 {
			out[section] = version
		}
	}
	return out
}
