package cloud

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// front stands where package api will: it shows that Serve hands over a working
// core and certificate, and how it ends.
type front struct {
	core  *Core
	tls   *tls.Config
	ready chan<- *front
	fail  error
}

func (f *front) Run(ctx context.Context) error {
	f.ready <- f
	if f.fail != nil {
		return f.fail
	}
	<-ctx.Done()
	return ctx.Err()
}

// serve starts the service and waits for its front.
func serve(t *testing.T, cfg Config, fail error) (up *front, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan *front, 1), make(chan error, 1)
	go func() {
		done <- Serve(ctx, cfg, Deps{Log: quiet, Registry: prometheus.NewRegistry(), Front: func(_ Config, core *Core, c *tls.Config) (Part, error) {
			return &front{core: core, tls: c, ready: ready, fail: fail}, nil
		}})
	}()
	stop = func() error { cancel(); return <-done }
	select {
	case up = <-ready:
		return up, stop
	case err := <-done:
		t.Fatal(err)
		return nil, nil
	}
}

func TestServe(t *testing.T) {
	cfg := testConfig(t)
	up, stop := serve(t, cfg, nil)
	letIn(t, up.core, credentials(t, cfg))

	// The certificate and the authority's file belong together.
	l, err := tls.Listen("tcp", "127.0.0.1:0", up.tls)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			conn.(*tls.Conn).Handshake()
			conn.Close()
		}
	}()
	text, err := os.ReadFile(cfg.path("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: pool, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()

	// A second server is refused, a command beside it is not.
	err = Serve(t.Context(), cfg, Deps{Log: quiet, Registry: prometheus.NewRegistry(), Front: func(Config, *Core, *tls.Config) (Part, error) {
		return nil, errors.New("came too far")
	}})
	if err == nil || !strings.Contains(err.Error(), "already running on "+cfg.DataDir) {
		t.Error(err)
	}
	core, err := Open(t.Context(), cfg, quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := core.Account.IssueToken(t.Context(), bootstrapEmail, "beside", nil); err != nil {
		t.Error(err)
	}
	core.Close()

	if err := stop(); err != nil {
		t.Errorf("a graceful stop says %v", err)
	}
	up, stop = serve(t, cfg, nil)
	letIn(t, up.core, credentials(t, cfg))
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestAPartThatFailsEndsTheService(t *testing.T) {
	_, stop := serve(t, testConfig(t), errors.New("port taken"))
	if err := stop(); err == nil || err.Error() != "api: port taken" {
		t.Error(err)
	}
}

// partFunc is a part made of a function.
type partFunc func(context.Context) error

func (f partFunc) Run(ctx context.Context) error { return f(ctx) }

func TestAPartMayNotEndUnasked(t *testing.T) {
	waits := partFunc(func(ctx context.Context) error { <-ctx.Done(); return nil })
	err := run(t.Context(), map[string]Part{"waits": waits, "ends": partFunc(func(context.Context) error { return nil })})
	if err == nil || err.Error() != "ends ended by itself" {
		t.Error(err)
	}
}

func TestUnusableDataDir(t *testing.T) {
	cfg := testConfig(t)
	if err := os.WriteFile(cfg.path("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.DataDir = cfg.path("file") + "/d"
	err := Serve(t.Context(), cfg, Deps{Log: quiet, Front: func(Config, *Core, *tls.Config) (Part, error) { return nil, nil }})
	if err == nil || !strings.Contains(err.Error(), "make the data directory") {
		t.Error(err)
	}
}
