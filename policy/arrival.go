package policy

// Rules see packets with the destination that NAT has given them; witnesses are
// packets as they arrive.

// picker finds a packet as it arrives, which the steps leave alone and rules see in
// a region.
type picker func(r region, family int, before []step, under circumstance) (Packet, bool)

// anyOf picks of regions of packets as they arrive.
func (d *differ) anyOf(from, to link) picker {
	in, out := ends(from.interfaces, to.interfaces)
	return func(r region, family int, before []step, under circumstance) (Packet, bool) {
		point, ok := d.outside(r, family, before)
		return packetOf(point, family, in, out), ok
	}
}

// seenOf picks of regions as rules see them: packets that this NAT rule has given
// their destination, or for 0 ones that no accepting rule has.
func (d *differ) seenOf(from, to link, by uint32) picker {
	if len(d.after.boxes) == 0 {
		return d.anyOf(from, to)
	}
	mine := func(b *NATBox) bool { return b.Rule == by || by == 0 && !b.Accept }
	return func(r region, family int, before []step, under circumstance) (Packet, bool) {
		for _, alike := range apartByNAT(from, d.after.destinations) {
			in, out := ends(alike.interfaces, to.interfaces)
			list := d.after.destinations.between(in, from.after, to.after, family, under)
			if point, ok := d.arrive(r, family, before, nil, list, by == 0, mine); ok {
				return packetOf(point, family, in, out), true
			}
		}
		return Packet{}, false
	}
}

// arrive finds a part of what arrives that the steps before the rules leave
// alone, and that lies in r, where no rule decides it, when it has been translated:
// by a box that will do, or not at all where that will do.
func (s *search) arrive(r region, family int, before, rules []step, list []translation, untranslated bool, mine func(*NATBox) bool) (region, bool) {
	steps := append(make([]step, 0, len(before)+len(list)+len(rules)), before...)
	if untranslated {
		for i := range list {
			steps = append(steps, step{region: &list[i].region})
		}
		if point, ok := s.outside(r, family, append(steps, rules...)); ok {
			return point, true
		}
	}
	for i := range list {
		t := &list[i]
		steps = append(steps[:0], before...)
		was, ok := r, untranslated
		if t.box == nil {
			steps = append(steps, rules...)
		} else if ok = mine(t.box); ok {
			was, ok = t.box.before(&t.region, r)
		}
		if s.spend(1); !ok || !was.meets(&t.region) {
			continue
		}
		was = was.common(&t.region)
		if t.box != nil {
			for j := range i {
				steps = append(steps, step{region: &list[j].region})
			}
			s.spend(i + len(rules))
			for _, step := range rules {
				if r, ok := t.box.before(&t.region, *step.region); ok {
					step.region = &r
					steps = append(steps, step)
				}
			}
		}
		if point, ok := s.outside(was, family, steps); ok {
			return point, true
		}
	}
	return region{}, false
}

// arrival finds a packet of a class as it arrives, and the interface that it
// comes by, of which rules see in r one that none of the steps takes.
func (c *checking) arrival(s *search, k *class, r region, family int, steps []step) (point region, in string, ok bool) {
	from := link{interfaces: c.policy.interfacesOf(k.from)}
	if len(c.boxes) == 0 || k.from == ZoneSelf {
		in, _ = ends(from.interfaces, nil)
		point, ok = s.outside(r, family, steps)
		return point, in, ok
	}
	before := len(k.before[family])
	for _, alike := range apartByNAT(from, c.destinations) {
		in, _ = ends(alike.interfaces, nil)
		list := c.destinations.between(in, k.from, k.to, family, k.circumstance)
		if point, ok = s.arrive(r, family, steps[:before], steps[before:], list, true, func(*NATBox) bool { return true }); ok {
			return point, in, true
		}
	}
	return point, "", false
}
