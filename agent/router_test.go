package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

func TestPolicyOnRealPackets(t *testing.T) {
	r := newRouter(t)
	r.rules(
		`{"id":7,"name":"no web for lan2","zone_from":"LAN","zone_to":"WAN","source":"10.77.2.0/24","protocol":"tcp","port":"80","action":"drop"}`,
		`{"id":8,"name":"no web for lan2, v6","zone_from":"LAN","zone_to":"WAN","source":"2001:db8:77:2::/64","protocol":"tcp","port":"80","action":"drop"}`,
		`{"id":9,"name":"told so","zone_from":"IOT","zone_to":"WAN","protocol":"tcp","port":"80","action":"reject"}`,
		`{"id":10,"name":"iot may ask the router's name","zone_from":"IOT","zone_to":"SELF","destination":"self","protocol":"icmp","action":"accept"}`)
	r.startPolicy()

	for _, url := range []string{web4, web6, tls4} {
		r.passes("lan1", curl(url)...)
	}
	r.blocked("lan2", curl(web4)...)
	r.blocked("lan2", curl(web6)...)
	r.passes("lan2", curl(tls4)...)
	r.passes("lan2", "dig", "+time=2", "+tries=1", "@"+inet4, "web.lab.test")
	r.passes("lan2", "dig", "+time=2", "+tries=1", "+tcp", "@"+inet6, "web.lab.test")
	r.passes("lan1", ping("10.77.2.10")...)   // LAN to LAN, two interfaces of one zone
	r.passes("lan1", ping("10.77.1.1")...)    // the router itself
	r.passes("iot1", ping("10.77.3.1")...)    // by rule 10
	r.blocked("iot1", ping("10.77.1.10")...)  // no policy: default
	r.blocked("inet", ping("203.0.113.2")...) // WAN to SELF
	r.blocked("inet", ping("10.77.1.10")...)  // WAN to LAN
	r.blocked("inet", ping("2001:db8:77:1::10")...)
	r.passes("rtr", curl(web4)...) // the router's own

	// What the clients saw, the running agent tells of a packet.
	for out, want := range map[string]string{
		r.simulate("--in", "lan2", "--out", "wan", "--src", "10.77.2.10", "--dst", inet4, "--protocol", "tcp", "--dport", "80"): "drop (rule 7)",
		r.simulate("--in", "lan2", "--out", "wan", "--src", "10.77.2.10", "--dst", inet4, "--protocol", "udp", "--dport", "53"): "accept (policy)",
	} {
		if !strings.HasPrefix(out, want) {
			t.Errorf("simulate: want %s:\n%s", want, out)
		}
	}

	// A reject is heard at once (curl's status 7); a drop would time out (28).
	if _, err := r.TryExec("iot1", curl(web4)...); err == nil || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("reject: %v, want a refusal", err)
	}
	// An ICMP error of a known flow comes back through masquerade.
	if out, err := r.TryExec("lan1", "dig", "+time=2", "+tries=1", "-p", "9", "@"+inet4, "x.test"); !strings.Contains(out+fmt.Sprint(err), "refused") {
		t.Errorf("port unreachable did not come back: %v %s", err, out)
	}
	// Fragments, through the router and of its own.
	for _, to := range []string{inet4, inet6} {
		r.passes("lan1", ping(to, "-s", "4000")...)
		r.passes("rtr", ping(to, "-s", "4000")...)
	}
	r.passes("lan1", ping("10.77.1.1", "-s", "4000")...)

	if s := r.mustStatus(); len(s.Programs) != 5 {
		t.Errorf("programs on %+v, want all five interfaces", s.Programs)
	}
	// Everything above was judged, and conntrack agreed with the flow table.
	for _, reason := range []string{"unjudged", "stale_state", "wrong_zone"} {
		if n := r.metric(`ngfw_backstop_drops_total{reason="` + reason + `"}`); n != 0 {
			t.Errorf("the backstop dropped %v packets as %s", n, reason)
		}
	}
	for _, kind := range []string{"no_counter", "learn_failed"} {
		if n := r.metric(`ngfw_dataplane_faults_total{kind="` + kind + `"}`); n != 0 {
			t.Errorf("%s: %v", kind, n)
		}
	}
}

func TestMasqueradeHidesPrivateAddresses(t *testing.T) {
	r := newRouter(t)
	r.rules()
	r.startPolicy()
	capture := exec.Command("tcpdump", "-nni", "eth0", "-c", "400", "-w", filepath.Join(r.dir, "wan.pcap"), "--immediate-mode", "-U")
	said := &lockedBuffer{}
	capture.Stderr = said
	r.Start("inet", capture)
	r.eventually(func() error {
		if !strings.Contains(said.String(), "listening") {
			return errors.New("tcpdump does not listen yet")
		}
		return nil
	})
	r.passes("lan1", curl("http://203.0.113.1/bytes/300000")...)
	r.passes("lan2", ping(inet4)...)
	r.eventually(func() error {
		out := r.Exec("inet", "tcpdump", "-nnr", filepath.Join(r.dir, "wan.pcap"), "ip")
		if !strings.Contains(out, "203.0.113.2.") {
			return errors.New("nothing of the router was seen yet")
		}
		if strings.Contains(out, "10.77.") {
			t.Fatalf("a private address left the router:\n%s", out)
		}
		return nil
	})
}

func TestHitsAreTrue(t *testing.T) {
	r := newRouter(t)
	r.rules(`{"id":3,"name":"web","zone_from":"LAN","zone_to":"WAN","protocol":"tcp","port":"80","action":"accept"}`)
	r.startPolicy()
	before := r.wire("lan1")
	r.passes("lan1", curl("http://203.0.113.1/bytes/3000000")...)
	after := r.wire("lan1")
	// IP bytes on the wire, so without the 14 bytes of Ethernet each.
	packets := after.packets - before.packets
	bytes := after.bytes - before.bytes - 14*packets
	hits := r.metric(`ngfw_rule_packets_total{rule_id="3"}`)
	hitBytes := r.metric(`ngfw_rule_bytes_total{rule_id="3"}`)
	// The interface also carried neighbour discovery, and a GSO packet counts
	// once there: hits cannot be fewer, and bytes agree within the headers that
	// segmentation repeats.
	if hits < packets-20 {
		t.Errorf("rule counted %v packets, the interface carried %v", hits, packets)
	}
	wantPackets := 3000000.0 / 1460
	if hits < wantPackets {
		t.Errorf("rule counted %v packets, 3 MB need at least %v segments", hits, wantPackets)
	}
	if hitBytes < bytes-2000 || hitBytes > bytes+hits*60 {
		t.Errorf("rule counted %v bytes, the interface carried %v", hitBytes, bytes)
	}
}

type wire struct{ packets, bytes float64 }

// wire reads what an interface of the router has carried, both ways.
func (r *router) wire(name string) wire {
	r.t.Helper()
	var links []struct {
		Stats64 map[string]struct{ Bytes, Packets float64 } `json:"stats64"`
	}
	if err := json.Unmarshal([]byte(r.Exec("rtr", "ip", "-j", "-s", "link", "show", "dev", name)), &links); err != nil {
		r.t.Fatal(err)
	}
	s := links[0].Stats64
	return wire{s["rx"].Packets + s["tx"].Packets, s["rx"].Bytes + s["tx"].Bytes}
}

func TestPolicyHoldsThroughKill(t *testing.T) {
	r := newRouter(t)
	r.rules(`{"id":7,"name":"no web for lan2","zone_from":"LAN","zone_to":"WAN","source":"10.77.2.0/24","protocol":"tcp","port":"80","action":"drop"}`,
		`{"id":3,"name":"web","zone_from":"LAN","zone_to":"WAN","protocol":"tcp","port":"80","action":"accept"}`)
	r.startPolicy()
	r.passes("lan1", curl(web4)...)
	r.blocked("lan2", curl(web4)...)

	// A download that lasts across the kill.
	size, rate, limit, kills := "12000000", "2M", "30", 3
	if patient {
		size, rate, limit, kills = "8000000", "100K", "600", 1
	}
	download := exec.Command("curl", "-sS", "-m", limit, "--limit-rate", rate, "-o", os.DevNull, "http://203.0.113.1/bytes/"+size)
	wait, err := r.Lab.Lab.Start("lan1", download)
	if err != nil {
		t.Fatal(err)
	}
	r.eventually(func() error {
		if r.metric(`ngfw_rule_packets_total{rule_id="3"}`) < 100 {
			return errors.New("the download has not begun")
		}
		return nil
	})
	hits, drops := r.metric(`ngfw_rule_packets_total{rule_id="3"}`), r.metric(`ngfw_rule_packets_total{rule_id="7"}`)
	for range kills {
		r.kill()
		// Nobody is there, and the policy holds.
		r.passes("lan1", curl(tls4)...)
		r.blocked("lan2", curl(web4)...)
		r.start() // without the file: the last good policy
		if h := r.metric(`ngfw_rule_packets_total{rule_id="3"}`); h < hits {
			t.Errorf("hits went back from %v to %v", hits, h)
		} else {
			hits = h
		}
		if d := r.metric(`ngfw_rule_packets_total{rule_id="7"}`); d <= drops {
			t.Errorf("drops while nobody was there were not counted: %v then %v", drops, d)
		} else {
			drops = d
		}
	}
	if err := wait(); err != nil {
		t.Errorf("the download did not survive: %v", err)
	}
}

func TestChangeCutsEstablishedFlow(t *testing.T) {
	r := newRouter(t)
	r.rules()
	r.startPolicy()
	long := func(host string) func() error {
		cmd := exec.Command("curl", "-sS", "-m", "8", "--limit-rate", "4M", "-o", os.DevNull, "http://203.0.113.1/bytes/24000000")
		wait, err := r.Lab.Lab.Start(host, cmd)
		if err != nil {
			t.Fatal(err)
		}
		return wait
	}
	cut, kept := long("lan2"), long("lan1")
	r.eventually(func() error {
		if r.metric("ngfw_flows_opened_total") < 2 {
			return errors.New("the downloads have not begun")
		}
		return nil
	})
	r.rules(`{"id":7,"name":"no web for lan2","zone_from":"LAN","zone_to":"WAN","source":"10.77.2.0/24","protocol":"tcp","port":"80","action":"drop"}`)
	r.reload()
	if err := cut(); err == nil {
		t.Error("a flow that the new policy forbids went on")
	}
	if err := kept(); err != nil {
		t.Errorf("a flow that both policies allow was disturbed: %v", err)
	}
}

func TestUnconfiguredAgentTouchesNothing(t *testing.T) {
	r := newRouter(t, labtest.Forward())
	r.start()
	r.passes("lan1", ping("10.77.3.10")...) // a plain router's way
	if out := r.Exec("rtr", "nft", "list", "tables"); strings.Contains(out, "ngfw") {
		t.Errorf("a table was loaded: %s", out)
	}
	if s := r.mustStatus(); len(s.Programs) != 0 {
		t.Errorf("programs were attached: %+v", s.Programs)
	}
}

func TestLateInterfaceIsClosedThenJoins(t *testing.T) {
	r := newRouter(t)
	r.rules()
	r.startPolicy()
	r.passes("lan1", curl(web4)...)
	// Without an agent an interface that comes late stays closed.
	r.kill()
	r.Exec("rtr", "ip", "link", "add", "late", "numtxqueues", "1", "numrxqueues", "1", "type", "veth", "peer", "name", "guest", "numtxqueues", "1", "numrxqueues", "1")
	r.Exec("rtr", "ip", "link", "set", "guest", "netns", r.Namespace("iot1"))
	for _, cmd := range [][]string{
		{"rtr", "ip", "addr", "add", "10.77.9.1/24", "dev", "late"}, {"rtr", "ip", "link", "set", "late", "up"},
		{"iot1", "ip", "addr", "add", "10.77.9.10/24", "dev", "guest"}, {"iot1", "ip", "link", "set", "guest", "up"},
	} {
		r.Exec(cmd[0], cmd[1:]...)
	}
	r.blocked("iot1", ping("10.77.9.1", "-I", "guest")...)
	r.start()
	r.passes("iot1", ping("10.77.9.1", "-I", "guest")...)
	// Gone and come again, with another index.
	r.Exec("rtr", "ip", "link", "del", "late")
	r.eventually(func() error {
		for _, p := range r.mustStatus().Programs {
			if p.Interface == "late" {
				return errors.New("the interface is still there")
			}
		}
		return nil
	})
}

func TestRemoveOpensTheRouter(t *testing.T) {
	r := newRouter(t)
	r.rules()
	r.startPolicy()
	r.blocked("iot1", ping("10.77.1.10")...)
	remove := func(args ...string) error {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self, append([]string{"remove", "--config", r.settings}, args...)...)
		cmd.Env = append(os.Environ(), beAgent+"=1")
		return r.Lab.Lab.Run("rtr", cmd)
	}
	if err := remove("--yes"); err == nil {
		t.Error("removed under a running agent")
	}
	r.kill()
	if err := remove(); err == nil {
		t.Error("removed without being asked twice")
	}
	if err := remove("--yes"); err != nil {
		t.Fatal(err)
	}
	r.eventually(func() error { // links are freed a moment after their pins
		_, err := r.TryExec("iot1", ping("10.77.1.10")...)
		return err
	})
	if out := r.Exec("rtr", "nft", "list", "tables"); strings.Contains(out, "ngfw") {
		t.Errorf("the table is still there: %s", out)
	}
	// The last good policy comes back with the agent.
	r.start()
	r.blocked("iot1", ping("10.77.1.10")...)
}
