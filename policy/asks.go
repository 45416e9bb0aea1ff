package policy

import (
	"slices"
	"strings"
)

// What a policy asks of packets beside addresses and services, for those whose
// packets may lack it.

// Scheduled says whether a rule in force asks for the time.
func Scheduled(p Policy) bool {
	return slices.ContainsFunc(p.Rules, func(r Rule) bool { return r.Enabled && r.Schedule.Enabled })
}

// MACs lists the addresses that rules and NAT rules of a valid policy may ask for, by
// themselves or through groups, each once.
func MACs(p Policy) []MAC {
	var out []MAC
	add := func(item addressItem, err error) {
		if err == nil && item.kind == addressMAC && !slices.Contains(out, item.mac) {
			out = append(out, item.mac)
		}
	}
	source := func(enabled bool, text string) {
		if !enabled || !strings.Contains(text, "mac:") {
			return
		}
		list, err := parseAddressList(text)
		for _, item := range list.items {
			add(item, err)
		}
	}
	for _, r := range p.Rules {
		source(r.Enabled, r.Source)
	}
	for _, n := range p.NAT {
		source(n.Enabled, n.Source)
	}
	for _, g := range p.Groups {
		for _, m := range g.Members {
			if g.Type == GroupMAC {
				add(parseMACMember(m))
			}
		}
	}
	return out
}
