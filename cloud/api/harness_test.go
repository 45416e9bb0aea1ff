package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"ngfw.sh/cloud/api"
	"ngfw.sh/cloud/identity"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

// running is a server on loopback and what stands behind it.
type running struct {
	t        testing.TB
	url      string
	server   *api.Server
	tokens   *fakeTokens
	firewall *fakeFirewall
	fleet    *fakeFleet
	traffic  *fakeTraffic
	health   map[string]error
	log      *lockedBuffer
	stop     func()
}

// fakeTokens knows callers by their token.
type fakeTokens struct {
	mu sync.Mutex
	by map[string]identity.Caller
}

func (f *fakeTokens) Authenticate(_ context.Context, bearer string) (identity.Caller, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, ok := f.by[bearer]
	if !ok {
		return identity.Caller{}, fault.New(fault.Unauthorized, "the token is not valid")
	}
	return c, nil
}

func (f *fakeTokens) revoke(bearer string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.by, bearer)
}

type fakeDevices struct{}

func (fakeDevices) Resolve(_ context.Context, c identity.Caller, id string) (string, error) {
	switch {
	case id == "" && c.UserID == "several":
		return "", fault.New(fault.BadRequest, "there are several routers: name one with X-Device-ID")
	case id == "" || id == "dev1":
		return "dev1", nil
	case id == "foreign":
		return "", fault.New(fault.Forbidden, "this router belongs to another organisation")
	}
	return "", fault.New(fault.NotFound, "there is no such router")
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func all(scope identity.Scope) []identity.Scope { return []identity.Scope{scope} }

// start runs a server; change may alter its configuration. Limits are high
// unless a test sets them.
func start(t testing.TB, change func(*api.Config), more ...func(*api.Deps)) *running {
	t.Helper()
	r := &running{
		t: t, firewall: &fakeFirewall{}, fleet: &fakeFleet{}, log: &lockedBuffer{}, health: map[string]error{"store": nil},
		traffic: &fakeTraffic{opened: make(chan *liveStream), left: make(chan error, 8)},
		tokens: &fakeTokens{by: map[string]identity.Caller{
			"owner":   {UserID: "u1", OrgID: "o1", Plan: "business_plus", TokenID: "t1", Scopes: all(identity.Admin)},
			"reader":  {UserID: "u2", OrgID: "o1", Plan: "business", TokenID: "t2", Scopes: all(identity.Read)},
			"several": {UserID: "several", OrgID: "o1", Plan: "business", Session: "s", Scopes: all(identity.Admin)},
			"starter": {UserID: "u3", OrgID: "o2", Plan: "starter", Session: "s3", Scopes: all(identity.Admin)},
			"proapi":  {UserID: "u4", OrgID: "o3", Plan: "pro", TokenID: "t4", Scopes: all(identity.Admin)},
		}},
	}
	cfg := api.DefaultConfig()
	cfg.Listen, cfg.GRPCListen, cfg.Plaintext = "127.0.0.1:0", "127.0.0.1:0", true
	cfg.Limits.Auth, cfg.Limits.Logs, cfg.Limits.Other = 1e6, 1e6, 1e6
	cfg.Origins = []string{"https://console.example.org"}
	if change != nil {
		change(&cfg)
	}
	registry := prometheus.NewRegistry()
	deps := api.Deps{
		Services: []api.Service{
			api.Account(fakeAccount{}), api.Fleet(r.fleet), api.Firewall(r.firewall), api.NAT(ngfwv1.UnimplementedNATServiceServer{}), api.System(fakeSystem{}), api.Operations(fakeOperations{}), api.IDS(fakeIDS{}), api.QoS(ngfwv1.UnimplementedQoSServiceServer{}), api.Traffic(r.traffic), api.Alert(fakeAlerts{}), api.DNSHistory(ngfwv1.UnimplementedDnsHistoryServiceServer{}),
		},
		Link:          func(s grpc.ServiceRegistrar) { ngfwv1.RegisterLinkServiceServer(s, fakeLink{}) },
		Authenticator: r.tokens,
		Devices:       fakeDevices{},
		Health:        func(context.Context) map[string]error { return r.health },
		Public: map[string]http.Handler{"/.well-known/jwks.json": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"keys":[]}`)
		})},
		Logger:     slog.New(slog.NewJSONHandler(r.log, nil)),
		Registerer: registry, Gatherer: registry,
	}
	for _, f := range more {
		f(&deps)
	}
	server, err := api.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	select {
	case <-server.Ready():
	case err := <-ended:
		t.Fatal(err)
	}
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	r.server, r.url = server, "http://"+server.HTTPAddr().String()
	return r
}

type fakeLink struct {
	ngfwv1.UnimplementedLinkServiceServer
}

func (fakeLink) Connect(s grpc.BidiStreamingServer[ngfwv1.AgentMessage, ngfwv1.CloudMessage]) error {
	m, err := s.Recv()
	if err != nil {
		return err
	}
	return s.Send(&ngfwv1.CloudMessage{Id: m.GetId(), Payload: &ngfwv1.CloudMessage_AuthOk{AuthOk: &ngfwv1.AuthOk{Success: true}}})
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

// do sends a request as the owner; header pairs override.
func (r *running) do(method, path, body string, header ...string) reply {
	r.t.Helper()
	req, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer owner")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Del(header[i])
		if header[i+1] != "" {
			req.Header.Set(header[i], header[i+1])
		}
	}
	return r.send(req)
}

func (r *running) send(req *http.Request) reply {
	r.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(text)}
}

// failure is the envelope of an answer.
type failure struct {
	Code    string
	Message string
	Field   string
	Details map[string]any
}

func (a reply) failure(t testing.TB) failure {
	t.Helper()
	var out struct{ Error failure }
	if err := json.Unmarshal([]byte(a.body), &out); err != nil || out.Error.Code == "" {
		t.Fatalf("no envelope: %d %s", a.status, a.body)
	}
	return out.Error
}
