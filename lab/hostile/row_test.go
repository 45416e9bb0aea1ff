package hostile

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ngfw.sh/agent/spool"
	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// rows ends the agent and gives what it had to tell of flows.
func (r *router) rows() (events []*ngfwv1.FlowEvent) {
	r.t.Helper()
	if err := r.agent.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
	cfg := spool.DefaultConfig()
	cfg.Dir = filepath.Join(r.dir, "state", "spool")
	var s *spool.Spool
	labtest.Eventually(r.t, 30*time.Second, func() (err error) {
		s, err = spool.Open(cfg, spool.Deps{Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
		return err
	})
	defer s.Close()
	reader := s.Reader()
	defer reader.Close()
	for {
		// All is on disk: what is not there at once is not there.
		ctx, cancel := context.WithTimeout(r.t.Context(), time.Second)
		batch, err := reader.Next(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			return events
		}
		if err != nil {
			r.t.Fatal(err)
		}
		events = append(events, batch.Events...)
	}
}

// A connection has one row from its beginning to its end, whatever is forged in
// between: who guesses a reset or a FIN ends no record.
func TestGuessedEndsSplitNoRow(t *testing.T) {
	// With connections of the fast path conntrack is liberal; theirs is TestGuessedEndOfFastConnection.
	r := newRouter(t, usual, "flow: {update_interval: 1s}", "fast_path: off")
	r.In(lab.RTR, func() {
		l, err := net.Listen("tcp", "10.77.1.1:7000") // the router's own service
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	})
	// known waits until the agent counts so many records, gone until it has let go of some.
	most := int64(0)
	known := func(n int64) {
		t.Helper()
		labtest.Eventually(t, 30*time.Second, func() error {
			if most = r.status().Counters.Flows; most < n {
				return fmt.Errorf("%d records, want %d", most, n)
			}
			return nil
		})
	}
	gone := func(n int64) {
		t.Helper()
		labtest.Eventually(t, 30*time.Second, func() error {
			now := r.status().Counters.Flows
			if now > most-n {
				return fmt.Errorf("%d records of %d are left", now, most)
			}
			most = now
			return nil
		})
	}
	var goOn, ends []func()
	type side struct {
		host string
		p    packet
	}
	for _, c := range []struct {
		name            string
		port            uint16
		client, service string
		server          *side
	}{
		{"IPv4, masqueraded", 7004, lan1v4, inetv4, &side{lab.INET, packet{src: inetv4, dst: wanv4}}},
		{"IPv6", 7006, lan1v6, inetv6, &side{lab.INET, packet{src: inetv6, dst: lan1v6}}},
		{"to the router", 7000, lan1v4, "10.77.1.1", nil},
		{"truly ended", 7001, lan1v4, inetv4, &side{lab.INET, packet{src: inetv4, dst: wanv4}}},
	} {
		v6 := netip.MustParseAddr(c.client).Is6()
		out := packet{src: c.client, dst: c.service, proto: tcp, sport: 6000, dport: c.port, flags: "S", seq: 1000}
		in := out.back()
		if c.server != nil {
			in.src, in.dst = c.server.p.src, c.server.p.dst
		}
		in.seq = 9000
		ask := func(p packet) { r.send(lab.LAN1, p) }
		answer := func(p packet) {
			if c.server != nil {
				r.send(lab.INET, p)
			}
		}
		ask(out)
		if c.server != nil {
			r.arrivals(lab.LAN1, lab.INET, v6)
			in.flags, in.ack = "SA", 1001
			answer(in)
			r.arrivals(lab.INET, lab.LAN1, v6)
		} else {
			in.seq = r.acknowledged(c.port)
		}
		out.flags, out.seq, out.ack = "A", 1001, in.seq+1
		in.flags, in.seq, in.ack = "A", in.seq+1, 1001
		say := func() {
			ask(out)
			answer(in)
		}
		for range 3 {
			say()
		}
		forge := func(flags string, seq uint32) {
			for _, from := range []side{{lab.LAN1, out}, {lab.INET, in}} {
				if from.host == lab.INET && c.server == nil {
					continue
				}
				guess := from.p
				guess.flags, guess.seq = flags, guess.seq+seq
				if flags == "R" {
					guess.ack = 0
				}
				r.send(from.host, guess)
			}
			r.arrivals(lab.INET, lab.LAN1, v6)
			say()
		}
		end := func() {
			out.flags, out.ack = "R", 0
			ask(out)
		}
		if c.port == 7001 {
			known(int64(r.marks) + 4)
			end()
			continue
		}
		forge("R", 2_000_000_000)
		forge("R", 100) // within the window, and not where the next byte is expected: RFC 5961 3.2
		if c.server != nil {
			forge("FA", 2_000_000_000)
		}
		goOn = append(goOn, say)
		ends = append(ends, end)
	}
	// The agent has let go of the record that ended, and would have of others.
	gone(1)
	for range 3 {
		for _, say := range goOn {
			say()
		}
		r.arrivals(lab.LAN1, lab.INET, false)
	}
	known(most)
	for _, end := range ends {
		end()
	}
	r.arrivals(lab.LAN1, lab.INET, false)
	gone(3)
	seen := map[uint32]map[uint64]map[ngfwv1.EventKind]int{}
	for _, port := range []uint16{7004, 7006, 7000} {
		seen[uint32(port)] = map[uint64]map[ngfwv1.EventKind]int{}
	}
	for _, e := range r.rows() {
		flows := seen[e.GetDestinationPort()]
		if flows == nil {
			continue
		}
		if flows[e.GetFlowId()] == nil {
			flows[e.GetFlowId()] = map[ngfwv1.EventKind]int{}
		}
		flows[e.GetFlowId()][e.GetKind()]++
	}
	for port, flows := range seen {
		if len(flows) != 1 {
			t.Errorf("port %d: %d records of one connection: %v", port, len(flows), flows)
		}
		for _, kinds := range flows {
			if kinds[ngfwv1.EventKind_EVENT_KIND_OPEN] != 1 || kinds[ngfwv1.EventKind_EVENT_KIND_CLOSE] != 1 {
				t.Errorf("port %d: %v", port, kinds)
			}
		}
	}
}

// acknowledged is the number that the router's own service began with.
func (r *router) acknowledged(port uint16) uint32 {
	r.t.Helper()
	for {
		frame := r.taps[lab.LAN1].next(5 * time.Second)
		if frame == nil {
			r.t.Fatal("the router does not answer")
		}
		if ip := frame[14:]; ip[0] == 0x45 && ip[9] == 6 && binary.BigEndian.Uint16(ip[20:]) == port && ip[33]&0x12 == 0x12 {
			return binary.BigEndian.Uint32(ip[24:])
		}
	}
}
