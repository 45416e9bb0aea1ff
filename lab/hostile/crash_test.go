package hostile

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// stream puts frames on hosts' cables, one of each every two milliseconds, until
// it is stopped; it says how often.
func (r *router) stream(frames map[string][]byte) (stop func() (int, error)) {
	end := make(chan struct{})
	var wait sync.WaitGroup
	sent, failed := 0, error(nil)
	wait.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			for host, frame := range frames {
				t := r.taps[host]
				failed = errors.Join(failed, unix.Sendto(t.fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: t.index}))
			}
			sent++
			select {
			case <-end:
				return
			case <-tick.C:
			}
		}
	})
	return func() (int, error) {
		close(end)
		wait.Wait()
		return sent, failed
	}
}

// kill ends the agent as it is, and waits until it is gone.
func (r *router) kill() {
	r.t.Helper()
	if err := r.agent.Process.Signal(syscall.SIGKILL); err != nil {
		r.t.Fatal(err)
	}
	labtest.Eventually(r.t, 10*time.Second, func() error {
		if _, err := r.ask(); err == nil {
			return errors.New("it answers")
		}
		return nil
	})
}

// The agent is killed again and again, 20 times with NGFW_LONG, while packets go
// by: no packet of an open flow is lost, none that is forbidden passes, and
// counters never go back.
func TestKilledUnderLoad(t *testing.T) {
	rounds := 3
	if os.Getenv("NGFW_LONG") != "" {
		rounds = 20
	}
	r := newRouter(t, usual)
	client, _ := established(t, r)
	counted := r.status().Counters.Packets
	stop := r.stream(map[string][]byte{
		lab.LAN1: ethernet(t, lab.LAN1, client.ip(t)),
		lab.IOT1: ethernet(t, lab.IOT1, toClient.ip(t)),
	})
	for range rounds {
		r.kill()
		r.start()
		now := r.status().Counters.Packets
		if now < counted {
			t.Errorf("%d packets are counted, %d were before", now, counted)
		}
		counted = now
	}
	sent, err := stop()
	if err != nil {
		t.Fatal(err)
	}
	passed := r.arrivals(lab.LAN1, lab.INET, false)
	for _, p := range passed {
		if p != "udp 203.0.113.2:4000 > 203.0.113.1:4001" {
			t.Errorf("%s came out", p)
		}
	}
	if len(passed) != sent {
		t.Errorf("%d of %d packets of an open flow came through", len(passed), sent)
	}
	equal(t, "forbidden ones", r.arrivals(lab.IOT1, lab.LAN1, false), nil)
	t.Logf("%d packets over %d deaths", sent, rounds)
	if sent < 100*rounds {
		t.Error("hardly anything was sent")
	}
}

// queued counts the packets that wait for the matcher's word.
func (r *router) queued() (n int) {
	r.t.Helper()
	for line := range strings.Lines(r.Exec(lab.RTR, "cat", "/proc/net/netfilter/nfnetlink_queue")) {
		fields := strings.Fields(line) // number, port, waiting, …
		if len(fields) < 3 {
			r.t.Fatalf("a queue's line: %q", line)
		}
		waiting, err := strconv.Atoi(fields[2])
		if err != nil {
			r.t.Fatal(err)
		}
		n += waiting
	}
	return n
}

// never is a section ids whose one rule has every UDP flow inspected, and matches none.
const never = `{"format": 1, "version": 1, "document": {"enabled": true, "mode": "prevent", "fail_open": true, "rules": [
  {"id": 1, "name": "never", "enabled": true, "category": "suspicious", "sid": 1000001,
   "rule": "alert udp any any -> any any (msg:\"never\"; content:\"what nobody says\"; sid:1000001;)"}]}}`

// Killed with packets in its queue, the agent takes exactly those with it: the
// flow's next ones pass uninspected, later ones are inspected again, and what is
// forbidden passes at no time.
func TestKilledWhileInspecting(t *testing.T) {
	rounds := 2
	if os.Getenv("NGFW_LONG") != "" {
		rounds = 20
	}
	r := newRouter(t, usual)
	r.kill()
	r.write("state/ids.json", never)
	r.resume = true
	r.start()
	counted, lost := r.status().Counters.Packets, 0
	for round := range rounds {
		inspected := packet{src: lan1v4, dst: inetv4, proto: udp, sport: 30000 + uint16(round), dport: 4001, payload: "something"}
		forbidden := packet{src: iotv4, dst: lan1v4, proto: udp, sport: 30000 + uint16(round), dport: 4001, payload: "something"}
		burst := func(n int) {
			for range n {
				r.send(lab.LAN1, inspected)
				r.send(lab.IOT1, forbidden)
			}
		}
		// A stopped agent gives no verdict, so what is in its queue can be counted.
		if err := r.agent.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		labtest.Eventually(t, 10*time.Second, func() error {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.agent.Process.Pid))
			if err == nil && !strings.Contains(string(stat), ") T ") { // proc(5): stopped
				err = fmt.Errorf("it runs: %.40s", stat)
			}
			return err
		})
		burst(20)
		labtest.Eventually(t, 10*time.Second, func() error {
			if n := r.queued(); n != 20 {
				return fmt.Errorf("%d packets wait, want 20", n)
			}
			return nil
		})
		r.kill()
		labtest.Eventually(t, 10*time.Second, func() error { // the kernel lets go of the queues a little later
			if held := r.Exec(lab.RTR, "cat", "/proc/net/netfilter/nfnetlink_queue"); held != "" {
				return fmt.Errorf("queues are bound: %s", held)
			}
			return nil
		})
		burst(30)
		passed := r.arrivals(lab.LAN1, lab.INET, false)
		if len(passed) != 30 {
			t.Errorf("round %d: %d packets passed, want the 30 that were sent after the agent's death", round, len(passed))
		}
		lost += 50 - len(passed)
		r.start()
		burst(10)
		if passed := r.arrivals(lab.LAN1, lab.INET, false); len(passed) != 10 {
			t.Errorf("round %d: %d of 10 packets passed after its restart", round, len(passed))
		}
		equal(t, "forbidden ones", r.arrivals(lab.IOT1, lab.LAN1, false), nil)
		now := r.status().Counters.Packets
		if now < counted {
			t.Errorf("%d packets are counted, %d were before", now, counted)
		}
		counted = now
	}
	t.Logf("%d packets lost in %d deaths, with 20 in the queue each", lost, rounds)
}
