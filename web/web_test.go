package web

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func mustHandler(t *testing.T) *Handler {
	t.Helper()
	h, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func ask(h *Handler, path string, header ...string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) []byte {
	t.Helper()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

var reference = regexp.MustCompile(`(?:src|href)="(/[^"]+)"`)

// A page of the embedded dashboard refers to files that are there, has nothing
// inline, and is small.
func TestFirstLoad(t *testing.T) {
	h := mustHandler(t)
	page := ask(h, "/", "Accept-Encoding", "gzip")
	if page.Header.Get("Cache-Control") != "no-cache" || !strings.Contains(page.Header.Get("Content-Security-Policy"), "script-src 'self';") {
		t.Errorf("header %v", page.Header)
	}
	total := len(body(t, page))
	text := string(h.assets[index].plain)
	if regexp.MustCompile(`<style|style="|<script>|<script type="module">|\son[a-z]+="`).MatchString(text) {
		t.Errorf("something inline in:\n%s", text)
	}
	found := reference.FindAllStringSubmatch(text, -1)
	if len(found) < 3 {
		t.Fatalf("%d references in:\n%s", len(found), text)
	}
	for _, m := range found {
		r := ask(h, m[1], "Accept-Encoding", "gzip, br")
		data := body(t, r)
		total += len(data)
		if r.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", m[1], r.StatusCode)
		}
		if strings.HasPrefix(m[1], "/assets/") && !strings.Contains(r.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: Cache-Control %q", m[1], r.Header.Get("Cache-Control"))
		}
	}
	if t.Logf("first load: %d bytes compressed", total); total > 150<<10 {
		t.Errorf("first load of %d bytes", total)
	}
}

func TestWhatIsServed(t *testing.T) {
	h, err := newHandler(fstest.MapFS{
		"dist/index.html":       {Data: []byte("<p>page")},
		"dist/assets/a-1234.js": {Data: bytes.Repeat([]byte("let a\n"), 100)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		path, accept string
		has          bool
		want         string
	}{
		{"/", "", true, "<p>page"},
		{"/firewall/rules", "text/html,*/*", true, "<p>page"},
		{"/firewall/rules", "application/json", false, ""},
		{"/assets/a-1234.js", "*/*", true, "let a\n"},
		{"/assets/gone-5678.js", "text/html", false, ""},
		{"/../web.go", "text/html", false, ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = tc.path
		r.Header.Set("Accept", tc.accept)
		if got := h.Has(r); got != tc.has {
			t.Errorf("%s for %q: %v", tc.path, tc.accept, got)
			continue
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if tc.has && !strings.HasPrefix(w.Body.String(), tc.want) || !tc.has && w.Code != http.StatusNotFound {
			t.Errorf("%s: %d %q", tc.path, w.Code, w.Body)
		}
	}
}

func TestCompressionAndETag(t *testing.T) {
	plain := bytes.Repeat([]byte("let a\n"), 100)
	h, err := newHandler(fstest.MapFS{"dist/index.html": {Data: []byte("x")}, "dist/assets/a-1.js": {Data: plain}})
	if err != nil {
		t.Fatal(err)
	}
	for accepted, packed := range map[string]bool{"gzip": true, "br, gzip;q=0.5": true, "*": true, "": false, "br": false, "gzip;q=0": false, "gzip; q=0.0": false, "identity, x-gzip": false} {
		r := ask(h, "/assets/a-1.js", "Accept-Encoding", accepted)
		data := body(t, r)
		if got := r.Header.Get("Content-Encoding") == "gzip"; got != packed {
			t.Errorf("%q: packed %v", accepted, got)
			continue
		}
		if packed {
			z, err := gzip.NewReader(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if data, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(data, plain) {
			t.Errorf("%q: other bytes", accepted)
		}
	}
	tag := ask(h, "/assets/a-1.js").Header.Get("ETag")
	if r := ask(h, "/assets/a-1.js", "If-None-Match", "W/"+tag); r.StatusCode != http.StatusNotModified || len(body(t, r)) != 0 {
		t.Errorf("%d for a known file", r.StatusCode)
	}
}

func TestNoPage(t *testing.T) {
	if _, err := newHandler(fstest.MapFS{"dist/x.js": {Data: []byte("x")}}); err == nil {
		t.Error("a dashboard without a page was taken")
	}
}

// What the sources say to the reader stays in the sources: no map of them is
// shipped, and no dependency phones home.
func TestDist(t *testing.T) {
	err := filepath.WalkDir("dist", func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if strings.HasSuffix(name, ".map") {
			t.Errorf("%s is shipped", name)
		}
		for _, m := range regexp.MustCompile(`https?://[a-z0-9.-]+`).FindAll(data, -1) {
			if host := string(m); host != "http://www.w3.org" && host != "https://uplot.com" {
				t.Errorf("%s names %s", name, host)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
