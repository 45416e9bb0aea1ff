package policy

import "strings"

const notYet = "is not enforced yet: remove it or disable the rule"

// CheckEnforced reports, by path, what a valid policy asks for and the packet
// programs do not do. Such a policy is refused as a whole: nothing is stored
// and then ignored.
func CheckEnforced(p Policy) error {
	var found findings
	marked := markGroups(&p)
	for i, r := range p.Rules {
		if !r.Enabled {
			continue
		}
		path := index("rules", i)
		if r.Schedule.Enabled {
			found.add(path+".schedule", "a schedule %s", notYet)
		}
		for _, side := range []struct{ name, list string }{{"source", r.Source}, {"destination", r.Destination}} {
			if !strings.ContainsAny(side.list, "@gm") {
				continue // no group, geo: or mac:
			}
			list, err := parseAddressList(side.list)
			if found.failed(path+"."+side.name, err) {
				continue
			}
			for _, item := range list.items {
				if what := unenforced(item, marked); what != "" {
					found.add(path+"."+side.name, "%s %s", what, notYet)
				}
			}
		}
	}
	checkNATEnforced(&found, &p)
	return found.err()
}

func unenforced(item addressItem, marked map[string]string) string {
	switch item.kind {
	case addressCountry:
		return "geo:" + item.name
	case addressMAC:
		return "mac:" + item.mac.String()
	case addressGroup:
		if inner := marked[item.name]; inner != "" {
			return "@" + item.name + " (which holds " + inner + ")"
		}
	}
	return ""
}

// markGroups finds the groups that hold, at any depth, what is not enforced.
func markGroups(p *Policy) map[string]string {
	marked := map[string]string{}
	parents := map[string][]string{} // member → the groups it is in
	var queue []string
	for _, g := range p.Groups {
		for _, m := range g.Members {
			var item addressItem
			var err error
			switch g.Type {
			case GroupAddress:
				item, err = parseAddressMember(m)
			case GroupMAC:
				item, err = parseMACMember(m)
			default:
				continue
			}
			if err != nil {
				continue // Validate reports it
			}
			if item.kind == addressGroup {
				parents[item.name] = append(parents[item.name], g.Name)
			} else if what := unenforced(item, nil); what != "" && marked[g.Name] == "" {
				marked[g.Name] = what
				queue = append(queue, g.Name)
			}
		}
	}
	for len(queue) > 0 {
		name := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for _, parent := range parents[name] {
			if marked[parent] == "" {
				marked[parent] = marked[name]
				queue = append(queue, parent)
			}
		}
	}
	return marked
}
