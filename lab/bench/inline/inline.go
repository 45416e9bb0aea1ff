// Package inline owns the measurement of the matcher as traffic meets it: one TCP stream through
// a router (inet → rtr → lan1 over veth, segmentation offload on) whose agent has each packet of
// it go through one queue, wait for its verdict, and be matched in full.
//
// A run counts only if all of that is so: what rules have looked at must be, to the byte, what
// both ends have sent, and the kernel must have dropped nothing and let nothing pass by the queue.
package inline

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/bench/liveframe"
)

// Config says what is measured.
type Config struct {
	Agent  string // the program
	Rules  string // file; "": nothing is inspected
	Bytes  int64  // of a transfer
	Page   int64  // bytes of each answer that it is made of; 0: one answer
	Rounds int    // the fastest counts: other work on the machine only ever adds
	// Body is what is transferred, again and again.
	Body []byte
}

// Measurement is what came of it.
type Measurement struct {
	Gbits float64 // of payload, per second of the clock
	CPU   float64 // seconds of the agent's per transferred gigabit
	Rules int
	// Packets were queued, GSO ones as one.
	Packets   uint64
	Inspected uint64 // bytes
	Counters
}

// Counters are what the kernel did with packets instead of queueing them. All are to be 0.
type Counters struct {
	QueueDropped, SocketDropped uint64
	// FailedOpen passed without a verdict: packets that the rule sent to the queue, less those that
	// came out of it.
	FailedOpen int64
}

// settings have one queue, and no packet that leaves it unseen.
const settings = "ids: {queues: 1, depth: 1TiB, bypass: \"off\"}\n"

// section is the section ids that inspects by the rules; nil: nothing is inspected.
func (c Config) section() (any, error) {
	if c.Rules == "" {
		return nil, nil
	}
	file, err := filepath.Abs(c.Rules)
	// Closed: a packet that finds no room must not pass unseen.
	return map[string]any{"enabled": true, "mode": "prevent", "fail_open": false, "sources": []any{
		map[string]any{"name": "measured", "file": file, "enabled": true},
	}}, err
}

// Measure makes a lab, measures in it and removes it.
func Measure(ctx context.Context, cfg Config) (m Measurement, err error) {
	name := fmt.Sprintf("bench-%d-inline", os.Getpid())
	l, undo, err := up(ctx, name, cfg)
	if err != nil {
		return m, err
	}
	defer func() { undo(); err = errors.Join(err, lab.Down(context.WithoutCancel(ctx), name)) }()
	server, err := serve(l, cfg.Body)
	if err != nil {
		return m, err
	}
	defer server.close()
	for round := range cfg.Rounds + 1 {
		size := cfg.Bytes
		if round == 0 {
			size = min(size, 64<<20) // windows and caches grow
		}
		one, err := transfer(ctx, l, cfg, server, size)
		if err != nil {
			return m, err
		}
		if round > 0 && one.Gbits > m.Gbits {
			m = one
		}
	}
	return m, nil
}

// transfer is one round.
func transfer(ctx context.Context, l *lab.Lab, cfg Config, server *server, size int64) (m Measurement, err error) {
	before, err := look(ctx, l, cfg)
	if err != nil {
		return m, err
	}
	page := cfg.Page
	if page == 0 {
		page = size
	}
	sent, took, err := server.fetch(l, page, size/page)
	if err != nil {
		return m, err
	}
	if cfg.Rules == "" {
		m.Gbits = float64(size) * 8 / took.Seconds() / 1e9
		return m, nil
	}
	// The last packets of the connection may still be on their way.
	for deadline := time.Now().Add(10 * time.Second); ; {
		after, err := look(ctx, l, cfg)
		if err != nil {
			return m, err
		}
		m = after.since(before)
		if m.Inspected >= uint64(sent) && m.FailedOpen <= 0 {
			break
		}
		if time.Now().After(deadline) {
			return m, fmt.Errorf("the ends have sent %d bytes, rules have looked at %d; %+v", sent, m.Inspected, m.Counters)
		}
		select {
		case <-ctx.Done():
			return m, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	if m.Inspected != uint64(sent) || m.Counters != (Counters{}) {
		return m, fmt.Errorf("the ends have sent %d bytes, rules have looked at %d; %+v", sent, m.Inspected, m.Counters)
	}
	m.Gbits = float64(size) * 8 / took.Seconds() / 1e9
	m.CPU /= float64(size) * 8 / 1e9
	return m, nil
}

// state is what the agent and the kernel have counted so far.
type state struct {
	liveframe.InspectionStatus
	queued uint64
	cpu    time.Duration
}

func look(ctx context.Context, l *lab.Lab, cfg Config) (s state, err error) {
	if cfg.Rules == "" {
		return s, nil
	}
	s.InspectionStatus, s.cpu, err = liveframe.Inspection(ctx, l, cfg.Agent)
	if err != nil {
		return s, err
	}
	if len(s.Queues) != 1 {
		return s, fmt.Errorf("there are %d queues, not one", len(s.Queues))
	}
	s.queued, err = sentToQueue(l)
	return s, err
}

func (s state) since(before state) Measurement {
	now, then := s.Queues[0], before.Queues[0]
	taken := now.Packets - then.Packets + now.Waiting - then.Waiting
	return Measurement{
		Rules: s.Rules, Packets: taken, Inspected: s.InspectedBytes - before.InspectedBytes, CPU: (s.cpu - before.cpu).Seconds(),
		Counters: Counters{
			QueueDropped: now.QueueDropped - then.QueueDropped, SocketDropped: now.SocketDropped - then.SocketDropped,
			FailedOpen: int64(s.queued-before.queued) - int64(taken),
		},
	}
}

var counted = regexp.MustCompile(`counter packets (\d+)`)

// sentToQueue is what the rule that sends packets to the queue has counted.
func sentToQueue(l *lab.Lab) (uint64, error) {
	out, err := output(l, lab.RTR, "nft", "list", "chain", "inet", "ngfw", "inspect")
	if err != nil {
		return 0, err
	}
	m := counted.FindStringSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("the chain that sends packets to the queue counts nothing:\n%s", out)
	}
	return strconv.ParseUint(m[1], 10, 64)
}

// address of the server.
func address() netip.AddrPort { return netip.AddrPortFrom(lab.IP4(lab.INET), 80) }
