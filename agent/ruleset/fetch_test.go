package ruleset

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ngfw.sh/config/ids"
)

// TestOwnAddressesAreNotAsked: a store of its own makes no exception.
func TestOwnAddressesAreNotAsked(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked++; _, _ = w.Write([]byte(text)) }))
	defer server.Close()
	if _, err := New(DefaultConfig(t.TempDir()), nil).Get(t.Context(), ids.Source{Name: "a", URL: server.URL}, true); err == nil || asked > 0 {
		t.Errorf("it was asked: %v", err)
	}
}

// TestEndlessBody: neither bytes without end nor none at all hold a fetch for long.
func TestEndlessBody(t *testing.T) {
	drip := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil && !drip {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	s := New(Config{Dir: t.TempDir(), Bytes: 1 << 20, Timeout: 30 * time.Second}, server.Client())
	if _, err := s.Get(t.Context(), ids.Source{Name: "a", URL: server.URL}, true); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Error(err)
	}
	drip = true
	s.cfg.Timeout = 50 * time.Millisecond
	if _, err := s.Get(t.Context(), ids.Source{Name: "a", URL: server.URL}, true); err == nil {
		t.Error("a server that says nothing had a set")
	}
}

// TestHoles: an archive of a few kilobytes may say that its files are gigabytes of nothing
// (GNU's sparse format 1.0 in PAX).
func TestHoles(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	// The map has one entry of no bytes at the end.
	const size = 1 << 20
	hole := fmt.Sprintf("1\n%d\n0\n", size)
	hole += strings.Repeat("\x00", 512-len(hole))
	for i := range 8 {
		// archive/tar writes no such records: they are patched in below, of equal length.
		if err := w.WriteHeader(&tar.Header{
			Name: fmt.Sprintf("%d.rules", i), Mode: 0o644, Size: int64(len(hole)), Format: tar.FormatPAX,
			PAXRecords: map[string]string{"XXX.sparse.major": "1", "XXX.sparse.minor": "0", "XXX.sparse.realsize": fmt.Sprint(size)},
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(hole)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	archive := bytes.ReplaceAll(b.Bytes(), []byte("XXX.sparse"), []byte("GNU.sparse"))
	set, err := unpack("s", archive, 2<<20)
	if err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("%d bytes are taken for %d files: %v", len(archive), len(set.Files), err)
	}
}

// TestOddFiles: what is no regular file is not waited for.
func TestOddFiles(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	s := New(DefaultConfig(t.TempDir()), nil)
	for _, name := range []string{pipe, "/dev/zero", t.TempDir()} {
		done := make(chan error, 1)
		go func() {
			_, err := s.Get(context.Background(), ids.Source{Name: "a", File: name}, true)
			done <- err
		}()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), "regular") {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("%s is waited for", name)
		}
	}
}
