package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"

	"ngfw.sh/lab/bench"
)

// dashboard measures what the pages cost a browser: the shipped files, and the
// live log at 1,000 rows a second with 100,000 kept. Without a browser there are
// no figures, and that is said.
func dashboard(ctx context.Context) ([]bench.Result, error) {
	for _, needed := range []string{"node", "chromium"} {
		if _, err := exec.LookPath(needed); err != nil {
			fmt.Fprintf(os.Stderr, "SKIPPED: the dashboard is not measured: %s is not installed (make deps)\n", needed)
			return nil, nil
		}
	}
	if _, err := os.Stat("web/node_modules/playwright-core"); err != nil {
		fmt.Fprintln(os.Stderr, "SKIPPED: the dashboard is not measured: web/node_modules is not there (make deps)")
		return nil, nil
	}
	fmt.Fprintln(os.Stderr, "measuring the dashboard in a browser")
	cmd := exec.CommandContext(ctx, "node", "test/live.mjs", "1000", "10")
	cmd.Dir, cmd.Stderr = "web", os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("measure the dashboard: %w", err)
	}
	var m struct {
		FirstLoad  float64 `json:"first_load_bytes"`
		FirstPaint float64 `json:"first_paint_ms"`
		Frames     int     `json:"frames"`
		Median     float64 `json:"median_ms"`
		P99        float64 `json:"p99_ms"`
		Longest    float64 `json:"longest_ms"`
		Over       int     `json:"over_50_ms"`
	}
	if err := json.Unmarshal(out, &m); err != nil {
		return nil, fmt.Errorf("figures of the dashboard: %w", err)
	}
	frames := fmt.Sprintf("%d frames, median %.1f ms, 99th percentile %.1f ms, %d over 50 ms; 100,000 rows kept", m.Frames, m.Median, m.P99, m.Over)
	return []bench.Result{
		bench.Figure("dashboard: first load, compressed", m.FirstLoad/1024, "KiB", bench.Lower).AtLeast(150),
		bench.Figure("dashboard: until it can be used, on loopback", m.FirstPaint, "ms", bench.Lower).AtLeast(1000),
		bench.Figure("live log at 1,000 rows/s: longest frame", m.Longest, "ms", bench.Lower).AtLeast(50).Noting(frames),
	}, nil
}
