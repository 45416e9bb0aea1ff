package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"ngfw.sh/lab/bench"
)

// backtest tries one new rule on every router's whole record, one router after the
// other, and takes the time from the request to the result.
func (c *cloud) backtest(ctx context.Context, until time.Time) (bench.Result, error) {
	var devices []struct{ ID, Name string }
	if err := c.call(ctx, "GET", "/api/fleet/devices", nil, &devices); err != nil {
		return bench.Result{}, err
	}
	var took time.Duration
	var rows, judged, blocked int64
	for _, d := range devices {
		if !strings.HasPrefix(d.Name, "router ") {
			continue
		}
		of := "?device_id=" + url.QueryEscape(d.ID)
		for id, zone := range []string{1: `wan0`, 2: `lan0`} {
			if zone == "" {
				continue
			}
			body := map[string]any{"interfaces": []string{zone}}
			if err := c.call(ctx, "PUT", fmt.Sprintf("/api/firewall/zones/%d%s", id, of), body, nil); err != nil {
				return bench.Result{}, err
			}
		}
		// A policy as people have it: with a port forwarded.
		forward := map[string]any{"name": "web server", "nat_type": "dnat", "protocol": "tcp", "source": "any", "destination": "self", "destination_port": "8443",
			"translate_to": "192.168.1.2", "translate_port": "443", "interface": "wan0"}
		if err := c.call(ctx, "POST", "/api/nat/rules"+of, forward, nil); err != nil {
			return bench.Result{}, err
		}
		begun := time.Now()
		var started struct {
			OperationID string `json:"operation_id"`
		}
		err := c.call(ctx, "POST", "/api/firewall/backtest"+of, map[string]any{
			"from": until.Add(-analyticsDay).Unix(), "to": until.Unix(),
			"change": map[string]any{"op": "create", "resource": "rule", "body": map[string]any{
				"name": "try", "zone_from": "LAN", "zone_to": "WAN", "source": "192.168.1.7", "protocol": "tcp", "port": "443", "action": "drop",
			}},
		}, &started)
		if err != nil {
			return bench.Result{}, err
		}
		var o struct {
			Status string
			Error  struct{ Message string }
			Result struct {
				Rows, Judged int64
				Totals       struct{ Blocked struct{ Connections int64 } }
			}
		}
		for o.Status != "done" {
			if err := c.call(ctx, "GET", "/api/operations/"+started.OperationID, nil, &o); err != nil {
				return bench.Result{}, err
			}
			if o.Status == "failed" {
				return bench.Result{}, fmt.Errorf("back-test: %s", o.Error.Message)
			}
			select {
			case <-ctx.Done():
				return bench.Result{}, ctx.Err()
			case <-time.After(20 * time.Millisecond):
			}
		}
		took += time.Since(begun)
		rows += o.Result.Rows
		judged += o.Result.Judged
		blocked += o.Result.Totals.Blocked.Connections
	}
	if rows == 0 || blocked == 0 {
		return bench.Result{}, fmt.Errorf("back-test: %d rows, %d connections that would be blocked: it has not done its work", rows, blocked)
	}
	_, resident, err := c.resident("ngfw-cloud", "serve")
	if err != nil {
		return bench.Result{}, err
	}
	return bench.Figure("back-test of one rule change over the whole record", took.Seconds(), "s", bench.Lower).AtLeast(10).
		Noting(fmt.Sprintf("%d rows, %d kinds of flows judged, %d connections blocked; the cloud without the engine has %.0f MB after it", rows, judged, blocked, resident)), nil
}
