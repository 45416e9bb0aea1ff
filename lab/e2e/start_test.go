package e2e

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestStartAndStop is the way of NGFW_DETACH=1: back when all is ready, ended
// by stop, one at a time.
func TestStartAndStop(t *testing.T) {
	r := prepare(t)
	began := time.Now()
	out, err := r.detach()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("ready after %v", time.Since(began))
	r.open()
	for _, word := range []string{r.env["NGFW_URL"], "bootstrap.json", filepath.Join(r.dir, "env")} {
		if !strings.Contains(out, word) {
			t.Errorf("it does not name %s:\n%s", word, out)
		}
	}
	for _, path := range []string{"env", "cloud/bootstrap.json", "agent/agent.yaml"} {
		if info, err := os.Stat(filepath.Join(r.dir, path)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}

	for name, start := range map[string]func() (string, error){
		"beside it": func() (string, error) {
			out, err := r.command(r.runArgs()...).CombinedOutput()
			return string(out), err
		},
		"detached": r.detach,
	} {
		out, err := start()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(out, "already running") {
			t.Errorf("a second one, %s: %v: %s", name, err, out)
		}
	}
	r.api.awaitSynced(t)
	if err := r.fetch("lan1", r.env["NGFW_LAB_HTTP"]); err != nil {
		t.Errorf("the first one is harmed: %v", err)
	}

	for _, want := range []string{"stopped", "nothing is running"} {
		out, err := r.command("stop", "--dir", r.dir).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("stop: %v: %s, want %q", err, out, want)
		}
		for _, what := range r.left() {
			t.Errorf("left behind: %s", what)
		}
	}
}

// detach returns when the run is ready or has failed.
func (r *run) detach() (said string, err error) {
	cmd := r.command(r.runArgs()...)
	cmd.Env = append(cmd.Env, "NGFW_DETACH=1")
	// The supervisor lives on, but not with what this one writes to.
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestInterrupted ends a start at moments all over it, in the foreground and
// detached, and then makes a whole one.
func TestInterrupted(t *testing.T) {
	r := prepare(t)
	began := time.Now()
	r.begin()
	r.awaitReady()
	whole := time.Since(began)
	r.interrupt()
	for i := range 6 {
		after := time.Duration(rand.Int64N(int64(whole)))
		cmd := r.command(r.runArgs()...)
		if i%2 == 1 {
			cmd.Env = append(cmd.Env, "NGFW_DETACH=1")
		}
		said := newTranscript()
		cmd.Stdout, cmd.Stderr = said, said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(after, func() { cmd.Process.Signal(os.Interrupt) })
		err := cmd.Wait()
		timer.Stop()
		if i%2 == 1 && err == nil { // it was ready before: then stop ends it
			if out, err := r.command("stop", "--dir", r.dir).CombinedOutput(); err != nil {
				t.Errorf("stop: %v: %s", err, out)
			}
		}
		t.Logf("after %v of %v: %v: %s", after, whole, err, strings.ReplaceAll(said.String(), "\n", "; "))
		for _, what := range r.left() {
			t.Fatalf("interrupted after %v, left behind: %s", after, what)
		}
	}
	r.begin()
	r.awaitReady()
	r.interrupt()
}
