package policytest

import (
	"fmt"
	"net/netip"
	"strings"

	"pgregory.net/rapid"

	"ngfw.sh/policy"
)

// Policies draws valid policies that compile.
func Policies() *rapid.Generator[policy.Policy] {
	return rapid.Custom(func(t *rapid.T) policy.Policy {
		p := policy.Policy{
			Revision: rapid.Int64Range(1, 1000).Draw(t, "revision"),
			TimeZone: "UTC",
			Zones:    zones().Draw(t, "zones"),
			Groups:   groups().Draw(t, "groups"),
			Rules:    []policy.Rule{},
		}
		for _, a := range rapid.SliceOfN(Addresses(), 0, 2).Draw(t, "self addresses") {
			p.SelfAddresses = append(p.SelfAddresses, a.String())
		}
		d := drawing{T: t, policy: &p}
		for id := range rapid.IntRange(0, 12).Draw(t, "rules") {
			p.Rules = append(p.Rules, d.rule(int64(id+1)))
		}
		p.Policies = d.defaults()
		if rapid.Bool().Draw(t, "translates") {
			for id := range rapid.IntRange(1, 6).Draw(t, "nat rules") {
				p.NAT = append(p.NAT, d.natRule(int64(id+1)))
			}
		}
		return p
	})
}

type drawing struct {
	*rapid.T
	policy *policy.Policy
}

func zones() *rapid.Generator[[]policy.Zone] {
	return rapid.Custom(func(t *rapid.T) []policy.Zone {
		zones := make([]policy.Zone, rapid.IntRange(1, len(zoneNames)).Draw(t, "zones"))
		for i := range zones {
			zones[i] = policy.Zone{
				ID: int64(i + 1), Name: zoneNames[i], Interfaces: []string{},
				Masquerade: rapid.Bool().Draw(t, "masquerade"), MSSClamping: rapid.Bool().Draw(t, "mss_clamping"),
			}
		}
		for _, name := range interfaces {
			// One draw beyond the last zone: an interface in none.
			if i := rapid.IntRange(0, len(zones)).Draw(t, name); i < len(zones) {
				zones[i].Interfaces = append(zones[i].Interfaces, name)
			}
		}
		return zones
	})
}

// groups refer only to earlier ones of their type, so there is no cycle.
func groups() *rapid.Generator[[]policy.Group] {
	return rapid.Custom(func(t *rapid.T) []policy.Group {
		var groups []policy.Group
		for i := range rapid.IntRange(0, 4).Draw(t, "groups") {
			g := policy.Group{
				ID: int64(i + 1), Name: fmt.Sprintf("g%d", i), Members: []string{},
				Type: rapid.SampledFrom([]string{policy.GroupAddress, policy.GroupPort}).Draw(t, "type"),
			}
			var inner []string
			for _, other := range groups {
				if other.Type == g.Type {
					inner = append(inner, "@"+other.Name)
				}
			}
			for range rapid.IntRange(0, 3).Draw(t, "members") {
				switch {
				case len(inner) > 0 && rapid.Bool().Draw(t, "nested"):
					g.Members = append(g.Members, rapid.SampledFrom(inner).Draw(t, "member"))
				case g.Type == policy.GroupPort:
					g.Members = append(g.Members, portItem().Draw(t, "member"))
				default:
					g.Members = append(g.Members, addressItem().Draw(t, "member"))
				}
			}
			groups = append(groups, g)
		}
		return groups
	})
}

func (d drawing) groupNames(kind string) []string {
	var names []string
	for _, g := range d.policy.Groups {
		if g.Type == kind {
			names = append(names, "@"+g.Name)
		}
	}
	return names
}

// zone draws a zone of a rule or policy.
func (d drawing) zone(label string, allowSelf bool) string {
	names := []string{policy.ZoneAny, policy.ZoneAny}
	if allowSelf {
		names = append(names, policy.ZoneSelf)
	}
	for _, z := range d.policy.Zones {
		names = append(names, z.Name)
	}
	return rapid.SampledFrom(names).Draw(d.T, label)
}

func action() *rapid.Generator[policy.Action] {
	return rapid.SampledFrom([]policy.Action{policy.Accept, policy.Drop, policy.Reject})
}

func (d drawing) rule(id int64) policy.Rule {
	r := policy.NewRule()
	r.ID, r.Name = id, fmt.Sprintf("rule %d", id)
	r.Enabled = !rare(d.T, "disabled", 3)
	r.ZoneFrom = d.zone("zone_from", true)
	r.ZoneTo = d.zone("zone_to", r.ZoneFrom != policy.ZoneSelf)
	r.Source = d.addresses("source")
	r.Destination = d.addresses("destination")
	r.Protocol = rapid.SampledFrom([]string{
		"all", "tcp", "udp", "tcp+udp", "icmp", "icmpv6", "gre", "esp", "ah", "sctp", "0", "6", "17", "58", "253", "255",
	}).Draw(d.T, "protocol")
	switch r.Protocol {
	case "tcp", "udp", "tcp+udp", "sctp", "6", "17":
		r.Port = d.ports()
	case "icmp", "icmpv6", "58":
		if n := rapid.IntRange(0, 3).Draw(d.T, "icmp types"); n > 0 {
			r.ICMPTypes = rapid.SliceOfN(icmpType(), n, n).Draw(d.T, "icmp_types")
		}
	}
	r.Action = action().Draw(d.T, "action")
	r.Log = rapid.Bool().Draw(d.T, "log")
	return r
}

func (d drawing) addresses(label string) string {
	if rare(d.T, label+" open", 2) {
		return "any"
	}
	groups := d.groupNames(policy.GroupAddress)
	items := make([]string, rapid.IntRange(1, 4).Draw(d.T, label+" items"))
	for i := range items {
		if len(groups) > 0 && rare(d.T, label+" group", 2) {
			items[i] = rapid.SampledFrom(groups).Draw(d.T, label)
			continue
		}
		items[i] = addressItem().Draw(d.T, label)
	}
	list := strings.Join(items, ",")
	if rare(d.T, label+" negated", 2) {
		return "!" + list
	}
	return list
}

func addressItem() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		switch rapid.SampledFrom([]string{"address", "address", "cidr", "cidr", "range", "range", "self", "any"}).Draw(t, "kind") {
		case "self":
			return "self"
		case "any":
			return "any"
		case "cidr":
			a := Addresses().Draw(t, "address")
			longest := a.BitLen()
			// Mostly long prefixes, which split the blocks; sometimes any.
			bits := longest - rapid.IntRange(0, 5).Draw(t, "host bits")
			if rare(t, "wide", 2) {
				bits = rapid.IntRange(0, longest).Draw(t, "bits")
			}
			return netip.PrefixFrom(a, bits).Masked().String()
		case "range":
			a, b := Addresses().Draw(t, "first"), Addresses().Draw(t, "last")
			if a.Is4() != b.Is4() {
				return a.String()
			}
			if b.Less(a) {
				a, b = b, a
			}
			return a.String() + "-" + b.String()
		}
		return Addresses().Draw(t, "address").String()
	})
}

func (d drawing) ports() string {
	if rare(d.T, "port open", 2) {
		return "*"
	}
	groups := d.groupNames(policy.GroupPort)
	items := make([]string, rapid.IntRange(1, 4).Draw(d.T, "port items"))
	for i := range items {
		if len(groups) > 0 && rare(d.T, "port group", 2) {
			items[i] = rapid.SampledFrom(groups).Draw(d.T, "port")
			continue
		}
		items[i] = portItem().Draw(d.T, "port")
	}
	return strings.Join(items, ",")
}

func portItem() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		a, b := rapid.SampledFrom(ports).Draw(t, "port"), rapid.SampledFrom(ports).Draw(t, "last")
		if a < b && rapid.Bool().Draw(t, "range") {
			return fmt.Sprintf("%d-%d", a, b)
		}
		return fmt.Sprint(a)
	})
}

func icmpType() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		kind := rapid.SampledFrom(icmpTypes).Draw(t, "type")
		if rapid.Bool().Draw(t, "any code") {
			return fmt.Sprint(kind)
		}
		return fmt.Sprintf("%d/%d", kind, rapid.SampledFrom(icmpCodes).Draw(t, "code"))
	})
}

func (d drawing) defaults() []policy.Default {
	list := []policy.Default{}
	seen := map[[2]string]bool{}
	for range rapid.IntRange(0, 5).Draw(d.T, "policies") {
		from := d.zone("from", true)
		to := d.zone("to", from != policy.ZoneSelf)
		if pair := [2]string{from, to}; !seen[pair] {
			seen[pair] = true
			list = append(list, policy.Default{
				From: from, To: to, Action: action().Draw(d.T, "action"), Log: rapid.Bool().Draw(d.T, "log"),
			})
		}
	}
	return list
}
