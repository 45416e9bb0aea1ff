package hostile

import (
	"errors"
	"os"
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
		if err := r.agent.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		labtest.Eventually(t, 10*time.Second, func() error {
			if _, err := r.ask(); err == nil {
				return errors.New("it answers")
			}
			return nil
		})
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
