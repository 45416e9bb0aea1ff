package flow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/cilium/ebpf"

	"ngfw.sh/dataplane/internal/bpfobj"
)

// As in bpf/abi/abi.h.
const (
	numberBits = 24
	blockSize  = 1024
	scannedMax = 512
)

// Table is the programs' table of flows, and which flow a packet's tuple leads to.
// Hashes, places and numbers are theirs (bpf/lib/table.h, tuples.h): most methods run
// a program once.
//
// Safe for concurrent use, except that one Scan runs at a time.
type Table struct {
	flows, scanned                    *ebpf.Map
	led, lead, forget, number, survey *ebpf.Program
}

// Sizes are the entries of the table's maps, by name, for so many flows: of tuples a
// power of two, as the programs expect, a line of five for the two of each flow.
func Sizes(flows uint32) map[string]uint32 {
	return map[string]uint32{
		"flows": flows, "flow_numbers": flows, "flow_blocks": (flows + blockSize - 1) / blockSize, "tuples": 1 << bits.Len32(flows-1),
	}
}

// OpenTable loads the programs over the given maps, by name: those of Sizes, and
// settings.
func OpenTable(maps map[string]*ebpf.Map) (*Table, error) {
	spec, err := bpfobj.LoadTable()
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
	var objects struct {
		bpfobj.TablePrograms
		Scanned *ebpf.Map `ebpf:"scanned"`
	}
	if err := spec.LoadAndAssign(&objects, &ebpf.CollectionOptions{MapReplacements: replace}); err != nil {
		return nil, err
	}
	return &Table{
		flows: maps["flows"], scanned: objects.Scanned,
		led: objects.NgfwLed, lead: objects.NgfwLead, forget: objects.NgfwForget, number: objects.NgfwNumber, survey: objects.NgfwScan,
	}, nil
}

// Number makes every number free, once, before the first packet.
func (t *Table) Number() error {
	if _, err := run(t.number, &bpfobj.TableFlowScan{}); err != nil {
		return fmt.Errorf("number the flow table: %w", err)
	}
	return nil
}

// Size is how many flows there is room for.
func (t *Table) Size() int { return int(t.flows.MaxEntries()) }

// Flow is the flow with this id; false: it has ended.
func (t *Table) Flow(id uint64) (f bpfobj.TcFlow, ok bool) {
	err := t.flows.Lookup(uint32(id>>1)&(1<<numberBits-1), &f)
	return f, err == nil && f.Id == id && id&1 == 1
}

// Scan hands on all flows, some at a time, in memory that it uses again.
func (t *Table) Scan(some func([]bpfobj.TcFlow) error) error {
	x := bpfobj.TableFlowScan{}
	keys, flows := make([]uint32, scannedMax), make([]bpfobj.TcFlow, scannedMax)
	for x.From < t.flows.MaxEntries() {
		if _, err := run(t.survey, &x); err != nil {
			return fmt.Errorf("scan flows: %w", err)
		}
		if x.Found == 0 {
			continue
		}
		var cursor ebpf.MapBatchCursor
		n, err := t.scanned.BatchLookup(&cursor, keys[:x.Found], flows[:x.Found], nil)
		if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("read scanned flows: %w", err)
		}
		if err := some(flows[:n]); err != nil {
			return err
		}
	}
	return nil
}

// Led is the id of the flow that a tuple leads to, and whether it is of its answers.
func (t *Table) Led(tuple bpfobj.TcTuple) (id uint64, reply, ok bool, err error) {
	x := bpfobj.TableTupleLed{Tuple: tuple}
	if _, err := run(t.led, &x); err != nil {
		return 0, false, false, fmt.Errorf("look up a tuple: %w", err)
	}
	return x.Id, x.Dir == 1, x.Id != 0, nil
}

// Lead has a tuple lead to a flow of the table, which has it; the programs do so
// themselves, without it.
func (t *Table) Lead(tuple bpfobj.TcTuple, id uint64) error {
	full, err := run(t.lead, &bpfobj.TableTupleLed{Tuple: tuple, Id: id})
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
func (t *Table) Forget(id uint64) error {
	if _, err := run(t.forget, &bpfobj.TableTupleLed{Id: id}); err != nil {
		return fmt.Errorf("remove a flow: %w", err)
	}
	return nil
}

// Close lets go of the programs.
func (t *Table) Close() error {
	return errors.Join(t.led.Close(), t.lead.Close(), t.forget.Close(), t.number.Close(), t.survey.Close(), t.scanned.Close())
}

// run hands a program its question, and takes the answer.
func run(p *ebpf.Program, x any) (uint32, error) {
	question, err := binary.Append(nil, binary.NativeEndian, x)
	if err != nil {
		return 0, err
	}
	answer := make([]byte, len(question))
	rc, err := p.Run(&ebpf.RunOptions{Data: question, DataOut: answer})
	if err != nil {
		return 0, err
	}
	_, err = binary.Decode(answer, binary.NativeEndian, x)
	return rc, err
}
