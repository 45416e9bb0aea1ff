package flow

import (
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/rlimit"

	"ngfw.sh/dataplane/internal/bpfobj"
)

// tables are the real maps, filled by a test in the programs' place.
type tables struct {
	Maps
	t                     testing.TB
	flows, blocks, places *ebpf.Map // of Flows
	staged                *ebpf.Map
	emit                  *ebpf.Program
	next                  uint64
}

func newTables(t testing.TB, ring uint32) *tables {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: needs root to make BPF maps")
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	spec, err := bpfobj.LoadTc()
	if err != nil {
		t.Fatal(err)
	}
	k := &tables{t: t}
	for name, to := range map[string]**ebpf.Map{
		"events": &k.Events, "flows": &k.flows, "flow_blocks": &k.blocks, "tuples": &k.places, "told": &k.Told, "refusals": &k.Refusals,
	} {
		m := spec.Maps[name]
		m.MaxEntries = 4096
		if name == "events" {
			m.MaxEntries = ring
		}
		if *to, err = ebpf.NewMap(m); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { (*to).Close() })
	}
	if k.Flows, err = OpenTable(map[string]*ebpf.Map{"flows": k.flows, "flow_blocks": k.blocks, "tuples": k.places}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Flows.Close() })
	// Only a program writes to a ring: this one writes what is staged.
	k.staged, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: eventSize, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.staged.Close() })
	k.emit, err = ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "GPL", Instructions: asm.Instructions{
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, k.staged.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.Mov.Reg(asm.R2, asm.R0),
		asm.LoadMapPtr(asm.R1, k.Events.FD()),
		asm.Mov.Imm(asm.R3, int32(eventSize)),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnRingbufOutput.Call(),
		asm.Return().WithSymbol("out"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.emit.Close() })
	return k
}

// ring writes an event; false: there is no room.
func (k *tables) ring(kind uint32, f bpfobj.TcFlow, action uint32) bool {
	k.t.Helper()
	e := bpfobj.TcEvent{Kind: kind, Action: action, Time: uint64(bootNanos()), Flow: f}
	if err := k.staged.Put(uint32(0), &e); err != nil {
		k.t.Fatal(err)
	}
	rc, err := k.emit.Run(&ebpf.RunOptions{Data: make([]byte, 14)})
	if err != nil {
		k.t.Fatal(err)
	}
	return rc == 0
}

// open puts a flow into the table, as old as given.
func (k *tables) open(age time.Duration) bpfobj.TcFlow {
	k.t.Helper()
	k.next += 2
	now := uint64(bootNanos())
	f := bpfobj.TcFlow{Id: k.next | 1, Opened: now - uint64(age), Seen: now, Decider: 1<<28 | 7, IfindexIn: 2, IfindexOut: 3, ZoneIn: 3, ZoneOut: 2, Revision: 5}
	f.Orig = tcpTuple(byte(k.next>>1), byte(k.next>>9))
	f.Reply = bpfobj.TcTuple{Saddr: f.Orig.Daddr, Daddr: f.Orig.Saddr, Sport: f.Orig.Dport, Dport: f.Orig.Sport, Proto: f.Orig.Proto}
	k.put(f)
	k.lead(f)
	return f
}

// lead has both tuples of f lead to it.
func (k *tables) lead(f bpfobj.TcFlow) {
	k.t.Helper()
	if err := errors.Join(k.Flows.Lead(f.Orig, f.Id), k.Flows.Lead(f.Reply, f.Id)); err != nil {
		k.t.Fatal(err)
	}
}

func tcpTuple(a, b byte) bpfobj.TcTuple {
	return bpfobj.TcTuple{
		Saddr: [16]byte{10: 0xff, 11: 0xff, 12: 10, 13: 0, 14: b, 15: a}, Daddr: [16]byte{10: 0xff, 11: 0xff, 12: 203, 13: 0, 14: 113, 15: 7},
		Sport: 0x409c, Dport: 0x5000, Proto: 6, // 40000 and 80 in network order
	}
}

func (k *tables) put(f bpfobj.TcFlow) {
	k.t.Helper()
	number := uint32(f.Id>>1) & (1<<numberBits - 1)
	var was bpfobj.TcFlow
	var n uint64
	err := errors.Join(k.flows.Lookup(number, &was), k.blocks.Lookup(number/blockSize, &n))
	n += f.Id&1 - was.Id&1
	if err = errors.Join(err, k.flows.Put(number, &f), k.blocks.Put(number/blockSize, n)); err != nil {
		k.t.Fatal(err)
	}
}

// empty checks that nothing is left of any flow.
func (k *tables) empty() {
	k.t.Helper()
	told := 0
	key, value := make([]byte, 8), make([]byte, k.Told.ValueSize())
	for it := k.Told.Iterate(); it.Next(&key, &value); {
		told++
	}
	if flows, led := len(k.all()), k.led(); told+flows+led > 0 {
		k.t.Errorf("%d flows, %d told of, %d tuples that lead somewhere", flows, told, led)
	}
}

// all are the flows there are.
func (k *tables) all() (all []bpfobj.TcFlow) {
	k.t.Helper()
	err := k.Flows.Scan(func(some []bpfobj.TcFlow) error {
		all = append(all, some...)
		return nil
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return all
}

// led counts the tuples that lead to a flow.
func (k *tables) led() (n int) {
	k.t.Helper()
	var number uint32
	var line bpfobj.TableTupleLine
	it := k.places.Iterate()
	for it.Next(&number, &line) {
		for _, id := range line.Id {
			if id != 0 {
				n++
			}
		}
	}
	if err := it.Err(); err != nil {
		k.t.Fatal(err)
	}
	return n
}

// sink keeps what it takes. What is not settled is gone after a crash.
type sink struct {
	events  []Event
	settled int
	broken  bool
}

func (s *sink) take(events []Event) error {
	if s.broken {
		return errors.New("the disk is full")
	}
	s.events = append(s.events, events...)
	return nil
}

func (s *sink) settle() error {
	s.settled = len(s.events)
	return nil
}

func (s *sink) crash() { s.events = s.events[:s.settled] }

// memory is what the sink can tell after a restart.
func (s *sink) memory() map[uint64]Told {
	told := map[uint64]Told{}
	for _, e := range s.events {
		if e.Kind != Refused {
			told[e.FlowID] = Told{Counts: e.Total, Closed: e.Kind == Close}
		}
	}
	return told
}

func (s *sink) of(id uint64) []Event {
	var all []Event
	for _, e := range s.events {
		if e.FlowID == id {
			all = append(all, e)
		}
	}
	return all
}

func (k *tables) reader(s *sink) *Reader {
	return New(Config{UpdateInterval: time.Hour, Linger: time.Second},
		Deps{Log: slog.New(slog.DiscardHandler), Sink: s.take, Settle: s.settle}, k.Maps)
}
