package hostile

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ngfw.sh/agent/command"
	"ngfw.sh/agent/control"
	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// asAgent makes the test binary be the agent.
const asAgent = "NGFW_HOSTILE_AGENT"

func TestMain(m *testing.M) {
	if os.Getenv(asAgent) != "" {
		root := command.New(command.Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Version: "test"})
		ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
		code := command.Execute(ctx, root, os.Args[1:])
		stop()
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// usual is what a home has: clients may go out and ask the router, things may
// only go out. UDP port 9 is everybody's: what is sent there marks an end.
const usual = `{
  "zones": [
    {"id": 1, "name": "WAN", "interfaces": ["wan"], "masquerade": true},
    {"id": 2, "name": "LAN", "interfaces": ["lan1", "lan2"]},
    {"id": 3, "name": "IOT", "interfaces": ["iot1"]},
    {"id": 4, "name": "MGMT", "interfaces": ["mgmt0"]}
  ],
  "rules": [
    {"id": 1, "name": "end marks", "zone_from": "any", "zone_to": "any", "protocol": "udp", "port": "9", "action": "accept"},
    {"id": 2, "name": "end marks for the router", "zone_from": "any", "zone_to": "SELF", "protocol": "udp", "port": "9", "action": "accept"}
  ],
  "policies": [
    {"from": "LAN", "to": "WAN", "action": "accept"},
    {"from": "LAN", "to": "LAN", "action": "accept"},
    {"from": "LAN", "to": "SELF", "action": "accept"},
    {"from": "IOT", "to": "WAN", "action": "accept"},
    {"from": "SELF", "to": "any", "action": "accept"}
  ]
}`

// router is a lab with an agent in its router.
type router struct {
	*labtest.Lab
	t        testing.TB
	dir      string
	settings string
	agent    *exec.Cmd
	resume   bool // the agent starts with what it has stored
	taps     map[string]*tap
	marks    int
	flow     uint16   // the client's port of the attack under way
	frames   [][]byte // of the last arrivals
}

// newRouter starts the agent under a policy; more are lines of its settings.
func newRouter(t testing.TB, policy string, more ...string) *router {
	t.Helper()
	r := &router{Lab: labtest.New(t), t: t, dir: t.TempDir(), taps: map[string]*tap{}}
	r.settings = filepath.Join(r.dir, "agent.yaml")
	text := fmt.Sprintf("state_dir: %q\nbpf_dir: %q\ncontrol_socket: %q\nmetrics_listen: \"off\"\n%s\n",
		filepath.Join(r.dir, "state"), r.BPFDir(), r.socket(), strings.Join(more, "\n"))
	r.write("agent.yaml", text)
	r.write("policy.json", policy)
	r.start()
	r.meet()
	for _, s := range lab.Segments {
		r.Exec(s.Host, "nft", "add table inet deaf; add chain inet deaf in { type filter hook input priority 0; }; add rule inet deaf in meta l4proto { tcp, udp } drop")
		r.taps[s.Host] = r.tap(s.Host)
	}
	return r
}

func (r *router) socket() string { return r.Dir() + "/agent.sock" }

func (r *router) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// start runs the agent and waits until it enforces.
func (r *router) start() {
	r.t.Helper()
	self, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	args := []string{"run", "--config", r.settings}
	if !r.resume {
		args = append(args, "--policy", filepath.Join(r.dir, "policy.json"))
	}
	r.agent = exec.Command(self, args...)
	r.agent.Env = append(os.Environ(), asAgent+"=1")
	r.agent.Stdout, r.agent.Stderr = r.t.Output(), r.t.Output()
	r.Start(lab.RTR, r.agent)
	labtest.Eventually(r.t, 20*time.Second, func() error {
		s, err := r.ask()
		if err == nil && len(s.Programs) < len(lab.Segments) {
			err = fmt.Errorf("programs on %d interfaces", len(s.Programs))
		}
		return err
	})
}

func (r *router) ask() (control.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return control.Query(ctx, r.socket())
}

func (r *router) status() control.Status {
	r.t.Helper()
	s, err := r.ask()
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// meet lets the hosts and the router learn each other's MAC addresses, so that
// what is forged later does not wait for it.
func (r *router) meet() {
	for _, s := range lab.Segments {
		if s.Host == lab.MGMT {
			continue
		}
		r.Exec(lab.RTR, "ping", "-c1", "-W5", s.Host4.Addr().String())
		r.Exec(lab.RTR, "ping", "-c1", "-W5", s.Host6.Addr().String())
	}
}
