package firewall

import (
	"slices"

	"ngfw.sh/policy"
)

// factoryZones are every router's zones, in the order of their ids. Which
// interfaces are in them is for the user to say.
var factoryZones = []string{"WAN", "LAN", "GUEST", "IOT", "DMZ", "VPN", policy.ZoneSelf}

// factoryPairs are the zone pairs between which a new router accepts; see
// docs/policy.md, "System rules". Everything else drops.
var factoryPairs = [][2]string{
	{"LAN", "WAN"}, {"LAN", "LAN"}, {"LAN", policy.ZoneSelf},
	{"VPN", "LAN"}, {"VPN", "WAN"},
	{"GUEST", "WAN"}, {"IOT", "WAN"}, {"DMZ", "WAN"},
	{policy.ZoneSelf, policy.ZoneAny},
}

// factory is the policy of a new router and the last ids it uses.
func factory() (policy.Policy, map[string]int64) {
	p := policy.Policy{Zones: []policy.Zone{}, Rules: []policy.Rule{}, Policies: []policy.Default{}, TimeZone: "UTC"}
	for i, name := range factoryZones {
		p.Zones = append(p.Zones, policy.Zone{ID: int64(i + 1), Name: name, Interfaces: []string{}, Masquerade: name == "WAN"})
	}
	for _, pair := range factoryPairs {
		p.Policies = append(p.Policies, policy.Default{From: pair[0], To: pair[1], Action: policy.Accept})
	}
	return p, map[string]int64{kindZone: int64(len(factoryZones))}
}

func isFactoryZone(name string) bool { return slices.Contains(factoryZones, name) }
