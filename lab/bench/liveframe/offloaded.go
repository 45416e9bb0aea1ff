package liveframe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"ngfw.sh/lab"
)

// Offloaded measures what a packet costs, in nanoseconds, of one and the same flow: before the router inspects
// and while it does not, and after the flow has been to the matcher's queue and has left it for good. The
// section's rules are to let it go with its first packet. Both take turns in one lab under one agent, so
// that they share all else, and each is the least of some rounds: other work only ever adds.
func Offloaded(ctx context.Context, program, fastPath string, section any, t Traffic, turns, rounds int) (never, left float64, err error) {
	if err := sweep(ctx); err != nil {
		return 0, 0, err
	}
	s, err := newStage(ctx, stageName(0), false)
	if err != nil {
		return 0, 0, err
	}
	s.rounds = rounds
	never, left, err = s.offloaded(ctx, program, fastPath, section, t, turns)
	if err = errors.Join(err, s.close()); err != nil {
		return 0, 0, fmt.Errorf("measure a flow that leaves the matcher: %w", err)
	}
	return never, left, nil
}

func (s *stage) offloaded(ctx context.Context, program, fastPath string, section any, t Traffic, turns int) (never, left float64, err error) {
	overhead, err := s.alone(t, 1, false)
	if err != nil {
		return 0, 0, err
	}
	settings := fmt.Sprintf("fast_path: %q\nflow: {max_flows: 262144}\n", fastPath)
	undo, err := startInspecting(ctx, s.Lab, program, settings, map[string]any{"enabled": false}, func(mode string) bool { return mode == "off" })
	if err != nil {
		return 0, 0, err
	}
	defer undo()
	if err := s.establish(t, 1); err != nil {
		return 0, 0, err
	}
	c := Agent(program, fastPath)
	c.Packets = nil // one count is enough
	for range turns {
		off, err := s.follow(ctx, c, t, 1)
		if err != nil {
			return 0, 0, err
		}
		if err := switchInspection(ctx, s.Lab, program, section, true); err != nil {
			return 0, 0, err
		}
		// Its first packets go through the queue, and it leaves.
		if _, err := s.generate(t, tcpACK, 1, 64, false); err != nil {
			return 0, 0, err
		}
		before, err := leftQueue(ctx, s.Lab, program)
		if err != nil {
			return 0, 0, err
		}
		on, err := s.follow(ctx, c, t, 1)
		if err != nil {
			return 0, 0, err
		}
		after, err := leftQueue(ctx, s.Lab, program)
		if err != nil {
			return 0, 0, err
		}
		if after != before {
			return 0, 0, fmt.Errorf("%d packets were queued while it was measured", after-before)
		}
		if err := switchInspection(ctx, s.Lab, program, map[string]any{"enabled": false}, false); err != nil {
			return 0, 0, err
		}
		if never == 0 || off < never {
			never = off
		}
		if left == 0 || on < left {
			left = on
		}
	}
	return never - overhead, left - overhead, nil
}

// leftQueue waits until the flow has left the matcher, and says how many packets were queued.
func leftQueue(ctx context.Context, l *lab.Lab, program string) (queued uint64, err error) {
	err = poll(ctx, func() error {
		i, _, err := Inspection(ctx, l, program)
		if err != nil {
			return err
		}
		queued = 0
		for _, q := range i.Queues {
			queued += q.Packets
		}
		if i.FlowsBypassed == 0 {
			return fmt.Errorf("of %d packets that were queued, no flow has left", queued)
		}
		return nil
	})
	return queued, err
}

// switchInspection has the agent read another section.
func switchInspection(ctx context.Context, l *lab.Lab, program string, section any, on bool) error {
	if err := writeSection(l, section); err != nil {
		return err
	}
	s, err := ask(ctx, l, program)
	if err != nil {
		return err
	}
	if err := unix.Kill(s.PID, unix.SIGHUP); err != nil {
		return fmt.Errorf("tell the agent: %w", err)
	}
	return poll(ctx, func() error {
		i, _, err := Inspection(ctx, l, program)
		if err == nil && (i.Mode != "off") != on {
			err = fmt.Errorf("inspection is %s", i.Mode)
		}
		return err
	})
}

// poll waits for a condition.
func poll(ctx context.Context, condition func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		err := condition()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond): // between two looks
		}
	}
}
