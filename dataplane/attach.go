package dataplane

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"ngfw.sh/policy"
)

// attachedPort is an interface that has our programs.
type attachedPort struct {
	name string
	l3   bool    // frames have no Ethernet header
	xdp  XDPMode // as it came to be
	fast uint32  // portXDPRx, portXDPTx
	vlan uint16  // a VLAN's interface: its tag
	over int     // and the interface whose frames have it
}

// newPort is an interface that has no programs yet.
func newPort(l netlink.Link) attachedPort {
	a := l.Attrs()
	p := attachedPort{name: a.Name, l3: a.EncapType != "ether"}
	if v, ok := l.(*netlink.Vlan); ok {
		p.vlan, p.over = uint16(v.VlanId), a.ParentIndex
	}
	return p
}

// value is the port table's element: see PORT_* in bpf/abi/abi.h.
func (p attachedPort) value(im *policy.Image, early earlyZone) uint32 {
	v := uint32(policy.ZoneIndexNone)
	if im != nil {
		zone := im.Interfaces[p.name]
		v = uint32(zone) | uint32(im.NAT.Ports[p.name])<<portNATShift | uint32(early.of(im, zone))<<portEarlyShift
	}
	if p.l3 {
		v |= portL3
	}
	if p.xdp != "" && p.xdp != XDPOff {
		v |= portEarly
	}
	return v | p.fast
}

// Run follows the interfaces until ctx ends: programs go on each as it appears,
// and it joins its zone. The backstop keeps it closed until then.
func (d *Dataplane) Run(ctx context.Context) error {
	updates := make(chan netlink.LinkUpdate, 64)
	done := make(chan struct{})
	defer close(done)
	failed := make(chan error, 1)
	if err := netlink.LinkSubscribeWithOptions(updates, done, netlink.LinkSubscribeOptions{
		ErrorCallback: func(err error) {
			select {
			case failed <- err:
			default:
			}
		},
	}); err != nil {
		return fmt.Errorf("watch interfaces: %w", err)
	}
	defer d.followAsks(ctx)()
	defer d.followChanges(ctx)()
	go d.followClock(ctx)
	if err := d.AttachAll(); err != nil {
		return err
	}
	look := time.NewTicker(attachmentCheck)
	defer look.Stop()
	said := ""
	attach := func() {
		now := ""
		if err := d.AttachAll(); err != nil {
			now = err.Error()
		}
		if now != "" && now != said {
			d.log.Error("an interface stays closed", "err", now)
		}
		said = now
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			d.releaseDetached()
			attach()
		case err := <-failed:
			return fmt.Errorf("watch interfaces: %w", err)
		case _, ok := <-updates:
			if !ok {
				return errors.New("watch interfaces: the kernel closed the subscription")
			}
			attach()
		}
	}
}

// attachmentCheck is how often the programs are looked for on their interfaces:
// somebody with the privilege may take them off, and nothing tells of that.
const attachmentCheck = 5 * time.Second

// releaseDetached gives up the interfaces that have lost a program, so that
// AttachAll puts all on again, and says how many there are. Until then what
// arrives there is dropped by the backstop.
func (d *Dataplane) releaseDetached() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for index, port := range d.ports {
		if d.attached(index, hookIngress) && d.attached(index, hookEgress) {
			continue
		}
		if _, err := netlink.LinkByIndex(index); err != nil {
			continue // gone: the next update says so
		}
		d.log.Warn("packet programs were taken off an interface", "interface", port.name)
		delete(d.ports, index)
		n++
	}
	return n
}

// AttachAll puts the programs on every interface that should have them and
// forgets those that are gone. An interface that refuses is an error, but the
// others get theirs; without programs it is closed, not open.
func (d *Dataplane) AttachAll() error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.pins.removeOlder(); err != nil {
		return err
	}
	var errs []error
	present := map[int]bool{}
	// Who carries others' frames comes first: under an interface that has a
	// program the kernel lets no XDP be attached (dev_xdp_attach).
	slices.SortStableFunc(links, func(a, b netlink.Link) int { return cmp.Compare(height(a, links), height(b, links)) })
	for _, l := range links {
		a := l.Attrs()
		if !eligible(l, links) {
			continue
		}
		present[a.Index] = true
		port := newPort(l)
		if have, ok := d.ports[a.Index]; ok && have.name == port.name && have.l3 == port.l3 && have.vlan == port.vlan && have.over == port.over {
			port.xdp = have.xdp
			if port.fast = d.fastPort(l, port); port.fast == have.fast {
				continue
			}
		} else if err := d.attach(a.Index, &port); err != nil {
			d.forget(a.Index) // it may have had programs before
			errs = append(errs, fmt.Errorf("interface %s: %w", a.Name, err))
			continue
		} else {
			port.fast = d.fastPort(l, port)
			d.log.Info("interface attached", "interface", a.Name, "index", a.Index)
		}
		d.ports[a.Index] = port
		if err := d.setPort(a.Index, port); err != nil {
			errs = append(errs, fmt.Errorf("interface %s: %w", a.Name, err))
		}
	}
	for index, port := range d.ports {
		if !present[index] {
			d.forget(index)
			d.log.Info("interface gone", "interface", port.name, "index", index)
		}
	}
	errs = append(errs, d.setInspectedPorts())
	for index := range d.pinned {
		if !present[index] {
			d.forget(index)
		}
	}
	d.pinned = nil
	d.sweepLinks(present)
	return errors.Join(append(errs, d.setFastForms())...)
}

// pinnedPorts are the interfaces that have the programs of an earlier process,
// in whichever way.
// The first policy after a restart must give them their zones: packets go on
// meanwhile.
func (d *Dataplane) pinnedPorts() (map[int]attachedPort, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	ports := map[int]attachedPort{}
	for _, l := range links {
		a := l.Attrs()
		if eligible(l, links) && d.attached(a.Index, hookIngress) && d.attached(a.Index, hookEgress) {
			ports[a.Index] = newPort(l)
		}
	}
	return ports, nil
}

// eligible says whether frames are judged here: on every interface but the
// loopback and those whose frames another one carries up (bridge and bond ports).
func eligible(l netlink.Link, all []netlink.Link) bool {
	a := l.Attrs()
	// What comes out of an ifb comes from the interface that it was sent through by.
	if a.EncapType == "loopback" || l.Type() == "ifb" {
		return false
	}
	if a.MasterIndex == 0 {
		return true
	}
	for _, m := range all {
		if m.Attrs().Index == a.MasterIndex {
			return m.Type() != "bridge" && m.Type() != "bond"
		}
	}
	return true
}

// height counts the interfaces below a VLAN's and its like.
func height(l netlink.Link, all []netlink.Link) (n int) {
	for range 8 { // the kernel's own bound (MAX_NEST_DEV)
		if l.Type() == "veth" || l.Attrs().ParentIndex == 0 || l.Attrs().NetNsID >= 0 {
			return n
		}
		at := slices.IndexFunc(all, func(below netlink.Link) bool { return below.Attrs().Index == l.Attrs().ParentIndex })
		if at < 0 {
			return n
		}
		l = all[at]
		n++
	}
	return n
}

func (d *Dataplane) attach(index int, port *attachedPort) error {
	if err := d.attachTC(index); err != nil {
		return err
	}
	d.attachXDP(index, port)
	return nil
}

// hook takes over a pinned link with our program, atomically, or makes one.
func (d *Dataplane) hook(pin string, program *ebpf.Program, attach func() (link.Link, error)) error {
	l, err := link.LoadPinnedLink(pin, nil)
	if err == nil {
		defer l.Close()
		if err := l.Update(program); err == nil {
			return nil
		}
		// Its interface was removed and the index used again: the link is dead.
		if err := l.Unpin(); err != nil {
			return fmt.Errorf("remove a dead link: %w", err)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("open a pinned link: %w", err)
	}
	l, err = attach()
	if err != nil {
		return err
	}
	defer l.Close() // the pin holds it
	if err := l.Pin(pin); err != nil {
		return fmt.Errorf("pin: %w", err)
	}
	return nil
}

// setPort tells the active image of an interface that came after it.
func (d *Dataplane) setPort(index int, port attachedPort) error {
	c, err := d.settings()
	if err != nil || c.Active == 0 || d.image == nil {
		return err
	}
	table, err := inner(d.tc.ImagePorts, activeSlot(c))
	if err != nil {
		return fmt.Errorf("open the port table: %w", err)
	}
	defer table.Close()
	if err := table.Put(uint32(index), port.value(d.image, d.early)); err != nil {
		return fmt.Errorf("write the port table: %w", err)
	}
	return nil
}

func (d *Dataplane) forget(index int) {
	delete(d.degraded, "xdp:"+d.ports[index].name)
	delete(d.degraded, "fast_path:"+d.ports[index].name)
	delete(d.degraded, "offload:"+d.ports[index].name)
	delete(d.ports, index)
	if c, err := d.settings(); err == nil && c.Active != 0 {
		if table, err := inner(d.tc.ImagePorts, activeSlot(c)); err == nil {
			table.Delete(uint32(index)) // absent already is as good
			table.Close()
		}
	}
}

// sweepLinks removes pins of interfaces that are gone, also from before a restart.
func (d *Dataplane) sweepLinks(present map[int]bool) {
	entries, err := os.ReadDir(d.pins.links())
	if err != nil {
		return
	}
	for _, e := range entries {
		number, _, _ := strings.Cut(e.Name(), "-")
		if index, err := strconv.Atoi(number); err == nil && !present[index] {
			if err := releasePin(filepath.Join(d.pins.links(), e.Name())); err != nil {
				d.log.Warn("programs stay on an interface that is none of ours", "index", index, "err", err)
			}
		}
	}
}

// Port is an interface that has our programs.
type Port struct {
	Name string
	Zone uint8 // index in the enforced image
	XDP  XDPMode
	TC   TCMode // tcx, clsact
	Fast string // how the fast path's packets arrive here: "xdp", "tc", "off"
}

// Ports lists them by name.
func (d *Dataplane) Ports() []Port {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]Port, 0, len(d.ports))
	for _, p := range d.ports {
		list = append(list, Port{Name: p.name, Zone: uint8(p.value(d.image, d.early) & portZoneMask), XDP: p.xdp, TC: d.tcMode, Fast: d.fastForm(p)})
	}
	slices.SortFunc(list, func(a, b Port) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// PortName is the name of an attached interface, "self" for 0, else "".
func (d *Dataplane) PortName(index uint32) string {
	if index == 0 {
		return "self"
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ports[int(index)].name
}

// tagged is the tag that frames of a VLAN's interface have, and by which interface
// they come; 0: it is none.
func (d *Dataplane) tagged(index uint32) (vlan uint16, over uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.ports[int(index)]
	return p.vlan, uint32(p.over)
}

// ofVLAN is the interface of a VLAN of another one; "": there is none.
func (d *Dataplane) ofVLAN(over uint32, vlan uint16) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.ports {
		if p.vlan == vlan && p.over == int(over) {
			return p.name
		}
	}
	return ""
}

// Degraded lists what works worse than it could: "xdp:br0: the driver has no native mode, TC does its work".
func (d *Dataplane) Degraded() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]string, 0, len(d.degraded))
	for what, lacks := range d.degraded {
		list = append(list, what+": "+lacks)
	}
	if lacks := d.clockLack(); lacks != "" {
		list = append(list, "schedules: "+lacks)
	}
	sort.Strings(list)
	return list
}
