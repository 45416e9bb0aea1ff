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

// check refuses what means nothing, what no router enforces yet and what is too
// large for the tables: it would be stored and not hold. The tables it is
// compiled to are the router's but for its own addresses.
func check(p policy.Policy) error {
	_, err := policy.Compile(p, policy.Env{})
	return err
}

// render gives the document its revision, which flow rows and counters name.
func render(p policy.Policy, version int64) (any, error) {
	p.Revision = version
	return p, nil
}
