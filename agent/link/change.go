package link

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const (
	fullSection = "full"
	maxChanges  = 64 // waiting; there are fewer sections
)

// change is one thing that the cloud wants changed, and who asked.
type change struct {
	id      string
	session *session
	section string // fullSection for all
	version int64
	doc     []byte
	mode    *ngfwv1.ModeUpdate // instead of a section
}

func (c *change) same(o *change) bool {
	return c.mode == nil && o.mode == nil && c.section == o.section && c.version == o.version && bytes.Equal(c.doc, o.doc)
}

// replaces says that nobody needs o any more once c is made.
func (c *change) replaces(o *change) bool {
	if c.mode != nil || o.mode != nil {
		return false // what stands between two modes is meant for the first
	}
	return o.version <= c.version && (c.section == fullSection || c.section == o.section)
}

// changes makes the changes one after the other. The one that is being made goes
// on when its connection is lost (it may be what broke it); its outcome is then
// told to the next connection: a success by Auth.applied, a failure as soon as
// the cloud asks for the same again.
type changes struct {
	handler Handler
	log     *slog.Logger
	metrics *metrics

	mu      sync.Mutex
	session *session
	queue   []*change
	current *change
	untold  []*change // failed, the asker was gone
	errs    []error   // of untold
	more    chan struct{}
}

func newChanges(h Handler, log *slog.Logger, m *metrics) *changes {
	return &changes{handler: h, log: log, metrics: m, more: make(chan struct{}, 1)}
}

func (q *changes) attach(s *session) { q.mu.Lock(); q.session = s; q.mu.Unlock() }

// detach drops what the connection wanted and has not begun: the cloud asks
// again at the next.
func (q *changes) detach(s *session) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = slices.DeleteFunc(q.queue, func(c *change) bool { return c.session == s })
	if q.session == s {
		q.session = nil
	}
}

// add takes a wish. Older wishes for the same are answered and forgotten.
func (q *changes) add(c *change) {
	q.mu.Lock()
	for i, u := range q.untold {
		if u.same(c) {
			err := q.errs[i]
			q.untold, q.errs = slices.Delete(q.untold, i, i+1), slices.Delete(q.errs, i, i+1)
			q.mu.Unlock()
			c.session.post(c.failure(err))
			return
		}
	}
	if q.current != nil && q.current.same(c) {
		q.current.id, q.current.session = c.id, c.session
		q.mu.Unlock()
		return
	}
	var replaced []*change
	q.queue = slices.DeleteFunc(q.queue, func(o *change) bool {
		if c.replaces(o) {
			replaced = append(replaced, o)
			return true
		}
		return false
	})
	full := len(q.queue) >= maxChanges
	if !full {
		q.queue = append(q.queue, c)
	}
	q.mu.Unlock()
	for _, o := range replaced {
		o.session.post(o.failure(fmt.Errorf("superseded by version %d", c.version)))
	}
	if full {
		c.session.post(errorMessage(c.id, "BUSY", "too many changes are waiting"))
		return
	}
	select {
	case q.more <- struct{}{}:
	default:
	}
}

func (q *changes) run(ctx context.Context) {
	for {
		q.mu.Lock()
		if len(q.queue) > 0 {
			q.current, q.queue = q.queue[0], q.queue[1:]
		}
		c := q.current
		q.mu.Unlock()
		if c == nil {
			select {
			case <-ctx.Done():
				return
			case <-q.more:
				continue
			}
		}
		err := q.apply(ctx, c)
		q.mu.Lock()
		q.current = nil
		session := c.session // may have changed to a later asker
		q.mu.Unlock()
		q.answer(c, session, err)
		if ctx.Err() != nil {
			return
		}
	}
}

func (q *changes) apply(ctx context.Context, c *change) error {
	if c.mode != nil {
		return q.handler.Mode(ctx, c.mode.Mode, c.mode.Sections)
	}
	for section, version := range q.handler.Applied() {
		if version > c.version && (c.section == fullSection || c.section == section) {
			return fmt.Errorf("version %d of %s is older than the applied version %d", c.version, section, version)
		}
	}
	if c.section == fullSection {
		return q.handler.ConfigFull(ctx, c.version, c.doc)
	}
	return q.handler.ConfigPush(ctx, c.section, c.version, c.doc)
}

func (q *changes) answer(c *change, s *session, err error) {
	outcome := "applied"
	if err != nil {
		outcome = "failed"
	}
	var reply *ngfwv1.AgentMessage
	switch {
	case c.mode != nil && err == nil:
		reply = &ngfwv1.AgentMessage{Id: c.id, Payload: &ngfwv1.AgentMessage_ModeAck{ModeAck: &ngfwv1.ModeAck{Mode: c.mode.Mode}}}
	case c.mode != nil:
		q.log.Warn("mode refused", "mode", c.mode.Mode, "error", err)
		reply = errorMessage(c.id, "INVALID_CONFIG", err.Error())
	case err == nil:
		q.log.Info("configuration applied", "section", c.section, "version", c.version)
		reply = &ngfwv1.AgentMessage{Id: c.id, Payload: &ngfwv1.AgentMessage_ConfigAck{ConfigAck: &ngfwv1.ConfigAck{Section: c.section, Version: c.version, Success: true}}}
	default:
		q.log.Warn("configuration not applied", "section", c.section, "version", c.version, "error", err)
		reply = c.failure(err)
	}
	q.metrics.changes.WithLabelValues(outcome).Inc()
	if !s.post(reply) && c.mode == nil && err != nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		if len(q.untold) >= maxChanges {
			q.untold, q.errs = q.untold[1:], q.errs[1:]
		}
		q.untold, q.errs = append(q.untold, c), append(q.errs, err)
	}
}

func (c *change) failure(err error) *ngfwv1.AgentMessage {
	fail := &ngfwv1.ConfigFail{Section: c.section, Version: c.version, Error: err.Error()}
	if f, ok := fault.As(err); ok {
		fail.Field, fail.Error = f.Field(), f.Message
	}
	return &ngfwv1.AgentMessage{Id: c.id, Payload: &ngfwv1.AgentMessage_ConfigFail{ConfigFail: fail}}
}
