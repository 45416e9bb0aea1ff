package link

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

const protocolVersion = 1

// session is one authenticated connection.
type session struct {
	c         *Client
	carrier   carrier
	ctx       context.Context           // ends with the connection
	control   chan *ngfwv1.AgentMessage // everything but batches, and sent before them
	batches   chan *ngfwv1.AgentMessage
	position  chan *ngfwv1.SpoolPosition
	asked     chan string // ids of status requests
	questions chan *ngfwv1.CloudMessage
	window    *window
	heard     atomic.Int64 // when something was last received, since start
	answered  atomic.Int64 // when the newest ping that was answered was sent, since start
	start     time.Time
}

// connect makes a connection and lives in it. lasted counts from AuthOk.
func (c *Client) connect(ctx context.Context) (lasted time.Duration, err error) {
	cr, err := c.dial(ctx)
	if err != nil {
		return 0, err
	}
	defer cr.Close()
	ok, err := c.authenticate(cr)
	if err != nil {
		return 0, err
	}
	c.established(ok)
	c.log.Info("connected to the cloud", "server", c.cfg.Server, "device", ok.DeviceId)
	start := time.Now()
	err = c.serve(ctx, cr)
	return time.Since(start), err
}

func (c *Client) authenticate(cr carrier) (*ngfwv1.AuthOk, error) {
	stop := within(c.cfg.AuthTimeout, cr)
	id := uuid.NewString()
	// A failed Send only says that the stream is over; Recv says why.
	_ = cr.Send(&ngfwv1.AgentMessage{Id: id, Payload: &ngfwv1.AgentMessage_Auth{Auth: &ngfwv1.Auth{
		ApiKey: c.cfg.APIKey.Expose(), DeviceId: c.cfg.DeviceID,
		FirmwareVersion: c.cfg.FirmwareVersion, AgentVersion: c.cfg.AgentVersion,
		Protocol: protocolVersion, Applied: c.deps.Handler.Applied(),
	}}})
	m, err := cr.Recv()
	if !stop() {
		return nil, fmt.Errorf("the cloud did not answer the authentication within %v", c.cfg.AuthTimeout)
	}
	if err != nil {
		return nil, cause("authenticate", err)
	}
	switch p := m.Payload.(type) {
	case *ngfwv1.CloudMessage_AuthOk:
		return p.AuthOk, nil
	case *ngfwv1.CloudMessage_AuthFail:
		return nil, &refusedError{reason: p.AuthFail.Error}
	case *ngfwv1.CloudMessage_Error:
		return nil, fmt.Errorf("authenticate: the cloud answers %s: %s", p.Error.Code, p.Error.Message)
	}
	return nil, fmt.Errorf("authenticate: the cloud answers with %q", kind(m))
}

// serve runs the connection until one of its goroutines finds it broken.
func (c *Client) serve(ctx context.Context, cr carrier) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	s := &session{
		c: c, carrier: cr, ctx: ctx, start: time.Now(),
		control:   make(chan *ngfwv1.AgentMessage, 64),
		batches:   make(chan *ngfwv1.AgentMessage),
		position:  make(chan *ngfwv1.SpoolPosition, 1),
		asked:     make(chan string, 4),
		questions: make(chan *ngfwv1.CloudMessage, maxQuestions),
		window:    newWindow(c.cfg.WindowBatches, c.cfg.WindowBytes),
	}
	c.changes.attach(s)
	defer c.changes.detach(s)
	// Status goes first of all: it is sent before any other goroutine lives.
	r := reporter{session: s}
	if err := cr.Send(r.status(ctx, uuid.NewString())); err != nil {
		return s.ended()
	}
	g.Go(s.receive)
	g.Go(s.send)
	g.Go(s.watch)
	g.Go(s.answerQuestions)
	g.Go(func() error { return r.run(ctx) })
	g.Go(func() error { return s.stream(ctx) })
	g.Go(func() error { // unblocks receive and send when anyone fails
		<-ctx.Done()
		cr.Close()
		return ctx.Err()
	})
	s.post(&ngfwv1.AgentMessage{Id: uuid.NewString(), Payload: &ngfwv1.AgentMessage_SpoolState{SpoolState: c.deps.Spool.State()}})
	return g.Wait()
}

// ended asks the stream why it is over.
func (s *session) ended() error {
	for {
		if _, err := s.carrier.Recv(); err != nil {
			return cause("connection lost", err)
		}
	}
}

// post hands a message to the sender; false when the connection is over.
func (s *session) post(m *ngfwv1.AgentMessage) bool {
	if s.ctx.Err() != nil {
		return false
	}
	select {
	case s.control <- m:
		return true
	case <-s.ctx.Done():
		return false
	}
}

func (s *session) send() error {
	for {
		var m *ngfwv1.AgentMessage
		select {
		case m = <-s.control:
		default:
			select {
			case m = <-s.control:
			case m = <-s.batches:
			case <-s.ctx.Done():
				return s.ctx.Err()
			}
		}
		if err := s.carrier.Send(m); err != nil {
			// The reason is with Recv, whose goroutine reports it.
			<-s.ctx.Done()
			return s.ctx.Err()
		}
		if m.GetFlowBatch() != nil {
			s.c.metrics.sent.Inc()
		}
	}
}

func (s *session) receive() error {
	for {
		m, err := s.carrier.Recv()
		if err != nil {
			return cause("connection lost", err)
		}
		s.heard.Store(int64(time.Since(s.start)))
		s.handle(m)
	}
}

var errSilent = errors.New("the cloud is silent: connection given up")

// watch pings and gives a link up that does not answer.
func (s *session) watch() error {
	half := s.c.cfg.KeepAlive / 2
	for {
		if !s.sleep(s.c.cfg.KeepAlive - half) {
			return s.ctx.Err()
		}
		sent := s.ping()
		if !s.sleep(half) {
			return s.ctx.Err()
		}
		if s.heard.Load() < sent {
			return errSilent
		}
	}
}

func (s *session) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// handle acts on one message; nothing here waits for anything slow.
func (s *session) handle(m *ngfwv1.CloudMessage) {
	switch p := m.Payload.(type) {
	case *ngfwv1.CloudMessage_StatusOk:
	case *ngfwv1.CloudMessage_Pong:
		// Not what the cloud makes up: nothing is answered before it was asked.
		if n := p.Pong.Nonce; n > s.answered.Load() && n <= int64(time.Since(s.start)) {
			s.answered.Store(n)
		}
	case *ngfwv1.CloudMessage_Ping:
		s.post(&ngfwv1.AgentMessage{Id: m.Id, Payload: &ngfwv1.AgentMessage_Pong{Pong: &ngfwv1.Pong{Nonce: p.Ping.Nonce}}})
	case *ngfwv1.CloudMessage_StatusRequest:
		select {
		case s.asked <- m.Id:
		default:
			s.post(errorMessage(m.Id, "BUSY", "status requests are already waiting"))
		}
	case *ngfwv1.CloudMessage_SpoolPosition:
		select {
		case s.position <- p.SpoolPosition:
		default:
			s.post(errorMessage(m.Id, "BAD_REQUEST", "the spool position was already given"))
		}
	case *ngfwv1.CloudMessage_BatchAck:
		s.acknowledge(p.BatchAck)
	case *ngfwv1.CloudMessage_ConfigPush:
		s.c.changes.add(&change{id: m.Id, session: s, section: p.ConfigPush.Section, version: p.ConfigPush.Version, doc: p.ConfigPush.Config})
	case *ngfwv1.CloudMessage_ConfigFull:
		s.c.changes.add(&change{id: m.Id, session: s, section: fullSection, version: p.ConfigFull.Version, doc: p.ConfigFull.Config})
	case *ngfwv1.CloudMessage_ModeUpdate:
		s.c.changes.add(&change{id: m.Id, session: s, mode: p.ModeUpdate})
	case *ngfwv1.CloudMessage_Simulate:
		s.question(m)
	case *ngfwv1.CloudMessage_Error:
		s.c.log.Warn("the cloud reports an error", "code", p.Error.Code, "message", p.Error.Message, "reply_to", m.Id)
	default:
		s.command(m)
	}
}

func errorMessage(id, code, text string) *ngfwv1.AgentMessage {
	return &ngfwv1.AgentMessage{Id: id, Payload: &ngfwv1.AgentMessage_Error{Error: &ngfwv1.Error{Code: code, Message: text}}}
}
