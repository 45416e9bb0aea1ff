package dataplane

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cilium/ebpf"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

// As in bpf/abi/early.h.
const (
	portEarlyShift = 24
	earlyZones     = 16
	guardMax       = 2
)

// MaxEarlyZones that lists and guards may be bound to, in all.
const MaxEarlyZones = earlyZones - 1

// earlyZone are the zones that lists and guards are bound to. Their numbers
// are kept in the kernel by name, so that a table, the guards and the ports,
// which are written one after the other, mean the same by them, also while
// packets go on over a restart.
type earlyZone struct {
	lists, guards []string // as last set
	numbers       map[string]uint8
}

// of gives the number of an image's zone.
func (e earlyZone) of(im *policy.Image, zone uint8) uint8 {
	if im == nil || int(zone) >= len(im.Zones) {
		return 0
	}
	return e.numbers[im.Zones[zone]]
}

// numberZones finds or takes a number for each zone that lists or guards name.
// Those of zones that are named no more are given out again when none is left.
// mu is held.
func (d *Dataplane) numberZones(lists, guards []string) error {
	names := slices.Compact(slices.Sorted(slices.Values(slices.Concat(lists, guards))))
	if len(names) > MaxEarlyZones {
		return fmt.Errorf("drop lists and guards are bound to %d zones, at most %d", len(names), MaxEarlyZones)
	}
	have := make([]string, earlyZones)
	for i := range have {
		var n bpfobj.TcListName
		if err := d.tc.EarlyZones.Lookup(uint32(i), &n); err != nil {
			return fmt.Errorf("read the zones of drop lists: %w", err)
		}
		have[i] = nameText(n)
	}
	have[0] = "\x00" // every other zone
	numbers := map[string]uint8{}
	zero := make([]bpfobj.TcCounter, ebpf.MustPossibleCPU())
	for _, name := range names {
		i := slices.Index(have, name)
		if i < 0 {
			if i = slices.Index(have, ""); i < 0 {
				i = 1 + slices.IndexFunc(have[1:], func(old string) bool { return !slices.Contains(names, old) })
			}
			have[i] = name
			n := nameValue(name)
			errs := []error{d.tc.EarlyZones.Put(uint32(i), &n)}
			for kind := range guardMax {
				errs = append(errs, d.tc.GuardDrops.Put(uint32(kind*earlyZones+i), zero))
			}
			if err := errors.Join(errs...); err != nil {
				return fmt.Errorf("number a zone of drop lists: %w", err)
			}
		}
		numbers[name] = uint8(i)
	}
	changed := !maps.Equal(numbers, d.early.numbers)
	d.early = earlyZone{lists: lists, guards: guards, numbers: numbers}
	if !changed || d.image == nil {
		return nil // the next policy brings them to the ports
	}
	for index, port := range d.ports {
		if err := d.setPort(index, port); err != nil {
			return err
		}
	}
	return nil
}

// GuardDrops are the packets that guards have dropped, by guard ("source", "syn")
// and by the zone they came from; "" is every zone without guards of its own.
func (d *Dataplane) GuardDrops() (map[string]map[string]Counter, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[string]map[string]Counter{}
	for kind, guard := range []string{guardSource: "source", guardSYN: "syn"} {
		out[guard] = map[string]Counter{}
		for _, zone := range append([]string{""}, d.early.guards...) {
			var perCPU []bpfobj.TcCounter
			if err := d.tc.GuardDrops.Lookup(uint32(kind*earlyZones)+uint32(d.early.numbers[zone]), &perCPU); err != nil {
				return nil, fmt.Errorf("read the guards' counters: %w", err)
			}
			out[guard][zone] = sum(perCPU)
		}
	}
	return out, nil
}

func nameText(n bpfobj.TcListName) (name string) {
	b := make([]byte, 0, len(n.Name))
	for _, c := range n.Name {
		if c == 0 {
			break
		}
		b = append(b, byte(c))
	}
	return string(b)
}

func nameValue(name string) (n bpfobj.TcListName) {
	for i, c := range []byte(name) {
		n.Name[i] = int8(c)
	}
	return n
}
