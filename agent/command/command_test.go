package command

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/agent/control"
	"ngfw.sh/agent/settings"
	"ngfw.sh/internal/secret"
)

const testKey = "ngfw_dev_0123456789abcdef0123456789abcdef"

// outcome is what running a command line left behind.
type outcome struct {
	code     int
	out, err string
}

// run runs a command line with the settings at path.
func run(t *testing.T, path, stdin string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	root := New(Env{Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs, Version: "v1.2.3"})
	code := Execute(context.Background(), root, append(args, "--config", path))
	return outcome{code, out.String(), errs.String()}
}

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigure(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "etc", "agent.yaml")
	ca := write(t, filepath.Join(dir, "ca.pem"), certificatePEM(t))

	got := run(t, path, "", "configure", "--api-key", testKey, "--server", "grpcs://cloud.example:9090", "--ca-file", ca)
	if got.code != 0 || !strings.Contains(got.err, "process list") || got.out != "wrote "+path+"\n" {
		t.Fatalf("%+v", got)
	}
	s, err := settings.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := settings.Default()
	want.APIKey, want.Server, want.CAFile = testKey, "grpcs://cloud.example:9090", ca
	if d := cmp.Diff(want, s); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode().Perm())
	}

	// Another key and server; what a user wrote stays.
	other := strings.ReplaceAll(testKey, "0", "f")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, "# mine\nxdp: off\n"+string(b))
	keyFile := write(t, filepath.Join(dir, "key"), other+"\n")
	if got := run(t, path, "", "configure", "--api-key-file", keyFile); got.code != 0 || strings.Contains(got.err, "warning") {
		t.Fatalf("%+v", got)
	}
	if got := run(t, path, "", "configure", "--server", "wss://cloud.example", "--ca-file", ""); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	want.APIKey, want.Server, want.CAFile, want.XDP = secret.Text(other), "wss://cloud.example", "", settings.XDPOff
	s, err = settings.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, s); d != "" || s.APIKey.Expose() != other {
		t.Errorf("(-want +got):\n%s", d)
	}
	if b, _ := os.ReadFile(path); !strings.HasPrefix(string(b), "# mine\nxdp: off\n") {
		t.Errorf("the user's lines are gone:\n%s", b)
	}

	for _, args := range [][]string{{"configure", "-"}, {"configure", "--api-key-file", "-"}} {
		if got := run(t, path, " "+testKey+"\r\n", args...); got.code != 0 {
			t.Fatalf("%v: %+v", args, got)
		}
		if s, err := settings.Load(path); err != nil || s.APIKey.Expose() != testKey {
			t.Errorf("%v: key was not taken from standard input: %v", args, err)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 3 {
		t.Errorf("something else was touched: %v", entries)
	}
}

func TestConfigureRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		stdin string
		args  []string
		code  int
		text  string
	}{
		"no key":             {args: []string{"--server", "grpcs://c:1"}, code: 2, text: "the device key is missing"},
		"nothing":            {code: 2, text: "the device key is missing"},
		"two keys":           {args: []string{"--api-key", testKey, "-"}, code: 2, text: "once"},
		"short key":          {args: []string{"--api-key", "ngfw_dev_abc123"}, code: 2, text: "32 hexadecimal digits"},
		"capital key":        {args: []string{"--api-key", strings.ToUpper(testKey)}, code: 2, text: "32 hexadecimal digits"},
		"key as argument":    {args: []string{testKey}, code: 2, text: "unexpected argument"},
		"empty input":        {args: []string{"-"}, code: 1, text: "standard input"},
		"no key file":        {args: []string{"--api-key-file", "/nonexistent/key"}, code: 1, text: "no such file"},
		"plaintext":          {args: []string{"--api-key", testKey, "--server", "grpc://192.0.2.1:9090"}, code: 2, text: "plain text"},
		"web address":        {args: []string{"--api-key", testKey, "--server", "https://c.example"}, code: 2, text: "grpcs://"},
		"no port":            {args: []string{"--api-key", testKey, "--server", "grpcs://c.example"}, code: 2, text: "port is missing"},
		"no CA":              {args: []string{"--api-key", testKey, "--ca-file", "/nonexistent/ca"}, code: 1, text: "no such file"},
		"CA is no PEM":       {args: []string{"--api-key", testKey, "--ca-file", "/proc/self/status"}, code: 1, text: "no certificate"},
		"unknown flag":       {args: []string{"--key", testKey}, code: 2, text: "unknown flag"},
		"too many arguments": {args: []string{"-", "-"}, code: 2, text: "accepts at most 1"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "agent.yaml")
			got := run(t, path, tc.stdin, append([]string{"configure"}, tc.args...)...)
			if got.code != tc.code || !strings.Contains(got.err, tc.text) {
				t.Errorf("%+v, want code %d and %q", got, tc.code, tc.text)
			}
			if strings.Contains(got.err, testKey[9:25]) || got.out != "" {
				t.Errorf("%+v shows the key or a result", got)
			}
			if _, err := os.Stat(path); err == nil {
				t.Error("the file was written")
			}
		})
	}
}

func TestConfigurePlaintextByName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if got := run(t, path, "", "configure", "--api-key", testKey, "--server", "grpc://192.0.2.1:9090", "--insecure"); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	if s, err := settings.Load(path); err != nil || !s.Insecure {
		t.Fatalf("%+v, %v", s, err)
	}
	// Allowed for that server, not for the next.
	if got := run(t, path, "", "configure", "--server", "grpc://192.0.2.2:9090"); got.code != 2 {
		t.Errorf("%+v", got)
	}
	if got := run(t, path, "", "configure", "--server", "grpc://127.0.0.1:9090"); got.code != 0 {
		t.Errorf("%+v", got)
	}
	if s, err := settings.Load(path); err != nil || s.Insecure {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestStatusOfAgentThatDoesNotRun(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "agent.yaml"), "state_dir: "+dir+"\n")
	got := run(t, path, "", "status")
	want := "ngfw-agent status: ngfw-agent is not running: nobody answers on " + dir + "/agent.sock\n"
	if d := cmp.Diff(outcome{1, "", want}, got, cmp.AllowUnexported(outcome{})); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	write(t, path, "nosuch: 1\n")
	if got := run(t, path, "", "status"); got.code != 1 || !strings.Contains(got.err, "[1:1]") {
		t.Errorf("broken settings: %+v", got)
	}
}

func TestStatusOfRunningAgent(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "agent.yaml"), "state_dir: "+dir+"\n")
	want := control.Status{
		Version: "v9", PID: 4, Started: 1, PolicyRevision: 12, PolicySource: "disk",
		Link:     control.Link{State: "connecting", Server: "grpcs://c:1", Error: "connection refused"},
		Programs: []control.Program{{Interface: "eth0", Zone: "WAN", XDP: "native", TC: "tcx", FastPath: "xdp"}, {Interface: "eth1", XDP: "off", TC: "off", Error: "no such device"}},
		Inspection: control.Inspection{
			Mode: "prevent", Rules: 31000, RefusedRules: 2, InspectedBytes: 7000, FlowsBypassed: 5, FlowsBlocked: 1,
			Queues: []control.MatcherQueue{{Number: "4100", Bound: true, Packets: 90, Dropped: 3, Missed: 4, QueueDropped: 1, SocketDropped: 2}, {Number: "4101"}},
		},
		Degraded: []string{"xdp:eth1: not attached"},
		Spool:    control.Spool{Batches: 3, Bytes: 400, DroppedBatches: 1, DroppedRows: 50, Error: "no space left on device"},
		Counters: control.Counters{Packets: 10, FastPath: 7, Bytes: 2000, Flows: 2, Drops: map[string]int64{"policy": 5, "backstop": 1, "no_zone": 0}},
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	server := control.New(control.Config{Socket: filepath.Join(dir, "agent.sock")}, control.Deps{Status: func() control.Status { return want }})
	go func() { done <- server.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	deadline := time.Now().Add(10 * time.Second)
	got := run(t, path, "", "status", "-o", "json")
	for got.code != 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
		got = run(t, path, "", "status", "-o", "json")
	}
	var status control.Status
	if err := json.Unmarshal([]byte(got.out), &status); err != nil {
		t.Fatalf("%+v: %v", got, err)
	}
	if d := cmp.Diff(want, status); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	got = run(t, path, "", "status")
	for _, text := range []string{
		"revision 12, from disk", "connecting grpcs://c:1: connection refused", "3 batches, 400 bytes; dropped 1 batches, 50 rows; no space left",
		"drops       backstop 1\n            policy 5\ninspection", "packets     10, 2000 bytes; 7 packets by the fast path",
		"prevent, fails closed, 31000 rules (2 left out); 7000 bytes of streams inspected, flows bypassed 5, blocked 1",
		"queue 4100: 90 packets, 3 dropped, 0 waiting; without room: missed 4, dropped 3", "queue 4101: nobody serves it; ", "xdp:eth1: not attached", "eth0       WAN   native  tcx  xdp", "eth1       -     off     off  -          no such device",
	} {
		if !strings.Contains(got.out, text) {
			t.Errorf("status lacks %q:\n%s", text, got.out)
		}
	}
}

func TestDoctorExitCodes(t *testing.T) {
	dir := t.TempDir()
	bad := write(t, filepath.Join(dir, "agent.yaml"), "xdp: fast\n")
	got := run(t, bad, "", "doctor", "-o", "json")
	var answer struct {
		Outcome string
		Checks  []struct{ Check, Outcome, Detail, Remedy string }
	}
	if err := json.Unmarshal([]byte(got.out), &answer); err != nil {
		t.Fatalf("%+v: %v", got, err)
	}
	if got.code != 1 || got.err != "" || answer.Outcome != "fail" || answer.Checks[0].Check != "settings" || answer.Checks[0].Outcome != "fail" {
		t.Errorf("broken settings: %+v", got)
	}
	for _, c := range answer.Checks {
		if c.Detail == "" || (c.Outcome == "ok") != (c.Remedy == "") {
			t.Errorf("%+v: what is not ok has a remedy, what is ok has none", c)
		}
	}
	if got := run(t, bad, "", "doctor"); got.code != 1 || !strings.Contains(got.out, "FAIL  settings") {
		t.Errorf("%+v", got)
	}
}

func TestUsage(t *testing.T) {
	for _, tc := range []struct {
		args []string
		code int
		out  string
		err  string
	}{
		{[]string{"version"}, 0, "ngfw-agent v1.2.3 (", ""},
		{[]string{"version", "-o", "json"}, 0, `"version": "v1.2.3"`, ""},
		{[]string{"version", "-o", "yaml"}, 2, "", "text or json"},
		{[]string{"version", "extra"}, 2, "", "unknown command"},
		{[]string{"--help"}, 0, "configure", ""},
		{[]string{"status", "--help"}, 0, "Exit code 1", ""},
		{[]string{"nosuch"}, 2, "", "unknown command \"nosuch\""},
		{[]string{}, 2, "", "a command is missing"},
		{[]string{"doctor", "--nosuch"}, 2, "", "unknown flag"},
	} {
		got := run(t, filepath.Join(t.TempDir(), "none.yaml"), "", tc.args...)
		if got.code != tc.code || !strings.Contains(got.out, tc.out) || !strings.Contains(got.err, tc.err) {
			t.Errorf("%v: %+v, want code %d, %q on stdout, %q on stderr", tc.args, got, tc.code, tc.out, tc.err)
		}
		if tc.code != 0 && got.out != "" {
			t.Errorf("%v: a wrong usage wrote %q to stdout", tc.args, got.out)
		}
	}
}
