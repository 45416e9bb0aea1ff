package dataplane

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/cilium/ebpf/ringbuf"
	"github.com/vishvananda/netlink"

	"ngfw.sh/dataplane/flow"
	"ngfw.sh/dataplane/internal/bpfobj"
	"ngfw.sh/internal/fault"
	"ngfw.sh/policy"
)

// TraceFilter says which packets a trace tells of, and for how long. Zero values
// ask for anything. Addresses are those on the wire or those that the packet's
// flow began with.
type TraceFilter struct {
	Host                netip.Prefix // either end
	Source, Destination netip.Prefix
	Protocol            uint8
	Port                uint16 // of either end
	SourcePort          uint16
	DestinationPort     uint16
	Interface           string // that packets arrive or leave by
	OneWay              bool   // not the flow's other direction
	Duration            time.Duration
	Rate                int // packets a second, at most
}

// Bounds of a trace.
const (
	MaxTrace         = time.Hour
	DefaultTrace     = 30 * time.Second
	DefaultTraceRate = 1000

	traceRecords = 3 // of a packet, at most: XDP, ingress, egress
	traceBoth    = 1 // TRACE_BOTH of bpf/abi/trace.h
)

// TraceSummary is what is left to say when a trace has ended.
type TraceSummary struct {
	Packets int    `json:"packets"`
	Skipped uint64 `json:"skipped"` // records beyond the rate
	Lost    uint64 `json:"lost"`    // records that found no room
}

// ErrTracing says that there is one trace at a time.
var ErrTracing = fault.New(fault.Conflict, "a trace is running already: wait for its end")

// Trace tells of packets as the programs see them until its time is over, ctx
// ends or tell fails; started is called once they do. The kernel ends it by
// itself when the time is over, should this process die.
func (d *Dataplane) Trace(ctx context.Context, f TraceFilter, started func(), tell func(TracePacket) error) (TraceSummary, error) {
	var sum TraceSummary
	select { // one that was interrupted just now takes a moment to end
	case d.tracing <- struct{}{}:
		defer func() { <-d.tracing }()
	case <-time.After(time.Second):
		return sum, ErrTracing
	}
	if f.Duration <= 0 {
		f.Duration = DefaultTrace
	}
	f.Duration = min(f.Duration, MaxTrace)
	asked, err := f.kernel()
	if err != nil {
		return sum, err
	}
	ring, err := ringbuf.NewReader(d.tc.TraceRecords)
	if err != nil {
		return sum, fmt.Errorf("open the trace's ring: %w", err)
	}
	defer ring.Close()
	end := time.Now().Add(f.Duration)
	began := flow.BootClock()
	asked.Until = began + uint64(f.Duration)
	if err := d.tc.Traces.Put(uint32(0), &asked); err != nil {
		return sum, fmt.Errorf("start the trace: %w", err)
	}
	defer d.tc.Traces.Put(uint32(0), &bpfobj.TcTrace{}) // or its time ends it
	started()
	a := newAssembler(d, began, func(p TracePacket) error { sum.Packets++; return tell(p) })
	err = d.followTrace(ctx, ring, a, end)
	var now bpfobj.TcTrace
	if d.tc.Traces.Lookup(uint32(0), &now) == nil {
		sum.Skipped, sum.Lost = now.Skipped, now.Lost
	}
	return sum, err
}

// tracePoll bounds how late a packet that did not come to its end is told of.
const tracePoll = 50 * time.Millisecond

func (d *Dataplane) followTrace(ctx context.Context, ring *ringbuf.Reader, a *assembler, end time.Time) error {
	var rec ringbuf.Record
	for ctx.Err() == nil && time.Now().Before(end) {
		ring.SetDeadline(time.Now().Add(tracePoll))
		for {
			err := ring.ReadInto(&rec)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return fmt.Errorf("read the trace: %w", err)
			}
			if err := a.take(rec.RawSample); err != nil {
				return err
			}
			if ctx.Err() != nil || time.Now().After(end) {
				break
			}
		}
		if err := a.flush(false); err != nil {
			return err
		}
	}
	return a.flush(true)
}

// kernel is the filter as the programs read it.
func (f TraceFilter) kernel() (bpfobj.TcTrace, error) {
	if f.Rate <= 0 {
		f.Rate = DefaultTraceRate
	}
	t := bpfobj.TcTrace{
		Host: traceSide(f.Host), Src: traceSide(f.Source), Dst: traceSide(f.Destination),
		Proto: f.Protocol, Port: networkOrder(f.Port), Sport: networkOrder(f.SourcePort), Dport: networkOrder(f.DestinationPort),
		Interval: uint64(time.Second) / uint64(f.Rate*traceRecords), Burst: uint64(time.Second),
	}
	if !f.OneWay {
		t.Flags = traceBoth
	}
	if f.Interface != "" {
		l, err := netlink.LinkByName(f.Interface)
		if err != nil {
			return t, fault.New(fault.BadRequest, "interface %s: %v", f.Interface, err)
		}
		t.Ifindex = uint32(l.Attrs().Index)
	}
	var seed [8]byte
	rand.Read(seed[:]) // never fails
	t.Seed = binary.NativeEndian.Uint64(seed[:])
	return t, nil
}

func traceSide(p netip.Prefix) bpfobj.TcTraceSide {
	var s bpfobj.TcTraceSide
	if !p.IsValid() {
		return s
	}
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	for i := range s.Mask {
		n := min(max(bits-8*i, 0), 8)
		s.Mask[i] = byte(0xff << (8 - n))
	}
	s.Address = p.Addr().As16()
	for i := range s.Address {
		s.Address[i] &= s.Mask[i]
	}
	return s
}

// enforced is the image that packets met last, with its number.
func (d *Dataplane) enforced() *policy.Image {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.image
}
