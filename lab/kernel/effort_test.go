package kernel_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// effort is what is run for NGFW_KERNELS_UPDATE, here and in every series.
var effort = []suite{{in: "dataplane", run: "^TestVerifierEffort$"}}

var effortLine = regexp.MustCompile(`verifier: (\S+) (\S+) (\d+)\n`)

// updateEffort takes the counts in what tests said for those of their series in
// the golden file.
func updateEffort(t *testing.T, said string) {
	t.Helper()
	file := filepath.Join("..", "..", "dataplane", "testdata", "verifier.txt")
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var fresh []string
	series := map[string]bool{}
	for _, m := range effortLine.FindAllStringSubmatch(said, -1) {
		series[m[1]] = true
		fresh = append(fresh, strings.Join(m[1:], " "))
	}
	if len(fresh) == 0 {
		t.Errorf("no verifier's count in:\n%s", said)
		return
	}
	for line := range strings.Lines(string(text)) {
		if of, _, _ := strings.Cut(line, " "); !series[of] {
			fresh = append(fresh, strings.TrimSpace(line))
		}
	}
	slices.Sort(fresh)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Join(fresh, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// updateHere takes the counts of the running kernel.
func updateHere(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "-run", effort[0].run, "./"+effort[0].in)
	cmd.Dir = filepath.Join("..", "..")
	out, _ := cmd.CombinedOutput() // fails where the counts differ
	updateEffort(t, string(out))
}
