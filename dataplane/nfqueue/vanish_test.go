package nfqueue

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// TestInterfaceVanishes: packets wait for their verdicts while their interface goes. The kernel drops
// them and refuses the verdicts; the queue goes on with those of other interfaces.
func TestInterfaceVanishes(t *testing.T) {
	l := labtest.New(t, labtest.Forward(), labtest.Servers())
	forwardTo(t, l, 9, false)
	var index uint32
	l.In(lab.RTR, func() {
		port, err := net.InterfaceByName("lan2")
		if err != nil {
			t.Fatal(err)
		}
		index = uint32(port.Index)
	})
	held, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var after atomic.Uint64
	q := New(DefaultConfig(9), slog.New(slog.DiscardHandler))
	stop := run(t, l, q, &inspector{judge: func(p *Packet) Verdict {
		if p.In == index {
			once.Do(func() { close(held); <-release })
		} else {
			after.Add(1)
		}
		return Verdict{Mark: p.Mark}
	}})
	pinged := make(chan struct{})
	go func() {
		defer close(pinged)
		l.TryExec(lab.LAN2, "ping", "-q", "-i", "0.05", "-c", "20", "-W", "1", lab.IP4(lab.INET).String())
	}()
	select {
	case <-held:
	case <-time.After(20 * time.Second):
		t.Fatal("no packet was queued")
	}
	labtest.Eventually(t, 20*time.Second, func() (err error) {
		l.In(lab.RTR, func() {
			if q.Stats().Waiting < 3 {
				err = errors.New("few packets wait")
			}
		})
		return err
	})
	l.Exec(lab.RTR, "ip", "link", "delete", "lan2")
	close(release)
	<-pinged
	if err := fetch(l, 1_000_000); err != nil {
		t.Errorf("other interfaces: %v", err)
	}
	labtest.Eventually(t, 20*time.Second, func() (err error) {
		l.In(lab.RTR, func() {
			if s := q.Stats(); s.Refused == 0 || s.Waiting != 0 {
				err = fmt.Errorf("no verdict was refused, or packets wait still: %+v", s)
			}
		})
		return err
	})
	l.In(lab.RTR, func() {
		if s := q.Stats(); s.QueueDropped+s.SocketDropped+s.Panics+s.Missed > 0 || !q.Bound() || after.Load() == 0 {
			t.Errorf("%+v", s)
		}
	})
	stop()
}
