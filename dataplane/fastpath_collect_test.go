package dataplane

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"ngfw.sh/dataplane/internal/bpfobj"
)

// An entry whose count is full has its packets go the long way, uncounted here.
func TestFastPathCountsNoFurther(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.allowFast()
	for _, form := range forms {
		for last, fast := range map[uint64]bool{1<<23 - 1: true, 1 << 23: false} {
			k.way(masqueraded, form.bit, func(e *bpfobj.TcFast) { e.Count = last<<fastBytes | 7 })
			if redirected, _ := form.run(k, masqueraded.arrives(t)); redirected != fast {
				t.Errorf("%s: after %d packets: %v", form.name, last, redirected)
			}
			counted := last
			if fast {
				counted++
			}
			k.forgetWays(t, counted)
		}
	}
}

// Silent entries go, once nobody can be counting in them.
func TestFastPathForgets(t *testing.T) {
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.allowFast()
	size := func() (n int) {
		k.stat()
		return len(k.ways())
	}
	ticks := func(d time.Duration) uint32 { return uint32(uint64(d) >> tickShift) }
	k.way(masqueraded, fastXDP, nil)
	equal(t, "fresh", size(), 1)
	k.way(masqueraded, fastXDP, func(e *bpfobj.TcFast) { e.Way.Until = tick(t) - ticks(time.Second) })
	equal(t, "just over", size(), 1)
	before := k.stat().FastPackets
	k.way(masqueraded, fastXDP, func(e *bpfobj.TcFast) { e.Way.Until, e.Count = tick(t)-ticks(4*time.Second), 3<<fastBytes })
	equal(t, "long over", size(), 0)
	equal(t, "its last counts", k.stat().FastPackets-before, uint64(3))

	// A TCP connection's numbers are kept as long as the flow: its end is
	// compared with them. Behind it, see TestEndBehindItsRecord.
	k.arrive(k.lan, packet{src: lan4, dst: inet4, proto: tcp, sport: 40000, dport: 80, flags: "S"}.frame(t))
	over := func(e *bpfobj.TcFast) {
		e.Id, e.Key.Proto, e.Way.Until, e.Way.Active = k.flow().Id, unix.IPPROTO_TCP, tick(t)-ticks(time.Hour), 0
	}
	k.way(masqueraded, fastXDP, over)
	equal(t, "connection", size(), 1)
	k.forget()
	equal(t, "forgotten connection", size(), 0)
}

// Packets that turn back while counts are moved do not make them jump.
func TestFastPathCountsWhatTurnsBack(t *testing.T) {
	if runtime.GOMAXPROCS(0) < 2 {
		t.Skip("one processor does one thing at a time")
	}
	k := newKernel(t, 16)
	k.apply(1, "", usual)
	k.allowFast()
	frame := masqueraded.arrives(t)
	k.way(masqueraded, fastXDP, nil)
	if short, _ := k.runXDP(frame); !short {
		t.Fatal("the way does not hold")
	}
	k.way(masqueraded, fastXDP, func(e *bpfobj.TcFast) { e.Way.Seq = 3 }) // as one that somebody writes all the time
	if short, _ := k.runXDP(frame); short {
		t.Fatal("a way that is being written was taken")
	}
	before := k.stat()
	const packets = 400_000
	var done atomic.Bool
	go k.in(func() {
		defer done.Store(true)
		if _, err := k.xdp.Program.Run(&ebpf.RunOptions{Data: frame, Context: k.xdpContext(frame), Repeat: packets}); err != nil {
			t.Error(err)
		}
	})
	for !done.Load() {
		if err := k.settle(); err != nil {
			t.Fatal(err)
		}
	}
	after := k.stat()
	if n := after.FastPackets - before.FastPackets; n > packets {
		t.Errorf("%d packets turned back, %d are counted", packets, n)
	}
	if n := after.FastBytes - before.FastBytes; n > packets*uint64(len(frame)) {
		t.Errorf("%d packets turned back, %d bytes are counted", packets, n)
	}
}

// Who asks for counts at once with others removes what is over with them, once: an
// entry that went twice would take others from where they are found.
func TestFastPathForgetsOnce(t *testing.T) {
	if runtime.GOMAXPROCS(0) < 2 {
		t.Skip("one processor does one thing at a time")
	}
	k := newKernel(t, 512)
	k.apply(1, "", usual)
	k.allowFast()
	for range 100 {
		j := masqueraded
		for i := range 200 {
			j.in.sport = uint16(1000 + i)
			j.out.sport = j.in.sport
			k.way(j, fastXDP, func(e *bpfobj.TcFast) {
				e.Key.Proto, e.Way.Active, e.Way.Until = unix.IPPROTO_TCP, 0, tick(t)-1<<20
			})
		}
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				for range 3 {
					if err := k.settle(); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		k.homes()
		if t.Failed() {
			return
		}
	}
}
