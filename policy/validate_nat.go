package policy

import "strings"

// Types of NATRule.
const (
	NATDestination = "dnat"
	NATSource      = "snat"
	NATOneToOne    = "1:1"
	NATMasquerade  = "masquerade"
	NATNetmap      = "netmap"
)

var natTypes = []string{NATDestination, NATSource, NATOneToOne, NATMasquerade, NATNetmap}

func (v *validator) checkNAT() {
	seen := make(map[int64]int, len(v.policy.NAT))
	for i, n := range v.policy.NAT {
		path := index("nat", i)
		v.checkID("nat", i, n.ID, seen)
		v.failed(path+".name", checkTitle(n.Name))
		v.checkAddresses(path+".source", n.Source, true)
		v.checkAddresses(path+".destination", n.Destination, false)
		numbers, all, err := parseProtocol(n.Protocol)
		portless := !v.failed(path+".protocol", err) && !takesPorts(numbers, all)
		for _, port := range []struct{ name, value string }{{"source_port", n.SourcePort}, {"destination_port", n.DestinationPort}} {
			if port.value != "" {
				v.checkPorts(path+"."+port.name, port.value, n.Protocol, portless)
			}
		}
		if n.TranslatePort != "" && portless {
			v.add(path+".translate_port", "protocol %s has no ports: set protocol to tcp, udp, tcp+udp or sctp, or remove it", n.Protocol)
		}
		v.checkTranslation(path, n)
		if n.Interface != "" {
			v.failed(path+".interface", checkInterface(n.Interface))
		}
	}
}

func (v *validator) checkTranslation(path string, n NATRule) {
	if n.Type == NATMasquerade && n.TranslateTo != "" {
		v.add(path+".translate_to", "masquerade translates to the interface's own address: remove it, or use snat")
		return
	}
	m, err := mappingOf(n)
	if wrong, ok := err.(mappingError); ok {
		v.failed(path+"."+wrong.field, wrong.err)
		return
	}
	if n.Type != NATDestination && n.Type != NATSource {
		return
	}
	for _, side := range []struct{ name, list string }{{"source", n.Source}, {"destination", n.Destination}} {
		if family := onlyFamily(side.list); family != 0 && (family == 4) != m.first.Is4() {
			v.add(path+".translate_to", "%s is of another family than %s", strings.TrimSpace(n.TranslateTo), side.name)
			return
		}
	}
}

// onlyFamily is 4 or 6 where a list names addresses of one family alone.
func onlyFamily(s string) int {
	list, err := parseAddressList(s)
	if err != nil || list.negated {
		return 0
	}
	family := 0
	for _, item := range list.items {
		this := 6
		switch {
		case item.kind == addressPrefix && item.prefix.Addr().Is4(), (item.kind == addressOne || item.kind == addressRange) && item.first.Is4():
			this = 4
		case item.kind != addressPrefix && item.kind != addressOne && item.kind != addressRange:
			return 0
		}
		if family != 0 && family != this {
			return 0
		}
		family = this
	}
	return family
}
