package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// cloud is the service alone, on a data directory of its own.
type cloud struct {
	system
	grpc string
	keys []string // of its routers

	filled bool // the data directory was there before
}

// startCloud starts it, with limits that a benchmark does not meet, and
// registers the routers. data is its directory; "" is one that stop removes.
func startCloud(ctx context.Context, bin, data string) (*cloud, error) {
	dir, err := os.MkdirTemp("", "ngfw-bench-")
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
	c := &cloud{grpc: grpcListen, system: system{said: &bytes.Buffer{}, dir: dir, url: "http://" + listen, data: filepath.Join(dir, "data")}}
	if data != "" {
		if c.data, err = filepath.Abs(data); err != nil {
			return nil, err
		}
		_, err := os.Stat(filepath.Join(c.data, "bootstrap.json"))
		c.filled = err == nil
	}
	config := filepath.Join(dir, "cloud.yaml")
	text := fmt.Sprintf("listen: %s\ngrpc_listen: %s\ndata_dir: %s\nlog: {level: warn}\nlimits: {requests_per_minute: 1000000, log_requests_per_minute: 1000000, streams_per_user: 1000}\n",
		listen, grpcListen, c.data)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	c.cmd = exec.Command(filepath.Join(bin, "ngfw-cloud"), "serve", "--config", config)
	c.cmd.Stdout, c.cmd.Stderr = c.said, c.said
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() { c.cmd.Wait(); close(ended) }()
	for !c.ready() {
		select {
		case <-ctx.Done():
			c.stop()
			return nil, ctx.Err()
		case <-ended:
			return nil, fmt.Errorf("the cloud did not start:\n%s", c.said)
		case <-time.After(100 * time.Millisecond): // between two looks
		}
	}
	if c.filled {
		return c, nil
	}
	for i := range analyticsRouters {
		var device struct {
			APIKey string `json:"api_key"`
		}
		if err := c.call(ctx, "POST", "/api/fleet/devices", map[string]any{"name": fmt.Sprint("router ", i)}, &device); err != nil {
			c.stop()
			return nil, err
		}
		c.keys = append(c.keys, device.APIKey)
	}
	return c, nil
}

func (c *cloud) ready() bool {
	text, err := os.ReadFile(filepath.Join(c.data, "bootstrap.json"))
	if err != nil {
		return false
	}
	var owner struct {
		APIToken string `json:"api_token"`
	}
	if json.Unmarshal(text, &owner) != nil {
		return false
	}
	c.token = owner.APIToken
	res, err := http.Get(c.url + "/health")
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// settle waits until the database holds the rows and merges no more, and says
// how many bytes they take.
func (c *cloud) settle(ctx context.Context, rows int) (bytes float64, err error) {
	for quiet := 0; quiet < 5; {
		m, err := c.metrics(ctx)
		if err != nil {
			return 0, err
		}
		if m["ngfw_analytics_merges"] == 0 && m["ngfw_analytics_stored_rows"] > 0 {
			quiet++
		} else {
			quiet = 0
		}
		if n := m["ngfw_analytics_stored_rows"]; n > float64(rows) {
			return 0, fmt.Errorf("%.0f rows stored of %d sent", n, rows)
		}
		bytes = m["ngfw_analytics_stored_bytes"]
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Second): // between two looks
		}
	}
	return bytes, nil
}

// metrics reads those without labels.
func (c *cloud) metrics(ctx context.Context) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", c.url+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			out[name] = v
		}
	}
	return out, nil
}
