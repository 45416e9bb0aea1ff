package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// raceDetector: the test runs under it, and so shall what it tests.
var raceDetector bool

// programs are built when the first test asks for them.
var programs struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if programs.dir != "" {
		os.RemoveAll(programs.dir)
	}
	os.Exit(code)
}

// binaries is a directory with the programs, built as `make build` builds them.
func binaries(t *testing.T) string {
	t.Helper()
	needRoot(t)
	programs.once.Do(func() {
		if programs.dir, programs.err = os.MkdirTemp("", "ngfw-e2e-"); programs.err != nil {
			return
		}
		args, cgo := []string{"build", "-trimpath", "-buildvcs=false"}, "0"
		if raceDetector {
			args, cgo = append(args, "-race"), "1"
		} else {
			args = append(args, "-ldflags=-s -w")
		}
		build := exec.Command("go", append(args, "-o", programs.dir+string(filepath.Separator), "ngfw.sh/cmd/...")...)
		build.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		if out, err := build.CombinedOutput(); err != nil {
			programs.err = fmt.Errorf("build the programs: %w\n%s", err, out)
		}
	})
	if programs.err != nil {
		t.Fatal(programs.err)
	}
	return programs.dir
}

// needRoot skips the test where there is nothing to run it with. Where a green
// result is taken as proof, that is a failure.
func needRoot(t *testing.T) {
	t.Helper()
	why := ""
	switch {
	case os.Geteuid() != 0:
		why = "needs root, to make network namespaces and to load packet programs"
	case runtime.GOARCH != "amd64":
		why = "the embedded analytics engine is for x86-64 alone"
	default:
		return
	}
	notRun(t, why)
}

func notRun(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("NOT RUN: %s", why)
	}
	t.Skipf("SKIPPED: %s", why)
}
