package ids

import (
	"maps"
	"net/netip"
	"strings"

	"ngfw.sh/dataplane/ids/rule"
)

// Variables are those that rules are resolved with.
func Variables(d Document) rule.Variables {
	vars := rule.DefaultVariables()
	vars.Addresses, vars.Ports = maps.Clone(vars.Addresses), maps.Clone(vars.Ports)
	for name, list := range map[string][]string{"HOME_NET": d.HomeNetworks, "EXTERNAL_NET": d.ExternalNetworks} {
		if len(list) > 0 {
			vars.Addresses[name] = "[" + strings.Join(list, ",") + "]"
		}
	}
	for name, value := range d.Variables {
		if isPortVariable(vars, name) {
			vars.Ports[name] = value
		} else {
			vars.Addresses[name] = value
		}
	}
	return vars
}

// isPortVariable: Suricata keeps variables of ports apart by where they stand; a flat
// list tells them by what the stock configuration calls so, or by the name's end.
func isPortVariable(vars rule.Variables, name string) bool {
	_, stock := vars.Ports[name]
	return stock || strings.HasSuffix(name, "_PORTS") || strings.HasSuffix(name, "_PORT")
}

// isNetwork says whether s is an address or a CIDR, with or without a leading !.
func isNetwork(s string) bool {
	s = strings.TrimPrefix(s, "!")
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Zone() == ""
	}
	_, err := netip.ParsePrefix(s)
	return err == nil
}
