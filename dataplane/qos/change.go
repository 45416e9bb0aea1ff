package qos

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/vishvananda/netlink"
)

// apply is all of them. mu is held.
func (s *Shaper) apply(c Config, ports Ports, lenient bool) error {
	f := &force{cfg: c, have: c.Queue, filters: map[int]bool{}}
	same := true // as far as this process knows
	if was := s.force; was != nil {
		maps.Copy(f.filters, was.filters)
		same = was.cfg.Queue == c.Queue && was.cfg.Cake == c.Cake
		if same {
			f.have = was.have
		}
	}
	var links map[string]Link
	var err error
	if f.stages, links, f.lacking, err = plan(c, ports, s.mirror); err != nil {
		return err
	}
	if lenient {
		f.yield()
	}
	slot, err := s.deps.Programs.QoS()
	if err != nil {
		return err
	}
	table := NewTable(c)
	if same = same && slot >= 0; same {
		if same, err = s.inForce(slot, table); err != nil {
			return err
		}
	}
	todo, next := f.stages, slot
	if same {
		if todo, same, err = f.missing(slot); err != nil {
			return err
		}
	}
	if !same {
		todo, next = f.stages, (slot+1)%slots
	}
	undo, err := s.raise(f, todo, next)
	if err == nil {
		err = s.swap(f, table, links, slot, next)
	}
	if err != nil {
		return errors.Join(err, undo())
	}
	for _, st := range f.stages {
		if err := st.divert(); err != nil {
			f.lacking = append(f.lacking, fmt.Sprintf("qos: %s is not shaped: %v", st.direction(), err))
		}
	}
	was := s.force
	s.force, s.failed = f, ""
	if next != slot && slot >= 0 {
		if was != nil {
			s.remember(was, slot)
		}
		err = f.forget(slot)
	}
	return errors.Join(err, sweep(f.stages))
}

// inForce says whether the programs choose by this table.
func (s *Shaper) inForce(slot int, want *Table) (bool, error) {
	have, err := s.deps.Programs.QoSTable(slot)
	if err != nil {
		return false, err
	}
	return have.Codepoint == want.Codepoint && have.App == want.App && have.Rest == want.Rest && have.Port == want.Port &&
		maps.Equal(have.Devices, want.Devices), nil
}

// missing are the stages that have no tree of this slot, or not this process's
// filter; same is false if one has another tree than is wanted.
func (f *force) missing(slot int) (todo []stage, same bool, err error) {
	for _, st := range f.stages {
		l, err := netlink.LinkByName(st.device)
		if err != nil && st.ifb {
			todo = append(todo, st)
			continue
		}
		if err != nil {
			return nil, false, fmt.Errorf("find %s: %w", st.device, err)
		}
		ours, err := root(l)
		if err != nil {
			return nil, false, err
		}
		if !ours {
			todo = append(todo, st)
			continue
		}
		ok, err := stands(l, slot, st.tree)
		if err != nil || !ok {
			return nil, false, err
		}
		if !f.filters[l.Attrs().Index] {
			todo = append(todo, st)
		}
	}
	return todo, true, nil
}

// yield leaves out what has the queueing discipline of somebody else.
func (f *force) yield() {
	f.stages = slices.DeleteFunc(f.stages, func(st stage) bool {
		l, err := netlink.LinkByName(st.device)
		if err != nil {
			return false
		}
		var other *foreign
		if _, err := root(l); errors.As(err, &other) {
			f.lacking = append(f.lacking, fmt.Sprintf("qos: %s is not shaped: %v", st.direction(), err))
			return true
		}
		return false
	})
}

// raise builds the trees that do not stand yet. undo takes away what was made.
func (s *Shaper) raise(f *force, stages []stage, slot int) (undo func() error, err error) {
	var made []func() error
	undo = func() (err error) {
		for _, u := range slices.Backward(made) {
			err = errors.Join(err, u())
		}
		return err
	}
	for _, st := range stages {
		var l netlink.Link
		if st.ifb {
			_, absent := netlink.LinkByName(st.device)
			if l, err = makeIFB(st.device); err != nil {
				return undo, err
			}
			if absent != nil {
				made = append(made, func() error { return netlink.LinkDel(l) })
			}
		} else if l, err = netlink.LinkByName(st.device); err != nil {
			return undo, fmt.Errorf("find %s: %w", st.device, err)
		}
		fresh, err := makeRoot(l, st.filter, s.deps.Programs.QoSFilter(st.filter))
		if err != nil {
			return undo, err
		}
		f.filters[l.Attrs().Index] = true
		if fresh {
			made = append(made, func() error { return dropRoot(l) })
		} else if ok, err := stands(l, slot, st.tree); err != nil || ok {
			if err != nil {
				return undo, err
			}
			continue // only its filter was another process's
		} else {
			made = append(made, func() error { return raze(l, slot) })
			if err := raze(l, slot); err != nil { // of a process that was ended on the way
				return undo, err
			}
		}
		if err := f.build(l, slot, st.tree); err != nil {
			return undo, err
		}
	}
	return undo, nil
}

// swap is the moment from which packets are classified anew.
func (s *Shaper) swap(f *force, table *Table, links map[string]Link, slot, next int) error {
	f.links = map[int]Link{}
	for name, link := range links {
		l, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("find %s: %w", name, err)
		}
		if link.Divert != 0 {
			ifb := ifbInside
			if link.Uplink {
				ifb = ifbOf(l.Attrs().Index)
			}
			d, err := netlink.LinkByName(ifb)
			if err != nil {
				return fmt.Errorf("find %s: %w", ifb, err)
			}
			link.Divert = d.Attrs().Index
		}
		f.links[l.Attrs().Index] = link
	}
	p := s.deps.Programs
	if next != slot {
		if err := p.SetQoSTable(next, table); err != nil {
			return err
		}
	}
	var old map[int]Link
	if s.force != nil {
		old = s.force.links
	}
	if next == slot && maps.Equal(old, f.links) {
		return nil
	}
	err := p.SetQoSLinks(f.links)
	if err == nil && next != slot {
		err = p.SetQoS(next)
	}
	if err != nil && s.force != nil {
		err = errors.Join(err, p.SetQoSLinks(old))
	}
	return err
}

// forget removes the trees of a slot that is no longer in force.
func (f *force) forget(slot int) error {
	var errs []error
	for _, st := range f.stages {
		l, err := netlink.LinkByName(st.device)
		if err == nil {
			err = raze(l, slot)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
