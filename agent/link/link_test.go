package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	"ngfw.sh/agent/spool"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestTarget(t *testing.T) {
	for _, tt := range []struct {
		server   string
		insecure bool
		want     string // of String, or part of the error
	}{
		{"grpcs://cloud.example:9090", false, "cloud.example:9090"},
		{"grpcs://[2001:db8::1]:443/", false, "[2001:db8::1]:443"},
		{"grpc://127.0.0.1:9090", false, "127.0.0.1:9090"},
		{"grpc://[::1]:9090", false, "[::1]:9090"},
		{"grpc://localhost:9090", false, "localhost:9090"},
		{"grpc://192.0.2.1:9090", true, "192.0.2.1:9090"},
		{"grpc://192.0.2.1:9090", false, "without TLS only loopback"},
		{"grpc://cloud.example:9090", false, "without TLS only loopback"},
		{"grpc://localhost.example:9090", false, "without TLS only loopback"},
		{"grpcs://cloud.example", false, "port is missing"},
		{"grpcs://cloud.example:0", false, "port is missing"},
		{"wss://cloud.example:443", false, "not supported by this agent version"},
		{"https://cloud.example:443", false, `unknown scheme "https"`},
		{"cloud.example:9090", false, "grpcs://host:port"},
		{"", false, "no URL"},
		{"grpcs://u:p@cloud.example:1", false, "only scheme, host and port"},
		{"grpcs://cloud.example:1/path", false, "only scheme, host and port"},
	} {
		got, err := parseTarget(tt.server, tt.insecure)
		if err != nil && !strings.Contains(err.Error(), tt.want) || err == nil && got.String() != tt.want {
			t.Errorf("%s: %v, %v; want %s", tt.server, got, err, tt.want)
		}
	}
	// A name that is no longer loopback when it is resolved.
	l, _ := parseTarget("grpc://localhost:1", false)
	if l.permits(netip.MustParseAddr("192.0.2.1")) == nil || l.permits(netip.MustParseAddr("127.0.0.1")) != nil {
		t.Error("localhost is not held to loopback")
	}
}

func TestKeyDoesNotPrintItself(t *testing.T) {
	cfg := DefaultConfig()
	cfg.APIKey = "ngfw_dev_x"
	if all := fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg); strings.Contains(all, "ngfw_dev") {
		t.Errorf("the key shows: %s", all)
	}
}

// hands is a handler that a test controls.
type hands struct {
	mu      sync.Mutex
	applied map[string]int64
	begun   chan string // told when a change begins
	finish  chan error  // and how it ends
}

func (h *hands) do(name, section string, version int64) error {
	h.begun <- name
	err := <-h.finish
	if err == nil {
		h.mu.Lock()
		h.applied[section] = version
		h.mu.Unlock()
	}
	return err
}
func (h *hands) ConfigPush(_ context.Context, section string, version int64, _ []byte) error {
	return h.do(fmt.Sprint(section, version), section, version)
}
func (h *hands) ConfigFull(_ context.Context, version int64, _ []byte) error {
	return h.do(fmt.Sprint("full", version), "firewall", version)
}
func (h *hands) Mode(_ context.Context, mode string, _ map[string]string) error {
	return h.do(mode, "", 0)
}
func (h *hands) Applied() map[string]int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[string]int64{}
	for k, v := range h.applied {
		out[k] = v
	}
	return out
}

// script is a cloud that a test plays.
type script struct {
	ngfwv1.UnimplementedLinkServiceServer
	streams chan *conversation
}

type conversation struct {
	ngfwv1.LinkService_ConnectServer
	over chan error
}

func (s *script) Connect(stream ngfwv1.LinkService_ConnectServer) error {
	c := &conversation{LinkService_ConnectServer: stream, over: make(chan error, 1)}
	select {
	case s.streams <- c:
	case <-stream.Context().Done():
		return nil
	}
	select {
	case err := <-c.over:
		return err
	case <-stream.Context().Done():
		return nil
	}
}

// next reads until a message that want takes.
func (c *conversation) next(t *testing.T, want func(*ngfwv1.AgentMessage) bool) *ngfwv1.AgentMessage {
	t.Helper()
	for {
		m, err := c.Recv()
		if err != nil {
			t.Fatalf("stream: %v", err)
		}
		if want(m) {
			return m
		}
	}
}

func (c *conversation) welcome(t *testing.T) *ngfwv1.Auth {
	t.Helper()
	m, err := c.Recv()
	if err != nil || m.GetAuth() == nil {
		t.Fatalf("first message %v, %v", m, err)
	}
	c.say(t, &ngfwv1.CloudMessage{Id: m.Id, Payload: &ngfwv1.CloudMessage_AuthOk{AuthOk: &ngfwv1.AuthOk{Success: true, DeviceId: "d"}}})
	second, err := c.Recv()
	if err != nil || second.GetStatus() == nil {
		t.Fatalf("second message %v, %v", second, err)
	}
	return m.GetAuth()
}

func (c *conversation) say(t *testing.T, m *ngfwv1.CloudMessage) {
	t.Helper()
	if err := c.Send(m); err != nil {
		t.Fatal(err)
	}
}

func scripted(t *testing.T) (*script, string) {
	t.Helper()
	s := &script{streams: make(chan *conversation)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	ngfwv1.RegisterLinkServiceServer(g, s)
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Serve(l) }()
	t.Cleanup(func() { g.Stop(); <-done })
	return s, l.Addr().String()
}

func client(t *testing.T, address string, h Handler, change func(*Config, *Deps)) *Client {
	t.Helper()
	scfg := spool.DefaultConfig()
	scfg.Dir = t.TempDir()
	sp, err := spool.Open(scfg, spool.Deps{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Server, cfg.APIKey = "grpc://"+address, "k"
	cfg.ReconnectMin, cfg.ReconnectMax = time.Millisecond, 10*time.Millisecond
	cfg.AuthTimeout = 2 * time.Second
	deps := Deps{
		Spool: sp, Handler: h, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Status:  func(context.Context) *ngfwv1.Status { return &ngfwv1.Status{} },
		Metrics: func(context.Context) *ngfwv1.Metrics { return nil },
	}
	if change != nil {
		change(&cfg, &deps)
	}
	c, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; _ = sp.Close() })
	return c
}

func newHands() *hands {
	return &hands{applied: map[string]int64{"firewall": 5}, begun: make(chan string, 10), finish: make(chan error, 10)}
}

func push(id, section string, version int64) *ngfwv1.CloudMessage {
	return &ngfwv1.CloudMessage{Id: id, Payload: &ngfwv1.CloudMessage_ConfigPush{ConfigPush: &ngfwv1.ConfigPush{Section: section, Version: version}}}
}

func isConfig(m *ngfwv1.AgentMessage) bool {
	return m.GetConfigAck() != nil || m.GetConfigFail() != nil
}

func TestOlderVersionIsRefused(t *testing.T) {
	s, address := scripted(t)
	h := newHands()
	client(t, address, h, nil)
	c := <-s.streams
	if a := c.welcome(t); a.Applied["firewall"] != 5 || a.Protocol != 1 || a.ApiKey != "k" {
		t.Errorf("auth %v", a)
	}
	c.say(t, push("1", "firewall", 4))
	m := c.next(t, isConfig)
	if f := m.GetConfigFail(); m.Id != "1" || f == nil || f.Success || f.Version != 4 || !strings.Contains(f.Error, "older than the applied version 5") {
		t.Errorf("answer %v", m)
	}
	if len(h.begun) != 0 {
		t.Error("it was tried all the same")
	}
}

// A change breaks the link that asked for it. It goes on, and its failure is
// told when the cloud asks for the same again, without trying it again.
func TestOutcomeOfAChangeOutlivesTheConnection(t *testing.T) {
	s, address := scripted(t)
	h := newHands()
	cl := client(t, address, h, nil)
	c := <-s.streams
	c.welcome(t)
	c.say(t, push("1", "firewall", 6))
	<-h.begun
	c.over <- errors.New("cut")
	c = <-s.streams // before the outcome is there
	c.welcome(t)
	c.say(t, push("2", "firewall", 6)) // the same: the running one will answer
	c.say(t, &ngfwv1.CloudMessage{Id: "barrier", Payload: &ngfwv1.CloudMessage_Reboot{Reboot: &ngfwv1.Reboot{}}})
	c.next(t, func(m *ngfwv1.AgentMessage) bool { return m.Id == "barrier" })
	h.finish <- errors.New("link lost, rolled back")
	m := c.next(t, isConfig)
	if m.Id != "2" || m.GetConfigFail().GetError() != "link lost, rolled back" {
		t.Errorf("answer %v", m)
	}

	c.say(t, push("3", "firewall", 7))
	<-h.begun
	c.over <- errors.New("cut")
	// Nobody listens any more when it fails.
	waitFor(t, func() bool { return !cl.State().Connected })
	h.finish <- errors.New("no")
	waitFor(t, func() bool { cl.changes.mu.Lock(); defer cl.changes.mu.Unlock(); return len(cl.changes.untold) == 1 })
	c = <-s.streams
	c.welcome(t)
	c.say(t, push("4", "firewall", 7))
	if m := c.next(t, isConfig); m.Id != "4" || m.GetConfigFail().GetError() != "no" {
		t.Errorf("answer %v", m)
	}
	if len(h.begun) != 0 {
		t.Error("it was tried again")
	}
	c.say(t, push("5", "firewall", 7)) // but asked once more it is
	if got := <-h.begun; got != "firewall7" {
		t.Error(got)
	}
	h.finish <- nil
	if m := c.next(t, isConfig); m.Id != "5" || !m.GetConfigAck().GetSuccess() {
		t.Errorf("answer %v", m)
	}
}

func TestWaitingChangesAreSuperseded(t *testing.T) {
	s, address := scripted(t)
	h := newHands()
	client(t, address, h, nil)
	c := <-s.streams
	c.welcome(t)
	c.say(t, push("1", "dns", 6))
	<-h.begun // and the others wait
	c.say(t, push("2", "firewall", 7))
	c.say(t, &ngfwv1.CloudMessage{Id: "m", Payload: &ngfwv1.CloudMessage_ModeUpdate{ModeUpdate: &ngfwv1.ModeUpdate{Mode: "shadow"}}})
	c.say(t, push("3", "firewall", 8))
	m := c.next(t, isConfig)
	if m.Id != "2" || m.GetConfigFail().GetError() != "superseded by version 8" {
		t.Errorf("answer %v", m)
	}
	for range 3 {
		h.finish <- nil
	}
	var got []string
	for range 3 {
		m := c.next(t, func(m *ngfwv1.AgentMessage) bool { return isConfig(m) || m.GetModeAck() != nil })
		got = append(got, m.Id)
	}
	if d := cmp.Diff([]string{"1", "m", "3"}, got); d != "" {
		t.Error(d)
	}
}

func TestSilentCloudIsGivenUp(t *testing.T) {
	s, address := scripted(t)
	cl := client(t, address, newHands(), func(c *Config, _ *Deps) { c.KeepAlive = 40 * time.Millisecond })
	c := <-s.streams
	c.welcome(t)
	c.next(t, func(m *ngfwv1.AgentMessage) bool { return m.GetPing() != nil }) // and no pong
	c = <-s.streams
	if got := cl.State().LastError; !strings.Contains(got, "silent") {
		t.Errorf("last error %q", got)
	}
	c.welcome(t)
	for range 5 { // an answering one is kept
		m := c.next(t, func(m *ngfwv1.AgentMessage) bool { return m.GetPing() != nil })
		c.say(t, &ngfwv1.CloudMessage{Id: m.Id, Payload: &ngfwv1.CloudMessage_Pong{Pong: &ngfwv1.Pong{Nonce: m.GetPing().Nonce}}})
	}
}

func TestCloudThatDoesNotAnswerAuth(t *testing.T) {
	s, address := scripted(t)
	cl := client(t, address, newHands(), func(c *Config, _ *Deps) { c.AuthTimeout = 20 * time.Millisecond })
	<-s.streams
	<-s.streams
	if got := cl.State().LastError; !strings.Contains(got, "did not answer the authentication") {
		t.Errorf("last error %q", got)
	}
}

// An acknowledgement settles only what this connection sent.
func TestWindowAndForeignAcknowledgements(t *testing.T) {
	s, address := scripted(t)
	var sp *spool.Spool
	client(t, address, newHands(), func(_ *Config, d *Deps) { sp = d.Spool })
	for n := range uint64(10) {
		if err := sp.Append([]*ngfwv1.FlowEvent{{FlowId: n + 1}}); err != nil {
			t.Fatal(err)
		}
		if err := sp.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	c := <-s.streams
	c.welcome(t)
	m := c.next(t, func(m *ngfwv1.AgentMessage) bool { return m.GetSpoolState() != nil })
	e := m.GetSpoolState().Epochs
	if len(e) != 1 || e[0].First != 1 || e[0].Last != 10 {
		t.Fatalf("state %v", e)
	}
	c.say(t, &ngfwv1.CloudMessage{Id: m.Id, Payload: &ngfwv1.CloudMessage_SpoolPosition{SpoolPosition: &ngfwv1.SpoolPosition{
		Epochs: []*ngfwv1.SpoolPosition_Epoch{{Epoch: e[0].Epoch, Stored: 2}}, WindowBatches: 3,
	}}})
	isBatch := func(m *ngfwv1.AgentMessage) bool { return m.GetFlowBatch() != nil }
	for want := uint64(3); want <= 5; want++ {
		if got := c.next(t, isBatch).GetFlowBatch().Number; got != want {
			t.Fatalf("batch %d, want %d", got, want)
		}
	}
	// The window is full: what comes next is the answer to this, not a batch.
	c.say(t, &ngfwv1.CloudMessage{Id: "q", Payload: &ngfwv1.CloudMessage_StatusRequest{StatusRequest: &ngfwv1.StatusQuery{}}})
	if m := c.next(t, func(m *ngfwv1.AgentMessage) bool { return m.Id == "q" || isBatch(m) }); isBatch(m) {
		t.Fatalf("batch %d beyond the window", m.GetFlowBatch().Number)
	}
	c.say(t, &ngfwv1.CloudMessage{Payload: &ngfwv1.CloudMessage_BatchAck{BatchAck: &ngfwv1.BatchAck{Epoch: e[0].Epoch, Number: 9}}})
	if got := c.next(t, isBatch).GetFlowBatch().Number; got != 6 {
		t.Fatalf("batch %d, want 6", got)
	}
	if st := sp.State().Epochs[0]; st.First != 6 {
		t.Errorf("an acknowledgement of 9 settled up to %d, only 5 were sent", st.First-1)
	}
}

func TestDialingComesFirstAndMayRefuse(t *testing.T) {
	s, address := scripted(t)
	var mu sync.Mutex
	var asked []string
	resolver := fakeResolver{addrs: []netip.Addr{netip.MustParseAddr("::ffff:127.0.0.2"), netip.MustParseAddr("127.0.0.1")}}
	cl := client(t, address, newHands(), func(c *Config, d *Deps) {
		_, port, _ := net.SplitHostPort(address)
		c.Server = "grpc://localhost:" + port
		d.Resolver = &resolver
		d.Dialing = func(a netip.AddrPort) error {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, a.Addr().String())
			if len(asked) == 1 {
				return io.ErrClosedPipe
			}
			return nil
		}
	})
	c := <-s.streams
	c.welcome(t)
	mu.Lock()
	if d := cmp.Diff([]string{"127.0.0.2", "127.0.0.1"}, asked); d != "" {
		t.Error(d)
	}
	mu.Unlock()
	if got, ok := cl.Endpoint(); !ok || got.String() != address {
		t.Errorf("endpoint %v", got)
	}
	// The resolver dies with the connection: the last addresses are used.
	resolver.fail()
	c.over <- errors.New("cut")
	c = <-s.streams
	c.welcome(t)
}

type fakeResolver struct {
	mu    sync.Mutex
	addrs []netip.Addr
	err   error
}

func (f *fakeResolver) fail() { f.mu.Lock(); f.err = errors.New("no DNS"); f.mu.Unlock() }
func (f *fakeResolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]netip.Addr(nil), f.addrs...), f.err
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("does not happen")
		case <-tick.C:
		}
	}
}

func TestQuestionsAboutPackets(t *testing.T) {
	s, address := scripted(t)
	var asked []string
	answer := func(_ context.Context, p *ngfwv1.Packet) (*ngfwv1.Explanation, error) {
		asked = append(asked, p.Src)
		switch len(asked) {
		case 1:
			return &ngfwv1.Explanation{Action: "drop", Reason: "default"}, nil
		case 2:
			return nil, fault.New(fault.Conflict, "no policy is enforced yet")
		}
		return nil, errors.New("bpf: operation not permitted")
	}
	client(t, address, newHands(), func(_ *Config, d *Deps) { d.Simulate = answer })
	c := <-s.streams
	c.welcome(t)
	ask := func(id string) *ngfwv1.AgentMessage {
		c.say(t, &ngfwv1.CloudMessage{Id: id, Payload: &ngfwv1.CloudMessage_Simulate{Simulate: &ngfwv1.Simulate{Packet: &ngfwv1.Packet{Src: "10.0.0." + id}}}})
		return c.next(t, func(m *ngfwv1.AgentMessage) bool { return m.Id == id })
	}
	if m := ask("1"); m.GetSimulateResult().GetExplanation().GetReason() != "default" {
		t.Errorf("answer %v", m)
	}
	if m := ask("2"); m.GetError().GetCode() != "CONFLICT" || m.GetError().GetMessage() != "no policy is enforced yet" {
		t.Errorf("answer %v", m)
	}
	if m := ask("3"); m.GetError().GetCode() != "UNAVAILABLE" || strings.Contains(m.GetError().GetMessage(), "bpf") {
		t.Errorf("answer %v", m)
	}
	if d := cmp.Diff([]string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, asked); d != "" {
		t.Error(d)
	}
}

func TestQuestionToAnAgentThatDoesNotSimulate(t *testing.T) {
	s, address := scripted(t)
	client(t, address, newHands(), nil)
	c := <-s.streams
	c.welcome(t)
	c.say(t, &ngfwv1.CloudMessage{Id: "1", Payload: &ngfwv1.CloudMessage_Simulate{Simulate: &ngfwv1.Simulate{}}})
	if m := c.next(t, func(m *ngfwv1.AgentMessage) bool { return m.Id == "1" }); m.GetError().GetCode() != "UNSUPPORTED" {
		t.Errorf("answer %v", m)
	}
}
