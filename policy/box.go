package policy

import "iter"

// uncountable is where counting boxes stops.
const uncountable = 1_000_000_000

// match is what a rule matches: the boxes of its sets crossed.
type match struct {
	index       int // of the rule in the policy
	at          int // in compiler.rules
	variants    []variant
	destination []span
	services    []service
	verdict     Verdict
}

// variant is a set of sources under one condition; a rule matches what any of
// its variants does.
type variant struct {
	source    []span
	asks      Condition
	condition uint32 // the number of asks; 0: none
}

// number gives the rule's conditions numbers.
func (m *match) number(set *conditionSet) {
	for i := range m.variants {
		if v := &m.variants[i]; v.asks.asks() && len(v.source) > 0 {
			v.asks.Decider = m.verdict.Decider
			v.condition = set.add(v.asks)
		}
	}
}

func (m *match) sources() int {
	n := 0
	for _, v := range m.variants {
		n += len(v.source)
	}
	return n
}

// service is a protocol, or any, with a range of ports or ICMP types.
type service struct {
	protocol    uint8
	anyProtocol bool
	ports       portRange
}

func compileRule(resolve *resolver, index int, r Rule) (match, error) {
	m := match{index: index, verdict: Verdict{
		Action: actionFrom(r.ZoneFrom, r.Action), Log: r.Log, Decider: NewDecider(DeciderRule, uint32(r.ID)),
	}}
	asks, err := conditionOf(r)
	if err != nil {
		return m, err
	}
	if m.variants, err = resolve.sources(r, asks); err != nil {
		return m, err
	}
	if m.destination, err = resolve.addressSet(r.Destination); err != nil {
		return m, err
	}
	m.services, err = services(resolve, r)
	return m, err
}

func services(resolve *resolver, r Rule) ([]service, error) {
	numbers, all, err := parseProtocol(r.Protocol)
	if err != nil {
		return nil, err
	}
	if all {
		return []service{{anyProtocol: true, ports: portRange{0, 65535}}}, nil
	}
	ports, err := resolve.portSet(r.Port)
	if err != nil {
		return nil, err
	}
	if len(r.ICMPTypes) > 0 {
		ports = nil
		for _, s := range r.ICMPTypes {
			t, err := parseICMPType(s)
			if err != nil {
				return nil, err
			}
			first, last := uint16(t.number)<<8, uint16(t.number)<<8|0xff
			if !t.anyCode {
				first |= uint16(t.code)
				last = first
			}
			ports = append(ports, portRange{first, last})
		}
		ports = unionPorts(ports)
	}
	var out []service
	for _, n := range numbers {
		for _, p := range ports {
			out = append(out, service{protocol: n, ports: p})
		}
	}
	return out, nil
}

// boxes is how many boxes the rule makes in each of its zone pairs.
func (m *match) boxes() int {
	n := 1
	for _, factor := range []int{m.sources(), len(m.destination), len(m.services)} {
		if factor == 0 {
			return 0
		}
		if n > uncountable/factor {
			return uncountable
		}
		n *= factor
	}
	return n
}

// box is an Entry in numbers.
type box struct {
	rule                int // index into compiler.rules
	source, destination span
	service             service
	condition           uint32
	verdict             Verdict
}

// entries gives the rule's boxes; there are boxes() of them.
func (m *match) entries() iter.Seq[box] {
	return func(yield func(box) bool) {
		for _, v := range m.variants {
			for _, source := range v.source {
				for _, destination := range m.destination {
					for _, s := range m.services {
						if !yield(box{m.at, source, destination, s, v.condition, m.verdict}) {
							return
						}
					}
				}
			}
		}
	}
}

func (b box) entry() Entry {
	return Entry{
		SourceLo: b.source.first.addr(), SourceHi: b.source.last.addr(),
		DestinationLo: b.destination.first.addr(), DestinationHi: b.destination.last.addr(),
		PortLo: b.service.ports.first, PortHi: b.service.ports.last,
		Protocol: b.service.protocol, AnyProtocol: b.service.anyProtocol, Condition: b.condition, Verdict: b.verdict,
	}
}

func (s span) covers(o span) bool {
	return s.first.compare(o.first) <= 0 && s.last.compare(o.last) >= 0
}

func (b box) covers(o box) bool {
	return (b.service.anyProtocol || !o.service.anyProtocol && b.service.protocol == o.service.protocol) &&
		b.service.ports.first <= o.service.ports.first && b.service.ports.last >= o.service.ports.last &&
		b.source.covers(o.source) && b.destination.covers(o.destination)
}

// wideBoxes are the earlier boxes of a pair that may well cover later ones:
// those open on one side. What they cover can never be the first match and is
// left out. Comparing with every earlier box would cost the square of a pair.
type wideBoxes []box

const maxWide = 32

func (w *wideBoxes) add(b box) {
	if len(*w) < maxWide && b.condition == 0 && (b.source == everything[0] || b.destination == everything[0]) {
		*w = append(*w, b)
	}
}

func (w wideBoxes) cover(b box) bool {
	for i := range w {
		if w[i].covers(b) {
			return true
		}
	}
	return false
}
