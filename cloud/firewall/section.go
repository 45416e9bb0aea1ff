package firewall

import (
	"ngfw.sh/cloud/resource"
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

// check refuses what means nothing, and what means something that no router
// enforces yet: it would be stored and not hold.
func check(p policy.Policy) error {
	if err := policy.Validate(p); err != nil {
		return err
	}
	return policy.CheckEnforced(p)
}

// render gives the document its revision, which flow rows and counters name.
func render(p policy.Policy, version int64) (any, error) {
	p.Revision = version
	return p, nil
}
