package qos

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
)

// Link is what the programs are told of an interface.
type Link struct {
	Uplink bool
	Divert int // index of the ifb for what arrives, 0: none
}

// Programs are the packet programs' side. Package dataplane is one.
type Programs interface {
	// QoS is the table in force: -1 is none.
	QoS() (slot int, err error)
	SetQoS(slot int) error
	QoSTable(slot int) (*Table, error)
	SetQoSTable(slot int, t *Table) error
	SetQoSLinks(map[int]Link) error
	// QoSFilter is the file descriptor of a loaded program.
	QoSFilter(Filter) int
}

// Deps of a Shaper.
type Deps struct {
	Log      *slog.Logger
	Programs Programs
}

// Shaper is what is shaped. It is safe for concurrent use, and holds no state that
// the kernel does not but for counts: another process may go on where one has ended.
type Shaper struct {
	deps Deps

	mu      sync.Mutex // guards what follows and all changes of the kernel's state
	force   *force     // nil: nothing is shaped
	failed  string     // why the interfaces as they are now are not shaped as wanted
	earlier map[Counter]Statistic
}

// force is what is in force.
type force struct {
	cfg     Config
	have    Queue // that the kernel has, of what is wanted
	stages  []stage
	links   map[int]Link
	lacking []string
	filters map[int]bool // devices whose filter is this process's
}

// New makes a shaper that has touched nothing yet.
func New(deps Deps) *Shaper {
	return &Shaper{deps: deps, earlier: map[Counter]Statistic{}}
}

// Apply shapes as c says; what stands so already is left as it is. On an error what was
// in force is so still.
func (s *Shaper) Apply(c Config, ports Ports) error { return s.begin(c, ports, false) }

// Resume is Apply of what was in force before this process: an interface that
// cannot be shaped any more is left out and named, as Follow does.
func (s *Shaper) Resume(c Config, ports Ports) error { return s.begin(c, ports, true) }

func (s *Shaper) begin(c Config, ports Ports, lenient bool) error {
	if len(c.Classes) > MaxClasses || len(c.Devices) > maxDevices {
		return fmt.Errorf("%d classes and %d limited devices: at most %d and %d can be told apart", len(c.Classes), len(c.Devices), MaxClasses, maxDevices)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.apply(c, ports, lenient)
}

// Follow has the same configuration meet the interfaces as they are now: some may
// have come or gone, or have lost their tree.
func (s *Shaper) Follow(ports Ports) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.force == nil {
		return nil
	}
	err := s.apply(s.force.cfg, ports, true)
	s.failed = ""
	if err != nil {
		s.failed = err.Error()
	}
	return err
}

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
	if f.stages, links, f.lacking, err = plan(c, ports); err != nil {
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
		if st.mirror {
			if err := st.divert(); err != nil {
				f.lacking = append(f.lacking, "qos: download is not shaped: "+err.Error())
			}
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

// plan is what is to be on which device; Divert of a link is 1 where it has an ifb.
func plan(c Config, ports Ports) (stages []stage, links map[string]Link, lacking []string, err error) {
	links = map[string]Link{}
	for _, name := range ports.Uplinks {
		l, err := netlink.LinkByName(name)
		if err != nil {
			continue // it may come later
		}
		stages = append(stages, stage{port: name, device: name, upload: true, filter: FilterLink, tree: linkTree(c, c.Upload)})
		links[name] = Link{Uplink: true}
		mirror := l.Attrs().EncapType != "ether"
		if !mirror {
			links[name] = Link{Uplink: true, Divert: 1}
		}
		stages = append(stages, stage{port: name, device: ifbOf(l.Attrs().Index), ifb: true, mirror: mirror, filter: FilterLink, tree: linkTree(c, c.Download)})
	}
	if len(links) == 0 {
		lacking = append(lacking, "qos: no interface of zone WAN is there, nothing is shaped")
		return stages, links, lacking, nil
	}
	up, down := c.limits(true), c.limits(false)
	inside := false
	for _, name := range ports.Inside {
		l, err := netlink.LinkByName(name)
		if err != nil || l.Attrs().EncapType != "ether" || slices.Contains(ports.Uplinks, name) {
			continue
		}
		if up {
			inside = true
			links[name] = Link{Divert: 1}
		}
		if down {
			stages = append(stages, stage{port: name, device: name, filter: FilterDownload, tree: deviceTree(c, false)})
		}
	}
	if inside {
		stages = append(stages, stage{device: ifbInside, ifb: true, upload: true, filter: FilterUpload, tree: deviceTree(c, true)})
	}
	return stages, links, lacking, nil
}

// Off takes everything of ours away.
func (s *Shaper) Off() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := []error{s.deps.Programs.SetQoS(-1), s.deps.Programs.SetQoSLinks(nil)}
	errs = append(errs, sweep(nil))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	s.force, s.failed = nil, ""
	clear(s.earlier)
	return nil
}

// Remove takes everything of ours off this machine's interfaces.
func Remove() error { return sweep(nil) }

// sweep removes our trees and ifbs but those of stages.
func sweep(stages []stage) error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	wanted, mirrored := map[string]bool{}, map[string]bool{}
	for _, st := range stages {
		wanted[st.device] = true
		if st.mirror {
			mirrored[st.port] = true
		}
	}
	var errs []error
	for _, l := range links { // before their ifbs go
		if l.Attrs().EncapType != "ether" && !mirrored[l.Attrs().Name] {
			errs = append(errs, undivert(l))
		}
	}
	for _, l := range links {
		name := l.Attrs().Name
		switch {
		case wanted[name]:
		case l.Type() == "ifb" && strings.HasPrefix(name, ifbPrefix):
			if err := netlink.LinkDel(l); err != nil {
				errs = append(errs, fmt.Errorf("remove the ifb %s: %w", name, err))
			}
		default:
			errs = append(errs, dropRoot(l))
		}
	}
	return errors.Join(errs...)
}

// Degraded names what is not as it was asked for.
func (s *Shaper) Degraded() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.force == nil {
		return nil
	}
	out := slices.Clone(s.force.lacking)
	if s.failed != "" {
		out = append(out, "qos: "+s.failed)
	}
	if s.force.have != s.force.cfg.Queue {
		out = append(out, fmt.Sprintf("qos: the kernel has no %s, classes queue by %s", s.force.cfg.Queue, s.force.have))
	}
	return out
}
