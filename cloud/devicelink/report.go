package devicelink

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"

	"ngfw.sh/internal/backoff"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// reporter brings what the router tells to Reports, at the pace of Reports. Of
// status and metrics only the newest waits; of a section only the newest outcome.
type reporter struct {
	ss   *session
	more chan struct{}

	mu       sync.Mutex
	latest   *ngfwv1.Status
	measured *ngfwv1.Metrics
	outcomes map[string]outcome // by section
}

// outcome is how a section's change went.
type outcome struct {
	section string
	version int64
	failed  bool
	message string
	field   string
}

func newReporter(ss *session) *reporter {
	return &reporter{ss: ss, more: make(chan struct{}, 1), outcomes: map[string]outcome{}}
}

func (r *reporter) wake() {
	select {
	case r.more <- struct{}{}:
	default:
	}
}

func (r *reporter) status(s *ngfwv1.Status) {
	r.mu.Lock()
	if r.latest != nil && s.Hardware == nil { // sent once only: do not lose it
		s.Hardware = r.latest.Hardware
	}
	r.latest = s
	r.mu.Unlock()
	r.wake()
}

func (r *reporter) metrics(m *ngfwv1.Metrics) {
	r.mu.Lock()
	r.measured = m
	r.mu.Unlock()
	r.wake()
}

// config notes an outcome; an older one of the section that waits is replaced.
func (r *reporter) config(o outcome) {
	r.mu.Lock()
	if old, ok := r.outcomes[o.section]; !ok || old.version <= o.version {
		r.outcomes[o.section] = o
	}
	r.mu.Unlock()
	r.wake()
}

func (r *reporter) take() (s *ngfwv1.Status, m *ngfwv1.Metrics, outcomes map[string]outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, m, outcomes = r.latest, r.measured, r.outcomes
	r.latest, r.measured, r.outcomes = nil, nil, map[string]outcome{}
	return s, m, outcomes
}

func (r *reporter) run() {
	ss, to := r.ss, r.ss.server.deps.Reports
	if ss.predecessor != nil {
		select {
		case <-ss.predecessor:
		case <-ss.ctx.Done():
			return
		}
	}
	retry := backoff.Backoff{Min: ss.server.cfg.RetryMin, Max: ss.server.cfg.RetryMax}
	for {
		err := to.Connected(ss.ctx, ss.device.ID, ss.hello)
		if err == nil {
			break
		}
		ss.log.Error("connection not recorded", "error", err)
		if !ss.wait(retry.Next()) {
			return
		}
	}
	retry.Reset()
	for {
		select {
		case <-r.more:
		case <-ss.ctx.Done():
			r.last()
			return
		}
		if r.flush(ss.ctx) {
			retry.Reset()
		} else if ss.wait(retry.Next()) {
			r.wake()
		}
	}
}

// flush reports what waits; outcomes that did not go through wait again.
func (r *reporter) flush(ctx context.Context) bool {
	ss, to := r.ss, r.ss.server.deps.Reports
	s, m, outcomes := r.take()
	if s != nil {
		if err := to.Status(ctx, ss.device.ID, s); err != nil {
			ss.log.Error("status not recorded", "error", err)
		}
	}
	if m != nil {
		if err := to.Metrics(ctx, ss.device.ID, m); err != nil {
			ss.log.Error("metrics not recorded", "error", err)
		}
	}
	done := true
	order := slices.SortedFunc(maps.Keys(outcomes), func(a, b string) int { // the whole after its parts
		return cmp.Or(cmp.Compare(whole(a), whole(b)), cmp.Compare(a, b))
	})
	for _, section := range order {
		o := outcomes[section]
		var err error
		if o.failed {
			err = to.ConfigFailed(ctx, ss.device.ID, o.section, o.version, o.message, o.field)
		} else {
			err = to.ConfigApplied(ctx, ss.device.ID, o.section, o.version)
		}
		if err != nil {
			ss.log.Error("outcome of a configuration change not recorded", "section", o.section, "version", o.version, "error", err)
			r.config(o)
			done = false
		}
	}
	return done
}

func whole(section string) int {
	if section == fullSection {
		return 1
	}
	return 0
}

// last reports what the router said just before it went.
func (r *reporter) last() {
	ctx, stop := context.WithTimeout(context.WithoutCancel(r.ss.ctx), lastWord)
	defer stop()
	r.flush(ctx)
}
