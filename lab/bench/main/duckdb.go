package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// duckdbVersion is of the npm package, which brings the library along.
const duckdbVersion = "1.5.6-r.1"

//go:embed duckdb.mjs
var duckdbScript []byte

// duckdbTimes are medians in milliseconds.
type duckdbTimes struct {
	Version                      string
	Rows                         int
	Stats, Clients, Destinations float64
}

// duckdb loads the rows, as our export gives them, into a DuckDB file and asks
// it what we were asked.
func (c *cloud) duckdb(ctx context.Context, until time.Time) (out duckdbTimes, err error) {
	dir, err := duckdbPackage(ctx)
	if err != nil {
		return out, err
	}
	rows := filepath.Join(c.dir, "rows.parquet")
	if err := c.fetch(ctx, "/api/traffic/logs/export?format=parquet", rows); err != nil {
		return out, err
	}
	script := filepath.Join(dir, "ngfw-bench.mjs") // where it finds the package
	if err := os.WriteFile(script, duckdbScript, 0o644); err != nil {
		return out, err
	}
	cmd := exec.CommandContext(ctx, "node", script, rows, filepath.Join(c.dir, "rows.duckdb"), fmt.Sprint(until.Unix()-86400), fmt.Sprint(until.Unix()))
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal(text, &out)
}

// duckdbPackage installs the package into the cache, once.
func duckdbPackage(ctx context.Context) (string, error) {
	cache := os.Getenv("NGFW_CACHE")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		cache = filepath.Join(home, ".cache", "ngfw")
	}
	dir := filepath.Join(cache, "duckdb-"+duckdbVersion)
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "@duckdb", "node-api", "package.json")); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, "npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "@duckdb/node-api@"+duckdbVersion).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("install it: %w: %s", err, out)
	}
	return dir, nil
}

func (c *cloud) fetch(ctx context.Context, path, to string) error {
	req, err := http.NewRequestWithContext(ctx, "GET", c.url+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, res.Status)
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, res.Body); err != nil {
		return err
	}
	return f.Close()
}
