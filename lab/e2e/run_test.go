package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ngfw.sh/lab"
	"ngfw.sh/lab/labtest"
)

const (
	// readyLimit is for a machine that is busy with other things.
	readyLimit = 2 * time.Minute
	stopLimit  = time.Minute
	// patience is for whatever should happen soon.
	patience = 20 * time.Second
	// owner marks every process of a run: its environment is inherited.
	owner = "NGFW_E2E_RUN"
)

var runs atomic.Int64

// run is one `ngfw-lab run` and the test that it belongs to.
type run struct {
	t            *testing.T
	name         string
	dir, bin     string
	listen, grpc string

	supervisor *exec.Cmd
	ended      chan error
	said       *transcript

	env map[string]string // what the run's env file says
	lab *lab.Lab
	api *client
}

// prepare names a run; nothing is started. What the test leaves of it is a
// failure, and removed.
func prepare(t *testing.T) *run {
	t.Helper()
	built := binaries(t)
	base := t.TempDir()
	r := &run{
		t: t, name: fmt.Sprintf("e2e-%d-%d", os.Getpid(), runs.Add(1)),
		dir: filepath.Join(base, "run"), bin: filepath.Join(base, "bin"),
		listen: freePort(t), grpc: freePort(t),
	}
	// Links of its own, so that a test may take a program away.
	if err := os.Mkdir(r.bin, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"ngfw-agent", "ngfw-cloud", "ngfw-lab"} {
		if err := os.Symlink(filepath.Join(built, program), filepath.Join(r.bin, program)); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, what := range r.left() {
			t.Errorf("left behind: %s", what)
		}
		reports, _ := filepath.Glob(r.races() + ".*")
		for _, path := range reports {
			text, _ := os.ReadFile(path)
			t.Errorf("%s", text)
		}
		r.command("stop", "--dir", r.dir).Run()
		lab.Down(context.Background(), r.name)
	})
	return r
}

// start begins a run and returns when it is ready.
func start(t *testing.T) *run {
	t.Helper()
	r := prepare(t)
	r.begin()
	r.awaitReady()
	t.Cleanup(func() {
		if t.Failed() {
			r.showLogs()
		}
		r.interrupt()
	})
	return r
}

// command is one of ngfw-lab's, in the environment of the run.
func (r *run) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(r.bin, "ngfw-lab"), args...)
	cmd.Env = append(os.Environ(), owner+"="+r.name, "NGFW_DETACH=", "GORACE=log_path="+r.races())
	return cmd
}

// races begins the names of the files that the race detector reports in.
func (r *run) races() string { return filepath.Join(filepath.Dir(r.dir), "race") }

func (r *run) runArgs() []string {
	return []string{"run", "--name", r.name, "--dir", r.dir, "--bin", r.bin, "--listen", r.listen, "--grpc-listen", r.grpc}
}

// begin starts the supervisor, as `make run` does.
func (r *run) begin() {
	r.t.Helper()
	r.supervisor, r.said, r.ended = r.command(r.runArgs()...), newTranscript(), make(chan error, 1)
	r.supervisor.Stdout, r.supervisor.Stderr = r.said, r.said
	r.supervisor.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	wait, err := lab.StartChild(r.supervisor)
	if err != nil {
		r.t.Fatal(err)
	}
	go func() { r.ended <- wait() }()
}

func (r *run) awaitReady() {
	r.t.Helper()
	if !r.said.await("ngfw.sh is running", readyLimit, r.ended) {
		r.showLogs()
		r.t.Fatalf("not ready; it said:\n%s", r.said)
	}
	r.open()
}

// open reads what the run says of itself.
func (r *run) open() {
	r.t.Helper()
	// A shell has the last word about quoting.
	out, err := exec.Command("sh", "-c", `set -a; . "$1"; env`, "sh", filepath.Join(r.dir, "env")).Output()
	if err != nil {
		r.t.Fatal(err)
	}
	r.env = map[string]string{}
	for line := range strings.Lines(string(out)) {
		if key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok && strings.HasPrefix(key, "NGFW_") {
			r.env[key] = value
		}
	}
	if r.lab, err = lab.Open(r.name); err != nil {
		r.t.Fatal(err)
	}
	r.api = newClient(r)
}

// interrupt ends the run as Ctrl-C does; what is left is a failure.
func (r *run) interrupt() {
	r.t.Helper()
	r.supervisor.Process.Signal(os.Interrupt)
	r.awaitEnd()
}

func (r *run) awaitEnd() {
	r.t.Helper()
	asked := time.Now()
	select {
	case err := <-r.ended:
		r.t.Logf("ended %v after it was asked to", time.Since(asked).Round(time.Millisecond))
		if err != nil {
			r.t.Errorf("the supervisor ended with %v; it said:\n%s", err, r.said)
		}
	case <-time.After(stopLimit):
		r.t.Errorf("the supervisor does not end; it said:\n%s", r.said)
		r.supervisor.Process.Kill()
		<-r.ended
	}
	for _, what := range r.left() {
		r.t.Errorf("left behind: %s", what)
	}
}

// exec runs a command in a host of the lab, by ngfw-lab.
func (r *run) exec(host string, argv ...string) (string, error) {
	return r.execWithin(time.Minute, host, argv...)
}

func (r *run) execWithin(limit time.Duration, host string, argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(r.bin, "ngfw-lab"), append([]string{"exec", "--name", r.name, host, "--"}, argv...)...)
	cmd.Env = append(os.Environ(), owner+"="+r.name)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("in %s: %s: %w: %s", host, strings.Join(argv, " "), err, &said)
	}
	return out.String(), nil
}

// must is exec for commands that do not fail.
func (r *run) must(host string, argv ...string) string {
	r.t.Helper()
	out, err := r.exec(host, argv...)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// process is the live process of a service.
func (r *run) process(service string) lab.Process {
	r.t.Helper()
	var p lab.Process
	labtest.Eventually(r.t, patience, func() error {
		data, err := os.ReadFile(filepath.Join(r.dir, service+".pid"))
		if err != nil {
			return err
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
		if err != nil {
			return err
		}
		var alive bool
		if p, alive = lab.ProcessOf(pid); !alive {
			return fmt.Errorf("%s is not alive", service)
		}
		return nil
	})
	return p
}

// kill ends a process at once and returns when it is gone.
func (r *run) kill(p lab.Process) {
	r.t.Helper()
	p.Signal(syscall.SIGKILL)
	labtest.Eventually(r.t, patience, func() error {
		if p.Alive() {
			return fmt.Errorf("process %d lives although killed", p.PID)
		}
		return nil
	})
}

// withhold takes a program away, so that what is killed stays dead until the
// returned function brings it back.
func (r *run) withhold(program string) (restore func()) {
	r.t.Helper()
	path := filepath.Join(r.bin, program)
	if err := os.Rename(path, path+".away"); err != nil {
		r.t.Fatal(err)
	}
	return func() {
		r.t.Helper()
		if err := os.Rename(path+".away", path); err != nil {
			r.t.Fatal(err)
		}
	}
}

// log is what a service has written so far.
func (r *run) log(service string) string {
	data, _ := os.ReadFile(filepath.Join(r.dir, service+".log"))
	return string(data)
}

func (r *run) showLogs() {
	const keep = 3000
	for _, service := range []string{"cloud", "agent", "serve", "traffic"} {
		text := r.log(service)
		r.t.Logf("%s.log ends with:\n%s", service, text[max(0, len(text)-keep):])
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
