package dataplane

import (
	"fmt"

	"ngfw.sh/dataplane/internal/bpfobj"
)

// Rate is what a flood guard lets pass: so many a second in the long run, and so
// many at once. The zero value is no guard.
type Rate struct {
	PerSecond, Burst uint32
}

// Guards bound what may begin. They count first packets of flows, before the
// policy sees them; what is beyond is dropped and counted as source_flood and
// syn_flood.
type Guards struct {
	Source Rate // new flows of a source: an IPv4 address, an IPv6 /64
	SYN    Rate // TCP connections that begin, by interface
}

// As in bpf/abi/early.h.
const (
	guardSource = 0
	guardSYN    = 1
)

// SetGuards replaces the flood guards.
func (d *Dataplane) SetGuards(g Guards) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var e bpfobj.TcEarly
	if err := d.tc.Earlies.Lookup(uint32(0), &e); err != nil {
		return fmt.Errorf("read the flood guards: %w", err)
	}
	e.Guards = 0
	for i, r := range []Rate{guardSource: g.Source, guardSYN: g.SYN} {
		e.Guard[i].Interval, e.Guard[i].Burst = 0, 0
		if r.PerSecond == 0 {
			continue
		}
		e.Guards |= 1 << i
		e.Guard[i].Interval = 1_000_000_000 / uint64(r.PerSecond)
		e.Guard[i].Burst = e.Guard[i].Interval * uint64(max(r.Burst, 1)-1)
	}
	if err := d.tc.Earlies.Put(uint32(0), &e); err != nil {
		return fmt.Errorf("write the flood guards: %w", err)
	}
	return nil
}
