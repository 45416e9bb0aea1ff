package importrules

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What no file names: directories of the machine that somebody worked on, also
// where a compiler left them in an object, and hosts of package registries,
// which everyone configures for himself. Written in parts, so that this file
// does not name them either.
var unwanted = []struct{ name, pattern string }{
	{"a directory of one machine", `(^|[^A-Za-z0-9_.\-/])/(wo` + `rk|ro` + `ot)/[A-Za-z0-9_.]`},
	{"a home directory", `(^|[^A-Za-z0-9_.\-/])/ho` + `me/[a-z]`},
	{"a registry's host", strings.Join([]string{
		`registry\.` + `npmjs\.`, `registry\.` + `yarnpkg\.`, `proxy\.` + `golang\.`, `sum\.` + `golang\.`,
		`deb\.` + `debian\.`, `pypi\.` + `org`, `crates\.` + `io`, `registry-1\.` + `docker`,
	}, "|")},
}

func TestContent(t *testing.T) {
	files := tracked(t)
	if len(files) < 20 {
		t.Fatalf("found %d files only: this test looks in the wrong place", len(files))
	}
	for _, u := range unwanted {
		pattern := regexp.MustCompile(u.pattern)
		for _, name := range files {
			data, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				t.Error(err)
				continue
			}
			if at := pattern.FindIndex(data); at != nil {
				line := 1 + strings.Count(string(data[:at[0]]), "\n")
				t.Errorf("%s:%d names %s: %q", name, line, u.name, data[at[0]:min(at[1]+30, len(data))])
			}
		}
	}
}

func TestContentBites(t *testing.T) {
	for text, want := range map[string]bool{
		"cd /wo" + "rk/x":                 true,
		"\x00/ro" + "ot/go/pkg":           true,
		"https://example.com/wo" + "rk/x": false,
		"net/wo" + "rk/x":                 false,
		"registry." + "npmjs.org":         true,
		"a registry":                      false,
	} {
		got := false
		for _, u := range unwanted {
			got = got || regexp.MustCompile(u.pattern).MatchString(text)
		}
		if got != want {
			t.Errorf("%q: caught %v, want %v", text, got, want)
		}
	}
}
