package liveframe

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/bench/liveframe/internal/trafficobj"
)

// course is one kind of established traffic through one router while it is
// measured. Every frame is verified where it arrives: addresses, ports, hop limit
// and checksums; at the end the router's counts must be what arrived.
type course struct {
	stage  *stage
	router Case
	t      Traffic
	flows  int
	frames int // of a round: half a second's
	turns  int

	packets, fast uint64 // the router's counts at the beginning
	start         trafficobj.TrafficArrived
	detach        func()
}

// begin has the flows go both ways and settle, and reads the counts.
func (s *stage) begin(ctx context.Context, c Case, t Traffic, flows int) (*course, error) {
	if err := s.establish(t, flows); err != nil {
		return nil, fmt.Errorf("%v: %w", t, err)
	}
	r := &course{stage: s, router: c, t: t, flows: flows}
	if err := r.open(ctx); err != nil {
		r.close()
		return nil, fmt.Errorf("%v: %w", t, err)
	}
	return r, nil
}

func (r *course) open(ctx context.Context) (err error) {
	s, c, t := r.stage, r.router, r.t
	e := trafficobj.TrafficExpected{Ttl: firstTTL - 1, Kind: t.kind(), Flows: uint32(r.flows), Translated: 1}
	if c.Masquerades && !t.V6 && !t.In {
		wan, _ := lab.SegmentOf(lab.INET)
		a := wan.Router4.Addr().As4()
		e.Source = binary.NativeEndian.Uint32(a[:])
	}
	if err := s.expect(e); err != nil {
		return err
	}
	if r.detach, err = attach(s.Lab, t.to(), lab.HostPort, s.objects.TrafficSink); err != nil {
		return err
	}
	pilot := max(200_000, 3*r.flows)
	ns, err := s.settled(ctx, c, t, r.flows, pilot)
	if err != nil {
		return err
	}
	r.frames = max(pilot, int(0.5e9/ns))
	if r.packets, r.fast, err = r.counts(ctx); err != nil {
		return err
	}
	r.start, err = s.arrived()
	return err
}

func (r *course) close() {
	if r.detach != nil {
		r.detach()
		r.detach = nil
	}
}

// counts are the router's own; 0 of what it does not count.
func (r *course) counts(ctx context.Context) (packets, fast uint64, err error) {
	if r.router.Packets != nil {
		if packets, err = r.router.Packets(ctx, r.stage.Lab); err != nil {
			return 0, 0, err
		}
	}
	if r.router.Fast != nil {
		fast, err = r.router.Fast(ctx, r.stage.Lab)
	}
	return packets, fast, err
}

// renewed says that the flows take the long way in turn, and that it is in the figure.
func (r *course) renewed() bool { return r.router.Fast != nil && r.flows > 1 }

// turn is one measurement, in nanoseconds a frame: as long as it takes a fast path
// to send a packet of each flow the long way, where there is one.
func (r *course) turn() (float64, error) {
	r.turns++
	send := func(n int) (float64, error) { return r.stage.generate(r.t, tcpACK, r.flows, n, false) }
	if r.renewed() {
		return r.stage.during(renewal, r.frames, send)
	}
	return r.stage.least(r.frames, send)
}

// end compares the counts.
func (r *course) end(ctx context.Context) error {
	r.close()
	if r.router.Packets == nil {
		return nil
	}
	packets, fast, err := r.counts(ctx)
	if err != nil {
		return err
	}
	arrived, err := r.stage.arrived()
	if err != nil {
		return err
	}
	n, came := packets-r.packets, arrived.All-r.start.All
	if n < came || float64(n) > float64(came)*(1+tolerance)+200 {
		return fmt.Errorf("%v: the router counted %d packets, %d came through it", r.t, n, came)
	}
	// Between the two counts others may have gone either way, but few.
	if long := int64(n) - int64(fast-r.fast); r.renewed() && long < int64(r.turns)*int64(r.flows)/2 {
		return fmt.Errorf("%v: only %d packets of %d flows in %d turns went the long way: what it costs is not in the figure", r.t, long, r.flows, r.turns)
	}
	return nil
}

// follow measures one kind of traffic that is established.
func (s *stage) follow(ctx context.Context, c Case, t Traffic, flows int) (float64, error) {
	r := &course{stage: s, router: c, t: t, flows: flows}
	defer r.close()
	if err := r.open(ctx); err != nil {
		return 0, err
	}
	ns, err := r.turn()
	if err != nil {
		return 0, err
	}
	return ns, r.end(ctx)
}

// renewal is the time in which a packet of each flow goes the long way
// (FAST_DUE_WATCHED in bpf/lib/ways.h).
const renewal = 5 * time.Second

// establish has every flow go both ways some times, and the mirror note as
// which port it leaves the router.
func (s *stage) establish(t Traffic, flows int) error {
	t.In = false
	index, err := portIndex(s.Lab, lab.INET, lab.HostPort)
	if err != nil {
		return err
	}
	if err := s.expect(trafficobj.TrafficExpected{Ttl: firstTTL - 1, Kind: t.kind(), Flows: uint32(flows), Port: uint32(index)}); err != nil {
		return err
	}
	mirror, err := attach(s.Lab, lab.INET, lab.HostPort, s.objects.TrafficMirror)
	if err != nil {
		return err
	}
	defer mirror()
	sink, err := attach(s.Lab, lab.LAN1, lab.HostPort, s.objects.TrafficSink)
	if err != nil {
		return err
	}
	defer sink()
	if t.TCP {
		if _, err := s.generate(t, tcpSYN, flows, max(flows, 2), false); err != nil {
			return err
		}
	}
	for range 3 {
		if _, err := s.generate(t, tcpACK, flows, max(4*flows, 64), false); err != nil {
			return err
		}
	}
	a, err := s.arrived()
	if err == nil && a.All < uint64(flows) {
		err = fmt.Errorf("%v: only %d frames reached the mirror and came back: the router does not forward", t, a.All)
	}
	return err
}

// settled sends frames until nearly all of them go by the fast path, which takes
// a while: of each TCP connection, conntrack is told first. It returns the
// nanoseconds of the last ones.
func (s *stage) settled(ctx context.Context, c Case, t Traffic, flows, frames int) (float64, error) {
	const patience = 40 * time.Second
	fast := func() (uint64, error) {
		if c.Fast == nil {
			return 0, nil
		}
		return c.Fast(ctx, s.Lab)
	}
	for began := time.Now(); ; {
		before, err := fast()
		if err != nil {
			return 0, err
		}
		ns, err := s.generate(t, tcpACK, flows, frames, false)
		if err != nil {
			return 0, err
		}
		after, err := fast()
		if err != nil {
			return 0, err
		}
		share := float64(after-before) / float64(frames)
		if c.Fast == nil || share > 0.9 {
			return ns, nil
		}
		if time.Since(began) > patience {
			return 0, fmt.Errorf("only %.0f %% of the packets go by the fast path: a machine this busy measures nothing", 100*share)
		}
	}
}
