package kernel_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	// So that a change there is not answered from go test's cache.
	_ "ngfw.sh/dataplane"
	"ngfw.sh/lab/kernel"
)

// TestKernels runs tests of other packages in other kernels: a few in one with
// every run of this test, all those of long with NGFW_KERNELS (make test-kernels),
// which names the series; with NGFW_KERNELS_UPDATE the verifier's counts alone
// are taken, for the golden file. NGFW_KERNELS_PLAN=short has a few in those, another
// value what it names: PACKAGE or PACKAGE:TESTS. NGFW_KERNEL_OUTPUT is a directory
// for all that tests say, as they say it.
func TestKernels(t *testing.T) {
	if err := kernel.Emulator(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	series, plan, limit := []string{shortSeries}, short, 12*time.Minute
	if asked := os.Getenv("NGFW_KERNELS"); asked != "" {
		series, plan, limit = strings.Fields(asked), long, 2*time.Hour
		switch of := strings.Fields(os.Getenv("NGFW_KERNELS_PLAN")); {
		case len(of) == 1 && of[0] == "short":
			plan = short
		case len(of) > 0:
			plan = named(of)
		}
	}
	update := os.Getenv("NGFW_KERNELS_UPDATE") != ""
	if update {
		plan = effort
		updateHere(t)
	}
	dir := t.TempDir()
	for _, s := range series {
		t.Run(s, func(t *testing.T) {
			release, err := kernel.Cached(s)
			if errors.Is(err, kernel.ErrAbsent) {
				t.Skipf("SKIPPED: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			bundle := build(t, dir, of(plan, s))
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			began := time.Now()
			said := output(t, s)
			progress := func(line string) {
				fmt.Fprintln(said, line)
				if testing.Verbose() && strings.HasPrefix(line, "--- ") {
					t.Logf("%s %5.0f s %s", s, time.Since(began).Seconds(), line)
				}
			}
			results, err := kernel.Run(ctx, kernel.DefaultConfig(), release, bundle, progress)
			for _, r := range results {
				if update && r.Status == 0 {
					updateEffort(t, r.Output)
					continue
				}
				t.Run(r.Step, func(t *testing.T) { report(t, r) })
			}
			if err != nil {
				t.Error(err)
			}
			if len(results) != len(bundle.Plan) {
				t.Errorf("%d of %d packages were tested", len(results), len(bundle.Plan))
			}
			t.Logf("Linux %s: %d packages in %v", release.Name, len(results), time.Since(began).Round(time.Second))
		})
	}
}

// report hands on what a package's tests said.
func report(t *testing.T, r kernel.Result) {
	count := map[string]int{}
	for _, v := range r.Verdicts() {
		count[v.Word]++
		switch v.Word {
		case "FAIL":
			t.Errorf("%s", v.Output)
		case "SKIP":
			t.Logf("%s", v.Output)
		}
	}
	t.Logf("%d passed, %d skipped, %d failed in %v", count["PASS"], count["SKIP"], count["FAIL"], r.Took.Round(time.Second))
	if count["PASS"] == 0 && count["FAIL"] == 0 {
		t.Errorf("no test was run:\n%s", r.Output)
	}
	if r.Status != 0 && !t.Failed() {
		t.Errorf("status %d:\n%s", r.Status, r.Output[max(0, len(r.Output)-16<<10):])
	}
}

// named are the suites of long, or their packages' tests, that somebody asks for.
func named(of []string) (plan []suite) {
	for _, name := range of {
		in, run, chosen := strings.Cut(name, ":")
		if chosen {
			plan = append(plan, suite{in: in, run: run})
			continue
		}
		before := len(plan)
		for _, s := range long {
			if s.in == in {
				plan = append(plan, s)
			}
		}
		if len(plan) == before {
			plan = append(plan, suite{in: in})
		}
	}
	return plan
}

// of are the suites of a series.
func of(plan []suite, series string) []suite {
	return slices.DeleteFunc(slices.Clone(plan), func(s suite) bool { return s.only != "" && s.only != series })
}

// output is where a kernel's tests are written down, if somebody asks for it.
func output(t *testing.T, series string) io.Writer {
	t.Helper()
	dir := os.Getenv("NGFW_KERNEL_OUTPUT")
	if dir == "" {
		return io.Discard
	}
	f, err := os.Create(filepath.Join(dir, series+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// build compiles what the plan needs into dir.
func build(t *testing.T, dir string, plan []suite) kernel.Bundle {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	b := kernel.Bundle{
		Init: filepath.Join(dir, "init"), Programs: map[string]string{}, Trees: map[string]string{},
		Commands: commands, Files: files,
	}
	if !exists(b.Init) {
		run("build", "-buildvcs=false", "-ldflags=-s -w", "-o", b.Init, "./lab/kernel/guest")
	}
	for _, s := range plan {
		if !exists(filepath.Join(root, s.in)) {
			continue
		}
		binary := strings.ReplaceAll(s.in, "/", "-") + ".test"
		path := filepath.Join(dir, binary)
		if !exists(path) {
			run("test", "-c", "-ldflags=-s -w", "-o", path, "./"+s.in)
		}
		b.Programs["/test/"+binary] = path
		at := filepath.Join("/src", s.in)
		if data := filepath.Join(root, s.in, "testdata"); exists(data) {
			b.Trees[filepath.Join(at, "testdata")] = data
		}
		args := []string{"-test.v", "-test.count=1", "-test.timeout=60m"}
		if s.run != "" {
			args = append(args, "-test.run="+s.run)
		}
		if s.skip != "" {
			args = append(args, "-test.skip="+s.skip)
		}
		b.Plan = append(b.Plan, kernel.Step{
			Name: s.in, Path: "/test/" + binary, Dir: at, Args: args, Env: []string{"NGFW_PATIENCE=10", "NGFW_KERNELS_UPDATE=" + os.Getenv("NGFW_KERNELS_UPDATE")},
		})
	}
	return b
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
