package system

import (
	"cmp"
	"maps"
	"slices"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// sectionFull is the name of the whole document among those of sections.
const sectionFull = "full"

// maxSections bounds what a router can make the cloud hold.
const maxSections = 64

// outcome is how the router fares with its configuration, per section. It is
// stored as JSON.
type outcome struct {
	Applied map[string]int64   `json:"applied,omitempty"`
	Failed  map[string]failure `json:"failed,omitempty"` // since it was last applied
}

type failure struct {
	Version int64  `json:"version"`
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
}

// runs takes what the router says at connect that it runs, which is the truth:
// it may have been reset.
func (o *outcome) runs(applied map[string]int64) {
	o.Applied = map[string]int64{}
	for section, version := range applied {
		o.apply(section, version)
	}
}

// apply notes a success. It settles earlier failures of the section; of the
// whole document those of all.
func (o *outcome) apply(section string, version int64) {
	if _, known := o.Applied[section]; !known && len(o.Applied) >= maxSections {
		return
	}
	if o.Applied == nil {
		o.Applied = map[string]int64{}
	}
	o.Applied[section] = version
	maps.DeleteFunc(o.Failed, func(s string, f failure) bool {
		return (s == section || section == sectionFull) && f.Version <= version
	})
}

func (o *outcome) fail(section string, f failure) {
	if _, known := o.Failed[section]; !known && len(o.Failed) >= maxSections {
		return
	}
	if o.Failed == nil {
		o.Failed = map[string]failure{}
	}
	o.Failed[section] = f
}

func (o *outcome) clone() outcome {
	return outcome{Applied: maps.Clone(o.Applied), Failed: maps.Clone(o.Failed)}
}

// state compares with the version that the device should run. lacking is what the router
// says is not in force of what it has applied; of a document that is no longer the
// section's it says nothing.
func (o *outcome) state(wanted int64, lacking []*ngfwv1.SectionLack) *ngfwv1.DeviceStatus_ConfigState {
	out := o.progress(wanted)
	if out.State != "synced" {
		return out
	}
	for _, l := range lacking {
		if l.GetVersion() >= o.Applied[l.GetSection()] {
			out.State = "degraded"
			out.Error = &ngfwv1.DeviceStatus_ConfigError{Section: l.GetSection(), Message: l.GetReason()}
			break
		}
	}
	return out
}

func (o *outcome) progress(wanted int64) *ngfwv1.DeviceStatus_ConfigState {
	out := &ngfwv1.DeviceStatus_ConfigState{Wanted: wanted, State: "pending"}
	for _, version := range o.Applied {
		out.Applied = max(out.Applied, version)
	}
	if out.Applied >= wanted {
		out.State = "synced"
	}
	sections := slices.SortedFunc(maps.Keys(o.Failed), func(a, b string) int {
		return cmp.Or(cmp.Compare(o.Failed[b].Version, o.Failed[a].Version), cmp.Compare(a, b))
	})
	if len(sections) == 0 {
		return out
	}
	// A failure says nothing of a newer version that is still on its way.
	newest := o.Failed[sections[0]]
	if newest.Version >= wanted || out.Applied >= wanted {
		out.State = "failed"
		out.Error = &ngfwv1.DeviceStatus_ConfigError{Section: sections[0], Message: newest.Message, Field: newest.Field}
	}
	return out
}
