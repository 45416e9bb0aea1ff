package nfqueue

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
	"golang.org/x/sys/unix"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// forwardTo sends what the router forwards to a queue: by nft's own statement, or
// where the kernel lacks it by the xtables target, whose module no kernel looks for
// by itself when a table of both families names it.
func forwardTo(t *testing.T, l *labtest.Lab, number uint16, bypass bool) {
	t.Helper()
	own := &expr.Queue{Num: number, Total: 1}
	flags := uint16(0)
	if bypass {
		own.Flag, flags = expr.QueueFlagBypass, 1
	}
	info := binary.NativeEndian.AppendUint16(nil, number)
	info = binary.NativeEndian.AppendUint16(info, 1)
	info = append(binary.NativeEndian.AppendUint16(info, flags), 0, 0)
	opaque := xt.Unknown(info)
	err := tryForward(t, l, own)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		err = tryForward(t, l, &expr.Target{Name: "NFQUEUE", Rev: 3, Info: &opaque})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func tryForward(t *testing.T, l *labtest.Lab, statement expr.Any) (err error) {
	l.In(lab.RTR, func() {
		c, dialed := nftables.New()
		if dialed != nil {
			t.Fatal(dialed)
		}
		table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "queue"})
		chain := c.AddChain(&nftables.Chain{
			Table: table, Name: "forward", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter,
		})
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
			&expr.Immediate{Register: 1, Data: binaryutil.NativeEndian.PutUint32(0x08000001)},
			&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1},
			statement,
		}})
		err = c.Flush()
	})
	return err
}

// inspector is a handler for tests.
type inspector struct {
	judge func(*Packet) Verdict
	rests atomic.Uint64
}

func (i *inspector) Packet(p *Packet) Verdict { return i.judge(p) }
func (i *inspector) Rest()                    { i.rests.Add(1) }

// run serves the queue in the router until the test ends.
func run(t *testing.T, l *labtest.Lab, q *Queue, h Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	bound := make(chan struct{})
	go func() {
		l.In(lab.RTR, func() {
			close(bound)
			ended <- q.Run(ctx, h)
		})
	}()
	<-bound
	stop = func() {
		cancel()
		select {
		case err := <-ended:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the queue ended with %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the queue does not end")
		}
		ended <- context.Canceled
	}
	t.Cleanup(stop)
	labtest.Eventually(t, 10*time.Second, func() error {
		// The file comes with its module, where that is one.
		if out, err := l.TryExec(lab.RTR, "cat", "/proc/self/net/netfilter/nfnetlink_queue"); !strings.Contains(out, " 2 65") {
			return errors.Join(errors.New("the queue is not bound"), err)
		}
		return nil
	})
	return stop
}

func fetch(l *labtest.Lab, size int, more ...string) error {
	limit := fmt.Sprint(labtest.Patience(30 * time.Second).Seconds())
	out, err := l.TryExec(lab.LAN1, append([]string{"curl", "-sS", "--fail", "--max-time", limit, "-o", "/dev/null", "-w", "%{size_download}",
		fmt.Sprintf("http://%s/bytes/%d", lab.IP4(lab.INET), size)}, more...)...)
	if err == nil && strings.TrimSpace(out) != fmt.Sprint(size) {
		err = fmt.Errorf("got %s bytes, want %d", out, size)
	}
	return err
}

func TestTrafficThroughAQueue(t *testing.T) {
	l := labtest.New(t, labtest.Forward(), labtest.Servers())
	forwardTo(t, l, 5, false)
	var gso, odd atomic.Uint64
	var mode atomic.Int32 // 0 passes, 1 drops, 2 panics
	h := &inspector{}
	h.judge = func(p *Packet) Verdict {
		if p.GSO {
			gso.Add(1)
		}
		if p.Mark != 0x08000001 || p.In == 0 || p.Out == 0 || p.EtherType != 0x0800 && p.EtherType != 0x86dd || p.Length != len(p.Data) || len(p.Source) != 6 {
			odd.Add(1)
		}
		switch mode.Load() {
		case 1:
			return Verdict{Drop: bytes.Contains(p.Data, []byte("GET /forbidden")), Mark: p.Mark}
		case 2:
			panic("broken")
		}
		return Verdict{Mark: 1}
	}
	cfg := DefaultConfig(5)
	q := New(cfg, slog.New(slog.DiscardHandler))
	stop := run(t, l, q, h)

	if err := fetch(l, 30_000_000); err != nil {
		t.Fatal(err)
	}
	l.In(lab.RTR, func() {
		s := q.Stats()
		t.Logf("%+v, %d GSO, slept %d times", s, gso.Load(), h.rests.Load())
		if s.Bytes < 30_000_000 || s.Packets < 100 || s.Dropped+s.Broken+s.Cut+s.Panics+s.Refused > 0 || odd.Load() > 0 {
			t.Errorf("%+v, %d odd packets", s, odd.Load())
		}
		if s.Verdicts > s.Packets || s.QueueDropped+s.SocketDropped > 0 {
			t.Errorf("%+v", s)
		}
	})
	if gso.Load() == 0 {
		t.Error("no packet came whole, each was cut before")
	}

	mode.Store(1)
	if err := fetch(l, 1000); err != nil {
		t.Error(err)
	}
	if out, err := l.TryExec(lab.LAN1, "curl", "-sS", "--max-time", "2", "http://"+lab.IP4(lab.INET).String()+"/forbidden"); err == nil {
		t.Errorf("what was dropped came through: %s", out)
	}
	if q.Stats().Dropped == 0 {
		t.Error("nothing was dropped")
	}

	// A broken handler opens the queue, and is counted.
	mode.Store(2)
	if err := fetch(l, 100_000); err != nil {
		t.Error(err)
	}
	if q.Stats().Panics == 0 {
		t.Error("no panic was counted")
	}

	// Without a listener and without bypass nothing passes.
	stop()
	if _, err := l.TryExec(lab.LAN1, "curl", "-sS", "--max-time", "2", "http://"+lab.IP4(lab.INET).String()+"/"); err == nil {
		t.Error("packets pass a queue that nobody serves")
	}
}

// TestBypass: with the rule's bypass packets pass while nobody serves the queue.
func TestBypass(t *testing.T) {
	l := labtest.New(t, labtest.Forward(), labtest.Servers())
	forwardTo(t, l, 6, true)
	if err := fetch(l, 1000); err != nil {
		t.Error(err)
	}
}
