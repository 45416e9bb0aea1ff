package linktest

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/agent/link"
	"ngfw.sh/agent/spool"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// router is an agent without a data plane.
type router struct {
	t      *testing.T
	client *link.Client
	spool  *spool.Spool
	stop   func()
	next   uint64 // flow id

	mu      sync.Mutex
	applied map[string]int64
	docs    []string // what the handler was given, in order
	refuse  func(section string, version int64) error
	dialled []netip.AddrPort
}

func linkConfig(c *cloud) link.Config {
	cfg := link.DefaultConfig()
	cfg.Server, cfg.CAFile, cfg.APIKey = "grpcs://"+c.address, c.authority.caFile, goodKey
	cfg.AgentVersion = "test"
	cfg.ReconnectMin, cfg.ReconnectMax = time.Millisecond, 20*time.Millisecond
	cfg.MetricsInterval = 10 * time.Millisecond
	return cfg
}

func newRouter(t *testing.T, cfg link.Config) *router {
	t.Helper()
	scfg := spool.DefaultConfig()
	scfg.Dir = t.TempDir()
	scfg.FlushInterval = time.Millisecond
	logger := slog.New(slog.NewTextHandler(t.Output(), nil)).With("end", "agent")
	s, err := spool.Open(scfg, spool.Deps{Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	r := &router{t: t, spool: s, applied: map[string]int64{}}
	r.client, err = link.New(cfg, link.Deps{
		Spool: s, Handler: r, Logger: logger,
		Status: func(context.Context) *ngfwv1.Status {
			return &ngfwv1.Status{Status: &ngfwv1.SystemStatus{Uptime: 7}, Hardware: &ngfwv1.Hardware{Model: "box"}}
		},
		Metrics: func(context.Context) *ngfwv1.Metrics { return &ngfwv1.Metrics{Cpu: 3} },
		Dialing: func(a netip.AddrPort) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.dialled = append(r.dialled, a)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.client.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			running.Wait()
			if err := s.Close(); err != nil {
				t.Errorf("close spool: %v", err)
			}
		})
	}
	t.Cleanup(r.stop)
	return r
}

func (r *router) take(section string, version int64, doc []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refuse != nil {
		if err := r.refuse(section, version); err != nil {
			return err
		}
	}
	r.docs = append(r.docs, section+" "+string(doc))
	if section == "full" {
		for s := range map[string]bool{"firewall": true, "dns": true} {
			r.applied[s] = version
		}
		return nil
	}
	r.applied[section] = version
	return nil
}

func (r *router) ConfigPush(_ context.Context, section string, version int64, doc []byte) error {
	return r.take(section, version, doc)
}
func (r *router) ConfigFull(_ context.Context, version int64, doc []byte) error {
	return r.take("full", version, doc)
}
func (r *router) Mode(_ context.Context, mode string, _ map[string]string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.docs = append(r.docs, "mode "+mode)
	return nil
}
func (r *router) Applied() map[string]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string]int64{}
	for k, v := range r.applied {
		out[k] = v
	}
	return out
}

func (r *router) given() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.docs...)
}

// traffic appends n events, one batch each.
func (r *router) traffic(n int) {
	r.t.Helper()
	for range n {
		r.next++
		if err := r.spool.Append([]*ngfwv1.FlowEvent{{FlowId: r.next, Kind: ngfwv1.EventKind_EVENT_KIND_OPEN, BytesSent: 1}}); err != nil {
			r.t.Fatal(err)
		}
		if err := r.spool.Flush(); err != nil {
			r.t.Fatal(err)
		}
	}
}

// arrived waits until the cloud holds every event once and in order, and the
// spool knows.
func (r *router) arrived(c *cloud) {
	r.t.Helper()
	var want []uint64
	for i := range r.next {
		want = append(want, i+1)
	}
	eventually(r.t, "all batches acknowledged", func() bool { return r.spool.Stats().Batches == 0 })
	if d := cmp.Diff(want, c.flows()); d != "" {
		r.t.Fatal(d)
	}
	c.with(func() {
		if c.doubles != 0 {
			r.t.Fatalf("%d batches were stored twice", c.doubles)
		}
	})
	if st := r.spool.Stats(); st.DroppedBatches != 0 {
		r.t.Fatalf("%d batches dropped", st.DroppedBatches)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("not within 20 s: %s", what)
		case <-tick.C:
		}
	}
}
