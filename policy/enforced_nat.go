package policy

// checkNATEnforced reports what NAT rules ask for and nothing does: a flow is
// translated by what conntrack knows of it, which is no country and no card.
func checkNATEnforced(found *findings, p *Policy) {
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
				if what := beyondNAT(p, item, map[string]bool{}); what != "" {
					found.add(path, "%s in a NAT rule %s", what, notYet)
				}
			}
		}
	}
}

// beyondNAT names what an item of a NAT rule may not be or hold; "" where it is
// fine.
func beyondNAT(p *Policy, item addressItem, seen map[string]bool) string {
	switch item.kind {
	case addressCountry:
		return "geo:" + item.name
	case addressMAC:
		return "mac:" + item.mac.String()
	case addressGroup:
		g, ok := p.groupNamed(item.name)
		if !ok || seen[item.name] {
			return "" // Validate reports it
		}
		seen[item.name] = true
		parse := parseAddressMember
		if g.Type == GroupMAC {
			parse = parseMACMember
		}
		for _, m := range g.Members {
			inner, err := parse(m)
			if err != nil {
				continue
			}
			if what := beyondNAT(p, inner, seen); what != "" {
				return "@" + item.name + " (which holds " + what + ")"
			}
		}
	}
	return ""
}
