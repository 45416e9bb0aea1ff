package dataplane

import (
	"fmt"
	"maps"
	"slices"

	"ngfw.sh/dataplane/internal/bpfobj"
)

// Rate is what a flood guard lets pass: so many a second in the long run, and so
// many at once. The zero value is no guard.
type Rate struct {
	PerSecond, Burst uint32
}

// GuardRates bound what may begin. They count first packets of flows, before the
// policy sees them; what is beyond is dropped and counted as source_flood and
// syn_flood.
type GuardRates struct {
	Source Rate // new flows of a source: an IPv4 address, an IPv6 /64
	SYN    Rate // TCP connections that begin, by interface
}

// Guards are the rates of every zone. A zone that is named has its own alone;
// where none is, its packets are not counted with those of another.
type Guards struct {
	GuardRates
	Zones map[string]GuardRates
}

// As in bpf/abi/early.h.
const (
	guardSource = 0
	guardSYN    = 1
	guardsZoned = 0x100
)

// SetGuards replaces the flood guards.
func (d *Dataplane) SetGuards(g Guards) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.numberZones(d.early.lists, slices.Sorted(maps.Keys(g.Zones))); err != nil {
		return err
	}
	var e bpfobj.TcEarly
	if err := d.tc.Earlies.Lookup(uint32(0), &e); err != nil {
		return fmt.Errorf("read the flood guards: %w", err)
	}
	e.Guards = 0
	set := func(number uint8, rates GuardRates) {
		for kind, r := range []Rate{guardSource: rates.Source, guardSYN: rates.SYN} {
			at := &e.Guard[kind][number]
			at.Interval, at.Burst = 0, 0
			if r.PerSecond > 0 {
				e.Guards |= 1 << kind
				at.Interval = 1_000_000_000 / uint64(r.PerSecond)
				at.Burst = at.Interval * uint64(max(r.Burst, 1)-1)
			}
		}
	}
	for number := range uint8(earlyZones) {
		set(number, g.GuardRates)
	}
	for zone, rates := range g.Zones {
		set(d.early.numbers[zone], rates)
	}
	if len(g.Zones) > 0 {
		e.Guards |= guardsZoned
	}
	if err := d.tc.Earlies.Put(uint32(0), &e); err != nil {
		return fmt.Errorf("write the flood guards: %w", err)
	}
	return nil
}
