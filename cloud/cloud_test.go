package cloud

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ngfw.sh/analytics/chdb"
)

// TestMain is also the engine's process: the server starts its own program with
// the command "engine".
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "engine" {
		cfg, err := chdb.ParseArgs(os.Args[2:])
		if err == nil {
			err = chdb.Serve(context.Background(), cfg)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// needEngine skips where the engine library is not installed; CI has it.
func needEngine(t *testing.T) {
	t.Helper()
	if _, err := chdb.Locate(""); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("SKIPPED: %v", err)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// serve starts the service and waits until it is healthy.
func serve(t *testing.T, cfg Config) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, cfg, Deps{Log: quiet, Registry: prometheus.NewRegistry()}) }()
	stop = func() error { cancel(); return <-done }
	deadline := time.Now().Add(60 * time.Second)
	for {
		select {
		case err := <-done:
			t.Fatal(err)
		default:
		}
		res, err := http.Get("http://" + cfg.Listen + "/health")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return stop
			}
			err = errors.New(res.Status)
		}
		if time.Now().After(deadline) {
			t.Fatalf("not healthy: %v", err)
		}
		time.Sleep(50 * time.Millisecond) // between two looks
	}
}

func get(t *testing.T, url, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestServe(t *testing.T) {
	needEngine(t)
	cfg := testConfig(t)
	cfg.Listen, cfg.GRPCListen = freeAddress(t), freeAddress(t)
	stop := serve(t, cfg)
	made := credentials(t, cfg)
	base := "http://" + cfg.Listen
	for path, want := range map[string]string{
		"/api/user/profile":      `"email":"owner@ngfw.local"`,
		"/api/fleet/devices":     `[]`,
		"/api/traffic/logs":      `"total":0`,
		"/.well-known/jwks.json": `"keys"`,
		"/metrics":               "ngfw_analytics_batches_total",
		"/openapi.json":          `"openapi"`,
	} {
		if code, body := get(t, base+path, made.APIToken); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.300s, want %s", path, code, body, want)
		}
	}
	if code, body := get(t, base+"/api/fleet/devices", "ngfw_pat_wrong"); code != http.StatusUnauthorized || !strings.Contains(body, "UNAUTHORIZED") {
		t.Errorf("a wrong token: %d %s", code, body)
	}

	// The listener's certificate and the authority's file belong together.
	text, err := os.ReadFile(cfg.path("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	conn, err := tls.Dial("tcp", cfg.GRPCListen, &tls.Config{RootCAs: pool, ServerName: "localhost", NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()

	// A second server is refused, a command beside it is not.
	err = Serve(t.Context(), cfg, Deps{Log: quiet, Registry: prometheus.NewRegistry()})
	if err == nil || !strings.Contains(err.Error(), "already running on "+cfg.DataDir) {
		t.Error(err)
	}
	core, err := Open(t.Context(), cfg, quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := core.Account.IssueToken(t.Context(), bootstrapEmail, "beside", nil)
	if err != nil {
		t.Fatal(err)
	}
	if code, body := get(t, base+"/api/fleet/devices", token.GetToken()); code != http.StatusOK {
		t.Errorf("a token made beside the server: %d %s", code, body)
	}
	core.Close()

	if err := stop(); err != nil {
		t.Errorf("a graceful stop says %v", err)
	}
	stop = serve(t, cfg)
	if code, body := get(t, base+"/api/user/profile", made.APIToken); code != http.StatusOK {
		t.Errorf("after a restart: %d %s", code, body)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestAPortThatIsTakenEndsTheService(t *testing.T) {
	needEngine(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := testConfig(t)
	cfg.Listen, cfg.GRPCListen = taken.Addr().String(), freeAddress(t)
	err = Serve(t.Context(), cfg, Deps{Log: quiet, Registry: prometheus.NewRegistry()})
	if err == nil || !strings.Contains(err.Error(), cfg.Listen) {
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
	err := Serve(t.Context(), cfg, Deps{Log: quiet, Registry: prometheus.NewRegistry()})
	if err == nil || !strings.Contains(err.Error(), "make the data directory") {
		t.Error(err)
	}
}
