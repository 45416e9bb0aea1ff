package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"ngfw.sh/internal/fault"
)

// natCompiler fills an image's NAT table.
type natCompiler struct {
	resolve *resolver
	image   *Image
	table   *NATTable
	memory  *Compiler
	numbers map[NATTarget]uint16
	told    map[NATTold]uint8
	lists   map[natListKey]NATList

	crossed bool // no lists but of MAC addresses: a box for each span
	limit   int  // boxes of a step
}

// natBoxes is a part of a rule before its sets are crossed.
type natBoxes struct {
	source, destination natSide
	macs                []MAC // that the frame's source is, or with not is none of
	not                 bool
	protocol, port      string
	sourcePort          string
	box                 NATBox
	named               string // the rule's interface
}

func compileNAT(resolve *resolver, p *Policy, image *Image, memory *Compiler) error {
	c := natCompiler{resolve: resolve, image: image, table: &image.NAT, memory: memory, limit: MaxNATBoxes}
	if len(p.NAT) > 0 {
		image.Legend.NAT = make(map[int64]string, len(p.NAT))
	}
	for _, n := range p.NAT {
		image.Legend.NAT[n.ID] = n.Name
	}
	if err := c.rules(p); err != nil {
		return err
	}
	if err := c.checkTries(p); err != nil {
		return err
	}
	c.trees(natDestination, c.table.Destination)
	c.trees(natSource, c.table.Source)
	if len(image.Lines) > MaxLines {
		return fault.New(fault.InvalidConfig, "the search trees of rules and NAT rules are larger than %d MB", MaxLines*64>>20)
	}
	return nil
}

// rules adds the boxes of all rules.
func (c *natCompiler) rules(p *Policy) error {
	c.numbers, c.told = map[NATTarget]uint16{}, map[NATTold]uint8{}
	for i, n := range p.NAT {
		if !n.Enabled {
			continue
		}
		if err := c.rule(n); err != nil {
			return fmt.Errorf("compile nat[%d]: %w", i, err)
		}
		for _, boxes := range [][]NATBox{c.table.Destination, c.table.Source} {
			if len(boxes) > c.limit {
				return fault.Invalid(index("nat", i), "the NAT rules up to this one make more than %d entries: shorten their lists", c.limit)
			}
		}
		switch {
		case len(c.table.Ports) > MaxNATPorts:
			return fault.Invalid(index("nat", i)+".interface", "NAT rules name more than %d interfaces", MaxNATPorts)
		case len(c.table.Targets) > MaxNATGoals:
			return fault.Invalid(index("nat", i)+".translate_to", "NAT rules translate to more than %d different destinations", MaxNATGoals)
		case len(c.table.Told) > MaxNATTold:
			return fault.Invalid(index("nat", i)+".translate_to", "NAT rules that name countries or MAC addresses translate to more than %d different sources, counted by interface", MaxNATTold)
		case len(c.image.Lines) > MaxLines:
			return fault.Invalid(index("nat", i), "the countries that NAT rules name take more than %d MB", MaxLines*64>>20)
		}
	}
	return nil
}

func (c *natCompiler) rule(n NATRule) error {
	m, err := mappingOf(n)
	if err != nil {
		return err
	}
	sources, err := c.resolve.sources(Rule{Source: n.Source}, Condition{})
	if err != nil {
		return err
	}
	destination, err := c.resolve.addressSet(n.Destination)
	if err != nil {
		return err
	}
	b := natBoxes{
		destination: c.side(n.Destination, destination), protocol: n.Protocol, port: orEvery(n.DestinationPort), sourcePort: orEvery(n.SourcePort),
		box: NATBox{Rule: uint32(n.ID), Log: n.Log}, named: n.Interface,
	}
	network := n.Type == NATOneToOne || n.Type == NATNetmap
	var outside, inside natSide
	if network {
		outside.spans, inside.spans = spansOf(m.outside.Addr(), lastOf(m.outside)), spansOf(m.inside.Addr(), lastOf(m.inside))
	}
	for i, v := range sources {
		b := b
		b.source, b.macs, b.not = natSide{spans: v.source}, v.asks.MACs, v.asks.NotMACs
		if i == 0 { // of the list's addresses; the other one is of all
			b.source = c.side(n.Source, v.source)
		}
		switch {
		case network:
			b.box.Accept = n.Type == NATOneToOne
			if m.bySource {
				b.source = b.destination
			}
			b.destination = outside
			err = c.arriving(n, b, mapTarget(m.inside))
		case n.Type == NATDestination:
			b.box.Accept = true
			err = c.arriving(n, b, m.target())
		default:
			err = c.leaving(n, b, m.target())
		}
		if err != nil {
			return err
		}
	}
	if !network {
		return nil
	}
	// The other way mirrored: a peer that is written to has no frame.
	peers := b.destination
	if !m.bySource {
		set, err := c.resolve.addressSet(n.Source)
		if err != nil {
			return err
		}
		peers = c.side(n.Source, set)
	}
	b.source, b.destination = inside, peers
	return c.leaving(n, b, mapTarget(m.outside))
}

// arriving adds what is translated as it arrives: by the rule's interface, or
// where it has none by any but to turn; and what turns, if the rule has hairpin.
func (c *natCompiler) arriving(n NATRule, b natBoxes, t NATTarget) error {
	t.Number = c.number(t)
	b.box.Target, b.box.Hairpin = t, n.Hairpin
	switch {
	case n.Interface != "":
		b.box.Port = c.port(n.Interface)
	case !n.Hairpin:
		b.box.Turn = NATPassing
	}
	if err := c.cross(&c.table.Destination, b, familyOf(t)); err != nil {
		return err
	}
	if n.Interface == "" || !n.Hairpin {
		return nil
	}
	b.box.Port, b.box.Turn = 0, NATTurning
	if isOpen(n.Destination) && n.Type == NATDestination {
		b.destination = natSide{spans: intersect(b.destination.spans, c.resolve.self)}
	}
	return c.cross(&c.table.Destination, b, familyOf(t))
}

func (c *natCompiler) leaving(n NATRule, b natBoxes, t NATTarget) error {
	b.box.Target = t
	if n.Interface != "" {
		b.box.Port = c.port(n.Interface)
	}
	family := natBoth
	switch {
	case !t.Masquerade:
		family = familyOf(t)
	case !c.resolve.namesIPv6(n.Source) && !c.resolve.namesIPv6(n.Destination):
		family = natIPv4
	}
	return c.cross(&c.table.Source, b, family)
}

// Families of a rule.
const (
	natBoth = iota
	natIPv4
	natIPv6
)

func familyOf(t NATTarget) int {
	if t.To.Is4In6() {
		return natIPv4
	}
	return natIPv6
}

// cross appends the boxes of the sets.
func (c *natCompiler) cross(to *[]NATBox, b natBoxes, family int) error {
	services, err := services(c.resolve, Rule{Protocol: b.protocol, Port: b.port})
	if err != nil {
		return err
	}
	sourcePorts, err := c.resolve.portSet(b.sourcePort)
	if err != nil {
		return err
	}
	macs, err := c.macs(b.macs)
	if err != nil {
		return err
	}
	b.box.MACs, b.box.NotMACs = macs, b.not
	for f := range families {
		if family == natIPv4 && f != family4 || family == natIPv6 && f != family6 {
			continue
		}
		box := b.box
		var from, towards []span
		if from, box.SourceSet, err = c.ranges(b.source, f); err != nil {
			return err
		}
		if towards, box.DestinationSet, err = c.ranges(b.destination, f); err != nil {
			return err
		}
		if len(from) == 0 || len(towards) == 0 {
			continue
		}
		if to == &c.table.Source && box.asks() && !c.crossed {
			box.Told = c.tell(b.named, box.Target)
		}
		for _, source := range from {
			for _, destination := range towards {
				for _, s := range services {
					for _, ports := range sourcePorts {
						if len(*to) > c.limit {
							return nil // the caller says so
						}
						box.SourceLo, box.SourceHi = source.first.addr(), source.last.addr()
						box.DestinationLo, box.DestinationHi = destination.first.addr(), destination.last.addr()
						box.Protocol, box.AnyProtocol = s.protocol, s.anyProtocol
						box.PortLo, box.PortHi = s.ports.first, s.ports.last
						box.SourcePortLo, box.SourcePortHi = ports.first, ports.last
						*to = append(*to, box)
					}
				}
			}
		}
	}
	return nil
}

// tell numbers what nftables is told.
func (c *natCompiler) tell(named string, t NATTarget) uint8 {
	told := NATTold{named, t}
	if _, ok := c.told[told]; !ok {
		c.table.Told = append(c.table.Told, told)
		c.told[told] = uint8(min(len(c.table.Told), MaxNATTold)) // beyond it the caller refuses
	}
	return c.told[told]
}

func (c *natCompiler) port(name string) uint8 {
	if c.table.Ports == nil {
		c.table.Ports = map[string]uint8{}
	}
	if _, ok := c.table.Ports[name]; !ok {
		c.table.Ports[name] = uint8(min(len(c.table.Ports)+1, MaxNATPorts+1))
	}
	return c.table.Ports[name]
}

// number gives a target its number; equal ones share theirs.
func (c *natCompiler) number(t NATTarget) uint16 {
	if number, ok := c.numbers[t]; ok {
		return number
	}
	plain := t
	t.Number = uint16(len(c.table.Targets) + 1)
	c.numbers[plain] = t.Number
	c.table.Targets = append(c.table.Targets, t)
	return t.Number
}

// checkTries refuses rules under which a packet may miss the turn of more boxes
// than the programs try.
func (c *natCompiler) checkTries(p *Policy) error {
	work := 4 * MaxNATBoxes * MaxNATBoxes
	for _, v4 := range []bool{true, false} {
		var conditional, open []natRegion
		var listed []*NATBox
		for i := range c.table.Destination {
			b := &c.table.Destination[i]
			if b.Turn == NATEither || b.SourceLo.Is4In6() != v4 {
				continue
			}
			conditional = append(conditional, b.region())
			if b.SourceSet.Count > 0 || b.MACs.Count > 0 && !b.NotMACs {
				listed = append(listed, b)
			} else {
				open = append(open, b.region())
			}
		}
		rule, ok := crowded(conditional, MaxNATTries, 0, &work)
		if ok && len(listed) > 0 { // by their bounds too many; by their lists perhaps not
			if most := c.together(listed, v4); most < MaxNATTries {
				rule, ok = crowded(open, MaxNATTries-most, 0, &work)
			}
		}
		if ok {
			at := slices.IndexFunc(p.NAT, func(n NATRule) bool { return n.ID == int64(rule) })
			return fault.Invalid(index("nat", at), "more than %d NAT rules for the same packets depend on hairpin: set hairpin to false where it is not needed", MaxNATTries-1)
		}
	}
	return nil
}

type natRegion struct {
	region
	rule uint32
}

func (b *NATBox) region() natRegion {
	s := service{protocol: b.Protocol, anyProtocol: b.AnyProtocol, ports: portRange{b.PortLo, b.PortHi}}
	return natRegion{region{
		atSource: {numberOf(b.SourceLo), numberOf(b.SourceHi)}, atDestination: {numberOf(b.DestinationLo), numberOf(b.DestinationHi)},
		atService: s.span(), atSourcePort: portSpan(b.SourcePortLo, b.SourcePortHi),
	}, b.Rule}
}

// together is how many of some boxes, each of which has a list of sources or of MAC
// addresses, may hold one packet at most.
func (c *natCompiler) together(boxes []*NATBox, v4 bool) int {
	type edge struct {
		at    uint128
		opens int
	}
	f := family(!v4)
	var edges []edge
	framed, most := map[MAC]int{}, 0
	for _, b := range boxes {
		if b.SourceSet.Count == 0 {
			for _, mac := range c.image.macsOf(b.MACs) {
				framed[mac]++
				most = max(most, framed[mac])
			}
			continue
		}
		for i := range b.SourceSet.Count {
			s := c.image.spanOf(b.SourceSet, f, i)
			edges = append(edges, edge{s.first, 1})
			if s.last != highest {
				edges = append(edges, edge{s.last.next(), -1})
			}
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(a.at.compare(b.at), a.opens-b.opens) })
	open, listed := 0, 0
	for _, e := range edges {
		open += e.opens
		listed = max(listed, open)
	}
	return most + listed
}

// crowded finds out whether any packet lies in a number of the regions, or
// whether that takes too long to find out, and names a rule of these.
func crowded(all []natRegion, limit, dimension int, work *int) (rule uint32, ok bool) {
	if len(all) < limit {
		return 0, false
	}
	if dimension == dimensions {
		return all[len(all)-1].rule, true
	}
	done := map[uint128]bool{}
	for i := range all {
		// The most at once are where one begins.
		point := all[i].region[dimension].first
		if done[point] {
			continue
		}
		done[point] = true
		if *work -= len(all); *work < 0 {
			return all[len(all)-1].rule, true
		}
		var there []natRegion
		for _, r := range all {
			if r.region[dimension].has(point) {
				there = append(there, r)
			}
		}
		if rule, ok := crowded(there, limit, dimension+1, work); ok {
			return rule, true
		}
	}
	return 0, false
}

// trees finds boxes by address and service; what else they want is looked at
// when they are found.
func (c *natCompiler) trees(at int, boxes []NATBox) {
	for i := range treeFamilies {
		f := &treeFamilies[i]
		w := treeWriter{lines: &c.image.Lines, v6: f.v6}
		var all []uint32
		for n := range boxes {
			box := &boxes[n]
			if box.SourceLo.Is4In6() == f.v6 {
				continue
			}
			s := service{protocol: box.Protocol, anyProtocol: box.AnyProtocol, ports: portRange{box.PortLo, box.PortHi}}
			t := treeBox{cube: cube{{numberOf(box.SourceLo), numberOf(box.SourceHi)}, {numberOf(box.DestinationLo), numberOf(box.DestinationHi)}, s.key()}, closes: true}
			t.cube.clip(&f.world)
			t.salt = t.cube.salt(uint32(n))
			all = append(all, uint32(len(w.boxes)))
			w.boxes, w.orders, w.says = append(w.boxes, t), append(w.orders, uint32(n)<<orderShift), append(w.says, uint32(n))
		}
		if len(all) == 0 {
			continue
		}
		memo := c.memory.forest(forestKey{tree: uint8(at + i)})
		if !slices.Equal(memo.boxes, w.boxes) {
			memo.boxes, memo.trees = w.boxes, nil
		}
		b := treeBuilder{boxes: w.boxes, v6: f.v6}
		memo.trees = b.forest(all, f.world, len(all)*maxLinesPerEntry+64, memo.trees)
		c.table.Trees[at+i], _, _ = w.forest(memo.trees)
	}
}

// isOpen: the list holds what it does not name.
func isOpen(list string) bool {
	parsed, err := parseAddressList(list)
	return err == nil && (parsed.negated || slices.ContainsFunc(parsed.items, func(i addressItem) bool { return i.kind == addressAny }))
}

func orEvery(ports string) string {
	if strings.TrimSpace(ports) == "" {
		return "*"
	}
	return ports
}

// intersect gives what two joined sets share.
func intersect(a, b []span) []span {
	var out []span
	for _, s := range a {
		for _, o := range b {
			if s.meets(o) {
				out = append(out, s.common(o))
			}
		}
	}
	return union(out)
}
