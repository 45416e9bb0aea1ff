package api_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	"ngfw.sh/cloud/api"
	"ngfw.sh/internal/fault"
	ngfwv1 "ngfw.sh/proto/gen/ngfw/v1"
)

func TestNewRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		config func(*api.Config)
		deps   func(*api.Deps)
		want   string
	}{
		"gRPC without TLS":       {config: func(c *api.Config) { c.Plaintext = false }, want: "certificate"},
		"an origin with a path":  {config: func(c *api.Config) { c.Origins = []string{"https://a.example/x"} }, want: "origin"},
		"no time for requests":   {config: func(c *api.Config) { c.RequestTimeout = 0 }, want: "RequestTimeout"},
		"a public path in /api":  {deps: func(d *api.Deps) { d.Public["/api/x"] = nil }, want: "public path"},
		"a public path twice":    {deps: func(d *api.Deps) { d.Public["/health"] = nil }, want: "public path"},
		"nobody to authenticate": {deps: func(d *api.Deps) { d.Authenticator = nil }, want: "Authenticator"},
	} {
		t.Run(name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			cfg, deps := api.DefaultConfig(), api.Deps{Authenticator: &fakeTokens{}, Devices: fakeDevices{},
				Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Registerer: registry, Gatherer: registry, Public: map[string]http.Handler{}}
			cfg.Plaintext = true
			if c.config != nil {
				c.config(&cfg)
			}
			if c.deps != nil {
				c.deps(&deps)
			}
			if _, err := api.New(cfg, deps); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestGRPCOverTLS(t *testing.T) {
	site := httptest.NewTLSServer(nil)
	defer site.Close()
	r := start(t, func(c *api.Config) {
		c.Plaintext, c.TLS = false, &tls.Config{Certificates: site.TLS.Certificates}
	})
	roots := x509.NewCertPool()
	roots.AddCert(site.Certificate())
	conn, err := grpc.NewClient(r.server.GRPCAddr().String(),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: "example.com"})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	out, err := ngfwv1.NewAccountServiceClient(conn).Profile(as("owner"), &ngfwv1.ProfileRequest{})
	if err != nil || out.GetId() != "u1" {
		t.Errorf("%v, %v", out, err)
	}
}

// Public operations are counted per address, which behind a trusted proxy is
// the client's and cannot be chosen by it.
func TestAddressBehindProxies(t *testing.T) {
	login := func(r *running, forwarded string) int {
		return r.do("POST", "/api/auth/login", `{"password":"right"}`, "Authorization", "", "X-Forwarded-For", forwarded).status
	}
	proxied := start(t, func(c *api.Config) {
		c.Limits.Auth = 1
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	})
	for i, c := range []struct {
		forwarded string
		want      int
	}{
		{"192.0.2.1", 200}, {"192.0.2.1", 429}, {"192.0.2.2", 200}, {"192.0.2.2, 10.1.1.1", 429}, {"203.0.113.9, 192.0.2.2", 429}, {"nonsense", 200}, {"", 429},
	} {
		if got := login(proxied, c.forwarded); got != c.want {
			t.Errorf("%d: %q: %d, want %d", i, c.forwarded, got, c.want)
		}
	}
	direct := start(t, func(c *api.Config) { c.Limits.Auth = 1 })
	login(direct, "192.0.2.1")
	if got := login(direct, "192.0.2.2"); got != 429 {
		t.Errorf("a stranger's X-Forwarded-For is believed: %d", got)
	}
}

func TestValidationHook(t *testing.T) {
	r := start(t, nil, func(d *api.Deps) {
		d.Validate = func(_ context.Context, m proto.Message) error {
			if z, ok := m.(*ngfwv1.CreateZoneRequest); ok && z.GetDeviceId() == "dev1" {
				return fault.Invalid("name", "no more zones")
			}
			return nil
		}
	})
	if a := r.do("POST", "/api/firewall/zones", "{}"); a.status != 400 || a.failure(t).Field != "name" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := r.do("GET", "/api/firewall/zones", ""); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}
