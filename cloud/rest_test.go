package cloud

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"ngfw.sh/cloud/api"
	"ngfw.sh/cloud/api/apitest"
)

// rest is the service without its record of traffic, by HTTP as anybody speaks it.
type rest struct {
	*testing.T
	cfg      Config
	core     *Core
	base     string
	token    string
	contract *apitest.Contract
	stop     func()
}

func newREST(t *testing.T) *rest {
	t.Helper()
	r := &rest{T: t, cfg: testConfig(t)}
	core, stop := start(t, r.cfg)
	if err := bootstrap(t.Context(), r.cfg, core.Account, quiet); err != nil {
		t.Fatal(err)
	}
	stop()
	r.token = credentials(t, r.cfg).APIToken
	r.begin()
	var document json.RawMessage
	r.call("GET", "/openapi.json", nil, &document)
	r.contract = apitest.Load(t, document)
	return r
}

// begin serves what is in the data directory, as a restarted process does.
func (r *rest) begin() {
	r.Helper()
	core, closeCore := start(r.T, r.cfg)
	r.core = core
	a := r.cfg.api(nil)
	a.Plaintext, a.GRPCListen = true, ""
	a.Limits.Other, a.Limits.Auth, a.Limits.Logs = 1e6, 1e6, 1e6
	registry := prometheus.NewRegistry()
	server, err := api.New(a, api.Deps{
		Services: core.services(), Authenticator: core.Account, Devices: core.Fleet, Requests: core.requests,
		Logger: quiet, Registerer: registry, Gatherer: registry,
	})
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	<-server.Ready()
	r.base = "http://" + server.HTTPAddr().String()
	over := false
	r.stop = func() {
		if over {
			return
		}
		over = true
		cancel()
		if err := <-ended; err != nil {
			r.Error(err)
		}
		closeCore()
	}
	r.Cleanup(func() { r.stop() })
}

// answer is one, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// problem is the error of an answer.
func (a answer) problem(t testing.TB) (code, field, message string) {
	t.Helper()
	var envelope struct {
		Error struct{ Code, Field, Message string }
	}
	if err := json.Unmarshal(a.body, &envelope); err != nil || envelope.Error.Code == "" {
		t.Fatalf("no envelope: %d %s", a.status, a.body)
	}
	return envelope.Error.Code, envelope.Error.Field, envelope.Error.Message
}

// do sends a request; header are pairs. Every answer is held against the document.
func (r *rest) do(method, path string, body any, header ...string) answer {
	r.Helper()
	var in io.Reader
	if text, ok := body.(string); ok {
		in = strings.NewReader(text)
	} else if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			r.Fatal(err)
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, r.base+path, in)
	if err != nil {
		r.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.Fatal(err)
	}
	if r.contract != nil {
		r.contract.AssertMatches(r.T, method, path, res.StatusCode, text)
	}
	return answer{res.StatusCode, res.Header, text}
}

// call is do for what must succeed.
func (r *rest) call(method, path string, body, into any, header ...string) answer {
	r.Helper()
	a := r.do(method, path, body, header...)
	if a.status >= 300 {
		r.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	if into != nil {
		if err := json.Unmarshal(a.body, into); err != nil {
			r.Fatal(err)
		}
	}
	return a
}

// refused demands an error.
func (r *rest) refused(status int, code, field, method, path string, body any, header ...string) string {
	r.Helper()
	a := r.do(method, path, body, header...)
	gotCode, gotField, message := a.problem(r)
	if a.status != status || gotCode != code || gotField != field {
		r.Errorf("%s %s %v: %d %s, want %d %s at %q", method, path, body, a.status, a.body, status, code, field)
	}
	return message
}

// register makes a router.
func (r *rest) register(name string) string {
	r.Helper()
	var d struct{ ID string }
	r.call("POST", "/api/fleet/devices", map[string]string{"name": name}, &d)
	return d.ID
}
