package dataplane

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"ngfw.sh/dataplane/internal/bpfobj"
)

// Ways of the fast path are learnt from packets, and hold while what these
// packets met is the same. A watch tells the programs when it is not: then every
// flow takes the long way once. While there is a watch, ways are renewed every few
// seconds; without one, as when the agent is dead, each second as they always were.
const (
	// watchLease is how long the programs believe that somebody watches.
	watchLease = 3 * time.Second
	watchRenew = 500 * time.Millisecond
	// watchPause is between two times that ways end, however much changes. Behind
	// the last change they end once more: for packets that were under way.
	watchPause = time.Second
	watchRetry = 5 * time.Second
)

// tickShift makes the programs' ticks of nanoseconds (TICK_SHIFT in bpf/lib/ways.h).
const tickShift = 20

// clockTick is the programs' now.
func clockTick() (uint32, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC_COARSE, &ts); err != nil {
		return 0, fmt.Errorf("read the clock: %w", err)
	}
	return uint32(uint64(ts.Nano()) >> tickShift), nil
}

// jiffies of the kernel, a second: what its coarse clock advances by.
func jiffies() (uint32, error) {
	var ts unix.Timespec
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &ts); err != nil || ts.Nano() <= 0 {
		return 0, fmt.Errorf("ask for the clock's resolution: %w", err)
	}
	return uint32((int64(time.Second) + ts.Nano()/2) / ts.Nano()), nil
}

// restPath is conntrack's time for established connections, in seconds.
const restPath = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established"

// atRest is for how many seconds conntrack keeps an established connection of which
// nothing is heard; 0: the programs then leave it to conntrack. Milliseconds of it,
// which the kernel is told, have 32 bits.
func atRest(path string) uint32 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil {
		return 0
	}
	return uint32(min(n, math.MaxUint32/1000))
}

// watch is what the programs are told of.
type watch struct {
	table *ebpf.Map
	told  bpfobj.TcFastWatch

	kernel  kernelState
	last    time.Time // that ways ended
	pending bool      // they shall end again
}

// newWatch goes on counting where an earlier process ended.
func newWatch(table *ebpf.Map) (*watch, error) {
	w := &watch{table: table, kernel: newKernelState()}
	if err := table.Lookup(uint32(0), &w.told); err != nil {
		return nil, fmt.Errorf("read the fast path's watch: %w", err)
	}
	var err error
	if w.told.Hz, err = jiffies(); err != nil {
		return nil, err
	}
	w.told.Rest = atRest(restPath)
	return w, nil
}

// renew has the programs believe in the watch for this long.
func (w *watch) renew(lease time.Duration) error {
	now, err := clockTick()
	if err != nil {
		return err
	}
	w.told.Until = now + uint32(lease>>tickShift)
	if err := w.table.Put(uint32(0), &w.told); err != nil {
		return fmt.Errorf("write the fast path's watch: %w", err)
	}
	return nil
}

// changed ends all ways, at once or when the pause is over.
func (w *watch) changed(now time.Time) error {
	w.pending = true
	if now.Sub(w.last) < watchPause {
		return nil
	}
	return w.end(now)
}

func (w *watch) end(now time.Time) error {
	w.last = now
	w.told.Changes++
	return w.renew(watchLease)
}

// overdue ends ways behind the last change.
func (w *watch) overdue(now time.Time) error {
	if !w.pending || now.Sub(w.last) < watchPause {
		return nil
	}
	w.pending = false
	return w.end(now)
}

// news is what a socket has received; lost: nobody knows what there was besides.
type news struct {
	protocol int
	messages []syscall.NetlinkMessage
	lost     bool
}

// sockets are netlink's that tell of changes, by their protocol.
type sockets map[int]*nl.NetlinkSocket

// watchSockets are in the calling thread's network namespace.
func watchSockets() (sockets, error) {
	all := sockets{}
	for protocol, groups := range watchGroups {
		s, err := nl.Subscribe(protocol, groups...)
		if err == nil {
			all[protocol] = s
			continue
		}
		// A kernel without IPsec or nftables has none of their rules.
		if protocol != unix.NETLINK_ROUTE && errors.Is(err, unix.EPROTONOSUPPORT) {
			continue
		}
		all.close()
		return nil, fmt.Errorf("watch what the fast path depends on: %w", err)
	}
	return all, nil
}

func (all sockets) close() {
	for _, s := range all {
		s.Close()
	}
}

// receive hands on what a socket receives, until it is closed.
func receive(ctx context.Context, protocol int, s *nl.NetlinkSocket, to chan<- news) {
	for ctx.Err() == nil {
		messages, from, err := s.Receive()
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err == nil && from.Pid != nl.PidKernel {
			continue
		}
		select {
		case to <- news{protocol, messages, err != nil}:
		case <-ctx.Done():
		}
	}
}

// run tells the programs of changes until ctx ends or it cannot any more.
func (w *watch) run(ctx context.Context, all sockets) error {
	ctx, cancel := context.WithCancel(ctx)
	var receivers sync.WaitGroup
	defer receivers.Wait()
	defer all.close()
	defer cancel()
	come := make(chan news)
	for protocol, s := range all {
		receivers.Go(func() { receive(ctx, protocol, s, come) })
	}
	if err := w.kernel.list(); err != nil {
		return err
	}
	defer w.renew(0) // what fails here ends by itself
	// Something may have changed while nobody watched.
	if err := w.changed(time.Now()); err != nil {
		return err
	}
	tick := time.NewTicker(watchRenew)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			err = errors.Join(w.renew(watchLease), w.overdue(now))
		case n := <-come:
			switch {
			case n.lost:
				err = errors.Join(w.kernel.list(), w.changed(time.Now()))
			case w.kernel.changes(n.protocol, n.messages):
				err = w.changed(time.Now())
			}
		}
		if err != nil {
			return err
		}
	}
}

// followChanges runs a watch beside Run, until stop. Without one ways are renewed
// each second.
func (d *Dataplane) followChanges(ctx context.Context) (stop func()) {
	if !d.fast() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	const what = "fast_path:watch"
	all, err := watchSockets() // here, in the namespace of Run
	go func() {
		defer close(done)
		for {
			var w *watch
			if err == nil {
				w, err = newWatch(d.tc.FastWatched)
			}
			if err == nil {
				err = w.run(ctx, all)
			}
			if ctx.Err() != nil {
				return
			}
			d.log.Error("ways of the fast path are renewed each second", "err", err)
			d.mu.Lock()
			d.degraded[what] = "renewed each second: " + err.Error()
			d.mu.Unlock()
			select {
			case <-ctx.Done():
				return
			case <-time.After(watchRetry):
			}
			if all, err = watchSockets(); err == nil {
				d.mu.Lock()
				delete(d.degraded, what)
				d.mu.Unlock()
			}
		}
	}()
	return func() { cancel(); <-done }
}
