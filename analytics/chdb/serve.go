package chdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

// stopGrace is how long a stopping engine waits for statements that run.
const stopGrace = 5 * time.Second

// Serve opens the engine and answers the driver's requests on the unix socket
// (0600) until ctx ends: the whole life of the engine process. It returns nil
// after an orderly stop.
func Serve(ctx context.Context, cfg Config) error {
	cfg, err := cfg.complete()
	if err != nil {
		return err
	}
	e, err := Open(cfg)
	if err != nil {
		return err
	}
	// The data directory is ours now, so a socket there is a dead one's.
	if err := os.Remove(cfg.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the old engine socket: %w", err)
	}
	address, done, err := socketAddress(cfg.Socket)
	if err != nil {
		return err
	}
	defer done()
	ln, err := net.Listen("unix", address)
	if err != nil {
		return fmt.Errorf("listen on the engine socket: %w", err)
	}
	// Before this line the directory's 0700 keeps others away.
	if err := os.Chmod(cfg.Socket, 0o600); err != nil {
		ln.Close()
		return fmt.Errorf("restrict the engine socket: %w", err)
	}
	srv := &http.Server{Handler: e, ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn)}
	stopped := make(chan error, 1)
	go func() { stopped <- srv.Serve(ln) }()
	select {
	case err := <-stopped:
		return fmt.Errorf("serve the engine: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		srv.Close() // ends the requests' contexts, and with them the statements
	}
	return e.Close()
}

// ServeHTTP is the engine as a ClickHouse server's HTTP interface, as far as the
// driver uses it. GET is the readiness probe.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		io.WriteString(w, "Ok.\n")
		return
	}
	res, err := e.RoundTrip(r)
	if err != nil {
		if r.Context().Err() == nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
		return
	}
	defer res.Body.Close()
	for k, v := range res.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(res.StatusCode)
	buf := make([]byte, 256<<10)
	rc := http.NewResponseController(w)
	for {
		n, err := res.Body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return // the client is gone
			}
			if n < len(buf) {
				rc.Flush()
			}
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler) // so that the client sees a broken answer, not a short one
		}
	}
}
