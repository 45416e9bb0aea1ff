package flow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	"pgregory.net/rapid"

	"ngfw.sh/dataplane/internal/bpfobj"
)

// tupleTable is a table of tuples of so many lines, and its flows.
type tupleTable struct {
	*tables
	generation uint64
	free       []uint32 // numbers
}

func newTupleTable(t testing.TB, lines, flows uint32) *tupleTable {
	t.Helper()
	k := &tupleTable{tables: newTables(t, 4096)}
	spec, err := bpfobj.LoadTable()
	if err != nil {
		t.Fatal(err)
	}
	sizes, made := Sizes(flows), map[string]*ebpf.Map{}
	sizes["tuples"] = lines
	for name, n := range sizes {
		m := spec.Maps[name]
		m.MaxEntries = n
		if made[name], err = ebpf.NewMap(m); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { made[name].Close() })
	}
	k.flows, k.blocks, k.places = made["flows"], made["flow_blocks"], made["tuples"]
	if k.Flows, err = OpenTable(made); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Flows.Close() })
	for n := range flows {
		k.free = append(k.free, n)
	}
	return k
}

// flowOf has the nth pair of tuples, under an id of its own.
func (k *tupleTable) flowOf(n uint32) bpfobj.TcFlow {
	k.generation++
	number := k.free[0]
	k.free = k.free[1:]
	f := tuplesOf(n)
	f.Id = k.generation<<(numberBits+1) | uint64(number)<<1 | 1
	return f
}

// over removes a flow.
func (k *tupleTable) over(id uint64) error {
	k.free = append(k.free, uint32(id>>1)&(1<<numberBits-1))
	return k.Flows.Forget(id)
}

// tuplesOf is the nth pair of tuples.
func tuplesOf(n uint32) (f bpfobj.TcFlow) {
	f.Orig = bpfobj.TcTuple{Sport: uint16(n), Dport: 53, Proto: 17}
	binary.BigEndian.PutUint32(f.Orig.Saddr[12:], n)
	f.Reply = bpfobj.TcTuple{Saddr: f.Orig.Daddr, Daddr: f.Orig.Saddr, Sport: f.Orig.Dport, Dport: f.Orig.Sport, Proto: f.Orig.Proto}
	return f
}

// forgetAll empties the table.
func (k *tupleTable) forgetAll() error {
	var err error
	for _, f := range k.all() {
		err = errors.Join(err, k.over(f.Id))
	}
	return err
}

// elsewhere sums what lines count of theirs that stand behind them.
func (k *tupleTable) elsewhere() (n uint32) {
	k.t.Helper()
	var number uint32
	var line bpfobj.TableTupleLine
	it := k.places.Iterate()
	for it.Next(&number, &line) {
		n += line.Elsewhere
	}
	if err := it.Err(); err != nil {
		k.t.Fatal(err)
	}
	return n
}

// The table against a Go map: of few lines, so that most of them are full, tuples
// stand behind their homes and places run out.
func TestTuplesAgreeWithAMap(t *testing.T) {
	var behind, full, replaced int
	k := newTupleTable(t, 4, 64)
	rapid.Check(t, func(rt *rapid.T) {
		if err := k.forgetAll(); err != nil { // of a run that failed
			rt.Fatal(err)
		}
		flows := map[uint64]bpfobj.TcFlow{}
		leads := map[bpfobj.TcTuple]uint64{}
		rt.Repeat(map[string]func(*rapid.T){
			"open": func(rt *rapid.T) {
				if len(flows) == 64 {
					rt.Skip()
				}
				f := k.flowOf(rapid.Uint32Range(0, 15).Draw(rt, "n"))
				k.put(f)
				flows[f.Id] = f
				for _, tuple := range []bpfobj.TcTuple{f.Orig, f.Reply} {
					_, had := leads[tuple]
					switch err := k.Flows.Lead(tuple, f.Id); {
					case err == nil:
						leads[tuple] = f.Id
						if had {
							replaced++
						}
					case had || len(leads) < 20:
						rt.Fatalf("with %d of 20 places taken: %v", len(leads), err)
					default:
						full++
					}
				}
				if k.elsewhere() > 0 {
					behind++
				}
			},
			"forget": func(rt *rapid.T) {
				if len(flows) == 0 {
					rt.Skip()
				}
				id := rapid.SampledFrom(sortedIDs(flows)).Draw(rt, "id")
				if err := k.over(id); err != nil {
					rt.Fatal(err)
				}
				delete(flows, id)
				for tuple, to := range leads {
					if to == id {
						delete(leads, tuple)
					}
				}
			},
			"": func(rt *rapid.T) {
				for n := range uint32(16) {
					f := tuplesOf(n)
					for dir, tuple := range []bpfobj.TcTuple{f.Orig, f.Reply} {
						id, reply, ok, err := k.Flows.Led(tuple)
						want, known := leads[tuple]
						if err != nil || ok != known || id != want || ok && reply != (dir == 1) {
							rt.Fatalf("tuple %d/%d leads to %d, %v, want %d", n, dir, id, err, want)
						}
					}
				}
				if got := k.led(); got != len(leads) {
					rt.Fatalf("%d places are taken, want %d", got, len(leads))
				}
			},
		})
		if err := k.forgetAll(); err != nil {
			rt.Fatal(err)
		}
		if k.led() != 0 || k.elsewhere() != 0 {
			rt.Fatalf("left: %d places, %d counted elsewhere", k.led(), k.elsewhere())
		}
	})
	if behind == 0 || full == 0 || replaced == 0 {
		t.Errorf("met: %d times behind a home, %d times no place, %d replaced", behind, full, replaced)
	}
}

func sortedIDs(flows map[uint64]bpfobj.TcFlow) []uint64 {
	return slices.Sorted(maps.Keys(flows))
}

// As many flows as the table is made for, of neighbouring addresses, all find their
// two places, and few look behind their homes for them.
func TestTuplesOfAFullTable(t *testing.T) {
	const flows = 16384
	k := newTupleTable(t, Sizes(flows)["tuples"], flows)
	for n := range uint32(flows) {
		f := k.flowOf(n)
		k.put(f)
		k.lead(f)
	}
	if n := k.led(); n != 2*flows {
		t.Errorf("%d places are taken, want %d", n, 2*flows)
	}
	if n := k.elsewhere(); n > 2*flows/20 {
		t.Errorf("%d of %d stand behind their homes", n, 2*flows)
	}
}

// Places of flows that are gone are taken again where there are no others.
func TestStaleTuplesGiveWay(t *testing.T) {
	k := newTupleTable(t, 8, 64)
	for n := range uint32(20) {
		f := k.flowOf(n)
		k.put(f)
		k.lead(f)
		f.Id-- // nobody has told the table
		k.put(f)
	}
	if n := k.led(); n != 40 {
		t.Fatalf("%d places are taken, want all 40", n)
	}
	for n := uint32(100); n < 120; n++ {
		f := k.flowOf(n)
		k.put(f)
		k.lead(f)
		for dir, tuple := range []bpfobj.TcTuple{f.Orig, f.Reply} {
			if id, reply, _, err := k.Flows.Led(tuple); id != f.Id || reply != (dir == 1) || err != nil {
				t.Fatalf("the tuple leads to %d, %v", id, err)
			}
		}
	}
}

// Processors that open and forget flows at once, in lines that all of them fill,
// leave nothing behind and lose nothing.
func TestTuplesAtOnce(t *testing.T) {
	const workers, rounds, held = 4, 3000, 4
	k := newTupleTable(t, 16, 64)
	var wg sync.WaitGroup
	errs := make(chan error, workers)
	for w := range workers {
		wg.Go(func() {
			own := &tupleTable{tables: k.tables, free: k.free[16*w : 16*(w+1) : 16*(w+1)]}
			var open []bpfobj.TcFlow
			for i := range rounds {
				f := own.flowOf(uint32(w*1000 + i%97))
				open = append(open, f)
				if err := k.flows.Put(uint32(f.Id>>1)&(1<<numberBits-1), &f); err != nil {
					errs <- err
					return
				}
				for _, tuple := range []bpfobj.TcTuple{f.Orig, f.Reply} {
					if err := k.Flows.Lead(tuple, f.Id); err != nil {
						errs <- err
						return
					}
					if id, _, _, err := k.Flows.Led(tuple); err != nil || id != f.Id {
						errs <- fmt.Errorf("round %d: led to %d, %w", i, id, err)
						return
					}
				}
				if len(open) < held && i < rounds-1 {
					continue
				}
				for _, f := range open {
					if err := own.over(f.Id); err != nil {
						errs <- err
						return
					}
				}
				open = open[:0]
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	if k.led() != 0 || k.elsewhere() != 0 {
		t.Errorf("left: %d places, %d counted elsewhere", k.led(), k.elsewhere())
	}
}

// Every flow is read once, wherever it stands, some at a time.
func TestScanReadsEveryFlow(t *testing.T) {
	const flows = 3000 // two blocks and a part of a third
	for name, numbers := range map[string][]uint32{
		"none": {}, "at the edges": {0, 1023, 1024, 2999}, "the last": {2999}, "one block alone": {1024, 1100, 2047}, "all": nil,
	} {
		k := newTupleTable(t, 8, flows)
		if numbers == nil {
			numbers = k.free
		}
		want := map[uint64]bool{}
		for _, n := range numbers {
			f := bpfobj.TcFlow{Id: 7<<(numberBits+1) | uint64(n)<<1 | 1}
			k.put(f)
			want[f.Id] = true
		}
		for _, f := range k.all() {
			if !want[f.Id] {
				t.Errorf("%s: %d was read, and is not there or was read before", name, f.Id)
			}
			delete(want, f.Id)
		}
		if len(want) > 0 {
			t.Errorf("%s: %d were not read", name, len(want))
		}
	}
}

// The lowest number is given first, each once; and numbering again changes nothing.
func TestNumbers(t *testing.T) {
	const flows = 2500
	spec, err := bpfobj.LoadTable()
	if err != nil {
		t.Fatal(err)
	}
	newTables(t, 4096) // or skips
	made := map[string]*ebpf.Map{}
	for name, n := range Sizes(flows) {
		m := spec.Maps[name]
		m.MaxEntries = n
		if made[name], err = ebpf.NewMap(m); err != nil {
			t.Fatal(err)
		}
		defer made[name].Close()
	}
	table, err := OpenTable(made)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	for range 2 {
		if err := table.Number(); err != nil {
			t.Fatal(err)
		}
	}
	for want := range uint32(flows) {
		var got uint32
		if err := made["flow_numbers"].LookupAndDelete(nil, &got); err != nil || got != want {
			t.Fatalf("number %d, %v, want %d", got, err, want)
		}
	}
	var more uint32
	if err := made["flow_numbers"].LookupAndDelete(nil, &more); err == nil {
		t.Errorf("and %d", more)
	}
}
