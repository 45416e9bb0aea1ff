package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ngfw.sh/internal/loopback"
)

// ServerConfig is where Prometheus finds the agent.
type ServerConfig struct {
	Listen      string // host:port; "off" serves nothing
	AllowRemote bool   // other addresses than loopback
}

// DefaultServerConfig listens on loopback.
func DefaultServerConfig() ServerConfig { return ServerConfig{Listen: "127.0.0.1:9101"} }

// ServerDeps are what a Server shows.
type ServerDeps struct {
	Gatherer prometheus.Gatherer
	Health   func() error // nil: healthy as long as it answers
	Logger   *slog.Logger
}

// Server answers /metrics and /health over plain HTTP. Who can reach it may
// read everything it shows, so it listens on loopback unless told otherwise.
type Server struct {
	cfg  ServerConfig
	deps ServerDeps
	addr chan net.Addr // holds the address once it listens
}

// NewServer makes a Server that does not listen yet.
func NewServer(cfg ServerConfig, deps ServerDeps) *Server {
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{cfg: cfg, deps: deps, addr: make(chan net.Addr, 1)}
}

// CheckListen says what is wrong with an address to listen on.
func CheckListen(listen string, allowRemote bool) error {
	if listen == "off" {
		return nil
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("%q is not host:port", listen)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q: the port is not a number from 0 to 65535", listen)
	}
	if allowRemote {
		return nil
	}
	if !loopback.Host(host) {
		return fmt.Errorf("%q is not a loopback address: metrics are readable by whoever reaches them, so set allow_remote_metrics to mean it", listen)
	}
	return nil
}

// Addr waits until the server listens; it is for port 0.
func (s *Server) Addr(ctx context.Context) (net.Addr, error) {
	select {
	case a := <-s.addr:
		s.addr <- a
		return a, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Run serves until ctx ends; it returns nil then.
func (s *Server) Run(ctx context.Context) error {
	if err := CheckListen(s.cfg.Listen, s.cfg.AllowRemote); err != nil {
		return fmt.Errorf("serve metrics: %w", err)
	}
	if s.cfg.Listen == "off" {
		<-ctx.Done()
		return nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("serve metrics: %w", err)
	}
	if tcp, ok := l.Addr().(*net.TCPAddr); !s.cfg.AllowRemote && (!ok || !tcp.IP.IsLoopback()) {
		l.Close()
		return fmt.Errorf("serve metrics: %q resolved to %s, which is not loopback", s.cfg.Listen, l.Addr())
	}
	s.addr <- l.Addr()

	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.deps.Logger.Handler(), slog.LevelDebug),
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if srv.Shutdown(grace) != nil {
			srv.Close()
		}
	}()
	s.deps.Logger.Info("serving metrics", "address", l.Addr().String())
	err = srv.Serve(l)
	if ctx.Err() != nil && errors.Is(err, http.ErrServerClosed) {
		<-stopped
		return nil
	}
	return fmt.Errorf("serve metrics: %w", err)
}

// Handler answers the two paths.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.deps.Gatherer, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(s.deps.Logger.Handler(), slog.LevelWarn),
		// One collector that fails must not hide the others.
		ErrorHandling: promhttp.ContinueOnError,
		Timeout:       20 * time.Second,
	}))
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		answer, code := map[string]string{"status": "ok"}, http.StatusOK
		if s.deps.Health != nil {
			if err := s.deps.Health(); err != nil {
				answer, code = map[string]string{"status": "failing", "error": err.Error()}, http.StatusServiceUnavailable
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(code)
		json.NewEncoder(w).Encode(answer)
	})
	return mux
}
