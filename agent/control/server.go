package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ngfw.sh/policy"
)

// Config is where the agent is asked.
type Config struct {
	Socket string // its directory is made (0700) if it is not there
}

// Deps are what the server tells.
type Deps struct {
	Status   func() Status
	Simulate func(policy.Packet) (policy.Explanation, error) // nil: not to be asked
	Trace    Tracer                                          // nil: not to be asked
	Logger   *slog.Logger
}

// Server answers GET /status, POST /simulate and POST /trace on the socket.
type Server struct {
	cfg  Config
	deps Deps
}

// New makes a Server that does not listen yet.
func New(cfg Config, deps Deps) *Server {
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{cfg: cfg, deps: deps}
}

// ErrRunning is returned by Run while another process serves the socket.
var ErrRunning = errors.New("another agent is running")

// Run serves until ctx ends; it returns nil then and the socket is gone.
func (s *Server) Run(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(s.cfg.Socket), 0o700); err != nil {
		return fmt.Errorf("make the control socket's directory: %w", err)
	}
	lock, err := hold(s.cfg.Socket + ".lock")
	if err != nil {
		return fmt.Errorf("control socket %s: %w", s.cfg.Socket, err)
	}
	defer lock.Close() // and so released; the file stays, else two could lock two
	l, err := listen(ctx, s.cfg.Socket)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      30 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx }, // a trace ends with the agent
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
	err = srv.Serve(l)
	if ctx.Err() != nil && errors.Is(err, http.ErrServerClosed) {
		<-stopped
		return nil
	}
	return fmt.Errorf("serve the control socket: %w", err)
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(s.deps.Status().complete()); err != nil {
			s.deps.Logger.Debug("status was not taken", "err", err)
		}
	})
	mux.HandleFunc("POST /simulate", s.simulate)
	mux.HandleFunc("POST /trace", s.trace)
	return mux
}

// hold locks the file for the life of this process.
func hold(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrRunning
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// listen makes the socket, never open to others: Linux gives the file the mode
// that the socket itself has when it is bound (unix_bind_bsd in
// net/unix/af_unix.c), so there is no moment before a chmod. Callers hold the
// lock, so what is at the path is left over.
func listen(ctx context.Context, path string) (net.Listener, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("control socket: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("control socket: %s is there and is no socket", path)
	default:
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("replace the control socket: %w", err)
		}
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if e := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }); e != nil {
			return e
		}
		return err
	}}
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return l, nil
}
