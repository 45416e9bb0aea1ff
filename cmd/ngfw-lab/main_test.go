package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"ngfw.sh/lab"
)

// The test binary is the command when this is set; so are the services that the
// command starts.
const beCommand = "NGFW_LAB_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(beCommand) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type answer struct {
	code      int
	out, errs string
}

func run(t *testing.T, args ...string) answer {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), beCommand+"=1")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return answer{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

func TestWrongUse(t *testing.T) {
	tests := []struct {
		args []string
		code int
		said string
	}{
		{[]string{"sideways"}, 2, "unknown command"},
		{[]string{"up", "--sideways"}, 2, "unknown flag"},
		{[]string{"up", "extra"}, 2, "unknown command"},
		{[]string{"exec", "lan1"}, 2, "usage:"},
		{[]string{"exec", "lan1", "ls"}, 2, "usage:"},
		{[]string{"exec", "--", "ls"}, 2, "usage:"},
		{[]string{"list", "-o", "xml"}, 2, "text or json"},
		{[]string{"traffic", "--every", "0s"}, 2, "must be positive"},
		{[]string{"up", "--name", "../x"}, 1, "lab name"},
		{[]string{"exec", "--name", "test-nobody-made-it", "lan1", "--", "ls"}, 1, "ngfw-lab up"},
		{[]string{"run", "--listen", "nowhere"}, 1, "host:port"},
		{[]string{"run", "--bin", "/nonexistent", "--dir", t.TempDir() + "/run"}, 1, "make build"},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			got := run(t, tt.args...)
			if got.code != tt.code || !strings.Contains(got.errs, tt.said) {
				t.Errorf("exit %d, %q; want %d, %q", got.code, got.errs, tt.code, tt.said)
			}
		})
	}
}

func TestALabByHand(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root, to make network namespaces")
	}
	name := fmt.Sprintf("test-%d-hand", os.Getpid())
	t.Cleanup(func() {
		if got := run(t, "down", "--name", name); got.code != 0 {
			t.Error(got)
		}
		if got := run(t, "list", "--name", name, "-o", "json"); strings.TrimSpace(got.out) != "[]" {
			t.Errorf("after down: %s", got.out)
		}
	})
	for _, want := range []string{"is up", "is up already"} {
		if got := run(t, "up", "--name", name, "--forward"); got.code != 0 || !strings.Contains(got.out, want) {
			t.Fatalf("got %+v, want %q", got, want)
		}
	}
	// Its servers have died: up brings them back.
	l, err := lab.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	servers := lab.Processes(func(pid int) bool {
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		return strings.HasPrefix(string(cmdline), self+"\x00serve\x00--name\x00"+name+"\x00")
	})
	if len(servers) != 1 {
		t.Fatalf("%d servers", len(servers))
	}
	if err := lab.End(t.Context(), servers, 0); err != nil {
		t.Fatal(err)
	}
	if serving(l) {
		t.Fatal("they still answer")
	}
	if got := run(t, "up", "--name", name, "--forward"); got.code != 0 || !serving(l) {
		t.Errorf("after its servers died: %+v", got)
	}
	if got := run(t, "up", "--name", name); got.code != 1 || !strings.Contains(got.errs, "--forward=true") {
		t.Errorf("another kind of the same name: %+v", got)
	}

	var labs []struct {
		Name, State string
		Hosts       []struct{ Name, IP, IP6 string }
	}
	got := run(t, "list", "--name", name, "-o", "json")
	if err := json.Unmarshal([]byte(got.out), &labs); err != nil {
		t.Fatalf("%v: %s", err, got.out)
	}
	if len(labs) != 1 || labs[0].Name != name || labs[0].State != "up" || len(labs[0].Hosts) != 6 {
		t.Errorf("listed as %+v", labs)
	}

	tests := []struct {
		command string
		code    int
		out     string
	}{
		{"curl -sS http://203.0.113.1/whoami", 0, "10.77.1.10"},
		{"sh -c exit\\ 7", 7, ""},
		{"no-such-program", 127, ""},
		{"/etc/passwd", 126, ""},
	}
	for _, tt := range tests {
		argv := strings.Fields(strings.ReplaceAll(tt.command, "\\ ", "\x01"))
		for i := range argv {
			argv[i] = strings.ReplaceAll(argv[i], "\x01", " ")
		}
		got := run(t, append([]string{"exec", "--name", name, "lan1", "--"}, argv...)...)
		if got.code != tt.code || !strings.Contains(got.out, tt.out) {
			t.Errorf("%s: %+v", tt.command, got)
		}
	}
	// What is mounted below /sys must be there in a host too.
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	inside := run(t, "exec", "--name", name, "rtr", "--", "cat", "/proc/self/mounts").out
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, " /sys") && !strings.Contains(inside, line) {
			t.Errorf("not mounted in the router: %s", line)
		}
	}
	if got := run(t, "exec", "--name", name, "moon", "--", "ls"); got.code != 1 || !strings.Contains(got.errs, "no host") {
		t.Errorf("a host that does not exist: %+v", got)
	}
}
