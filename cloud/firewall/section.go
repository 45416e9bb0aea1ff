package firewall

import (
	"context"
	"maps"
	"slices"

	"ngfw.sh/cloud/resource"
	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
)

// SectionName is the section's name in the agent protocol.
const SectionName = "firewall"

var description = resource.Description[policy.Policy]{
	Name:     SectionName,
	Factory:  factory,
	Check:    check,
	Render:   render,
	TimeZone: func(p *policy.Policy, name string) { p.TimeZone = name },
}

// check refuses what means nothing, what no router enforces yet and what is too
// large for the tables: it would be stored and not hold. The tables it is
// compiled to are the router's but for its own addresses.
func check(p policy.Policy) error {
	_, err := policy.Compile(p, policy.Env{})
	return err
}

// Abilities knows what a router has said that it can do.
type Abilities interface {
	// KnowsCountries: the router has a database of countries; nil: it has not said.
	KnowsCountries(ctx context.Context, deviceID string) (*bool, error)
}

// enforceable refuses what a write adds and the router cannot enforce: it would be
// stored, and the router would keep the policy of before.
func enforceable(ctx context.Context, can Abilities, deviceID string, before, after policy.Policy) error {
	named, old := policy.CountryCodes(after), policy.CountryCodes(before)
	var wrong []fault.Field
	for _, code := range slices.Sorted(maps.Keys(named)) {
		if old[code] == "" {
			wrong = append(wrong, fault.Field{Path: named[code], Message: "geo:" + code +
				" cannot be enforced: the router has no database of countries, name one as geoip in its settings"})
		}
	}
	if wrong == nil {
		return nil
	}
	knows, err := can.KnowsCountries(ctx, deviceID)
	if err != nil || knows == nil || *knows {
		return err
	}
	return fault.InvalidFields(wrong...)
}

// render gives the document its revision, which flow rows and counters name.
func render(p policy.Policy, version int64) (any, error) {
	p.Revision = version
	return p, nil
}
