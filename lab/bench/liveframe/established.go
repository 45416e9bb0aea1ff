package liveframe

import (
	"context"
	"errors"
	"fmt"

	"ngfw.sh/lab"
	"ngfw.sh/lab/bench/liveframe/internal/trafficobj"
)

// Established measures what a packet of established flows costs several routers.
// Their labs stand side by side and take turns of some seconds at each kind of
// traffic, generator and sink alone among them: what else happens on the machine,
// and to it, happens to all. The result has a measurement for each turn of each
// case, in the cases' order.
//
// While others have their turn, a router's flows are silent, and what a fast path
// then renews is in its own figure.
func Established(ctx context.Context, cases []Case, flows int, kinds []Traffic, turns int) (map[Traffic][][]Measurement, error) {
	if flows < 1 || flows > MaxFlows {
		return nil, fmt.Errorf("%d flows, at most %d", flows, MaxFlows)
	}
	if err := sweep(ctx); err != nil {
		return nil, err
	}
	c := contest{cases: cases, flows: flows, turns: turns}
	err := c.enter(ctx)
	all := map[Traffic][][]Measurement{}
	for _, t := range kinds {
		if err == nil {
			all[t], err = c.run(ctx, t)
		}
	}
	return all, errors.Join(err, c.leave())
}

// contest is several routers that are measured in turn.
type contest struct {
	cases        []Case
	flows, turns int

	alone   *stage // without a router's work
	routers []*stage
	undo    []func() error
}

func (c *contest) enter(ctx context.Context) (err error) {
	open := func(forward bool) (*stage, error) {
		s, err := newStage(ctx, stageName(len(c.undo)), forward)
		if err == nil {
			c.undo = append(c.undo, s.close)
		}
		return s, err
	}
	if c.alone, err = open(true); err != nil {
		return err
	}
	if err := c.alone.untranslated(); err != nil {
		return err
	}
	for _, one := range c.cases {
		s, err := open(!one.Filters)
		if err != nil {
			return fmt.Errorf("%s: %w", one.Name, err)
		}
		c.routers = append(c.routers, s)
		if one.Prepare == nil {
			continue
		}
		undo, err := one.Prepare(ctx, s.Lab)
		if err != nil {
			return fmt.Errorf("%s: %w", one.Name, err)
		}
		if undo != nil {
			c.undo = append(c.undo, func() error { undo(); return nil })
		}
	}
	return nil
}

func (c *contest) leave() error {
	var errs []error
	for i := len(c.undo) - 1; i >= 0; i-- {
		errs = append(errs, c.undo[i]())
	}
	return errors.Join(errs...)
}

// run measures one kind of traffic.
func (c *contest) run(ctx context.Context, t Traffic) ([][]Measurement, error) {
	seg, _ := lab.SegmentOf(t.from())
	undo, err := attach(c.alone.Lab, lab.RTR, seg.RouterPort, c.alone.objects.TrafficSink)
	if err != nil {
		return nil, err
	}
	defer undo()
	if err := c.alone.expect(trafficobj.TrafficExpected{Ttl: firstTTL, Kind: t.kind(), Flows: uint32(c.flows), Translated: 1}); err != nil {
		return nil, err
	}
	courses := make([]*course, len(c.cases))
	for i, one := range c.cases {
		if courses[i], err = c.routers[i].begin(ctx, one, t, c.flows); err != nil {
			return nil, fmt.Errorf("measure %s: %w", one.Name, err)
		}
		defer courses[i].close()
	}
	all := make([][]Measurement, len(c.cases))
	for range c.turns {
		for i, course := range courses {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			m := Measurement{Case: c.cases[i].Name, Flows: c.flows}
			if m.Overhead, err = c.alone.least(overheadFrames, func(n int) (float64, error) {
				return c.alone.generate(t, tcpACK, c.flows, n, false)
			}); err != nil {
				return nil, fmt.Errorf("generator and sink alone, %v: %w", t, err)
			}
			if m.Gross, err = course.turn(); err != nil {
				return nil, fmt.Errorf("measure %s, %v: %w", m.Case, t, err)
			}
			m.Cost = m.Gross - m.Overhead
			all[i] = append(all[i], m)
		}
	}
	for i, course := range courses {
		if err := course.end(ctx); err != nil {
			return nil, fmt.Errorf("measure %s: %w", c.cases[i].Name, err)
		}
	}
	return all, nil
}

// untranslated says that every flow keeps its port: so that the sink of a stage
// without a router has as much to look up as the others.
func (s *stage) untranslated() error {
	keys, ports := make([]uint32, MaxFlows), make([]uint32, MaxFlows)
	for n := range keys {
		keys[n], ports[n] = uint32(n), firstPort+uint32(n)&0x3fff
	}
	if _, err := s.objects.Translated.BatchUpdate(keys, ports, nil); err != nil {
		return fmt.Errorf("set the flows' ports: %w", err)
	}
	return nil
}
