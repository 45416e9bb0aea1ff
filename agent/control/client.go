package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"
	"time"

	"ngfw.sh/internal/fault"
)

// ErrNotRunning says that nobody serves the socket.
var ErrNotRunning = errors.New("ngfw-agent is not running")

// Query asks the agent that serves the socket how it is.
func Query(ctx context.Context, socket string) (Status, error) {
	var s Status
	return s, ask(ctx, socket, http.MethodGet, "/status", nil, &s)
}

// ask sends one request and reads the answer. What the agent refuses is a fault.
func ask(ctx context.Context, socket, method, path string, body io.Reader, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, body)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return unanswered(socket, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return refused(socket, resp)
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("read the agent's answer: %w", err)
	}
	return nil
}

// unanswered says why nobody has answered.
func unanswered(socket string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nobody answers on %s", ErrNotRunning, socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("not allowed to open %s: run as root", socket)
	}
	return fmt.Errorf("ask the agent on %s: %w", socket, err)
}

// refused reads what is answered instead of an answer.
func refused(socket string, resp *http.Response) error {
	var r refusal
	if json.NewDecoder(resp.Body).Decode(&r) == nil && r.Message != "" {
		return &fault.Error{Code: r.Code, Message: r.Message, Fields: r.Fields}
	}
	return fmt.Errorf("ask the agent on %s: it answered %s", socket, resp.Status)
}
