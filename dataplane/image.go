package dataplane

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

// As in bpf/abi/abi.h.
const (
	imageSlots = 4
	maxZones   = policy.MaxZones
	portL3     = 0x100

	portZoneMask = 0x3f

	activeShift = 2 // of config.active: the revision is above, the slot below
)

func activeSlot(c bpfobj.TcConfig) uint32 { return uint32(c.Active & (imageSlots - 1)) }

// Apply makes im the policy. It is whole in the kernel before the first packet
// meets it, and on any error the old one stays. Established flows are judged
// again as their next packets come, also where the revision is the same and what it
// depends on is not: countries, the router's own addresses.
//
// Two slots take turns. The tables of the one that no packet reads are written in
// place where they are large enough: every change of a table of tables would wait
// for the programs that run, longer than all the rest takes. What makes that right
// is vacate: since the slot was left, all programs that could read it have ended.
func (d *Dataplane) Apply(im *policy.Image) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, err := d.settings()
	if err != nil {
		return err
	}
	if im.Revision < 1 {
		return fmt.Errorf("policy revision %d: revisions count from 1", im.Revision)
	}
	old, slot := activeSlot(c), uint32(0)
	if slot == old {
		slot = 1
	}
	if d.vacated == nil { // who knows when the process before left it
		d.vacate(slot)
	}
	if err := <-d.vacated; err != nil {
		d.log.Warn("a policy's old tables may be read still and are replaced", "slot", slot, "err", err)
		d.clearSlot(slot, c)
	}
	d.vacated = nil
	if err := d.tables().write(slot, im, d.portValues(im)); err != nil {
		d.clearSlot(slot, c)
		return fmt.Errorf("write policy revision %d: %w", im.Revision, err)
	}
	names, again := deciders(im), c.Active>>activeShift == uint64(im.Revision)
	if err := d.prepareCounters(names); err != nil {
		d.clearSlot(slot, c)
		return err
	}
	c.Active = uint64(im.Revision)<<activeShift | uint64(slot)
	if err := d.putSettings(c); err != nil {
		return err
	}
	d.image = im
	d.vacate(old)
	for s := range uint32(imageSlots) {
		if s != slot && s != old { // of a version that used them all
			d.clearSlot(s, c)
		}
	}
	d.dropCounters(im, names)
	delete(d.degraded, "running_flows")
	if again {
		if err := d.judgeAgain(); err != nil {
			d.log.Error("flows that run keep their verdicts until the policy changes", "err", err)
			d.degraded["running_flows"] = "they keep their verdicts until the policy changes: " + err.Error()
		}
	}
	return nil
}

// judgeAgain has every flow judged by its next packet, as if the revision were
// another. mu is held.
func (d *Dataplane) judgeAgain() error {
	if d.doubt == nil {
		return errors.New("the kernel refused the program that would have them judged again")
	}
	// What the image before has let pass is a flow by then.
	err := <-d.vacated
	d.vacated <- err
	if err != nil {
		return err
	}
	rc, err := d.doubt.Run(&ebpf.RunOptions{})
	if err == nil && rc != 0 {
		err = fmt.Errorf("the program answered %d", rc)
	}
	if err != nil {
		return fmt.Errorf("have flows judged again: %w", err)
	}
	return d.endFastWays()
}

// vacate begins to wait until no program reads a slot that is not active any
// more; vacated tells. mu is held.
func (d *Dataplane) vacate(slot uint32) {
	done := make(chan error, 1)
	d.vacated = done
	meta := d.tc.ImageMeta
	d.vacating.Go(func() { done <- awaitPrograms(meta, slot) })
}

// awaitPrograms returns when all programs have ended that run now: a table of
// tables is changed, to what it was, and the kernel waits for them before that
// returns (maybe_wait_bpf_programs). An empty slot is read by none.
func awaitPrograms(outer *ebpf.Map, slot uint32) error {
	m, err := inner(outer, slot)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer m.Close()
	return outer.Put(slot, m)
}

// clearSlot frees an image's tables, unless it is the active one.
func (d *Dataplane) clearSlot(slot uint32, active bpfobj.TcConfig) {
	if active.Active != 0 && slot == activeSlot(active) {
		return
	}
	errs := d.tables().each(func(outer *ebpf.Map) error {
		var id uint32
		if outer.Lookup(slot, &id) != nil {
			return nil // empty already
		}
		return outer.Delete(slot)
	})
	if errs != nil {
		d.log.Warn("an old policy's tables stay in memory", "slot", slot, "err", errs)
	}
}

// tables hold images, one a slot.
type tables struct {
	meta, ports, pairs, lines, nat, natMeta *ebpf.Map
}

func (d *Dataplane) tables() tables {
	return tables{d.tc.ImageMeta, d.tc.ImagePorts, d.tc.ImagePairs, d.tc.ImageLines, d.tc.ImageNat, d.tc.ImageNatmeta}
}

func (d *Dataplane) portValues(im *policy.Image) map[uint32]uint32 {
	values := make(map[uint32]uint32, len(d.ports))
	for index, p := range d.pinned {
		values[uint32(index)] = p.value(im, d.early)
	}
	for index, p := range d.ports {
		values[uint32(index)] = p.value(im, d.early)
	}
	return values
}

// write fills a slot that no packet reads.
func (t tables) write(slot uint32, im *policy.Image, ports map[uint32]uint32) error {
	n := len(im.Zones)
	if n > maxZones {
		return fmt.Errorf("%d zones, at most %d", n, maxZones)
	}
	pairs := make([]bpfobj.TcPair, maxZones*maxZones)
	for from := range n {
		for to := range n {
			p := im.Pairs[from*n+to]
			pairs[from*maxZones+to] = bpfobj.TcPair{Tree4: p.Tree4, Tree6: p.Tree6, Fallback: verdict(p.Default)}
		}
	}
	lines := im.Lines
	if len(lines) == 0 {
		lines = make([]policy.Line, 1) // a map has at least one element
	}
	meta := []bpfobj.TcImage{{
		Revision: uint64(im.Revision), Zones: uint32(n), System: uint32(im.System), Conditions: im.Conditions,
		Offsets: im.Offsets, OffsetCount: im.OffsetCount, Edges: im.Edges, EdgeCount: im.EdgeCount,
	}}
	return t.each(func(outer *ebpf.Map) error {
		switch outer {
		case t.pairs:
			return refill(outer, slot, len(pairs), len(pairs), fillArray(pairs))
		case t.lines:
			// An eighth to spare, for a policy that grows.
			return refill(outer, slot, len(lines), len(lines)+len(lines)/8, fillLines(lines))
		case t.ports:
			return refill(outer, slot, portEntries, portEntries, fillHash(ports))
		case t.nat:
			boxes := natBoxes(&im.NAT)
			return refill(outer, slot, len(boxes), len(boxes), fillArray(boxes))
		case t.natMeta:
			return refill(outer, slot, 1, 1, fillArray([]bpfobj.TcNatMeta{natMeta(im)}))
		default:
			return refill(outer, slot, len(meta), len(meta), fillArray(meta))
		}
	})
}

// each works on all tables at once: the kernel waits for running programs after
// every change of a table of tables (maybe_wait_bpf_programs), and the waits
// overlap.
func (t tables) each(f func(outer *ebpf.Map) error) error {
	var g errgroup.Group
	for _, outer := range []*ebpf.Map{t.meta, t.ports, t.pairs, t.lines, t.nat, t.natMeta} {
		if outer == nil { // a program that knows no NAT
			continue
		}
		g.Go(func() error { return f(outer) })
	}
	return g.Wait()
}

// mapSpecs are the maps as the object file describes them, read once.
var mapSpecs = sync.OnceValues(func() (map[string]*ebpf.MapSpec, error) {
	spec, err := bpfobj.LoadTc()
	if err != nil {
		return nil, err
	}
	return spec.Maps, nil
})

const portEntries = 1024

// refill writes a table of a slot that no packet reads, in place where it is
// large enough and not far too large. A new one gets the size of room.
func refill(outer *ebpf.Map, slot uint32, size, room int, fill func(*ebpf.Map) error) error {
	m, err := inner(outer, slot)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return newInner(outer, slot, room, fill)
	}
	if err != nil {
		return err
	}
	defer m.Close()
	if have := int(m.MaxEntries()); have < size || have > 2*room {
		return newInner(outer, slot, room, fill)
	}
	return fill(m)
}

// newInner makes a table like the outer map's, fills it and puts it into slot.
func newInner(outer *ebpf.Map, slot uint32, size int, fill func(*ebpf.Map) error) error {
	specs, err := mapSpecs()
	if err != nil {
		return err
	}
	info, err := outer.Info()
	if err != nil {
		return err
	}
	of, ok := specs[info.Name]
	if !ok || of.InnerMap == nil {
		return fmt.Errorf("%s is no table of tables", info.Name)
	}
	in := of.InnerMap.Copy()
	in.MaxEntries = uint32(size)
	m, err := ebpf.NewMap(in)
	if err != nil {
		return fmt.Errorf("make a table of %d for %s: %w", size, info.Name, err)
	}
	defer m.Close() // the outer map holds it
	if err := fill(m); err != nil {
		return fmt.Errorf("fill %s: %w", info.Name, err)
	}
	if err := outer.Put(slot, m); err != nil {
		return fmt.Errorf("place %s: %w", info.Name, err)
	}
	return nil
}

// inner opens the table that an outer map holds in slot.
func inner(outer *ebpf.Map, slot uint32) (*ebpf.Map, error) {
	var m *ebpf.Map
	if err := outer.Lookup(slot, &m); err != nil {
		return nil, err
	}
	return m, nil
}

func fillArray[T any](values []T) func(*ebpf.Map) error {
	return func(m *ebpf.Map) error {
		keys := make([]uint32, len(values))
		for i := range keys {
			keys[i] = uint32(i)
		}
		_, err := m.BatchUpdate(keys, values, nil)
		return err
	}
}

// fillLines copies lines through a mapping of the table: a large image is there
// at once. The mapping ends here, since it would keep the table alive.
func fillLines(lines []policy.Line) func(*ebpf.Map) error {
	return func(m *ebpf.Map) error {
		bytes := unsafe.Slice((*byte)(unsafe.Pointer(&lines[0])), len(lines)*int(unsafe.Sizeof(lines[0])))
		page := os.Getpagesize()
		memory, err := unix.Mmap(m.FD(), 0, (len(bytes)+page-1)/page*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return fmt.Errorf("map the table's memory: %w", err)
		}
		copy(memory, bytes)
		return unix.Munmap(memory)
	}
}

func fillHash(values map[uint32]uint32) func(*ebpf.Map) error {
	return func(m *ebpf.Map) error {
		var key, value uint32
		var gone []uint32
		for it := m.Iterate(); it.Next(&key, &value); {
			if _, kept := values[key]; !kept {
				gone = append(gone, key)
			}
		}
		for _, k := range gone {
			if err := m.Delete(k); err != nil {
				return err
			}
		}
		for k, v := range values {
			if err := m.Put(k, v); err != nil {
				return err
			}
		}
		return nil
	}
}

var actions = map[policy.Action]uint8{policy.Accept: 1, policy.Drop: 2, policy.Reject: 3}

func verdict(v policy.Verdict) bpfobj.TcVerdict {
	out := bpfobj.TcVerdict{Decider: uint32(v.Decider), Action: actions[v.Action]}
	if v.Log {
		out.Log = 1
	}
	return out
}

func address(a netip.Addr) bpfobj.TcAddress {
	b := a.As16()
	return bpfobj.TcAddress{Hi: binary.BigEndian.Uint64(b[:8]), Lo: binary.BigEndian.Uint64(b[8:])}
}

// networkOrder gives the number whose bytes in memory are port in network order.
func networkOrder(port uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], port)
	return binary.NativeEndian.Uint16(b[:])
}
