package api_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"ngfw.sh/cloud/api"
)

const export = "/api/traffic/logs/export?format="

func TestDownload(t *testing.T) {
	r := start(t, nil)
	a := r.do("GET", export+"csv&action=drop,reject", "")
	if want := "a,b\r\ndrop+reject,2\r\n"; a.status != 200 || a.body != want {
		t.Errorf("%d %q, want %q", a.status, a.body, want)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/csv", "Content-Disposition": "attachment; filename=rows.csv", "X-Content-Type-Options": "nosniff",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if a.header.Get("X-Ratelimit-Remaining") == "" || a.header.Get("X-Request-Id") == "" {
		t.Errorf("header %v", a.header)
	}
	if a := r.do("HEAD", export+"csv", ""); a.status != 200 || a.body != "" || a.header.Get("Content-Type") != "text/csv" {
		t.Errorf("HEAD: %d %q %v", a.status, a.body, a.header)
	}
	for _, c := range []struct {
		path, token, code string
		status            int
	}{
		{export + "none", "Bearer owner", "INVALID_CONFIG", 400},
		{export + "csv&colour=red", "Bearer owner", "BAD_REQUEST", 400},
		{export + "csv&device_id=foreign", "Bearer owner", "FORBIDDEN", 403},
		{export + "csv", "", "UNAUTHORIZED", 401},
	} {
		a := r.do("GET", c.path, "", "Authorization", c.token)
		if f := a.failure(t); a.status != c.status || f.Code != c.code || a.header.Get("Content-Disposition") != "" {
			t.Errorf("%s: %d %+v", c.path, a.status, f)
		}
	}
	if a := r.do("POST", export+"csv", ""); a.status != 405 {
		t.Errorf("POST: %d", a.status)
	}
}

// A file that could not be finished must not look like one that was.
func TestBrokenDownload(t *testing.T) {
	r := start(t, nil)
	resp := open(t, context.Background(), r, "broken")
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("read to the end: %q", text)
	}
}

func TestDownloadEndsWithItsClient(t *testing.T) {
	r := start(t, func(c *api.Config) { c.Limits.Downloads = 1 })
	ctx, leave := context.WithCancel(context.Background())
	resp := open(t, ctx, r, "endless")
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	a := r.do("GET", export+"csv", "")
	if f := a.failure(t); a.status != 429 || f.Code != "RATE_LIMIT" || a.header.Get("Retry-After") == "" {
		t.Errorf("a second one: %d %+v", a.status, f)
	}
	if a := r.do("GET", export+"csv", "", "Authorization", "Bearer reader"); a.status != 200 {
		t.Errorf("another user's: %d", a.status)
	}
	leave()
	if err := <-r.traffic.left; err == nil {
		t.Error("the service's context lives on")
	}
}

func open(t *testing.T, ctx context.Context, r *running, format string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", r.url+export+format, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer owner")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	return resp
}

func TestDataSource(t *testing.T) {
	r := start(t, nil)
	a := r.do("GET", "/api/traffic/stats", "", "Origin", "https://console.example.org")
	if a.status != 200 || a.header.Get("X-Data-Source") != "rollup" {
		t.Errorf("%d %v", a.status, a.header)
	}
}
