package policy

import (
	"fmt"
	"net/netip"
	"slices"

	"ngfw.sh/internal/fault"
)

// maxRegions bounds the boxes that an analysis holds.
const maxRegions = 1 << 17

// analysis is a policy as Check and Diff read it: each enabled rule as regions,
// before any table is laid out.
type analysis struct {
	policy *Policy
	env    Env
	rules  []analysedRule // in order
	fromTo map[[2]string]Default
	nat    []analysedNAT // those that accept
	noSelf bool          // no address of the router is known

	destinations // what arrives for another one than rules see
}

// analysedRule is a rule and what it matches.
type analysedRule struct {
	index   int // in Policy.Rules
	verdict Verdict
	matching
}

// matching is what is matched, circumstance by circumstance.
type matching struct {
	variants    []variant
	conditional bool   // some variant has a condition
	forms       []form // by the set of variants that hold; of no condition the one
}

// form is what a rule matches while some of its variants hold.
type form struct {
	regions [families][]region
	hulls   [families]region // where there are regions
}

// in is the form under a circumstance.
func (r *matching) in(c circumstance) *form { return &r.forms[r.holding(c)] }

// holding is the set of variants that hold.
func (r *matching) holding(c circumstance) (set uint32) {
	if !r.conditional {
		return 0
	}
	for i := range r.variants {
		if r.variants[i].asks.holds(c) {
			set |= 1 << i
		}
	}
	return set
}

func (r *analysedRule) id() int64 { return int64(r.verdict.Decider.ID()) }

// analyse compiles the rules of a policy. What Validate refuses is refused here
// too; so are countries that nobody knows, since without them a rule would seem to
// do what it does not.
func analyse(p *Policy, env Env) (*analysis, error) {
	if err := Validate(*p); err != nil {
		return nil, err
	}
	if env.Countries == nil {
		if err := NeedCountries(*p); err != nil {
			return nil, err
		}
	}
	resolve, err := newResolver(p, env)
	if err != nil {
		return nil, err
	}
	a := &analysis{policy: p, env: env, fromTo: make(map[[2]string]Default, len(p.Policies)), noSelf: len(resolve.self) == 0}
	for _, d := range p.Policies {
		a.fromTo[[2]string{d.From, d.To}] = d
	}
	if err = a.analyseNAT(resolve, p); err != nil {
		return nil, err
	}
	if a.destinations, err = destinationsOf(p, env); err != nil {
		return nil, err
	}
	held := 0
	for i, r := range p.Rules {
		if !r.Enabled {
			continue
		}
		m, err := compileRule(resolve, i, r)
		if err != nil {
			return nil, fmt.Errorf("compile rules[%d]: %w", i, err)
		}
		if env.ClockUnsynchronised {
			m.settled()
		}
		if held += m.boxes(); held > maxRegions {
			return nil, fault.Invalid(index("rules", i), "the rules up to this one make %s boxes, an analysis holds %d: shorten their lists", count(held), maxRegions)
		}
		a.rules = append(a.rules, analysedRule{m.index, m.verdict, matchingOf(m)})
	}
	return a, nil
}

func matchingOf(m match) matching {
	r := matching{variants: m.variants}
	for i := range m.variants {
		m.variants[i].asks.Decider = 0
		r.conditional = r.conditional || m.variants[i].asks.asks()
	}
	if !r.conditional {
		r.forms = []form{formOf(m, 1)}
		return r
	}
	for set := range uint32(1) << len(m.variants) {
		r.forms = append(r.forms, formOf(m, set))
	}
	return r
}

func formOf(m match, set uint32) form {
	var f form
	var source []span
	for i, v := range m.variants {
		if set>>i&1 != 0 {
			source = append(source, v.source...)
		}
	}
	source = union(source)
	for family := range families {
		for _, source := range ofFamily(source, family) {
			for _, destination := range ofFamily(m.destination, family) {
				for _, s := range m.services {
					f.regions[family] = append(f.regions[family], region{source, destination, s.span(), allSourcePorts})
				}
			}
		}
		if len(f.regions[family]) > 0 {
			f.hulls[family] = hull(f.regions[family])
		}
	}
	return f
}

// settled leaves the conditions of time out where there is no clock.
func (m *match) settled() {
	m.variants = slices.DeleteFunc(m.variants, func(v variant) bool { return v.asks.Scheduled && m.verdict.Action == Accept })
	for i := range m.variants {
		m.variants[i].asks.Scheduled, m.variants[i].asks.Window = false, Window{}
	}
}

// between lists the rules of a zone pair, as indexes into a.rules.
func (a *analysis) between(from, to string) []int {
	var list []int
	for i := range a.rules {
		r := &a.policy.Rules[a.rules[i].index]
		if zoneMatches(r.ZoneFrom, from) && zoneMatches(r.ZoneTo, to) {
			list = append(list, i)
		}
	}
	return list
}

func (a *analysis) fallback(from, to string) Action { return defaultVerdict(a.fromTo, from, to).Action }

// The steps before the rules, as regions.

// impossible are the packets that are malformed, by their addresses.
var impossible = func() (out [families][]region) {
	add := func(family, dimension int, first, last string) {
		r := allPackets[family]
		r[dimension] = span{numberOf(netip.MustParseAddr(first)), numberOf(netip.MustParseAddr(last))}
		out[family] = append(out[family], r)
	}
	add(family4, atSource, "224.0.0.0", "239.255.255.255")
	add(family4, atSource, "255.255.255.255", "255.255.255.255")
	add(family6, atSource, "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
	for _, d := range []int{atSource, atDestination} {
		add(family4, d, "127.0.0.0", "127.255.255.255")
		add(family6, d, "::1", "::1")
		add(family6, d, "::ffff:0.0.0.0", "::ffff:255.255.255.255")
	}
	return out
}()

// stateless are the ICMP errors, which need a flow.
var stateless = func() (out [families][]region) {
	add := func(family int, protocol, first, last uint8) {
		out[family] = append(out[family], icmpRegion(family, protocol, first, last))
	}
	add(family4, ProtocolICMP, 3, 5)
	add(family4, ProtocolICMP, 11, 12)
	add(family6, ProtocolICMPv6, 1, 127)
	return out
}()

func icmpRegion(family int, protocol, first, last uint8) region {
	r := allPackets[family]
	r[atService] = span{serviceNumber(protocol, uint16(first)<<8), serviceNumber(protocol, uint16(last)<<8|0xff)}
	return r
}

// systemRegions are what the system rules accept between two zones.
func systemRegions(env Env, from, to string, family int) (out []region) {
	oneEndSelf := from == ZoneSelf || to == ZoneSelf
	if env.System.Has(SystemNeighbourDiscovery) && oneEndSelf && family == family6 {
		out = append(out, icmpRegion(family, ProtocolICMPv6, 133, 136))
	}
	if env.System.Has(SystemMLD) && oneEndSelf && family == family6 {
		out = append(out, icmpRegion(family, ProtocolICMPv6, 130, 132), icmpRegion(family, ProtocolICMPv6, 143, 143))
	}
	if env.System.Has(SystemDHCPClient) && to == ZoneSelf {
		r, ports := allPackets[family], [families][2]uint16{{67, 68}, {547, 546}}[family]
		r[atService] = span{serviceNumber(ProtocolUDP, ports[1]), serviceNumber(ProtocolUDP, ports[1])}
		r[atSourcePort] = portSpan(ports[0], ports[0])
		out = append(out, r)
	}
	if env.System.Has(SystemCloud) && from == ZoneSelf {
		for _, end := range env.Cloud {
			addr := end.Addr().Unmap().WithZone("")
			if addr.Is4() != (family == family4) {
				continue
			}
			r := allPackets[family]
			r[atDestination] = span{numberOf(addr), numberOf(addr)}
			r[atService] = span{serviceNumber(ProtocolTCP, end.Port()), serviceNumber(ProtocolTCP, end.Port())}
			out = append(out, r)
		}
	}
	return out
}

// beforeRules is all that no rule gets to see between two zones.
func beforeRules(env Env, from, to string, family int) []step {
	var out []step
	for _, list := range [][]region{impossible[family], stateless[family], systemRegions(env, from, to, family)} {
		for i := range list {
			out = append(out, step{region: &list[i]})
		}
	}
	return out
}
