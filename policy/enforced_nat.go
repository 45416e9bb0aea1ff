package policy

// checkNATEnforced reports what NAT rules ask for and nothing does.
func checkNATEnforced(found *findings, p *Policy, marked map[string]string) {
	for i, n := range p.NAT {
		if !n.Enabled {
			continue
		}
		for _, side := range []struct{ name, list string }{{"source", n.Source}, {"destination", n.Destination}} {
			path := index("nat", i) + "." + side.name
			list, err := parseAddressList(side.list)
			if found.failed(path, err) {
				continue
			}
			for _, item := range list.items {
				if what := unenforced(item, marked); what != "" {
					found.add(path, "%s in a NAT rule %s", what, notYet)
				}
			}
		}
	}
}

// refuseNAT refuses what an analysis does not follow: a rule that accepts what it
// translates stands between the rules and the policies.
func refuseNAT(found *findings, p *Policy) {
	for i, n := range p.NAT {
		if n.Enabled {
			found.add(index("nat", i), "NAT rule %d is not followed by this analysis yet: ask about a copy in which it is disabled", n.ID)
		}
	}
}
