package policy

import (
	"slices"
	"strings"
)

// Users are the ids of the rules and NAT rules and the names of the groups that
// name a group, disabled rules too.
func (p Policy) Users(group string) (rules, nat []int64, groups []string) {
	names := func(list string) bool {
		list = strings.TrimPrefix(strings.TrimSpace(list), "!")
		return slices.ContainsFunc(strings.Split(list, ","), func(item string) bool { return strings.TrimSpace(item) == "@"+group })
	}
	for _, r := range p.Rules {
		if names(r.Source) || names(r.Destination) || names(r.Port) {
			rules = append(rules, r.ID)
		}
	}
	for _, n := range p.NAT {
		if names(n.Source) || names(n.Destination) || names(n.SourcePort) || names(n.DestinationPort) {
			nat = append(nat, n.ID)
		}
	}
	for _, g := range p.Groups {
		if slices.ContainsFunc(g.Members, names) {
			groups = append(groups, g.Name)
		}
	}
	return rules, nat, groups
}
