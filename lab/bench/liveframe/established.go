package liveframe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/bench/liveframe/internal/trafficobj"
)

// Established measures what a packet of established flows costs a router: each
// kind of traffic once, all in one lab. Rounds last as long as it takes a fast
// path to send a packet of each flow the long way, so that these are in the
// figure, and are counted. Every frame is verified where it arrives: addresses,
// ports, hop limit and checksums.
func Established(ctx context.Context, c Case, flows int, kinds []Traffic) (map[Traffic]Measurement, error) {
	if flows < 1 || flows > MaxFlows {
		return nil, fmt.Errorf("%d flows, at most %d", flows, MaxFlows)
	}
	if err := sweep(ctx); err != nil {
		return nil, err
	}
	s, err := newStage(ctx, stageName(0), !c.Filters)
	if err != nil {
		return nil, err
	}
	all, err := s.established(ctx, c, flows, kinds)
	if err = errors.Join(err, s.close()); err != nil {
		return nil, fmt.Errorf("measure %s: %w", c.Name, err)
	}
	return all, nil
}

func (s *stage) established(ctx context.Context, c Case, flows int, kinds []Traffic) (map[Traffic]Measurement, error) {
	all := map[Traffic]Measurement{}
	for _, t := range kinds {
		alone, err := s.alone(t, flows, false)
		if err != nil {
			return nil, err
		}
		all[t] = Measurement{Case: c.Name, Flows: flows, Overhead: alone}
	}
	if c.Prepare != nil {
		undo, err := c.Prepare(ctx, s.Lab)
		if err != nil {
			return nil, err
		}
		if undo != nil {
			defer undo()
		}
	}
	for _, t := range kinds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := s.establish(t, flows); err != nil {
			return nil, err
		}
		m := all[t]
		var err error
		if m.Gross, err = s.follow(ctx, c, t, flows); err != nil {
			return nil, fmt.Errorf("%v: %w", t, err)
		}
		m.Cost = m.Gross - m.Overhead
		all[t] = m
	}
	return all, nil
}

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

// follow measures one kind of traffic that is established.
func (s *stage) follow(ctx context.Context, c Case, t Traffic, flows int) (float64, error) {
	e := trafficobj.TrafficExpected{Ttl: firstTTL - 1, Kind: t.kind(), Flows: uint32(flows), Translated: 1}
	if c.Masquerades && !t.V6 && !t.In {
		wan, _ := lab.SegmentOf(lab.INET)
		a := wan.Router4.Addr().As4()
		e.Source = binary.NativeEndian.Uint32(a[:])
	}
	if err := s.expect(e); err != nil {
		return 0, err
	}
	undo, err := attach(s.Lab, t.to(), lab.HostPort, s.objects.TrafficSink)
	if err != nil {
		return 0, err
	}
	defer undo()
	pilot := max(200_000, 3*flows)
	ns, err := s.settled(ctx, c, t, flows, pilot)
	if err != nil {
		return 0, err
	}
	frames := max(pilot, int(1.3e9/ns))
	before, fast := uint64(0), uint64(0)
	if c.Packets != nil {
		if before, err = c.Packets(ctx, s.Lab); err != nil {
			return 0, err
		}
	}
	if c.Fast != nil {
		if fast, err = c.Fast(ctx, s.Lab); err != nil {
			return 0, err
		}
	}
	start, err := s.arrived()
	if err != nil {
		return 0, err
	}
	send := func(n int) (float64, error) { return s.generate(t, tcpACK, flows, n, false) }
	renewed := c.Fast != nil && flows > 1
	if renewed {
		ns, err = s.during(renewal, frames, send)
	} else {
		ns, err = s.least(frames, send)
	}
	if err != nil || c.Packets == nil {
		return ns, err
	}
	after, err := c.Packets(ctx, s.Lab)
	if err != nil {
		return 0, err
	}
	end, err := s.arrived()
	if err != nil {
		return 0, err
	}
	if n, came := after-before, end.All-start.All; n < came || float64(n) > float64(came)*(1+tolerance)+200 {
		return 0, fmt.Errorf("the router counted %d packets, %d came through it", n, came)
	}
	if !renewed {
		return ns, nil
	}
	nowFast, err := c.Fast(ctx, s.Lab)
	if err != nil {
		return 0, err
	}
	// Between the two questions others may have gone either way, but few.
	if long := int64(after-before) - int64(nowFast-fast); long < int64(flows)/2 {
		return 0, fmt.Errorf("only %d packets of %d flows went the long way: what it costs is not in the figure", long, flows)
	}
	return ns, nil
}

// renewal is the time in which a packet of each flow goes the long way
// (FAST_DUE_WATCHED in bpf/lib/ways.h).
const renewal = 5 * time.Second

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
