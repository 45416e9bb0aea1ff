package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"ngfw.sh/lab/kernel"
)

func TestSilentStepIsEnded(t *testing.T) {
	asked := 0
	quiet := &silence{limit: 50 * time.Millisecond, ask: func() error { asked++; return nil }}
	// The shell ignores SIGQUIT, as one that hangs does.
	status, err := run(io.Discard, kernel.Step{Name: "mute", Path: "sh", Args: []string{"-c", "trap '' QUIT; exec sleep 1000"}}, quiet)
	if status < 1 || err == nil || !strings.Contains(err.Error(), "mute: nothing was said for 50ms") || asked != 1 {
		t.Errorf("status %d, asked %d times, %v", status, asked, err)
	}
	var line bytes.Buffer
	status, err = run(&line, kernel.Step{Name: "plain", Path: "sh", Args: []string{"-c", "echo second"}}, &silence{limit: time.Hour})
	if status != 0 || err != nil || line.String() != "second\n" {
		t.Errorf("status %d, %v: %q", status, err, &line)
	}
}
