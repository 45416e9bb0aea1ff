package policy

import (
	"slices"
	"strings"
)

// Types of Group.
const (
	GroupAddress = "address"
	GroupPort    = "port"
	GroupMAC     = "mac"
)

// groupNamed finds a group; a valid policy refers to none that is missing.
func (p *Policy) groupNamed(name string) (Group, bool) {
	i := slices.IndexFunc(p.Groups, func(g Group) bool { return g.Name == name })
	if i < 0 {
		return Group{}, false
	}
	return p.Groups[i], true
}

// parseAddressMember reads one member of an address group.
func parseAddressMember(s string) (addressItem, error) {
	if strings.Contains(s, ",") {
		return addressItem{}, errOneMember
	}
	return parseAddressItem(strings.TrimSpace(s))
}

// parseMACMember reads one member of a mac group: an address, with or without
// "mac:", or another group.
func parseMACMember(s string) (addressItem, error) {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "@") {
		return parseAddressMember(s)
	}
	mac, err := ParseMAC(strings.TrimPrefix(s, "mac:"))
	return addressItem{kind: addressMAC, mac: mac}, err
}

// parsePortMember reads one member of a port group.
func parsePortMember(s string) (portList, error) {
	if strings.Contains(s, ",") {
		return portList{}, errOneMember
	}
	list, err := parsePortList(s)
	if err == nil && list.any {
		return portList{}, errAnyPortMember
	}
	return list, err
}

func (v *validator) checkGroups() {
	for i, g := range v.policy.Groups {
		path := index("groups", i)
		if err := checkName(g.Name); err != nil {
			v.add(path+".name", "the name %s", err.Error())
		} else if _, again := v.groups[g.Name]; again {
			v.conflict(path+".name", "group %s exists already: choose another name", g.Name)
		} else {
			v.groups[g.Name] = g.Type
		}
	}
	edges := make(map[string][]groupEdge, len(v.policy.Groups))
	for i, g := range v.policy.Groups {
		edges[g.Name] = append(edges[g.Name], v.checkMembers(index("groups", i), g)...)
	}
	v.checkCycles(edges)
}

// groupEdge is a member that is another group, and where it stands.
type groupEdge struct{ path, to string }

func (v *validator) checkMembers(path string, g Group) []groupEdge {
	var edges []groupEdge
	for j, m := range g.Members {
		at := index(path+".members", j)
		var refers []string
		var err error
		switch g.Type {
		case GroupAddress:
			var item addressItem
			if item, err = parseAddressMember(m); item.kind == addressGroup {
				refers = []string{item.name}
			} else if item.kind == addressMAC {
				err = errMACMember
			}
		case GroupMAC:
			var item addressItem
			if item, err = parseMACMember(m); item.kind == addressGroup {
				refers = []string{item.name}
			}
		case GroupPort:
			var list portList
			list, err = parsePortMember(m)
			refers = list.groups
		default:
			v.add(path+".type", "%q is no type of group: write address, port or mac", g.Type)
			return nil
		}
		if v.failed(at, err) {
			continue
		}
		for _, name := range refers {
			if v.checkGroupReference(at, name, g.Type) {
				edges = append(edges, groupEdge{at, name})
			}
		}
	}
	if len(g.Members) == 0 && g.Type != GroupAddress && g.Type != GroupPort && g.Type != GroupMAC {
		v.add(path+".type", "%q is no type of group: write address, port or mac", g.Type)
	}
	return edges
}

// checkGroupReference judges where a group is named, which must be of one of
// the types.
func (v *validator) checkGroupReference(path, name string, types ...string) bool {
	got, ok := v.groups[name]
	if !ok {
		v.add(path, "there is no group @%s: make it, or correct the name", name)
		return false
	}
	if !slices.Contains(types, got) {
		v.add(path, "@%s is a group of type %s: name one of type %s", name, got, listOfWords(types))
		return false
	}
	return true
}

// checkCycles walks each group once, depth first; a member that leads back to a
// group still being walked closes a cycle.
func (v *validator) checkCycles(edges map[string][]groupEdge) {
	const walking, walked = 1, 2
	state := map[string]int{}
	var trail []string
	var walk func(name string)
	walk = func(name string) {
		state[name] = walking
		trail = append(trail, name)
		for _, e := range edges[name] {
			switch state[e.to] {
			case walking:
				cycle := append(slices.Clone(trail[slices.Index(trail, e.to):]), e.to)
				v.add(e.path, "the group contains itself (%s): remove this member", strings.Join(cycle, " > "))
			case walked:
			default:
				walk(e.to)
			}
		}
		trail = trail[:len(trail)-1]
		state[name] = walked
	}
	for _, g := range v.policy.Groups {
		if state[g.Name] == 0 {
			walk(g.Name)
		}
	}
}
