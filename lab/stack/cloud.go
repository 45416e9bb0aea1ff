package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/relay"
)

// client speaks the REST interface as the bootstrap owner.
type client struct {
	base, token string
	http        *http.Client
}

// call sends in (nil: no body) and reads the answer into out (nil: none wanted).
func (c *client) call(ctx context.Context, method, path, device string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if device != "" {
		req.Header.Set("X-Device-ID", device)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(answer))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// bootstrap is what the cloud writes on an empty data directory.
type bootstrap struct {
	Email          string `json:"email"`
	Password       string `json:"password"`
	APIToken       string `json:"api_token"`
	OrganizationID string `json:"organization_id"`
}

func (s *Stack) bootstrapPath() string { return s.path("cloud", "bootstrap.json") }

// startCloud starts the cloud and returns when it serves and has an owner.
func (s *Stack) startCloud(ctx context.Context) error {
	cloud := s.service("cloud", "", "ngfw-cloud", "serve",
		"--listen", s.cfg.Listen, "--grpc-listen", s.cfg.GRPCListen, "--data-dir", s.path("cloud"),
		"--tls-name", relay.Address().Addr().String())
	s.api = &client{base: "http://" + dialable(s.cfg.Listen), http: &http.Client{Timeout: 10 * time.Second}}
	return until(ctx, "waiting for the cloud", cloudLimit, cloud, func(ctx context.Context) error {
		if err := s.api.call(ctx, http.MethodGet, "/health", "", nil, nil); err != nil {
			return err
		}
		var b bootstrap
		data, err := os.ReadFile(s.bootstrapPath())
		if err != nil {
			return err
		}
		if err := json.Unmarshal(data, &b); err != nil || b.APIToken == "" {
			return fmt.Errorf("%s has no api_token: %v", s.bootstrapPath(), err)
		}
		s.api.token = b.APIToken
		return nil
	})
}

// device is the lab's router as the cloud knows it.
type device struct {
	ID     string `json:"id"`
	APIKey string `json:"api_key"`
}

// registerDevice makes the router known and tells which ports are in which zone.
func (s *Stack) registerDevice(ctx context.Context) (device, error) {
	var d device
	in := map[string]any{"name": "lab-router", "model": "lab", "tags": []string{"lab"}}
	if err := s.api.call(ctx, http.MethodPost, "/api/fleet/devices", "", in, &d); err != nil {
		return d, err
	}
	if d.ID == "" || d.APIKey == "" {
		return d, errors.New("the cloud registered the router but gave no id or key")
	}
	var zones []map[string]any
	if err := s.api.call(ctx, http.MethodGet, "/api/firewall/zones", d.ID, nil, &zones); err != nil {
		return d, err
	}
	for _, want := range lab.Zones {
		i := slices.IndexFunc(zones, func(z map[string]any) bool { return z["name"] == want.Name })
		if i < 0 {
			return d, fmt.Errorf("the router has no zone %s among %v", want.Name, zones)
		}
		zone := zones[i]
		zone["interfaces"], zone["masquerade"] = want.Ports, want.Masquerade
		path := fmt.Sprintf("/api/firewall/zones/%v", zone["id"])
		if err := s.api.call(ctx, http.MethodPut, path, d.ID, zone, nil); err != nil {
			return d, err
		}
	}
	return d, nil
}

// synced fails until the router has applied what the cloud wants.
func (s *Stack) synced(ctx context.Context, d device) error {
	var status struct {
		Status string `json:"status"`
		Config struct {
			State string `json:"state"`
			Error any    `json:"error"`
		} `json:"config"`
	}
	if err := s.api.call(ctx, http.MethodGet, "/api/fleet/devices/"+d.ID+"/status", "", nil, &status); err != nil {
		return err
	}
	if status.Status != "online" || status.Config.State != "synced" {
		return fmt.Errorf("the router is %s, its configuration %s, error %v", status.Status, status.Config.State, status.Config.Error)
	}
	return nil
}

// recorded fails until the log shows a flow of lan1 to inet's web server.
func (s *Stack) recorded(ctx context.Context, d device) error {
	var page struct {
		Logs []json.RawMessage `json:"logs"`
	}
	path := fmt.Sprintf("/api/traffic/logs?device_id=%s&src=%s&dst=%s&port=80&limit=1", d.ID, lab.IP4(lab.LAN1), lab.IP4(lab.INET))
	if err := s.api.call(ctx, http.MethodGet, path, "", nil, &page); err != nil {
		return err
	}
	if len(page.Logs) == 0 {
		return errors.New("lan1 reaches inet, but the traffic log does not show it")
	}
	return nil
}
