package dataplane

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"

	"ngfw.sh/dataplane/internal/bpfobj"
)

// Inspection says which forwarded packets get the mark for the matcher's queue.
type Inspection struct {
	On bool
	// Interfaces: flows that enter or leave by one of these; none: every flow.
	Interfaces []string
}

// MarkInspect is the mark bit of a packet that is for the matcher's queue, as in
// bpf/abi/abi.h.
const MarkInspect = 0x08000000

// As in bpf/abi/inspect.h.
const (
	flowBypass  = 1 << 24
	flowBlocked = 1 << 25
)

// Inspect sets what is inspected from here on. Established flows are inspected from
// their next packet that does not take the fast path, whose ways are forgotten.
func (d *Dataplane) Inspect(i Inspection) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inspection = Inspection{i.On, slices.Clone(i.Interfaces)}
	if err := d.setInspectedPorts(); err != nil {
		return err
	}
	word := bpfobj.TcInspection{}
	if i.On {
		word.On = 1
	}
	if len(i.Interfaces) > 0 {
		word.Chosen = 1
	}
	if err := d.tc.Inspection.Put(uint32(0), word); err != nil {
		return fmt.Errorf("tell the programs what to inspect: %w", err)
	}
	if !i.On {
		return nil
	}
	return d.endFastWays()
}

// setInspectedPorts follows interfaces that come and go. mu is held.
func (d *Dataplane) setInspectedPorts() error {
	want := map[uint32]bool{}
	for index, p := range d.ports {
		if slices.Contains(d.inspection.Interfaces, p.name) {
			want[uint32(index)] = true
		}
	}
	var key, value uint32
	var gone []uint32
	it := d.tc.InspectedPorts.Iterate()
	for it.Next(&key, &value) {
		if !want[key] {
			gone = append(gone, key)
		}
		delete(want, key)
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("read the inspected interfaces: %w", err)
	}
	for _, k := range gone {
		if err := d.tc.InspectedPorts.Delete(k); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("forget an inspected interface: %w", err)
		}
	}
	for k := range want {
		if err := d.tc.InspectedPorts.Put(k, uint32(1)); err != nil {
			return fmt.Errorf("note an inspected interface: %w", err)
		}
	}
	return nil
}

// Word is what the matcher says of a flow, for good.
type Word uint32

const (
	Bypass Word = flowBypass  // it needs no more inspection
	Block  Word = flowBlocked // what follows of it is dropped
)

// Tell passes the matcher's word on a flow, named by its tuple as the forward hook
// shows it: the client's own address and the translated destination, in the direction
// of the first packet. It gives the flow's number; 0: no such flow is known, or it is translated in
// both directions; it stays with the matcher.
func (d *Dataplane) Tell(client, server netip.AddrPort, protocol uint8, w Word) (id uint64, err error) {
	id, ok, err := d.forwarded(client, server, protocol)
	if err != nil || !ok {
		return 0, err
	}
	if err := d.tc.Inspected.Put(id, uint32(w)); err != nil {
		return 0, fmt.Errorf("tell the programs of a flow: %w", err)
	}
	return id, nil
}

// forwarded is the flow that the forward hook shows so.
func (d *Dataplane) forwarded(client, server netip.AddrPort, protocol uint8) (id uint64, ok bool, err error) {
	id, _, ok, err = d.flows.Led(tupleOf(client, server, protocol))
	if err == nil && !ok { // the destination was translated: the way back tells
		id, _, ok, err = d.flows.Led(tupleOf(server, client, protocol))
	}
	return id, ok, err
}

func tupleOf(source, destination netip.AddrPort, protocol uint8) bpfobj.TcTuple {
	return bpfobj.TcTuple{
		Saddr: source.Addr().As16(), Daddr: destination.Addr().As16(),
		Sport: networkOrder(source.Port()), Dport: networkOrder(destination.Port()), Proto: protocol,
	}
}
