package stack

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"

	"ngfw.sh/lab"
	"ngfw.sh/lab/relay"
)

// startAgent configures the agent as a user would, starts it in the router, and
// returns when it enforces what the cloud wants.
func (s *Stack) startAgent(ctx context.Context, d device) error {
	if err := os.MkdirAll(s.path("agent"), 0o700); err != nil {
		return err
	}
	settings, key := s.path("agent", "agent.yaml"), s.path("agent", "key")
	// Pins and the socket go with the lab: the socket's path must be short, and
	// what is pinned must not outlive the ports.
	text := fmt.Sprintf("state_dir: %q\nbpf_dir: %q\ncontrol_socket: %q\nmetrics_listen: \"127.0.0.1:9101\"\n",
		s.path("agent", "state"), s.lab.BPFDir(), s.lab.Dir()+"/agent.sock")
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(key, []byte(d.APIKey+"\n"), 0o600); err != nil {
		return err
	}
	configure := exec.CommandContext(ctx, s.program("ngfw-agent"), "configure", "--api-key-file", key,
		"--server", "grpcs://"+relay.Address().String(), "--ca-file", s.path("cloud", "ca.pem"), "--config", settings)
	var said bytes.Buffer
	configure.Stdout, configure.Stderr = &said, &said
	if err := s.lab.Run(lab.RTR, configure); err != nil {
		return fmt.Errorf("ngfw-agent configure: %w: %s", err, &said)
	}
	if err := os.Remove(key); err != nil {
		return err
	}
	s.agent = s.service("agent", lab.RTR, "ngfw-agent", "run", "--config", settings)
	return until(ctx, "waiting for the agent", syncLimit, s.agent, func(ctx context.Context) error { return s.synced(ctx, d) })
}

// awaitFlow returns when a client has reached inet through the router and the
// API shows it.
func (s *Stack) awaitFlow(ctx context.Context, d device) error {
	err := until(ctx, "waiting for lan1 to reach inet", flowLimit, s.agent, func(ctx context.Context) error {
		curl := exec.CommandContext(ctx, "curl", "--silent", "--show-error", "--fail", "--connect-timeout", "2", "--max-time", "5", "--output", "/dev/null", labURL())
		var said bytes.Buffer
		curl.Stderr = &said
		if err := s.lab.Run(lab.LAN1, curl); err != nil {
			return fmt.Errorf("%w: %s", err, &said)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return until(ctx, "waiting for the first row of the traffic log", flowLimit, s.agent, func(ctx context.Context) error { return s.recorded(ctx, d) })
}

// labURL is a page that every client of the lab can fetch.
func labURL() string { return "http://" + lab.IP4(lab.INET).String() + "/" }
