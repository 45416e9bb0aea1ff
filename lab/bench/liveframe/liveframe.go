// Package liveframe owns the measurement of what a packet costs a router: the
// kernel's own duration per frame of BPF_PROG_TEST_RUN with live frames, on one
// core, through a lab (lan1 → rtr → inet).
//
// A small XDP program makes 64-byte UDP frames of as many flows as wanted and
// sends them out of lan1; another counts them in inet and drops them there.
// Each router has a lab of its own: what an earlier one loaded (xtables,
// conntrack) slows a namespace for good. What generator and sink cost by
// themselves, sink in the router's port, is measured too, and subtracted.
//
// Where routers are compared (Established, FirstPackets) their labs stand side
// by side and take turns, since a machine's pace changes from minute to minute.
//
// Limits: within a turn a figure is the fastest of its rounds, because other work
// on the machine only ever adds, or, where what comes now and then is a part of
// it, their mean; a round that lost frames does not count, because a lost frame
// is cheap.
package liveframe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/vishvananda/netlink"

	"ngfw.sh/lab"
)

// Config says how much is measured.
type Config struct {
	Frames int // per round; a round costs about 20 ms beside its frames
	Rounds int
	Flows  int // a power of two, at most MaxFlows
}

// DefaultConfig gives figures that repeat to a few per cent on a quiet machine.
func DefaultConfig() Config { return Config{Frames: 500_000, Rounds: 5, Flows: 1} }

// MaxFlows is what the generator's source ports and addresses suffice for. A
// router that masquerades has one address for all: keep to half of it there, or
// its ports run out and frames are lost.
const MaxFlows = 1 << 16

// Case is one configuration of the router.
type Case struct {
	Name string

	// Filters says that the router is not a plain one: it forwards only when
	// Prepare has made it do so.
	Filters bool

	// Slow says that its first packets take a tenth of a millisecond or so.
	Slow bool

	// Masquerades says that frames leave with the router's address.
	Masquerades bool

	// Prepare configures the router of a fresh lab; the returned function ends
	// what it started. Nil: nothing to do.
	Prepare func(ctx context.Context, l *lab.Lab) (undo func(), err error)

	// Packets reads the router's own count of packets. Nil: it has none. After
	// the rounds it must agree with the sink.
	Packets func(ctx context.Context, l *lab.Lab) (uint64, error)

	// Fast reads how many packets have gone by a fast path. Where there is one,
	// it is measured once nearly all do. Nil: there is none.
	Fast func(ctx context.Context, l *lab.Lab) (uint64, error)
}

// Measurement is what a packet costs, in nanoseconds.
type Measurement struct {
	Case     string
	Flows    int
	Cost     float64 // Gross less Overhead
	Gross    float64
	Overhead float64 // generator and sink by themselves
}

// prefix marks the names of benchmarks' labs.
const prefix = "bench-"

// errLoss says that a round lost frames, errWrong that some arrived with another
// TTL or source than they should, or with a bad checksum.
var (
	errLoss  = errors.New("frames were lost on the way")
	errWrong = errors.New("frames arrived wrong")
)

// tolerated loss of a round.
const tolerance = 0.002

// Measure makes a lab, measures the case in it and removes it.
func Measure(ctx context.Context, cfg Config, c Case) (Measurement, error) {
	m, err := measure(ctx, cfg, c)
	if err != nil {
		return m, fmt.Errorf("measure %s: %w", c.Name, err)
	}
	return m, nil
}

func measure(ctx context.Context, cfg Config, c Case) (m Measurement, err error) {
	if cfg.Flows < 1 || cfg.Flows > MaxFlows || cfg.Flows&(cfg.Flows-1) != 0 {
		return m, fmt.Errorf("%d flows: use a power of two up to %d", cfg.Flows, MaxFlows)
	}
	// What a killed benchmark left would disturb this one.
	if err := lab.Sweep(ctx, func(name string) bool { return strings.HasPrefix(name, prefix) }); err != nil {
		return m, err
	}
	name := fmt.Sprintf("%s%d", prefix, os.Getpid())
	l, err := lab.Up(ctx, lab.Config{Name: name, Forward: !c.Filters, Owner: lab.Self()})
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, lab.Down(context.WithoutCancel(ctx), name)) }()
	if err := l.In(lab.RTR, settle); err != nil {
		return m, err
	}
	gen, err := newGenerator(l, cfg.Flows)
	if err != nil {
		return m, err
	}
	defer gen.close()

	m = Measurement{Case: c.Name, Flows: cfg.Flows}
	client, _ := lab.SegmentOf(lab.LAN1)
	if m.Overhead, err = withSink(l, lab.RTR, client.RouterPort, arrival{ttl: firstTTL}, func(s *sink) (float64, error) {
		return rounds(ctx, cfg, gen, s)
	}); err != nil {
		return m, fmt.Errorf("generator and sink alone: %w", err)
	}
	if c.Prepare != nil {
		undo, err := c.Prepare(ctx, l)
		if err != nil {
			return m, err
		}
		if undo != nil {
			defer undo()
		}
	}
	if err := establish(l, cfg, gen); err != nil {
		return m, err
	}
	want := arrival{ttl: firstTTL - 1}
	if c.Masquerades {
		uplink, _ := lab.SegmentOf(lab.INET)
		want.source = uplink.Router4.Addr()
	}
	m.Gross, err = withSink(l, lab.INET, lab.HostPort, want, func(s *sink) (float64, error) {
		return counted(ctx, l, c, s, func() (float64, error) { return rounds(ctx, cfg, gen, s) })
	})
	m.Cost = m.Gross - m.Overhead
	return m, err
}

// settle removes from the router what would be measured beside the case: a
// second route lookup for the source, and neighbours that come and go.
func settle() error {
	for _, path := range []string{"all", "default", "lan1", "wan"} {
		if err := os.WriteFile("/proc/sys/net/ipv4/conf/"+path+"/rp_filter", []byte("0"), 0o644); err != nil {
			return err
		}
	}
	for _, host := range []string{lab.LAN1, lab.INET} {
		s, _ := lab.SegmentOf(host)
		link, err := netlink.LinkByName(s.RouterPort)
		if err != nil {
			return err
		}
		addrs := []netlink.Neigh{{IP: s.Host4.Addr().AsSlice()}}
		if host == lab.LAN1 { // the generator's other sources
			for n := range sources {
				addrs = append(addrs, netlink.Neigh{IP: source(n).AsSlice()})
			}
		}
		for _, neigh := range addrs {
			neigh.LinkIndex, neigh.HardwareAddr, neigh.State = link.Attrs().Index, s.HostMAC, netlink.NUD_PERMANENT
			if err := netlink.NeighSet(&neigh); err != nil {
				return fmt.Errorf("set a neighbour of %s: %w", s.RouterPort, err)
			}
		}
	}
	return nil
}

// establish sends every flow both ways some times, so that conntrack and caches
// know it as established before anything is measured.
func establish(l *lab.Lab, cfg Config, gen *generator) error {
	mirror, err := newMirror(l)
	if err != nil {
		return err
	}
	defer mirror.Close()
	undo, err := attach(l, lab.INET, lab.HostPort, mirror)
	if err != nil {
		return err
	}
	defer undo()
	_, err = withSink(l, lab.LAN1, lab.HostPort, arrival{}, func(s *sink) (float64, error) {
		if _, err := gen.run(max(8*cfg.Flows, 4096)); err != nil {
			return 0, err
		}
		back, err := s.count()
		if err == nil && back.All == 0 {
			err = errors.New("no frame comes back through the router: it does not forward")
		}
		return 0, err
	})
	return err
}

// counted runs f and compares the router's count with the sink's. The router also
// sees its neighbours' few words.
func counted(ctx context.Context, l *lab.Lab, c Case, s *sink, f func() (float64, error)) (float64, error) {
	if c.Packets == nil {
		return f()
	}
	before, err := c.Packets(ctx, l)
	if err != nil {
		return 0, err
	}
	ns, err := f()
	if err != nil {
		return 0, err
	}
	after, err := c.Packets(ctx, l)
	if err != nil {
		return 0, err
	}
	came, err := s.count()
	if err != nil {
		return 0, err
	}
	if n := after - before; n < came.All || float64(n) > float64(came.All)*(1+tolerance)+100 {
		return 0, fmt.Errorf("the router counted %d packets, %d came through it", n, came.All)
	}
	return ns, nil
}

// rounds returns the fastest round, in nanoseconds a frame.
func rounds(ctx context.Context, cfg Config, gen *generator, s *sink) (float64, error) {
	best, lost := 0.0, 0.0
	for range cfg.Rounds {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		before, err := s.count()
		if err != nil {
			return 0, err
		}
		ns, err := gen.run(cfg.Frames)
		if err != nil {
			return 0, err
		}
		after, err := s.count()
		if err != nil {
			return 0, err
		}
		came := after.All - before.All
		if good := after.Good - before.Good; good != came {
			return 0, fmt.Errorf("%w: %d of %d", errWrong, came-good, came)
		}
		if loss := 1 - float64(came)/float64(cfg.Frames); loss > tolerance {
			lost = max(lost, loss)
		} else if best == 0 || ns < best {
			best = ns
		}
	}
	if best == 0 {
		return 0, fmt.Errorf("%w: up to %.1f %% in each round", errLoss, 100*lost)
	}
	return best, nil
}
