package devicelink

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const (
	protocolVersion = 1
	statusProtocol  = codes.FailedPrecondition
	maxSections     = 64
	lastWord        = 5 * time.Second // for the reports after the end of a connection
)

// session is one authenticated connection.
type session struct {
	server      *Server
	log         *slog.Logger
	carrier     Carrier
	device      Device
	hello       Hello
	authID      string
	ctx         context.Context // ends with the connection; its cause is the reason
	cancel      context.CancelCauseFunc
	predecessor <-chan struct{} // closes when the device's former session has let go of everything; nil: none
	done        chan struct{}   // the same of this one
	work        sync.WaitGroup  // storing, reporting, configuration

	out    chan *ngfwv1.CloudMessage
	report *reporter
	push   *pusher
	asks   asks

	queue      chan *ngfwv1.FlowBatch
	queueBytes *semaphore.Weighted       // of batches not acknowledged
	queueSlots *semaphore.Weighted       // and their number
	spool      chan *ngfwv1.AgentMessage // the SpoolState
	positioned atomic.Bool               // SpoolPosition is on its way, and stored is set
	stored     map[string]uint64         // what was then
}

func newSession(ctx context.Context, cancel context.CancelCauseFunc, s *Server, c Carrier, d Device, h Hello) *session {
	ss := &session{
		server: s, log: s.log.With("device", d.ID), carrier: c, device: d, hello: h, ctx: ctx, cancel: cancel,
		done:       make(chan struct{}),
		out:        make(chan *ngfwv1.CloudMessage, 64),
		queue:      make(chan *ngfwv1.FlowBatch, s.cfg.WindowBatches),
		queueBytes: semaphore.NewWeighted(int64(s.cfg.WindowBytes)),
		queueSlots: semaphore.NewWeighted(int64(s.cfg.WindowBatches)),
		spool:      make(chan *ngfwv1.AgentMessage, 1),
	}
	ss.report = newReporter(ss)
	ss.push = newPusher(ss)
	return ss
}

// serve lives in a registered session.
func (ss *session) serve(inbox <-chan *ngfwv1.AgentMessage) error {
	ss.server.metrics.connected.Inc()
	defer ss.server.metrics.connected.Dec()
	ss.log.Info("router connected", "address", ss.hello.Address, "agent", ss.hello.AgentVersion)
	ss.post(&ngfwv1.CloudMessage{Id: ss.authID, Payload: &ngfwv1.CloudMessage_AuthOk{AuthOk: &ngfwv1.AuthOk{
		Success: true, ServerTime: ss.server.deps.Now().Unix(), DeviceId: ss.device.ID,
	}}})
	sent := make(chan struct{})
	go func() { defer close(sent); ss.send() }()
	ss.work.Go(ss.report.run)
	ss.work.Go(ss.store)
	ss.work.Go(ss.push.run)
	ss.dispatch(inbox)

	// The connection ends now, whatever a store or a database still does.
	ss.cancel(nil)
	go ss.cleanUp()
	select {
	case <-sent:
	case <-time.After(100 * time.Millisecond): // stuck in a peer that does not read: ends with the carrier
	}
	reason := context.Cause(ss.ctx)
	ss.log.Info("router disconnected", "reason", reason)
	if errors.Is(reason, io.EOF) || errors.Is(reason, context.Canceled) {
		return nil
	}
	if _, ok := status.FromError(reason); ok {
		return reason
	}
	return status.Error(codes.Unavailable, "connection lost")
}

// cleanUp lets go of the device. Disconnected is reported only by the last
// session, so that it never comes after the Connected of a newer one.
func (ss *session) cleanUp() {
	s := ss.server
	ss.cancel(errReplaced)
	ss.work.Wait()
	ctx, stop := context.WithTimeout(context.WithoutCancel(ss.ctx), lastWord)
	defer stop()
	if ss.predecessor != nil {
		select {
		case <-ss.predecessor:
		case <-ctx.Done():
		}
	}
	s.mu.Lock()
	last := s.sessions[ss.device.ID] == ss
	s.mu.Unlock()
	if last && ss.authID != "" {
		if err := s.deps.Reports.Disconnected(ctx, ss.device.ID); err != nil {
			ss.log.Error("disconnection not recorded", "error", err)
		}
	}
	s.mu.Lock()
	if s.sessions[ss.device.ID] == ss {
		delete(s.sessions, ss.device.ID)
	}
	s.mu.Unlock()
	close(ss.done)
	s.open.Done()
}

// post hands a message to the sender; false when the connection is over.
func (ss *session) post(m *ngfwv1.CloudMessage) bool {
	if ss.ctx.Err() != nil {
		return false
	}
	select {
	case ss.out <- m:
		return true
	case <-ss.ctx.Done():
		return false
	}
}

func (ss *session) send() {
	for {
		select {
		case m := <-ss.out:
			if err := ss.carrier.Send(m); err != nil {
				ss.cancel(err)
				return
			}
		case <-ss.ctx.Done():
			return
		}
	}
}

// wait pauses; false when the connection is over.
func (ss *session) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ss.ctx.Done():
		return false
	}
}
