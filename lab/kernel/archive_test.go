package kernel

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cpio is who knows the form; where it is not there, the kernel is (TestKernels).
func TestArchiveIsReadable(t *testing.T) {
	cpio, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("SKIPPED: no cpio here")
	}
	var b bytes.Buffer
	a := newArchive(&b)
	a.dir("a")
	a.file("/a/b/odd", []byte("odd"))
	a.file("a/b/even", []byte("even"))
	a.file("a/b/even", []byte("the second of a name"))
	a.link("c", "a/b")
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(cpio, "--extract", "--quiet", "--make-directories", "--no-absolute-filenames")
	cmd.Dir, cmd.Stdin = t.TempDir(), &b
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, want := range map[string]string{"a/b/odd": "odd", "a/b/even": "even", "c/odd": "odd"} {
		got, err := os.ReadFile(filepath.Join(cmd.Dir, name))
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestResultsOfWhatInitSaid(t *testing.T) {
	said := WordBegin + "a\n=== RUN   TestOne\n    one_test.go:1: hm\n--- PASS: TestOne (0.1s)\r\n\n" + WordEnd + "a 0 1500\n" +
		WordTrouble + "no such module\n" + WordBegin + "b\npanic: ow\n"
	var lines int
	got, done, err := read(strings.NewReader(said), func(string) { lines++ })
	if done || err == nil || !strings.Contains(err.Error(), "no such module") {
		t.Errorf("done %v, %v", done, err)
	}
	if len(got) != 2 || got[0].Status != 0 || got[0].Took.Milliseconds() != 1500 || got[1].Status != -1 || !strings.Contains(got[1].Output, "panic: ow") || lines != 5 {
		t.Errorf("%d lines, %+v", lines, got)
	}
	if _, done, err := read(strings.NewReader(said+"\n"+WordDone+"\n"), nil); !done || err == nil {
		t.Errorf("done %v, %v", done, err)
	}
}

func TestVerdicts(t *testing.T) {
	r := Result{Output: `=== RUN   TestGood
    good_test.go:3: fine
--- PASS: TestGood (0.00s)
=== RUN   TestBad
=== RUN   TestBad/sub
    bad_test.go:9: not fine
--- FAIL: TestBad (1.00s)
    --- FAIL: TestBad/sub (1.00s)
=== RUN   TestAbsent
    absent_test.go:1: SKIPPED: nothing there
--- SKIP: TestAbsent (0.00s)
FAIL
`}
	var got []string
	for _, v := range r.Verdicts() {
		got = append(got, v.Word+" "+v.Test)
	}
	if d := cmp.Diff([]string{"PASS TestGood", "FAIL TestBad", "SKIP TestAbsent"}, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if bad := r.Verdicts()[1].Output; !strings.Contains(bad, "not fine") || !strings.Contains(bad, "TestBad/sub (1.00s)") || strings.Contains(bad, "good_test") {
		t.Errorf("%q", bad)
	}
	if absent := r.Verdicts()[2].Output; !strings.Contains(absent, "nothing there") {
		t.Errorf("%q", absent)
	}
}

func TestLoadOrder(t *testing.T) {
	m := map[string]*module{
		"a": {file: "a.ko", depends: []string{"b", "c"}}, "b": {file: "b.ko", depends: []string{"c", "built_in"}}, "c": {file: "c.ko"},
	}
	if d := cmp.Diff([]string{"c.ko", "b.ko", "a.ko"}, loadOrder(m, "a", nil)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}
