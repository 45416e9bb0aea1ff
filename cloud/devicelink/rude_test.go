package devicelink

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// wire is a carrier in memory, held by a router that behaves as the test likes.
type wire struct {
	up   chan *ngfwv1.AgentMessage
	down chan *ngfwv1.CloudMessage
	ctx  context.Context
	end  chan error // what Serve returned
}

func (w *wire) Send(m *ngfwv1.CloudMessage) error {
	select {
	case w.down <- m:
		return nil
	case <-w.ctx.Done():
		return io.EOF
	}
}

func (w *wire) Recv() (*ngfwv1.AgentMessage, error) {
	select {
	case m := <-w.up:
		return m, nil
	case <-w.ctx.Done():
		return nil, io.EOF
	}
}

// backend fakes what stands behind the server.
type backend struct {
	Reports
	mu       sync.Mutex
	stored   int
	asks     int           // of Positions
	block    chan struct{} // Store waits for it, if there is one
	stubborn bool          // and does not look at its context
	began    chan struct{} // closed by the first Store, if there is one
}

func (b *backend) count() int { b.mu.Lock(); defer b.mu.Unlock(); return b.stored }
func (b *backend) asked() int { b.mu.Lock(); defer b.mu.Unlock(); return b.asks }

func (b *backend) AuthenticateDevice(_ context.Context, key string) (Device, error) {
	switch key {
	case "good":
		return Device{ID: "d", OrgID: "o", Plan: "pro"}, nil
	case "trouble":
		return Device{}, io.ErrUnexpectedEOF
	}
	return Device{}, fault.New(fault.Unauthorized, "key %s is unknown", key)
}
func (b *backend) Document(context.Context, string) (int64, map[string][]byte, string, error) {
	return 0, nil, "", nil
}
func (b *backend) Show(string, string, string, *ngfwv1.FlowBatch) {}

func (b *backend) Positions(context.Context, string) (map[string]uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asks++
	return nil, nil
}
func (b *backend) Store(ctx context.Context, _, _, _ string, batches []*ngfwv1.FlowBatch) (int, error) {
	if b.began != nil {
		close(b.began)
		b.began = nil // calls for one device come one after the other
	}
	if b.stubborn {
		<-b.block
	} else if b.block != nil {
		select {
		case <-b.block:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stored += len(batches)
	return len(batches), nil
}
func (b *backend) Connected(context.Context, string, Hello) error             { return nil }
func (b *backend) Disconnected(context.Context, string) error                 { return nil }
func (b *backend) Status(context.Context, string, *ngfwv1.Status) error       { return nil }
func (b *backend) Metrics(context.Context, string, *ngfwv1.Metrics) error     { return nil }
func (b *backend) ConfigApplied(context.Context, string, string, int64) error { return nil }
func (b *backend) ConfigFailed(context.Context, string, string, int64, string, string) error {
	return nil
}

func newServer(t *testing.T, cfg Config, b *backend) *Server {
	t.Helper()
	s, err := New(cfg, Deps{Devices: b, Reports: b, Documents: b, Ingest: b, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

func dial(t *testing.T, s *Server, address string) *wire {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &wire{up: make(chan *ngfwv1.AgentMessage), down: make(chan *ngfwv1.CloudMessage), ctx: ctx, end: make(chan error, 1)}
	go func() {
		w.end <- s.Serve(ctx, w, address)
		cancel()
	}()
	t.Cleanup(cancel)
	return w
}

// say sends a message; false when the cloud does not take it within a moment.
func (w *wire) say(m *ngfwv1.AgentMessage, patience time.Duration) bool {
	select {
	case w.up <- m:
		return true
	case <-w.ctx.Done():
		return false
	case <-time.After(patience):
		return false
	}
}

func (w *wire) hear(t *testing.T) *ngfwv1.CloudMessage {
	t.Helper()
	select {
	case m := <-w.down:
		return m
	case err := <-w.end:
		t.Fatalf("the connection ended: %v", err)
	case <-time.After(10 * time.Second):
		t.Fatal("the cloud says nothing")
	}
	return nil
}

func (w *wire) ended(t *testing.T) error {
	t.Helper()
	for {
		select {
		case <-w.down:
		case err := <-w.end:
			return err
		case <-time.After(10 * time.Second):
			t.Fatal("the connection does not end")
		}
	}
}

func auth(key string) *ngfwv1.AgentMessage {
	return &ngfwv1.AgentMessage{Id: "a", Payload: &ngfwv1.AgentMessage_Auth{Auth: &ngfwv1.Auth{ApiKey: key, Protocol: protocolVersion}}}
}

func enter(t *testing.T, s *Server) *wire {
	t.Helper()
	w := dial(t, s, "192.0.2.1:1000")
	w.say(auth("good"), 10*time.Second)
	if m := w.hear(t); !m.GetAuthOk().GetSuccess() || m.Id != "a" {
		t.Fatalf("answer to Auth: %v", m)
	}
	return w
}

func TestNothingBeforeAuth(t *testing.T) {
	s := newServer(t, DefaultConfig(), &backend{})
	for name, m := range map[string]*ngfwv1.AgentMessage{
		"ping":         {Payload: &ngfwv1.AgentMessage_Ping{Ping: &ngfwv1.Ping{}}},
		"nothing":      {},
		"wrong key":    auth("bad"),
		"huge key":     auth(strings.Repeat("x", 1<<16)),
		"wrong device": {Payload: &ngfwv1.AgentMessage_Auth{Auth: &ngfwv1.Auth{ApiKey: "good", DeviceId: "e", Protocol: 1}}},
	} {
		w := dial(t, s, "192.0.2.1:1000")
		w.say(m, 10*time.Second)
		got := w.hear(t)
		if f := got.GetAuthFail(); f == nil || f.Error != "authentication failed" || f.Success {
			t.Errorf("%s: %v", name, got)
		}
		if err := w.ended(t); status.Code(err) != codes.Unauthenticated || strings.Contains(err.Error(), "unknown") {
			t.Errorf("%s ended with %v", name, err)
		}
	}
	w := dial(t, s, "192.0.2.1:1000")
	w.say(auth("trouble"), 10*time.Second)
	if err := w.ended(t); status.Code(err) != codes.Unavailable {
		t.Errorf("a database that is down: %v", err)
	}
	w = dial(t, s, "192.0.2.1:1000")
	w.say(&ngfwv1.AgentMessage{Payload: &ngfwv1.AgentMessage_Auth{Auth: &ngfwv1.Auth{ApiKey: "good", Protocol: 2}}}, 10*time.Second)
	if f := w.hear(t).GetAuthFail(); f == nil || !strings.Contains(f.Error, "version") {
		t.Errorf("protocol 2: %v", f)
	}
	if s.Online("d") {
		t.Error("online")
	}
}

func TestSilentPeers(t *testing.T) {
	cfg := DefaultConfig()
	cfg.AuthTimeout, cfg.KeepAlive = 20*time.Millisecond, 20*time.Millisecond
	s := newServer(t, cfg, &backend{})
	if err := dial(t, s, "192.0.2.1:1").ended(t); status.Code(err) != codes.Unauthenticated {
		t.Errorf("never authenticated: %v", err)
	}
	cfg.AuthTimeout = time.Second
	s = newServer(t, cfg, &backend{})
	w := enter(t, s)
	if p := w.hear(t).GetPing(); p == nil {
		t.Error("no heartbeat")
	}
	if err := w.ended(t); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("silent after Auth: %v", err)
	}
}

func TestAttemptsAreLimitedByAddress(t *testing.T) {
	cfg := DefaultConfig()
	cfg.AttemptBurst, cfg.AttemptInterval = 3, time.Hour
	s := newServer(t, cfg, &backend{})
	try := func(address, key string) codes.Code {
		w := dial(t, s, address)
		w.say(auth(key), 10*time.Second)
		if key == "good" {
			select {
			case m := <-w.down:
				if m.GetAuthOk() != nil {
					return codes.OK
				}
			case err := <-w.end:
				return status.Code(err)
			}
		}
		return status.Code(w.ended(t))
	}
	for range 10 { // good ones cost nothing
		if got := try("[2001:db8::1]:1", "good"); got != codes.OK {
			t.Fatalf("good key: %v", got)
		}
	}
	for i := range 3 {
		if got := try(fmt.Sprintf("[2001:db8::%d]:1", i), "bad"); got != codes.Unauthenticated {
			t.Fatalf("attempt %d: %v", i, got)
		}
	}
	if got := try("[2001:db8::99]:1", "good"); got != codes.ResourceExhausted {
		t.Errorf("fourth attempt of the network: %v", got)
	}
	if got := try("[2001:db8:0:1::1]:1", "good"); got != codes.OK {
		t.Errorf("another network: %v", got)
	}
}

func TestDoorForgetsAndBounds(t *testing.T) {
	now := time.Unix(0, 0)
	cfg := DefaultConfig()
	cfg.AttemptBurst, cfg.AttemptInterval, cfg.MaxPendingPeer = 2, time.Second, 1
	d := newDoor(cfg, func() time.Time { return now })
	if !d.enter("192.0.2.1:1") || d.enter("192.0.2.1:2") {
		t.Error("pending connections of an address are not bounded")
	}
	d.leave("192.0.2.1:1", true)
	if !d.enter("192.0.2.1:1") {
		t.Error("second attempt refused")
	}
	d.leave("192.0.2.1:1", true)
	if d.enter("192.0.2.1:1") {
		t.Error("third attempt let in")
	}
	now = now.Add(time.Second)
	if !d.enter("192.0.2.1:1") {
		t.Error("not let in after the interval")
	}
	d.leave("192.0.2.1:1", true)
	for i := range maxRemembered + 100 {
		a := fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255)
		if d.enter(a) {
			d.leave(a, true)
		}
	}
	if len(d.callers) > maxRemembered {
		t.Errorf("%d addresses remembered", len(d.callers))
	}
}

func TestNonsenseGetsErrorAndTheStreamLives(t *testing.T) {
	cfg := DefaultConfig()
	b := &backend{}
	s := newServer(t, cfg, b)
	w := enter(t, s)
	epoch := ulid.Make().String()
	state := &ngfwv1.AgentMessage{Id: "s", Payload: &ngfwv1.AgentMessage_SpoolState{SpoolState: &ngfwv1.SpoolState{}}}
	batch := func(epoch string, number uint64, events int) *ngfwv1.AgentMessage {
		b := &ngfwv1.FlowBatch{Epoch: epoch, Number: number}
		for range events {
			b.Events = append(b.Events, &ngfwv1.FlowEvent{FlowId: 1})
		}
		return &ngfwv1.AgentMessage{Id: "b", Payload: &ngfwv1.AgentMessage_FlowBatch{FlowBatch: b}}
	}
	expect := func(name string, m *ngfwv1.AgentMessage, code string) {
		t.Helper()
		w.say(m, 10*time.Second)
		if got := w.hear(t); got.GetError().GetCode() != code || got.Id != m.Id {
			t.Errorf("%s: %v, want %s", name, got, code)
		}
	}
	expect("unknown payload", &ngfwv1.AgentMessage{Id: "x"}, "UNSUPPORTED")
	expect("alert", &ngfwv1.AgentMessage{Id: "x", Payload: &ngfwv1.AgentMessage_Alert{Alert: &ngfwv1.Alert{}}}, "UNSUPPORTED")
	expect("second auth", auth("good"), "BAD_REQUEST")
	expect("early batch", batch(epoch, 1, 1), "BAD_REQUEST")
	expect("huge status", &ngfwv1.AgentMessage{Id: "h", Payload: &ngfwv1.AgentMessage_Status{Status: &ngfwv1.Status{Hardware: &ngfwv1.Hardware{Model: strings.Repeat("x", cfg.MaxMessage)}}}}, "PAYLOAD_TOO_LARGE")
	expect("odd epoch in state", &ngfwv1.AgentMessage{Id: "o", Payload: &ngfwv1.AgentMessage_SpoolState{SpoolState: &ngfwv1.SpoolState{Epochs: []*ngfwv1.SpoolState_Epoch{{Epoch: "../x"}}}}}, "BAD_REQUEST")
	w.say(state, 10*time.Second)
	if p := w.hear(t).GetSpoolPosition(); p == nil || int(p.WindowBatches) != cfg.WindowBatches || int(p.WindowBytes) != cfg.WindowBytes {
		t.Errorf("position %v", p)
	}
	expect("no epoch", batch("", 1, 1), "BAD_REQUEST")
	expect("no number", batch(epoch, 0, 1), "BAD_REQUEST")
	expect("too many rows", batch(epoch, 1, cfg.MaxEvents+1), "PAYLOAD_TOO_LARGE")
	for i, b := range []*ngfwv1.AgentMessage{batch(epoch, 1, 1), batch(epoch, 4, 1), batch(epoch, 4, 1), batch(epoch, 2, 1)} {
		w.say(b, 10*time.Second)
		want := []uint64{1, 4, 4, 4}[i] // a gap is dropped batches; what comes again is not stored again
		if a := w.hear(t).GetBatchAck(); a.GetNumber() != want || a.GetEpoch() != epoch {
			t.Errorf("acknowledgement %v, want %d", a, want)
		}
	}
	if got := b.count(); got != 2 {
		t.Errorf("%d batches stored, want 1 and 4", got)
	}
	w.say(&ngfwv1.AgentMessage{Id: "p", Payload: &ngfwv1.AgentMessage_Ping{Ping: &ngfwv1.Ping{Nonce: 7}}}, 10*time.Second)
	if p := w.hear(t).GetPong(); p.GetNonce() != 7 {
		t.Errorf("pong %v", p)
	}
}

// A router that ignores its window is not read any further, and stays bounded.
func TestWindowIsHeldAgainstARudeRouter(t *testing.T) {
	b := &backend{block: make(chan struct{})}
	cfg := DefaultConfig()
	cfg.WindowBatches = 4
	s := newServer(t, cfg, b)
	w := enter(t, s)
	w.say(&ngfwv1.AgentMessage{Payload: &ngfwv1.AgentMessage_SpoolState{SpoolState: &ngfwv1.SpoolState{}}}, 10*time.Second)
	w.hear(t)
	epoch := ulid.Make().String()
	taken := 0
	for n := uint64(1); n <= 100; n++ {
		if !w.say(&ngfwv1.AgentMessage{Payload: &ngfwv1.AgentMessage_FlowBatch{FlowBatch: &ngfwv1.FlowBatch{Epoch: epoch, Number: n}}}, 200*time.Millisecond) {
			break
		}
		taken++
	}
	// The queue, the one being stored, the one that waits for room, the one read.
	if taken > cfg.WindowBatches+3 {
		t.Errorf("%d batches taken, the window is %d", taken, cfg.WindowBatches)
	}
	s.Disconnect("d") // while everything is stuck
	if err := w.ended(t); status.Code(err) != codes.PermissionDenied {
		t.Errorf("ended with %v", err)
	}
	if got := b.count(); got != 0 {
		t.Errorf("%d stored", got)
	}
}

// The older connection may be storing the batch that the newer is about to
// repeat: until it has let go, nobody asks what is stored.
func TestNewerConnectionWaitsForTheOlderToStopStoring(t *testing.T) {
	began := make(chan struct{})
	b := &backend{block: make(chan struct{}), stubborn: true, began: began}
	s := newServer(t, DefaultConfig(), b)
	state := func() *ngfwv1.AgentMessage {
		return &ngfwv1.AgentMessage{Id: "s", Payload: &ngfwv1.AgentMessage_SpoolState{SpoolState: &ngfwv1.SpoolState{}}}
	}
	first := enter(t, s)
	first.say(state(), 10*time.Second)
	first.hear(t)
	first.say(&ngfwv1.AgentMessage{Payload: &ngfwv1.AgentMessage_FlowBatch{FlowBatch: &ngfwv1.FlowBatch{Epoch: ulid.Make().String(), Number: 1}}}, 10*time.Second)
	<-began
	second := enter(t, s)
	if err := first.ended(t); status.Code(err) != codes.Aborted {
		t.Errorf("the older ended with %v", err)
	}
	second.say(state(), 10*time.Second)
	select {
	case m := <-second.down:
		t.Errorf("%v while the older stores", m)
	case <-time.After(50 * time.Millisecond):
	}
	if n := b.asked(); n != 1 {
		t.Errorf("positions were asked %d times", n)
	}
	close(b.block)
	if m := second.hear(t); m.GetSpoolPosition() == nil {
		t.Errorf("%v", m)
	}
	if b.count() != 1 {
		t.Error("the position was told before the batch was stored")
	}
}

// A router that does not read cannot hold a goroutine of the cloud, nor delay
// its own removal.
func TestRouterThatDoesNotRead(t *testing.T) {
	s := newServer(t, DefaultConfig(), &backend{})
	w := enter(t, s)
	for range 200 {
		if !w.say(&ngfwv1.AgentMessage{Payload: &ngfwv1.AgentMessage_Ping{Ping: &ngfwv1.Ping{}}}, 100*time.Millisecond) {
			break
		}
	}
	s.Disconnect("d")
	select {
	case err := <-w.end:
		if status.Code(err) != codes.PermissionDenied {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("still connected")
	}
}
