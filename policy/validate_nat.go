package policy

import (
	"errors"
	"slices"
	"strings"
)

// Types of NATRule.
const (
	NATDestination = "dnat"
	NATSource      = "snat"
	NATOneToOne    = "1:1"
	NATMasquerade  = "masquerade"
	NATNetmap      = "netmap"
)

var natTypes = []string{NATDestination, NATSource, NATOneToOne, NATMasquerade, NATNetmap}

// checkNAT judges the shape of NAT rules. Their meaning is judged where they
// are compiled.
func (v *validator) checkNAT() {
	seen := make(map[int64]int, len(v.policy.NAT))
	for i, n := range v.policy.NAT {
		path := index("nat", i)
		v.checkID("nat", i, n.ID, seen)
		v.failed(path+".name", checkTitle(n.Name))
		if !slices.Contains(natTypes, n.Type) {
			v.add(path+".nat_type", "%q is no kind of NAT: write %s", n.Type, listOfWords(natTypes))
		}
		v.checkAddresses(path+".source", n.Source, true)
		v.checkAddresses(path+".destination", n.Destination, false)
		numbers, all, err := parseProtocol(n.Protocol)
		portless := !v.failed(path+".protocol", err) && !takesPorts(numbers, all)
		for _, port := range []struct{ name, value string }{
			{"source_port", n.SourcePort}, {"destination_port", n.DestinationPort}, {"translate_port", n.TranslatePort},
		} {
			if port.value != "" {
				v.checkPorts(path+"."+port.name, port.value, n.Protocol, portless)
			}
		}
		v.checkTranslation(path+".translate_to", n)
		if n.Interface != "" {
			v.failed(path+".interface", checkInterface(n.Interface))
		}
	}
}

func (v *validator) checkTranslation(path string, n NATRule) {
	if n.Type == NATMasquerade {
		if n.TranslateTo != "" {
			v.add(path, "masquerade translates to the interface's own address: remove it, or use snat")
		}
		return
	}
	v.failed(path, checkTarget(n.TranslateTo))
}

func checkTarget(s string) error {
	if s == "" {
		return errors.New("is required: an address, a CIDR or a range")
	}
	item, err := parseAddressItem(strings.TrimSpace(s))
	if err != nil {
		return err
	}
	switch item.kind {
	case addressOne, addressPrefix, addressRange:
		return nil
	}
	return errors.New("must be an address, a CIDR or a range")
}
