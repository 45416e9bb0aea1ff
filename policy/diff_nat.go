package policy

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
)

// Where two policies translate destinations differently, their rules see different
// packets. They are compared packet by packet as they arrive: the space is cut
// into cells in each of which both translate alike, and what the rules say of the
// translated packets is taken back to what arrives.

// destinations is what a policy gives new destinations, between two links.
type destinations struct {
	boxes []NATBox
	macs  [][]MAC // that boxes ask for
	ports map[string]uint8
}

func destinationsOf(p *Policy, env Env) (destinations, error) {
	if len(destinationRules(p)) == 0 {
		return destinations{}, nil
	}
	resolve, err := newResolver(p, env)
	if err != nil {
		return destinations{}, err
	}
	im := newImage(p, env)
	c := natCompiler{resolve: resolve, image: im, table: &im.NAT, crossed: true, limit: maxRegions}
	if err := c.rules(p); err != nil {
		return destinations{}, err
	}
	out := destinations{boxes: im.NAT.Destination, macs: make([][]MAC, len(im.NAT.Destination)), ports: im.NAT.Ports}
	for i := range out.boxes {
		if list := out.boxes[i].MACs; list.Count > 0 {
			out.macs[i] = im.macsOf(list)
		}
	}
	return out, nil
}

// translation is a box of packets as they arrive and what becomes of them; nil:
// nothing does.
type translation struct {
	region region
	box    *NATBox
}

// untouched are packets that no NAT rule gets: NATBox's settled in regions.
var untouched = func() (out [families][]translation) {
	add := func(f int, destination, service, from span) {
		out[f] = append(out[f], translation{region{allAddresses[f], destination, service, from}, nil})
	}
	within := func(s string) span {
		p := netip.MustParsePrefix(s)
		return span{numberOf(p.Addr()), numberOf(lastOf(p))}
	}
	for f, list := range [families][]string{{"224.0.0.0/4", "255.255.255.255/32", "0.0.0.0/32"}, {"ff00::/8", "fe80::/10", "::/128"}} {
		for _, s := range list {
			add(f, within(s), allServices, allSourcePorts)
		}
	}
	one := func(protocol uint8, first, last uint16) span {
		return span{serviceNumber(protocol, first), serviceNumber(protocol, last)}
	}
	add(family4, allAddresses[family4], one(ProtocolUDP, 68, 68), portSpan(67, 67))
	add(family6, allAddresses[family6], one(ProtocolUDP, 546, 546), portSpan(547, 547))
	add(family6, allAddresses[family6], one(ProtocolICMPv6, 130<<8, 137<<8|0xff), allSourcePorts)
	add(family6, allAddresses[family6], one(ProtocolICMPv6, 143<<8, 143<<8|0xff), allSourcePorts)
	return out
}()

// equal says whether two policies translate destinations alike.
func (d destinations) equal(o destinations) bool {
	return maps.Equal(d.ports, o.ports) && slices.EqualFunc(d.macs, o.macs, slices.Equal) && slices.EqualFunc(d.boxes, o.boxes, func(x, y NATBox) bool {
		x.Log, y.Log = false, false
		return x == y
	})
}

// framed are the lists of MAC addresses that are asked for.
func (d *destinations) framed() (out [][]MAC) {
	for _, list := range d.macs {
		if list != nil {
			out = append(out, list)
		}
	}
	return out
}

// between lists what is translated of what comes by an interface, in order.
func (d *destinations) between(in, from, to string, family int, under circumstance) []translation {
	if len(d.boxes) == 0 || from == ZoneSelf || from == "" || to == "" {
		return nil
	}
	out := slices.Clone(untouched[family])
	for i := range d.boxes {
		b := &d.boxes[i]
		if b.SourceLo.Is4In6() == (family == family4) && (b.Port == 0 || b.Port == d.ports[in]) &&
			(b.Turn == NATEither || (b.Turn == NATTurning) == (from == to)) &&
			(d.macs[i] == nil || slices.Contains(d.macs[i], under.mac) != b.NotMACs) {
			out = append(out, translation{b.region().region, b})
		}
	}
	return out
}

// cells cuts a region by what is translated first.
func (d *differ) cells(r region, list []translation, each func(region, *NATBox) error) error {
	for i := range list {
		if d.spend(1); d.exhausted() {
			return errTooMuchWork()
		}
		t := &list[i]
		if !t.region.meets(&r) {
			continue
		}
		if err := each(r.common(&t.region), t.box); err != nil {
			return err
		}
		for piece := range r.outside(&t.region) {
			if err := d.cells(piece, list[i+1:], each); err != nil {
				return err
			}
		}
		return nil
	}
	return each(r, nil)
}

// host is the part of an address that a translation keeps.
func (b *NATBox) host() uint128 { return numberOf(b.Target.Host) }

// before gives the packets of a cell that a region holds when they are translated;
// false: none.
func (b *NATBox) before(cell *region, after region) (region, bool) {
	to, host := numberOf(b.Target.To), b.host()
	d := &after[atDestination]
	if host == (uint128{}) {
		if !d.has(to) {
			return after, false
		}
		*d = cell[atDestination]
	} else {
		all := span{to, uint128{to.hi | host.hi, to.lo | host.lo}}
		if !d.meets(all) {
			return after, false
		}
		*d = d.common(all)
		base := cell[atDestination].first
		back := func(n uint128) uint128 {
			return uint128{base.hi&^host.hi | n.hi&host.hi, base.lo&^host.lo | n.lo&host.lo}
		}
		*d = span{back(d.first), back(d.last)}
	}
	s := &after[atService]
	protocol, low := serviceOf(cell[atService].first)
	_, high := serviceOf(cell[atService].last)
	switch b.Target.Ports {
	case NATOne:
		if !s.has(serviceNumber(protocol, b.Target.ToPort)) {
			return after, false
		}
		*s = cell[atService]
	case NATShift:
		shift := b.Target.ToPort - b.Target.FromPort
		moved := span{serviceNumber(protocol, low+shift), serviceNumber(protocol, high+shift)}
		if !s.meets(moved) {
			return after, false
		}
		*s = s.common(moved)
		back := func(n uint128) uint128 {
			_, port := serviceOf(n)
			return serviceNumber(protocol, port-shift)
		}
		*s = span{back(s.first), back(s.last)}
	}
	return after, true
}

// arriving is what a side does with packets of a cell as they arrive.
func (d *differ) arriving(s side, cell *region, b *NATBox) side {
	if b == nil {
		return s
	}
	out := side{fallback: s.fallback}
	if b.Accept {
		out.fallback = Accept
	}
	d.spend(len(s.steps))
	for _, step := range s.steps {
		if r, ok := b.before(cell, *step.region); ok {
			step.region = &r
			out.steps = append(out.steps, step)
		}
	}
	return out
}

// same says whether two translations of a cell have one outcome.
func (b *NATBox) same(o *NATBox) bool {
	if b == nil || o == nil {
		return b == o
	}
	x, y := b.Target, o.Target
	x.Number, y.Number = 0, 0
	return x == y
}

// elsewhere stands for Accept under the second policy where that sends packets
// elsewhere than the first.
const elsewhere Action = "elsewhere"

// marked is a side with elsewhere for Accept.
func (s side) marked() side {
	out := side{fallback: s.fallback, steps: slices.Clone(s.steps)}
	for i := range out.steps {
		if out.steps[i].action == Accept {
			out.steps[i].action = elsewhere
		}
	}
	if out.fallback == Accept {
		out.fallback = elsewhere
	}
	return out
}

// arrivals compares what comes between two links as it arrives, for each set of
// interfaces that NAT rules do not tell apart.
func (d *differ) arrivals(from, to link) (all []Change, err error) {
	list := [2]destinations{d.before.destinations, d.after.destinations}
	for _, alike := range apartByNAT(from, list[:]...) {
		found, err := d.translating(alike, to, list)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// translating is what differs of the packets between two links, of which the
// first's interfaces are alike to NAT.
func (d *differ) translating(from, to link, list [2]destinations) ([]Change, error) {
	if from.before == ZoneSelf && to.before == ZoneSelf {
		return nil, nil // not judged
	}
	zonedBefore, zonedAfter := from.before != "" && to.before != "", from.after != "" && to.after != ""
	if !zonedBefore && !zonedAfter {
		return nil, nil
	}
	in := ""
	if len(from.interfaces) > 0 {
		in = from.interfaces[0]
	}
	lists := func(f int, under circumstance) (first, second []translation) {
		return list[0].between(in, from.before, to.before, f, under), list[1].between(in, from.after, to.after, f, under)
	}
	framed := len(d.before.framed())+len(d.after.framed()) > 0
	var results []result
	for i := range d.around.count() {
		c := d.around.at(i)
		a, _, timed := d.decides(d.before, from.before, to.before, false, c)
		b, _, alsoTimed := d.decides(d.after, from.after, to.after, false, c)
		if i > 0 && !timed && !alsoTimed && !framed {
			results[0].all = true
			break
		}
		var found [families][]part
		for f := range families {
			d.parts = nil
			x, y := a(f), b(f)
			first, second := lists(f, c)
			err := d.cells(allPackets[f], first, func(r region, one *NATBox) error {
				return d.cells(r, second, func(cell region, other *NATBox) error {
					left, right := d.arriving(x, &cell, one), d.arriving(y, &cell, other)
					if !one.same(other) && zonedBefore && zonedAfter {
						right = right.marked()
					}
					if !zonedBefore || !zonedAfter { // then system rules are among what differs
						left, right = d.withSystem(left, d.before, from.before, to.before, f), d.withSystem(right, d.after, from.after, to.after, f)
					}
					return d.walk(cell, left, right)
				})
			})
			if err != nil {
				return nil, err
			}
			for n := range d.parts { // what was not accepted went nowhere
				if p := &d.parts[n]; p.to == elsewhere && p.from != Accept {
					p.to = Accept
				}
			}
			found[f] = fewest(d.parts)
		}
		results = append(results, result{found: found, in: []int{i}})
	}
	return d.changes(from, to, results, d.anyOf(from, to), func(c *Change, family int, under circumstance) {
		if c.To == elsewhere {
			c.To = Accept
		}
		point, _, _ := regionOf(c.Witness)
		system := !zonedBefore || !zonedAfter
		first, second := lists(family, under)
		c.FromRuleID, c.FromDestination = d.before.follow(point, family, from.before, to.before, first, system, under)
		c.ToRuleID, c.ToDestination = d.after.follow(point, family, from.after, to.after, second, system, under)
	}), nil
}

func (d *differ) withSystem(s side, a *analysis, from, to string, family int) side {
	if from == "" || to == "" {
		return s
	}
	list := systemRegions(a.env, from, to, family)
	out := side{fallback: s.fallback}
	for i := range list {
		out.steps = append(out.steps, step{&list[i], Accept})
	}
	out.steps = append(out.steps, s.steps...)
	return out
}

// follow gives the rule that decides a packet as it arrives, and where the packet
// is sent; "": where it wants to go.
func (a *analysis) follow(point region, family int, from, to string, list []translation, system bool, under circumstance) (rule int64, destination string) {
	if system && from != "" && to != "" && slices.ContainsFunc(systemRegions(a.env, from, to, family), func(r region) bool { return r.covers(&point) }) {
		return 0, ""
	}
	if to, port, ok := translated(&point, family, list); ok {
		destination = to.String()
		if protocol, _ := serviceOf(point[atService].first); HasPorts(protocol) {
			destination = netip.AddrPortFrom(to, port).String()
		}
	}
	return a.ruleFor(&point, family, from, to, false, under), destination
}

// translated makes of a packet as it arrives the one that rules see; false: it is
// the same.
func translated(point *region, family int, list []translation) (to netip.Addr, port uint16, ok bool) {
	i := slices.IndexFunc(list, func(t translation) bool { return t.region.covers(point) })
	if i < 0 || list[i].box == nil {
		return to, 0, false
	}
	p := packetOf(*point, family, "", "")
	im := ImagePacket{Source: p.Src.As16(), Destination: p.Dst.As16(), Protocol: p.Protocol, SourcePort: p.SrcPort, Port: p.DstPort}
	list[i].box.translate(&im)
	to = netip.AddrFrom16(im.Destination).Unmap()
	point[atDestination] = span{numberOf(to), numberOf(to)}
	if HasPorts(p.Protocol) {
		point[atService] = span{serviceNumber(p.Protocol, im.Port), serviceNumber(p.Protocol, im.Port)}
	}
	return to, im.Port, true
}

// apartByNAT cuts a link such that NAT rules tell no interfaces of one apart.
func apartByNAT(l link, list ...destinations) (out []link) {
	groups := map[string][]string{}
	var order []string
	for _, name := range l.interfaces {
		key := ""
		for _, d := range list {
			key += strconv.Itoa(int(d.ports[name])) + " "
		}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], name)
	}
	if len(order) == 0 {
		return []link{l}
	}
	for _, key := range order {
		out = append(out, link{l.before, l.after, groups[key]})
	}
	return out
}
