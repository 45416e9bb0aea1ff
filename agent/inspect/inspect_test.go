package inspect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ngfw.sh/agent/flowlog"
	"ngfw.sh/agent/ruleset"
	"ngfw.sh/config/ids"
	"ngfw.sh/dataplane"
	"ngfw.sh/dataplane/ids/rule"
	"ngfw.sh/dataplane/netfilter"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// router is the packet programs and the table.
type router struct {
	on    bool
	queue netfilter.Queues
	fail  func(netfilter.Queues) error
}

func (r *router) Inspect(i dataplane.Inspection) error { r.on = i.On; return nil }
func (r *router) Tell(_, _ netip.AddrPort, _ uint8, _ dataplane.Word) (uint64, error) {
	return 1, nil
}
func (r *router) send(q netfilter.Queues) error {
	if r.fail != nil {
		if err := r.fail(q); err != nil {
			return err
		}
	}
	r.queue = q
	return nil
}

// asked asks a function.
type asked func(context.Context) error

func (s asked) Get(ctx context.Context, source ids.Source, _ bool) (*ruleset.Set, error) {
	if err := s(ctx); err != nil {
		return nil, err
	}
	return &ruleset.Set{Name: source.Name, Files: []rule.File{{Name: "a", Text: "alert tcp any any -> any any (msg:\"a\"; sid:1;)\n"}}}, nil
}
func (asked) Prune([]ids.Source) error { return nil }

func opened(t *testing.T, r *router, get asked) (*Section, *prometheus.Registry) {
	t.Helper()
	cfg := DefaultConfig(t.TempDir())
	cfg.Queues = 0 // the kernel has no part in this
	registry := prometheus.NewRegistry()
	s := New(cfg, Deps{
		Log: slog.New(slog.DiscardHandler), Kernel: r, Sets: get, Queue: r.send, Facts: flowlog.NewFacts(16),
		Alerts: func([]*ngfwv1.AlertEvent) error { return nil }, Registerer: registry,
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	return s, registry
}

const source = `"sources":[{"name":"a","url":"https://rules.example/a","enabled":true}]`

// TestASlowServerHoldsNobodyUp: while a source drips, the router goes on reporting.
func TestASlowServerHoldsNobodyUp(t *testing.T) {
	asked := make(chan struct{})
	s, registry := opened(t, &router{}, func(ctx context.Context) error {
		close(asked)
		<-ctx.Done()
		return ctx.Err()
	})
	ctx, cancel := context.WithCancel(context.Background())
	tried := make(chan error, 1)
	go func() {
		_, err := s.Try(ctx, 1, []byte(`{"enabled":true,`+source+`}`))
		tried <- err
	}()
	<-asked
	told := make(chan struct{})
	go func() {
		defer close(told)
		s.Version()
		s.Rules()
		s.Degraded()
		if _, err := registry.Gather(); err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-told:
	case <-time.After(20 * time.Second):
		t.Error("reports wait for the server of a rule set")
	}
	cancel()
	if err := <-tried; err == nil {
		t.Error("the only source was not had, and the section is in force")
	}
	<-told
}

// TestPatienceIsOneForAll: many slow sources take no longer than one.
func TestPatienceIsOneForAll(t *testing.T) {
	s, _ := opened(t, &router{}, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	s.cfg.Patience = 20 * time.Millisecond
	list := `{"name":"a0","url":"https://rules.example/a","enabled":true}`
	for i := range 500 {
		list += fmt.Sprintf(`,{"name":"b%d","url":"https://rules.example/b","enabled":true}`, i)
	}
	began := time.Now()
	if _, err := s.Try(context.Background(), 1, []byte(`{"enabled":true,"sources":[`+list+`]}`)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 5*time.Second || len(s.Degraded()) != 501 {
		t.Errorf("took %v, %d degraded", took, len(s.Degraded()))
	}
}

// TestWhatCannotBeginLeavesWhatWas: another mode needs another engine; when packets cannot be
// sent to it the former one goes on.
func TestWhatCannotBeginLeavesWhatWas(t *testing.T) {
	r := &router{}
	s, _ := opened(t, r, func(context.Context) error { return nil })
	if _, err := s.Try(context.Background(), 1, []byte(`{"enabled":true,`+source+`}`)); err != nil {
		t.Fatal(err)
	}
	r.fail = func(q netfilter.Queues) error {
		if q.Count == 0 && q.First != 0 && !q.Bypass {
			return errors.New("no table")
		}
		return nil
	}
	if _, err := s.Try(context.Background(), 2, []byte(`{"enabled":true,"mode":"prevent","fail_open":false,`+source+`}`)); err == nil {
		t.Fatal("it is in force without its table")
	}
	if !r.on || !r.queue.Bypass || s.Version() != 1 || s.Rules()["suspicious"] != 1 {
		t.Errorf("inspects %v by %+v, version %d, rules %v", r.on, r.queue, s.Version(), s.Rules())
	}
}
