package policy

// uncountable is where counting boxes stops.
const uncountable = 1_000_000_000

// match is what a rule matches: the boxes of its sets crossed.
type match struct {
	index       int // of the rule in the policy
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

func (s span) covers(o span) bool { return !o.first.less(s.first) && !s.last.less(o.last) }
