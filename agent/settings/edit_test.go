package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRewriteKeepsEverythingElse(t *testing.T) {
	const server = "grpcs://new.example:9090"
	for name, tc := range map[string]struct {
		before  string
		changes []Change
		after   string
	}{
		"new file":      {"", []Change{{"server", server}, {"insecure", true}}, "server: \"" + server + "\"\ninsecure: true\n"},
		"only comments": {"# mine\n", []Change{{"server", server}}, "# mine\nserver: \"" + server + "\"\n"},
		"no final line end": {"xdp: auto", []Change{{"server", server}},
			"xdp: auto\nserver: \"" + server + "\"\n"},
		"in the middle": {
			"# top\nxdp: auto\n\n# about the server\nserver: grpcs://old:1 # old one\n\n# about logs\nlog:\n  # loud\n  level: debug\n",
			[]Change{{"server", server}},
			"# top\nxdp: auto\n\n# about the server\nserver: \"" + server + "\"\n\n# about logs\nlog:\n  # loud\n  level: debug\n"},
		"several lines": {
			"server: >-\n  grpcs://old\n  :1\nxdp: auto\n", []Change{{"server", server}},
			"server: \"" + server + "\"\nxdp: auto\n"},
		"removed":          {"api_key_file: /k\nxdp: auto\n", []Change{{"api_key_file", nil}, {"ca_file", nil}}, "xdp: auto\n"},
		"last one":         {"xdp: auto\nserver: grpcs://old:1\n# end\n", []Change{{"server", server}}, "xdp: auto\nserver: \"" + server + "\"\n# end\n"},
		"not an inner key": {"log:\n  level: debug\n", []Change{{"level", "x"}}, "log:\n  level: debug\nlevel: \"x\"\n"},
		"same twice":       {"xdp: auto\n", []Change{{"server", "a"}, {"server", server}}, "xdp: auto\nserver: \"" + server + "\"\n"},
		"document start":   {"---\nxdp: auto\n", []Change{{"xdp", "off"}}, "---\nxdp: \"off\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := rewrite([]byte(tc.before), tc.changes)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.after, string(got)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestEditWritesPrivateFileAtomically(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "etc", "agent.yaml")
	if _, err := Edit(path, Change{"api_key", testKey}); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil { // somebody was careless
		t.Fatal(err)
	}
	s, err := Edit(path, Change{"server", "grpcs://c.example:1"})
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(loaded, s); d != "" || loaded.APIKey.Expose() != testKey || loaded.Server != "grpcs://c.example:1" {
		t.Errorf("settings %+v (-loaded +returned):\n%s", loaded, d)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode().Perm())
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("something was left beside the file: %v", entries)
	}
}

func TestEditRefusesWhatWouldNotLoad(t *testing.T) {
	for name, tc := range map[string]struct {
		before string
		change Change
	}{
		"bad change":  {"xdp: auto\n", Change{"server", "nonsense"}},
		"broken file": {"xdp: auto\nnosuch: 1\n", Change{"server", "grpcs://c:1"}},
		"not YAML":    {"a: b: c\n", Change{"server", "grpcs://c:1"}},
		"braces":      {"{xdp: auto}\n", Change{"xdp", "off"}},
		"a list":      {"- a\n", Change{"xdp", "off"}},
		"two":         {"xdp: auto\n---\nxdp: off\n", Change{"xdp", "off"}},
	} {
		path := filepath.Join(t.TempDir(), "agent.yaml")
		if err := os.WriteFile(path, []byte(tc.before), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Edit(path, tc.change); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if got, _ := os.ReadFile(path); string(got) != tc.before {
			t.Errorf("%s: the file was changed to %q", name, got)
		}
	}
}

func TestEditFollowsLink(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real.yaml"), filepath.Join(dir, "agent.yaml")
	if err := os.WriteFile(real, []byte("xdp: off\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Edit(link, Change{"server", "grpcs://c:1"}); err != nil {
		t.Fatal(err)
	}
	if s, err := Load(real); err != nil || s.XDP != XDPOff || s.Server == "" {
		t.Errorf("%+v, %v", s, err)
	}
	if info, _ := os.Lstat(link); info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
}

func FuzzRewrite(f *testing.F) {
	f.Add([]byte("# c\nxdp: auto\nserver: grpcs://c:1\nlog:\n  level: debug\n"), "grpcs://d:2")
	f.Fuzz(func(t *testing.T, b []byte, server string) {
		if len(b) > 4096 {
			return
		}
		before, err := Parse(b)
		if err != nil {
			return
		}
		out, err := rewrite(b, []Change{{"server", server}})
		if err != nil {
			return // refused by name
		}
		after, err := Parse(out)
		if err != nil {
			return // Edit refuses it too
		}
		if after.Server != server {
			t.Errorf("%q became %q with server %q, want %q", b, out, after.Server, server)
		}
		after.Server = before.Server
		if d := cmp.Diff(before, after); d != "" {
			t.Errorf("%q became %q and lost:\n%s", b, out, d)
		}
	})
}
