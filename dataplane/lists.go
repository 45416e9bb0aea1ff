package dataplane

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"ngfw.sh/dataplane/droplist"
	"ngfw.sh/dataplane/internal/bpfobj"
)

// As in bpf/abi/early.h.
const (
	portEarly    = 0x800
	listCounters = 1
	listZones    = 1
	maxLists     = 64
	listsThere   = 1
	listsZoned   = 2
)

// SetLists makes t, which is its from then on, the table of drop lists as a whole: a packet meets the old
// one or the new one. Flows that are established end too, those on the fast path
// with it. A list keeps its counter as long as it keeps its name.
func (d *Dataplane) SetLists(t *droplist.Table) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	ids, err := d.listCounters(t.Names)
	if err != nil {
		return err
	}
	if err := d.numberZones(slices.Sorted(maps.Keys(t.Zones)), d.early.guards); err != nil {
		return err
	}
	for number := 1; number < earlyZones; number++ {
		t.Lines[listZones+number] = t.Lines[0]
	}
	for zone, roots := range t.Zones {
		t.Lines[listZones+int(d.early.numbers[zone])] = roots
	}
	counters := &t.Lines[listCounters]
	*counters = droplist.Line{}
	for i, id := range ids {
		label := i + 1
		counters[label/8] |= uint64(id) << (8 * (label % 8))
	}
	if err := newInner(d.tc.Lists, 0, len(t.Lines), fillListLines(t.Lines)); err != nil {
		return fmt.Errorf("load the drop lists: %w", err)
	}
	var e bpfobj.TcEarly
	if err := d.tc.Earlies.Lookup(uint32(0), &e); err != nil {
		return fmt.Errorf("read the drop lists' settings: %w", err)
	}
	e.Lists = 0
	if t.Stats.Prefixes > 0 {
		e.Lists = listsThere
	}
	if len(t.Zones) > 0 {
		e.Lists |= listsZoned
	}
	if err := d.tc.Earlies.Put(uint32(0), &e); err != nil {
		return fmt.Errorf("write the drop lists' settings: %w", err)
	}
	return d.endFastWays()
}

// endFastWays has every flow of the fast path take the long way once. mu is held.
func (d *Dataplane) endFastWays() error {
	c, err := d.settings()
	if err != nil {
		return err
	}
	c.Epoch = (c.Epoch + 1) & 0xffff
	return d.putSettings(c)
}

// listCounters finds or takes a counter for each name. Those of lists that are
// gone are given out again only when none is left, and then from zero.
func (d *Dataplane) listCounters(names []string) (ids []uint8, err error) {
	have, err := d.listNames()
	if err != nil {
		return nil, err
	}
	zero := make([]bpfobj.TcCounter, ebpf.MustPossibleCPU())
	for _, name := range names {
		id := slices.Index(have, name)
		if id < 0 {
			if id = slices.Index(have, ""); id < 0 {
				id = slices.IndexFunc(have, func(old string) bool { return !slices.Contains(names, old) })
			}
			if id < 0 {
				return nil, fmt.Errorf("%d drop lists, at most %d", len(names), maxLists)
			}
			have[id] = name
			n := nameValue(name)
			if err := errors.Join(d.tc.ListDrops.Put(uint32(id), zero), d.tc.ListNames.Put(uint32(id), &n)); err != nil {
				return nil, fmt.Errorf("name a drop list's counter: %w", err)
			}
		}
		ids = append(ids, uint8(id))
	}
	d.lists = slices.Clone(names)
	return ids, nil
}

// listNames are those of the counters, "" for a free one.
func (d *Dataplane) listNames() ([]string, error) {
	names := make([]string, maxLists)
	for id := range names {
		var n bpfobj.TcListName
		if err := d.tc.ListNames.Lookup(uint32(id), &n); err != nil {
			return nil, fmt.Errorf("read the drop lists' names: %w", err)
		}
		names[id] = nameText(n)
	}
	return names, nil
}

// Lists are the counts of what each drop list has dropped, by name.
func (d *Dataplane) Lists() (map[string]Counter, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[string]Counter{}
	if len(d.lists) == 0 {
		return out, nil
	}
	names, err := d.listNames()
	if err != nil {
		return nil, err
	}
	for _, name := range d.lists {
		var perCPU []bpfobj.TcCounter
		if err := d.tc.ListDrops.Lookup(uint32(slices.Index(names, name)), &perCPU); err != nil {
			return nil, fmt.Errorf("read the drop lists' counters: %w", err)
		}
		out[name] = sum(perCPU)
	}
	return out, nil
}

// fillListLines copies through a mapping, as fillLines does.
func fillListLines(lines []droplist.Line) func(*ebpf.Map) error {
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
