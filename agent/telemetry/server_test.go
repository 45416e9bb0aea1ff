package telemetry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestCheckListen(t *testing.T) {
	for listen, ok := range map[string]bool{
		"127.0.0.1:9101": true, "127.8.9.1:0": true, "[::1]:9101": true, "localhost:9101": true, "off": true,
		"0.0.0.0:9101": false, ":9101": false, "[::]:9101": false, "192.0.2.1:9101": false, "router.example:9101": false,
		"127.0.0.1": false, "127.0.0.1:http": false, "127.0.0.1:70000": false, "": false,
	} {
		if err := CheckListen(listen, false); (err == nil) != ok {
			t.Errorf("%q: %v, want accepted %v", listen, err, ok)
		}
	}
	if err := CheckListen("0.0.0.0:9101", true); err != nil {
		t.Errorf("remote metrics were asked for: %v", err)
	}
}

func TestServerServesAndStops(t *testing.T) {
	registry := prometheus.NewRegistry()
	New(Config{Version: "v1.2.3"}, Deps{Root: os.DirFS("testdata/pc"), Network: twoPorts(), Registerer: registry})
	var health error
	s := NewServer(ServerConfig{Listen: "127.0.0.1:0"}, ServerDeps{Gatherer: registry, Health: func() error { return health }})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	addr, err := s.Addr(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(path string, code int) string {
		t.Helper()
		resp, err := http.Get("http://" + addr.String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != code {
			t.Errorf("%s: %s, want %d", path, resp.Status, code)
		}
		return string(b)
	}
	body := ask("/metrics", 200)
	for _, want := range []string{
		`ngfw_interface_bytes_total{direction="received",interface="eth0"} 1000`,
		`ngfw_interface_up{interface="eth1"} 0`,
		`ngfw_system_cpu_usage_ratio 0.28`,
		`ngfw_system_memory_available_bytes 4.83328e+09`,
		`ngfw_system_load{minutes="15"} 0.35`,
		`ngfw_system_temperature_celsius 52`,
		`ngfw_conntrack_entries 847`,
		`ngfw_conntrack_entries_limit 262144`,
		`version="v1.2.3"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if got := ask("/health", 200); got != "{\"status\":\"ok\"}\n" {
		t.Errorf("health %q", got)
	}
	health = errors.New("packet programs are not loaded")
	if got := ask("/health", 503); !strings.Contains(got, "not loaded") {
		t.Errorf("health %q", got)
	}
	ask("/else", 404)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestServerRefusesRemote(t *testing.T) {
	s := NewServer(ServerConfig{Listen: "0.0.0.0:0"}, ServerDeps{Gatherer: prometheus.NewRegistry()})
	if err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "allow_remote_metrics") {
		t.Errorf("listened beyond loopback: %v", err)
	}
}

func TestMetricsAreWellFormed(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	New(DefaultConfig(), Deps{Root: os.DirFS("testdata/pc"), Network: twoPorts(), Registerer: registry})
	families, err := registry.Gather() // checks types, labels and duplicates
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "ngfw_") || f.GetHelp() == "" {
			t.Errorf("%s lacks the prefix or a help text", f.GetName())
		}
	}
}
