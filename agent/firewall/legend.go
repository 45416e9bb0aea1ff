package firewall

import (
	"maps"
	"reflect"
	"slices"

	"ngfw.sh/policy"
)

// storedLegend is a legend on disk: what of its names differs from the legend
// before it, so that a large policy is not written once for every revision that
// is remembered. The first, and all of format 1, differ from none.
type storedLegend struct {
	Revision int64    `json:"revision"`
	Zones    []string `json:"zones"`
	After    bool     `json:"after,omitempty"` // the names are changes of those before

	Rules     map[int64]string `json:"rules,omitempty"` // id → name
	RulesGone []int64          `json:"rules_gone,omitempty"`
	NAT       map[int64]string `json:"nat,omitempty"`
	NATGone   []int64          `json:"nat_gone,omitempty"`
}

func stored(legends []policy.Legend) []storedLegend {
	out := make([]storedLegend, len(legends))
	var before policy.Legend
	for i, l := range legends {
		s := storedLegend{Revision: l.Revision, Zones: l.Zones, After: i > 0}
		s.Rules, s.RulesGone = renamed(before.Rules, l.Rules)
		s.NAT, s.NATGone = renamed(before.NAT, l.NAT)
		out[i], before = s, l
	}
	return out
}

func unstored(list []storedLegend) []policy.Legend {
	out := make([]policy.Legend, len(list))
	var before policy.Legend
	for i, s := range list {
		if !s.After {
			before = policy.Legend{}
		}
		l := policy.Legend{Revision: s.Revision, Zones: s.Zones}
		l.Rules, l.NAT = named(before.Rules, s.Rules, s.RulesGone), named(before.NAT, s.NAT, s.NATGone)
		out[i], before = l, l
	}
	return out
}

// renamed gives the names that now has and before had not, and those that are
// gone. Most revisions share theirs.
func renamed(before, now map[int64]string) (changed map[int64]string, gone []int64) {
	if reflect.ValueOf(before).Pointer() == reflect.ValueOf(now).Pointer() {
		return nil, nil
	}
	changed = map[int64]string{}
	for id, name := range now {
		if old, ok := before[id]; !ok || old != name {
			changed[id] = name
		}
	}
	for id := range before {
		if _, ok := now[id]; !ok {
			gone = append(gone, id)
		}
	}
	slices.Sort(gone)
	return changed, gone
}

// named is the other way.
func named(before, changed map[int64]string, gone []int64) map[int64]string {
	if len(changed)+len(gone) == 0 {
		return before
	}
	now := make(map[int64]string, len(before)+len(changed))
	maps.Copy(now, before)
	maps.Copy(now, changed)
	for _, id := range gone {
		delete(now, id)
	}
	return now
}
