package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ngfw.sh/agent/command"
	"ngfw.sh/agent/control"
	"ngfw.sh/dataplane"
	"ngfw.sh/lab/labtest"
)

// The tests run the agent as its own process in the lab's router: this test
// binary, told by the environment to be ngfw-agent.
const beAgent = "NGFW_TEST_BE_AGENT"

func TestMain(m *testing.M) {
	if os.Getenv(beAgent) != "" {
		root := command.New(command.Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Version: "test", Kernel: dataplane.Kernel{}})
		os.Exit(command.Execute(context.Background(), root, os.Args[1:]))
	}
	os.Exit(m.Run())
}

const (
	web4  = "http://203.0.113.1/"
	web6  = "http://[2001:db8:ff::1]/"
	tls4  = "https://203.0.113.1/"
	inet4 = "203.0.113.1"
	inet6 = "2001:db8:ff::1"
)

// router is a lab with an agent in it.
type router struct {
	*labtest.Lab
	t        *testing.T
	dir      string
	settings string
	policy   string
	cmd      *exec.Cmd
	exited   chan error
	log      *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newRouter(t *testing.T, opts ...labtest.Option) *router {
	t.Helper()
	lab := labtest.New(t, append(opts, labtest.Servers())...)
	r := &router{Lab: lab, t: t, dir: t.TempDir(), log: &lockedBuffer{}}
	r.settings = filepath.Join(r.dir, "agent.yaml")
	r.policy = filepath.Join(r.dir, "policy.json")
	r.write(r.settings, fmt.Sprintf("state_dir: %s\nbpf_dir: %s\nflow: {update_interval: 1s, max_flows: 8192}\n",
		filepath.Join(r.dir, "state"), filepath.Join(lab.BPFDir(), "agent")))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the agent said:\n%s", r.log)
		}
	})
	return r
}

func (r *router) write(path, text string) {
	r.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// rules writes the policy: factory zones and defaults, and these rules.
func (r *router) rules(rules ...string) {
	r.write(r.policy, `{"zones":[
{"id":1,"name":"WAN","interfaces":["wan"],"masquerade":true},
{"id":2,"name":"LAN","interfaces":["lan1","lan2","late"]},
{"id":3,"name":"IOT","interfaces":["iot1"]}],
"rules":[`+strings.Join(rules, ",")+`],
"policies":[{"from":"LAN","to":"WAN","action":"accept"},{"from":"LAN","to":"LAN","action":"accept"},
{"from":"LAN","to":"SELF","action":"accept"},{"from":"IOT","to":"WAN","action":"accept"},{"from":"SELF","to":"any","action":"accept"}]}`)
}

// edit changes the policy file.
func (r *router) edit(f func(string) string) {
	r.t.Helper()
	text, err := os.ReadFile(r.policy)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(r.policy, f(string(text)))
}

func (r *router) start(args ...string) {
	r.t.Helper()
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	r.cmd = exec.Command(self, append([]string{"run", "--config", r.settings}, args...)...)
	r.cmd.Env = append(os.Environ(), beAgent+"=1")
	r.cmd.Stdout, r.cmd.Stderr = r.log, r.log
	wait, err := r.Lab.Lab.Start("rtr", r.cmd)
	if err != nil {
		r.t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- wait() }()
	r.exited = exited
	cmd := r.cmd
	r.t.Cleanup(func() { cmd.Process.Kill() })
	r.eventually(func() error { _, err := r.status(); return err })
}

func (r *router) startPolicy() { r.t.Helper(); r.start("--policy", r.policy) }

func (r *router) kill() {
	r.t.Helper()
	if err := r.cmd.Process.Kill(); err != nil {
		r.t.Fatal(err)
	}
	<-r.exited
}

// reload has the agent read the policy again.
func (r *router) reload() {
	r.t.Helper()
	before := r.mustStatus().PolicyRevision
	if err := r.cmd.Process.Signal(unix.SIGHUP); err != nil {
		r.t.Fatal(err)
	}
	r.eventually(func() error {
		if now := r.mustStatus().PolicyRevision; now == before {
			return fmt.Errorf("revision is still %d", now)
		}
		return nil
	})
}

type status struct {
	PolicyRevision int64 `json:"policy_revision"`
	Counters       struct {
		Packets int64            `json:"packets"`
		Drops   map[string]int64 `json:"drops"`
	} `json:"counters"`
	Programs []struct {
		Interface, Zone string
		TC              string
		FastPath        string `json:"fast_path"`
	} `json:"programs"`
	Degraded  []string           `json:"degraded"`
	QoS       []control.Queue    `json:"qos"`
	DropLists []control.DropList `json:"drop_lists"`
	Guards    []control.Guard    `json:"guards"`

	Inspection control.Inspection `json:"inspection"`
}

func (r *router) status() (status, error) {
	var s status
	self, err := os.Executable()
	if err != nil {
		return s, err
	}
	cmd := exec.Command(self, "status", "--config", r.settings, "-o", "json")
	cmd.Env = append(os.Environ(), beAgent+"=1")
	out, err := cmd.Output()
	if err != nil {
		return s, fmt.Errorf("status: %w", err)
	}
	return s, json.Unmarshal(out, &s)
}

// simulate asks the running agent about a packet.
func (r *router) simulate(packet ...string) string {
	r.t.Helper()
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command(self, append([]string{"simulate", "--config", r.settings}, packet...)...)
	cmd.Env = append(os.Environ(), beAgent+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Errorf("simulate: %v: %s", err, out)
	}
	return string(out)
}

func (r *router) mustStatus() status {
	r.t.Helper()
	s, err := r.status()
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// metric reads one value of the agent's Prometheus page.
func (r *router) metric(name string) float64 {
	r.t.Helper()
	out := r.Exec("rtr", "curl", "-sS", "http://127.0.0.1:9101/metrics")
	for line := range strings.Lines(out) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				r.t.Fatal(err)
			}
			return v
		}
	}
	return 0
}

func (r *router) eventually(f func() error) { r.t.Helper(); labtest.Eventually(r.t, 20*time.Second, f) }

// passes and blocked try a real client; blocked ones have two seconds.
func (r *router) passes(host string, cmd ...string) {
	r.t.Helper()
	if _, err := r.TryExec(host, cmd...); err != nil {
		r.t.Errorf("%s: %s: %v", host, strings.Join(cmd, " "), err)
	}
}

func (r *router) blocked(host string, cmd ...string) {
	r.t.Helper()
	if out, err := r.TryExec(host, cmd...); err == nil {
		r.t.Errorf("%s: %s: it passed: %s", host, strings.Join(cmd, " "), out)
	}
}

// patient is on a slow machine, as labtest.Eventually.
var patient = os.Getenv("NGFW_PATIENCE") != ""

func curl(url string) []string {
	limit := "2"
	if patient {
		limit = "10"
	}
	return []string{"curl", "-sSk", "-m", limit, "-o", os.DevNull, url}
}

func ping(to string, more ...string) []string {
	return append([]string{"ping", "-c", "1", "-W", "1"}, append(more, to)...)
}
