package inspect

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"ngfw.sh/config/ids"
	matcher "ngfw.sh/dataplane/ids"
	"ngfw.sh/dataplane/nfqueue"
)

// running is the matcher at work: an engine, and a queue and a worker for each of
// its goroutines.
type running struct {
	cfg     Config
	deps    Deps
	doc     ids.Document // what the engine was made by
	engine  *matcher.Engine
	log     *log
	queues  []*nfqueue.Queue
	workers []*worker

	cancel context.CancelFunc
	ended  sync.WaitGroup
	mu     sync.Mutex // guards failed
	failed map[int]string

	remembered time.Time // when memory was last on disk; of who holds the section's change
}

func newRunning(cfg Config, deps Deps, m *metrics, doc ids.Document, l *Loaded) *running {
	r := &running{cfg: cfg, deps: deps, doc: doc, failed: map[int]string{}, remembered: time.Now()}
	r.log = newLog(deps, m, doc, l)
	r.engine = matcher.New(engineConfig(doc), matcher.Deps{Log: r.log, Panicked: func(what string) {
		deps.Log.Error("a panic has cost a flow its inspection", "what", what)
		m.panics.Inc()
	}})
	r.recall()
	r.know(l)
	r.engine.Use(l.Set)
	for i := range cfg.Queues {
		q := nfqueue.DefaultConfig(cfg.First + uint16(i))
		q.FailOpen = doc.FailOpen
		r.queues = append(r.queues, nfqueue.New(q, deps.Log))
		r.workers = append(r.workers, newWorker(r.engine.Worker(), deps, doc))
	}
	return r
}

// fits says whether the engine can go on with other rules: what it knows of flows
// stays then.
func (r *running) fits(doc ids.Document) bool {
	return r.doc.Mode == doc.Mode && r.doc.FailOpen == doc.FailOpen &&
		slices.Equal(r.doc.Interfaces, doc.Interfaces) && slices.Equal(r.doc.ExcludedNetworks, doc.ExcludedNetworks)
}

// use puts other rules in force, from each worker's next packet on.
func (r *running) use(doc ids.Document, l *Loaded) {
	r.log.use(doc, l)
	r.know(l)
	r.engine.Use(l.Set)
}

const bindLimit = 5 * time.Second

// begin serves the queues, and returns when all are bound.
func (r *running) begin() error {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	for i, q := range r.queues {
		r.ended.Go(func() { r.serve(ctx, i, q) })
	}
	r.ended.Go(func() { r.log.run(ctx) })
	deadline := time.Now().Add(bindLimit)
	for i, q := range r.queues {
		for !q.Bound() {
			if why := r.failure(i); why != "" {
				return errors.New(why)
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("queue %d is not bound within %v", int(r.cfg.First)+i, bindLimit)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	return nil
}

// serve keeps a queue served: what ends it is told, and it is bound again.
func (r *running) serve(ctx context.Context, i int, q *nfqueue.Queue) {
	for ctx.Err() == nil {
		err := q.Run(ctx, r.workers[i])
		if ctx.Err() != nil {
			return
		}
		r.deps.Log.Error("a queue of the matcher has ended; it is bound again", "queue", int(r.cfg.First)+i, "err", err)
		r.note(i, fmt.Sprintf("queue %d of the matcher: %v", int(r.cfg.First)+i, err))
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
			r.note(i, "")
		}
	}
}

func (r *running) note(i int, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed[i] = why
}

func (r *running) failure(i int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed[i]
}

func (r *running) failures() (out []string) {
	for i := range r.queues {
		if why := r.failure(i); why != "" {
			out = append(out, why)
		}
	}
	return out
}

// end gives the queues up and waits for their goroutines.
func (r *running) end() {
	if r.cancel != nil {
		r.cancel()
	}
	r.ended.Wait()
	for _, w := range r.workers {
		w.Finish()
		w.resets.close()
	}
	r.log.flush(0)
	r.remember()
}

// prefixes reads the networks of a document, which are valid.
func prefixes(list []string) (out []netip.Prefix) {
	for _, s := range list {
		if p, err := netip.ParsePrefix(s); err == nil {
			out = append(out, p.Masked())
		} else if a, err := netip.ParseAddr(s); err == nil {
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return out
}
