package policy

import (
	"slices"

	"ngfw.sh/internal/fault"
)

// analysedNAT is a NAT rule that accepts what it translates, as rules see that:
// behind them it stands where the zone pair's policy stands for other packets.
type analysedNAT struct {
	matching
	rule    NATRule
	mapping mapping
}

// analyseNAT compiles the accepting NAT rules that hold.
func (of *analysis) analyseNAT(resolve *resolver, p *Policy) error {
	held := 0
	for i, n := range p.NAT {
		if !n.Enabled || n.Type != NATDestination && n.Type != NATOneToOne {
			continue
		}
		var m match
		var err error
		if m.variants, err = resolve.sources(Rule{Source: n.Source}, Condition{}); err != nil {
			return err
		}
		a := analysedNAT{rule: n}
		if a.mapping, err = mappingOf(n); err != nil {
			return err
		}
		original, err := resolve.addressSet(n.Destination)
		if err != nil {
			return err
		}
		if m.services, err = services(resolve, Rule{Protocol: n.Protocol, Port: orEvery(n.DestinationPort)}); err != nil {
			return err
		}
		if len(original) == 0 || len(m.services) == 0 {
			continue // it translates nothing
		}
		if n.Type == NATOneToOne {
			m.destination = spansOf(a.mapping.inside.Addr(), lastOf(a.mapping.inside))
		} else {
			m.destination = spansOf(a.mapping.first, a.mapping.first)
			if a.mapping.ports != NATKeep {
				for i := range m.services {
					m.services[i].ports = a.mapping.to
				}
			}
		}
		if held += m.boxes(); held > maxRegions {
			return fault.Invalid(index("nat", i), "the NAT rules up to this one make %s boxes, an analysis holds %d: shorten their lists", count(held), maxRegions)
		}
		a.matching = matchingOf(m)
		of.nat = append(of.nat, a)
	}
	return nil
}

// between says whether the rule may translate what comes from one of these
// interfaces and leaves for that zone.
func (a *analysedNAT) between(in []string, from, to string) bool {
	if from == ZoneSelf {
		return false
	}
	return a.rule.Interface == "" && (from != to || a.rule.Hairpin) || slices.Contains(in, a.rule.Interface) || a.rule.Hairpin && from == to
}

// destinationRules are those that hold and may change a destination, without what does not
// matter to it.
func destinationRules(p *Policy) (out []NATRule) {
	for _, n := range p.NAT {
		if n.Enabled && n.Type != NATSource && n.Type != NATMasquerade {
			n.Name, n.Log = "", false
			out = append(out, n)
		}
	}
	return out
}
