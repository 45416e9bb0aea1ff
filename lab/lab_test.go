package lab_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

// ownSleep is an argument to sleep that tells this process's sleeps from others'.
var ownSleep = "1000." + strconv.Itoa(os.Getpid())

// ownPrefix begins the names of the labs that this process makes.
var ownPrefix = "test-" + strconv.Itoa(os.Getpid()) + "-"

func TestPlainRouterForwards(t *testing.T) {
	l := labtest.New(t, labtest.Forward(), labtest.Servers())
	tests := []struct{ name, host, command, want string }{
		{"http", lab.LAN1, "curl -sS http://203.0.113.1/whoami", "10.77.1.10 "},
		{"http, IPv6", lab.LAN2, "curl -sS http://[2001:db8:ff::1]/whoami", "2001:db8:77:2::10 "},
		{"https", lab.IOT1, "curl -sSk https://198.51.100.11/", "inet here"},
		{"size", lab.IOT1, "curl -sSk -o /dev/null -w %{size_download} https://203.0.113.1/bytes/1234567", "1234567"},
		{"upload", lab.LAN1, "curl -sS --data-binary 12345 http://203.0.113.1/upload", "5"},
		{"dns", lab.LAN1, "dig +short @203.0.113.1 www.lab.test", "203.0.113.1"},
		{"dns, IPv6", lab.LAN1, "dig +short @2001:db8:f00::10 web.lab.test AAAA", "2001:db8:ff::1"},
		{"dns over tcp", lab.LAN1, "dig +tcp +short @203.0.113.1 mail.lab.test", "198.51.100.10"},
		{"dns too big for udp", lab.LAN1, "dig @203.0.113.1 big.lab.test TXT", "(TCP)"},
		{"dns of nobody", lab.LAN1, "dig @203.0.113.1 nobody.lab.test", "NXDOMAIN"},
		{"dns of others", lab.LAN1, "dig @203.0.113.1 example.com", "REFUSED"},
		{"between clients", lab.LAN1, "ping -c1 -W2 10.77.2.10", "1 received"},
		{"ping, IPv6", lab.INET, "ping -c1 -W2 2001:db8:77:3::10", "1 received"},
		{"iperf3", lab.LAN1, "iperf3 --connect-timeout 2000 -c 203.0.113.1 -n 1M", "iperf Done"},
		{"management", lab.RTR, "ping -c1 -W2 198.18.0.2", "1 received"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out string
			// iperf3's server opens its port a moment after it was started.
			labtest.Eventually(t, 3*time.Second, func() (err error) {
				out, err = l.TryExec(tt.host, strings.Fields(tt.command)...)
				return err
			})
			if !strings.Contains(out, tt.want) {
				t.Errorf("got %q, want %q in it", out, tt.want)
			}
		})
	}
}

func TestRouterIsClosedByDefault(t *testing.T) {
	l := labtest.New(t)
	for _, target := range []string{"203.0.113.1", "2001:db8:ff::1"} {
		out, err := l.TryExec(lab.LAN1, "ping", "-c1", "-W1", target)
		if err == nil || !strings.Contains(out, "0 received") {
			t.Errorf("%s answers although nothing enabled forwarding: %s, %v", target, out, err)
		}
	}
}

func TestOffloads(t *testing.T) {
	l := labtest.New(t)
	for _, s := range lab.Segments {
		for host, port := range map[string]string{s.Host: lab.HostPort, lab.RTR: s.RouterPort} {
			out := l.Exec(host, "ethtool", "-k", port)
			if !strings.Contains(out, "generic-receive-offload: on") {
				t.Errorf("%s in %s: GRO is off", port, host)
			}
			if off := strings.Contains(out, "tx-checksumming: off"); off != (host != lab.RTR) {
				t.Errorf("%s in %s: transmit checksum offload off = %v", port, host, off)
			}
		}
	}
}

func TestLabsStandSideBySide(t *testing.T) {
	one, two := labtest.New(t, labtest.Servers()), labtest.New(t, labtest.Servers())
	for _, l := range []*labtest.Lab{one, two} {
		if got := l.Exec(lab.INET, "curl", "-sS", "http://203.0.113.1/whoami"); !strings.HasPrefix(got, "203.0.113.1 ") {
			t.Errorf("lab %s: %q", l.Name(), got)
		}
	}
}

func TestDownLeavesNothing(t *testing.T) {
	before := footprint(t)
	l := labtest.New(t, labtest.Servers())
	cmd := exec.Command("sleep", ownSleep)
	if err := l.Detach(lab.RTR, cmd); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.Dir(), "whatever"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if footprint(t) == before {
		t.Fatal("the footprint does not show a lab: this test could not fail")
	}
	for range 2 { // the second finds nothing, which is no error
		if err := lab.Down(t.Context(), l.Name()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(before, footprint(t)); diff != "" {
		t.Errorf("before and after:\n%s", diff)
	}
}

// footprint is what a lab of this process could leave on the machine.
func footprint(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, dir := range []string{"/run/netns", "/run/ngfw-lab"} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if strings.Contains(e.Name(), ownPrefix) {
				b.WriteString(dir + "/" + e.Name() + "\n")
			}
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, ownPrefix) {
			b.WriteString(line)
		}
	}
	for _, segment := range lab.Segments { // ports belong in namespaces, never here
		if _, err := net.InterfaceByName(segment.RouterPort); err == nil {
			b.WriteString("port " + segment.RouterPort + "\n")
		}
	}
	for _, p := range lab.Processes(func(pid int) bool {
		cmdline, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		return string(cmdline) == "sleep\x00"+ownSleep+"\x00"
	}) {
		b.WriteString("sleep " + strconv.Itoa(p.PID) + "\n")
	}
	return b.String()
}

func TestUpAfterACrash(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root")
	}
	name := ownPrefix + "crash"
	t.Cleanup(func() { lab.Down(context.Background(), name) })

	// A process that owned the lab and is gone.
	owner := exec.Command("sleep", ownSleep)
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	alive, _ := lab.ProcessOf(owner.Process.Pid)
	l, err := lab.Up(t.Context(), lab.Config{Name: name, Owner: alive})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Up(t.Context(), lab.Config{Name: name}); !errors.Is(err, lab.ErrInUse) {
		t.Fatalf("took over a lab whose owner lives: %v", err)
	}
	owner.Process.Signal(syscall.SIGKILL)
	owner.Wait()
	if _, err := lab.Open(name); err == nil {
		t.Error("opened a lab whose owner is gone")
	}
	if _, err := lab.Up(t.Context(), lab.Config{Name: name}); err != nil {
		t.Fatalf("after its owner's end: %v", err)
	}

	// What an interrupted creation leaves: no record, a file that is no mount,
	// a namespace with half its links.
	if err := syscall.Unmount("/run/netns/"+l.Namespace(lab.IOT1), syscall.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Open(name); err == nil {
		t.Error("opened a lab that lacks a host")
	}
	if err := os.Remove(filepath.Join(l.Dir(), "lab.json")); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ip", "netns", "exec", l.Namespace(lab.RTR), "ip", "link", "del", "wan").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := lab.Up(t.Context(), lab.Config{Name: name}); err != nil {
		t.Fatalf("over the rest of an interrupted one: %v", err)
	}
}

func TestSweepTakesTheLeftBehindOnly(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root")
	}
	dead := exec.Command("sleep", ownSleep)
	if err := dead.Start(); err != nil {
		t.Fatal(err)
	}
	owner, _ := lab.ProcessOf(dead.Process.Pid)
	prefix := "sweep" + ownPrefix // no other process sweeps these
	for name, owner := range map[string]lab.Process{"left": owner, "mine": lab.Self(), "nobodys": {}} {
		if _, err := lab.Up(t.Context(), lab.Config{Name: prefix + name, Owner: owner}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { lab.Down(context.Background(), prefix+name) })
	}
	dead.Process.Kill()
	dead.Wait()
	if err := lab.Sweep(t.Context(), func(name string) bool { return strings.HasPrefix(name, prefix) }); err != nil {
		t.Fatal(err)
	}
	labs, err := lab.List()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range labs {
		if name, ok := strings.CutPrefix(l.Name, prefix); ok {
			got = append(got, name)
		}
	}
	if diff := cmp.Diff([]string{"mine", "nobodys"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestInterruptedUpLeavesNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root")
	}
	before := footprint(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lab.Up(ctx, lab.Config{Name: ownPrefix + "cut"}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if diff := cmp.Diff(before, footprint(t)); diff != "" {
		t.Errorf("before and after:\n%s", diff)
	}
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"lab": true, "a": true, "my-lab-2": true,
		"": false, "-": false, "a-": false, "../x": false, "A": false, "a b": false, "a/b": false,
		strings.Repeat("a", 40): true, strings.Repeat("a", 41): false,
	} {
		if _, err := lab.Named(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}
