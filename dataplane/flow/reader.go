// Package flow owns the records of flows: it reads them out of the data
// plane's maps and hands them on as events with true sums.
//
// Opened, refused and closed flows come by the ring at once; running ones are
// found by scanning the table, which also makes up for what the ring had no
// room for. What has been told of a flow is kept in a pinned map, so a new
// process goes on where the last one ended. An event counts as told when the
// sink has answered. The sink may lose what it has not settled; Reconcile tells
// that again from the sink's own memory.
//
// One Reader at a time may read a set of maps.
package flow

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/policy"
)

// As in enum flow_flags of bpf/abi/abi.h.
const (
	flagNAT       = 1 << 1
	flagSeenReply = 1 << 2
	flagClosed    = 1 << 6
	flagLog       = 1 << 9
)

// As in enum event_kind.
const (
	ringOpen    = 1
	ringClose   = 3
	ringRefused = 4
)

// Maps that a Reader reads.
type Maps struct {
	Events, Told, Refusals *ebpf.Map
	Flows                  *Table
	// Settle adds what the fast path has counted to the records; nil: nothing to add.
	Settle func() error
}

// settle is Settle, before records are read. Counts that it could not move stay
// where they are for the next time.
func (r *Reader) settle() {
	if r.maps.Settle == nil {
		return
	}
	if err := r.maps.Settle(); err != nil {
		r.deps.Log.Warn("flow counts are behind", "err", err)
	}
}

// Config of a Reader.
type Config struct {
	UpdateInterval time.Duration // between two events of a running flow
	Linger         time.Duration // from the signs of an end to the last count
}

// DefaultConfig reports running flows every ten seconds.
func DefaultConfig() Config { return Config{UpdateInterval: 10 * time.Second, Linger: time.Second} }

// Deps of a Reader.
type Deps struct {
	Log *slog.Logger
	// Sink takes events; once it returns nil they are its own. On an error they
	// are offered again later, with whatever has been counted since.
	Sink func([]Event) error
	// Settle returns once everything that the sink took would survive a crash,
	// or an error if it cannot say so. The last record of a flow is removed from
	// the kernel after it.
	Settle func() error
}

// Reader turns records into events. Run it once.
type Reader struct {
	cfg  Config
	deps Deps
	maps Maps

	mu      sync.Mutex           // one writer of told and of the sink
	closing map[uint64]time.Time // flows that ended, until their last count
	cuts    chan uint64
	waiting []Event // refusals that the sink did not take: no scan finds them again
	size    int     // flows at the last scan

	pressure bool  // the table was nearly full then
	crowd    crowd // refusals without a row of their own
}

// New makes a Reader; nothing happens before Run.
func New(cfg Config, deps Deps, maps Maps) *Reader {
	return &Reader{cfg: cfg, deps: deps, maps: maps, closing: map[uint64]time.Time{}, cuts: make(chan uint64, maxCuts)}
}

// Flows is the number of flows in the table at the last scan.
func (r *Reader) Flows() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.size
}

// pressedInterval is between two scans of a table that is nearly full.
const pressedInterval = 2 * time.Second

func (r *Reader) pressed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pressure
}

// Told is what the sink remembers of a flow.
type Told struct {
	Counts
	Closed bool // its end too
}

// Reconcile makes the sink's memory of what it was told the truth, before Run:
// what it lost in a crash is told again, what it kept is not. Flows that it has
// never heard of are told from their beginning.
func (r *Reader) Reconcile(sink map[uint64]Told) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var id uint64
	var have bpfobj.TcReport
	var unheard []uint64
	it := r.maps.Told.Iterate()
	for it.Next(&id, &have) {
		if _, ok := sink[id]; !ok {
			unheard = append(unheard, id)
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("read what was told of flows: %w", err)
	}
	for _, id := range unheard {
		r.maps.Told.Delete(id) // absent already is as good
	}
	for id, t := range sink {
		switch {
		case !r.Alive(id):
			// ended since
		case t.Closed:
			// One that was cut off goes on to hold the verdict.
			if have, known := r.told(id); !known || have != endTold {
				r.remove(id)
			}
		default:
			if err := r.tell(id, t.Counts); err != nil {
				return err
			}
		}
	}
	return nil
}

// Alive says whether the flow is in the kernel's table.
func (r *Reader) Alive(id uint64) bool {
	_, ok := r.maps.Flows.Flow(id)
	return ok
}

// Run reads until ctx ends; then a last scan, so that little is left untold.
func (r *Reader) Run(ctx context.Context) error {
	ring, err := ringbuf.NewReader(r.maps.Events)
	if err != nil {
		return fmt.Errorf("open the event ring: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { ring.Close() })
	defer stop()
	done := make(chan error, 1)
	go func() { done <- r.readRing(ring) }()

	second := time.NewTicker(time.Second)
	defer second.Stop()
	next := time.Now()
	for {
		select {
		case err := <-done:
			if err != nil {
				return err
			}
			return r.scan()
		case id := <-r.cuts:
			r.cutAll(id)
		case now := <-second.C:
			r.sweepRefusals()
			r.finish(now)
			if now.After(next) {
				next = now.Add(r.cfg.UpdateInterval)
				if err := r.scan(); err != nil {
					r.deps.Log.Warn("flow scan incomplete, the next one makes up for it", "err", err)
				}
				if r.pressed() {
					next = now.Add(pressedInterval)
				}
			}
		}
	}
}

// patience is how long the ring is watched after each event: longer than the
// programs leave the reader asleep (WAKE_AGAIN in bpf/lib/flow.h).
const patience = 10 * time.Millisecond

// readRing hands events on in batches of what is there.
func (r *Reader) readRing(ring *ringbuf.Reader) error {
	var rec ringbuf.Record
	var batch []bpfobj.TcEvent
	more := time.Time{}
	for {
		ring.SetDeadline(more)
		more = time.Time{}
		for {
			err := ring.ReadInto(&rec)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				more = time.Time{}
				break
			}
			if errors.Is(err, ringbuf.ErrClosed) {
				r.take(batch)
				return nil
			}
			if err != nil {
				return fmt.Errorf("read the event ring: %w", err)
			}
			more = time.Now().Add(patience)
			ring.SetDeadline(more)
			e, err := decode(rec.RawSample)
			if err != nil {
				r.deps.Log.Error("unreadable event", "length", len(rec.RawSample), "err", err)
				continue
			}
			batch = append(batch, e)
			if len(batch) >= 512 {
				break
			}
		}
		r.take(batch)
		batch = batch[:0]
	}
}

// decode reads a record of the ring: of a flow in the table it has the number alone.
func decode(raw []byte) (e bpfobj.TcEvent, err error) {
	var n bpfobj.TcNotice
	if _, err := binary.Decode(raw, binary.NativeEndian, &n); err != nil {
		return e, err
	}
	if n.Kind == ringRefused {
		_, err = binary.Decode(raw, binary.NativeEndian, &e)
		return e, err
	}
	e.Kind, e.Action, e.Time, e.Flow.Id = n.Kind, n.Action, n.Time, n.Id
	return e, nil
}

// take turns ring records into events and tells them.
func (r *Reader) take(batch []bpfobj.TcEvent) {
	if len(batch) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var events []Event
	for i := range batch {
		e := &batch[i]
		switch e.Kind {
		case ringOpen:
			f, ok := r.maps.Flows.Flow(e.Flow.Id)
			if _, known := r.told(e.Flow.Id); known || !ok {
				continue // a scan was first, and may have told the end too
			}
			ev := event(&f, Open, e.Time)
			ev.Delta = ev.Total
			events = append(events, ev)
		case ringClose:
			r.closing[e.Flow.Id] = time.Now().Add(r.cfg.Linger)
		case ringRefused:
			ev := event(&e.Flow, Refused, e.Time)
			ev.Action = actions[e.Action]
			ev.Delta, ev.Duration = ev.Total, 0
			if r.crowd.admit(ev, time.Now()) {
				events = append(events, ev)
			}
		}
	}
	r.hand(events)
}

// maxWaiting bounds the refusals that are kept while the sink takes nothing.
const maxWaiting = 4096

// hand gives events to the sink, those that wait first, and notes them as told.
// mu is held.
func (r *Reader) hand(events []Event) bool {
	events = append(r.waiting, events...)
	r.waiting = nil
	if len(events) == 0 {
		return true
	}
	if err := r.deps.Sink(events); err != nil {
		r.deps.Log.Warn("flow events not taken, offered again later", "events", len(events), "err", err)
		r.keep(events)
		return false
	}
	for _, e := range events {
		if e.Kind == Open || e.Kind == Update {
			if err := r.tell(e.FlowID, e.Total); err != nil {
				r.deps.Log.Error("flow may be counted twice", "flow", e.FlowID, "err", err)
			}
		}
	}
	return true
}

// keep has the refusals among events wait for the sink.
func (r *Reader) keep(events []Event) {
	lost := 0
	for _, e := range events {
		switch {
		case e.Kind != Refused:
		case len(r.waiting) < maxWaiting:
			r.waiting = append(r.waiting, e)
		default:
			lost++
		}
	}
	if lost > 0 {
		r.deps.Log.Error("refused packets stay out of the traffic log: too many wait", "events", lost)
	}
}

func (r *Reader) told(id uint64) (bpfobj.TcReport, bool) {
	var t bpfobj.TcReport
	return t, r.maps.Told.Lookup(id, &t) == nil
}

func (r *Reader) tell(id uint64, c Counts) error {
	t := bpfobj.TcReport{Packets: [2]uint64{c.PacketsSent, c.PacketsReceived}, Bytes: [2]uint64{c.BytesSent, c.BytesReceived}}
	if err := r.maps.Told.Put(id, &t); err != nil {
		return fmt.Errorf("note what was told of a flow: %w", err)
	}
	return nil
}

func counts64(t bpfobj.TcReport) Counts {
	return Counts{t.Packets[0], t.Packets[1], t.Bytes[0], t.Bytes[1]}
}

// sweepRefusals tells the repeats of the windows that are over.
func (r *Reader) sweepRefusals() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := uint64(bootNanos())
	var key bpfobj.TcRefusalKey
	var v bpfobj.TcRefusal
	var over []bpfobj.TcRefusalKey
	it := r.maps.Refusals.Iterate()
	for it.Next(&key, &v) {
		if now > v.Since && now-v.Since > uint64(time.Second) {
			over = append(over, key)
		}
	}
	var events []Event
	for i := range over {
		// Taken out and read in one step: a packet after it begins a new window.
		if r.maps.Refusals.LookupAndDelete(&over[i], &v) != nil || v.Repeats == 0 {
			continue
		}
		total := Counts{PacketsSent: v.Repeats, BytesSent: v.Bytes}
		e := Event{
			// The window's own id: its start, which no flow of this CPU shares.
			FlowID: uint64(BootTime().UnixNano()) + v.Since | 63, Kind: Refused, Time: WallClock(v.Since).Add(time.Second),
			Action: actions[uint32(v.Action)], Tuple: tuple(v.Last), SourceMAC: mac(v.Smac),
			PortIn: v.IfindexIn, PortOut: v.IfindexOut, ZoneIn: v.ZoneIn, ZoneOut: v.ZoneOut,
			Decider: policy.Decider(v.Decider), Revision: int64(v.Revision),
			Delta: total, Total: total, Count: uint32(min(v.Repeats, 1<<32-1)),
		}
		if r.crowd.admit(e, time.Now()) {
			events = append(events, e)
		}
	}
	r.hand(append(events, r.crowd.take()...))
}
