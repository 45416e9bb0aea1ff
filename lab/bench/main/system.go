package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"ngfw.sh/lab"
)

// system is the whole product as make run starts it, under a name of its own.
type system struct {
	lab    *lab.Lab
	url    string
	token  string
	device string
	cmd    *exec.Cmd
	said   *bytes.Buffer
	dir    string
	data   string // of a cloud, where that is elsewhere; "": in dir
}

// freeAddress is one that nobody listens on now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// startSystem waits until the product is ready.
func startSystem(ctx context.Context, bin string) (*system, error) {
	dir, err := os.MkdirTemp("", "ngfw-bench-")
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("bench-%d", os.Getpid())
	l, err := lab.Named(name)
	if err != nil {
		return nil, err
	}
	listen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	grpcListen, err := freeAddress()
	if err != nil {
		return nil, err
	}
	run := filepath.Join(dir, "run")
	s := &system{lab: l, said: &bytes.Buffer{}, dir: dir}
	s.cmd = exec.Command(filepath.Join(bin, "ngfw-lab"), "run", "--name", name, "--dir", run, "--bin", bin,
		"--listen", listen, "--grpc-listen", grpcListen, "--traffic=false", "--detach=false")
	s.cmd.Stdout, s.cmd.Stderr = s.said, s.said
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() { s.cmd.Wait(); close(ended) }()
	for {
		env, err := os.ReadFile(filepath.Join(run, "env"))
		if err == nil {
			s.url, s.token, s.device = setting(env, "NGFW_URL"), setting(env, "NGFW_TOKEN"), setting(env, "NGFW_DEVICE_ID")
			return s, nil
		}
		select {
		case <-ctx.Done():
			s.stop()
			return nil, ctx.Err()
		case <-ended:
			return nil, fmt.Errorf("the product did not start:\n%s", s.said)
		case <-time.After(100 * time.Millisecond): // between two looks
		}
	}
}

func setting(env []byte, key string) string {
	for line := range strings.Lines(string(env)) {
		if v, ok := strings.CutPrefix(line, key+"="); ok {
			return strings.Trim(strings.TrimSpace(v), "'")
		}
	}
	return ""
}

// stop ends it and waits until everything it made is gone.
func (s *system) stop() {
	s.cmd.Process.Signal(syscall.SIGINT)
	for range 300 {
		if s.cmd.Process.Signal(syscall.Signal(0)) != nil {
			break
		}
		time.Sleep(100 * time.Millisecond) // between two looks
	}
	os.RemoveAll(s.dir)
}

// call is one REST call; out may be nil.
func (s *system) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, data)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}
