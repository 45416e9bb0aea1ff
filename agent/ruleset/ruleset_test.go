package ruleset

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ngfw.sh/config/ids"
)

const text = "# comment\nalert tcp any any -> any any (msg:\"a\"; sid:1;)\n"

func zipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func archived(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestForms(t *testing.T) {
	for name, data := range map[string][]byte{
		"text": []byte(text),
		"gzip": zipped(t, []byte(text)),
		"tar": archived(t, map[string]string{"rules/a.rules": text, "rules/classification.config": "config classification: x,y,1\n", "rules/LICENSE": "no",
			"rules/categories.txt": "1,Bad,known\n", "rules/bad.list": "192.0.2.1,1,100\n", "rules/hosts.lst": "ZXZpbA==\n"}),
		"tar.gz": zipped(t, archived(t, map[string]string{"rules/a.rules": text})),
	} {
		set, err := unpack("s", data, 1<<20)
		if err != nil || len(set.Files) != 1 || set.Files[0].Text != text {
			t.Errorf("%s: %+v, %v", name, set, err)
		}
		if name == "tar" && set != nil && !strings.Contains(set.Classification.Text, "x,y") {
			t.Error("the classification was lost")
		}
		if name == "tar" && set != nil && (set.ReputationCategories.Text == "" || len(set.Reputation) != 1 || len(set.Data["hosts.lst"]) == 0) {
			t.Errorf("what came along was lost: %+v", set)
		}
	}
	for name, data := range map[string][]byte{
		"a page":     []byte("<html>not found</html>"),
		"binary":     {1, 0, 2},
		"broken":     zipped(t, []byte(text))[:20],
		"a bomb":     zipped(t, make([]byte, 2<<20)),
		"empty":      nil,
		"other tar":  archived(t, map[string]string{"README": text}),
		"broken tar": archived(t, map[string]string{"a.rules": strings.Repeat(text, 100)})[:1500],
	} {
		if set, err := unpack("s", data, 1<<20); err == nil {
			t.Errorf("%s was taken: %+v", name, set)
		}
	}
}

func TestGet(t *testing.T) {
	body, status, asked := text, http.StatusOK, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.Header.Get("If-None-Match") == `"1"` && body == text && status == http.StatusOK {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", `"1"`)
		w.WriteHeader(status)
		w.Write([]byte(body))
	}))
	defer server.Close()
	cfg := DefaultConfig(filepath.Join(t.TempDir(), "sets"))
	cfg.Bytes = 1 << 16
	s := New(cfg, server.Client())
	source := ids.Source{Name: "../et", URL: server.URL}
	get := func(fresh bool, asks int, wantErr string) *Set {
		t.Helper()
		before := asked
		set, err := s.Get(t.Context(), source, fresh)
		if (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("%v, want %q", err, wantErr)
		}
		if asked-before != asks {
			t.Errorf("asked %d times, want %d", asked-before, asks)
		}
		return set
	}
	has := func(set *Set, want string) {
		t.Helper()
		if set == nil || set.Files[0].Text != want {
			t.Errorf("%+v, want %q", set, want)
		}
	}
	has(get(false, 1, ""), text)
	has(get(false, 0, ""), text) // the copy
	has(get(true, 1, ""), text)  // not modified
	newer := text + "alert udp any any -> any any (msg:\"b\"; sid:2;)\n"

	status = http.StatusInternalServerError
	has(get(true, 1, "500"), text)
	status, body = http.StatusOK, "<html>"
	has(get(true, 1, "no rules"), text)
	body = text + strings.Repeat("#", 1<<16)
	has(get(true, 1, "larger"), text)
	body = newer
	has(get(true, 1, ""), newer)
	server.Close()
	has(get(true, 0, "refused"), newer)
	has(get(false, 0, ""), newer)

	// A copy that was damaged is none.
	if err := os.WriteFile(s.path(source, ".data"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if set := get(false, 0, "refused"); set != nil {
		t.Errorf("a damaged copy was taken: %+v", set)
	}
	if err := s.Prune(nil); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(cfg.Dir, "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestHashes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.rules")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := New(DefaultConfig(t.TempDir()), nil)
	sum := sha256.Sum256([]byte(text))
	if set, err := s.Get(t.Context(), ids.Source{Name: "a", File: file, SHA256: hex.EncodeToString(sum[:])}, true); err != nil || set.Files[0].Text != text {
		t.Errorf("%+v, %v", set, err)
	}
	sum[0]++
	if _, err := s.Get(t.Context(), ids.Source{Name: "a", File: file, SHA256: hex.EncodeToString(sum[:])}, true); err == nil || !strings.Contains(err.Error(), "SHA-256") {
		t.Error(err)
	}
	if _, err := s.Get(t.Context(), ids.Source{Name: "a", File: file + "x"}, true); err == nil {
		t.Error("a file that is not there was read")
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte(text))
	f.Add([]byte{0x1f, 0x8b, 8, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := unpack("s", data, 1<<16)
		if err == nil && len(set.Files) == 0 {
			t.Error("a set without files was taken")
		}
	})
}
