package flow

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/cilium/ebpf"

	"ngfw.sh/dataplane/internal/bpfobj"
)

// Tuples is the programs' table of which flow a packet's tuple leads to. Hash and
// places are theirs (bpf/lib/tuples.h); each method runs a program once.
//
// Safe for concurrent use.
type Tuples struct {
	led, lead, forget *ebpf.Program
}

// TupleLines is the size of the table for so many flows: a power of two, as the
// programs expect, and a line of five for the two tuples of each.
func TupleLines(flows uint32) uint32 { return 1 << bits.Len32(flows-1) }

// NewSecret is what the table's hash is seeded with, once, before the first packet.
func NewSecret() (uint64, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("draw the flow table's secret: %w", err)
	}
	return binary.NativeEndian.Uint64(b[:]), nil
}

// OpenTuples loads the programs over the given maps, by name: tuples, flows and
// settings.
func OpenTuples(maps map[string]*ebpf.Map) (*Tuples, error) {
	spec, err := bpfobj.LoadTuples()
	if err != nil {
		return nil, err
	}
	replace := map[string]*ebpf.Map{}
	for name, m := range spec.Maps {
		if have, ok := maps[name]; ok {
			m.MaxEntries = have.MaxEntries()
			replace[name] = have
		}
	}
	var programs bpfobj.TuplesPrograms
	if err := spec.LoadAndAssign(&programs, &ebpf.CollectionOptions{MapReplacements: replace}); err != nil {
		return nil, err
	}
	return &Tuples{led: programs.NgfwLed, lead: programs.NgfwLead, forget: programs.NgfwForget}, nil
}

// Flow is the id of the flow that t leads to, and whether t is of its answers.
func (t *Tuples) Flow(tuple bpfobj.TcTuple) (id uint64, reply, ok bool, err error) {
	x := bpfobj.TuplesTupleLed{Tuple: tuple}
	if _, err := run(t.led, &x); err != nil {
		return 0, false, false, fmt.Errorf("look up a tuple: %w", err)
	}
	return x.Id, x.Dir == 1, x.Id != 0, nil
}

// Lead has a tuple lead to a flow of the table, which has it; the programs do so
// themselves, without it.
func (t *Tuples) Lead(tuple bpfobj.TcTuple, id uint64) error {
	full, err := run(t.lead, &bpfobj.TuplesTupleLed{Tuple: tuple, Id: id})
	if err == nil && full != 0 {
		err = errors.New("all places are taken")
	}
	if err != nil {
		return fmt.Errorf("note a tuple: %w", err)
	}
	return nil
}

// Forget removes a flow, if there still is one, and what leads to it. Tuples that
// lead to another by now, as those of a port that was used again, are left to it.
func (t *Tuples) Forget(id uint64) error {
	if _, err := run(t.forget, &bpfobj.TuplesTupleLed{Id: id}); err != nil {
		return fmt.Errorf("remove a flow: %w", err)
	}
	return nil
}

// Close lets go of the programs.
func (t *Tuples) Close() error {
	return errors.Join(t.led.Close(), t.lead.Close(), t.forget.Close())
}

// run hands a program its question, and takes the answer.
func run(p *ebpf.Program, x *bpfobj.TuplesTupleLed) (uint32, error) {
	return p.Run(&ebpf.RunOptions{Context: x, ContextOut: x})
}
