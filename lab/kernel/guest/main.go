// Command guest is the init of a machine of package kernel: it mounts what
// programs expect, loads the modules that the kernel asks for, runs the steps
// of the plan one after the other and writes what they say to the second serial
// line. Then the machine ends.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ngfw.sh/lab/kernel"
)

func main() {
	if os.Getpid() != 1 { // the kernel asks for a module: -q -- NAME
		if err := load(os.Args[len(os.Args)-1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if err := serve(); err != nil {
		fmt.Println("init:", err)
	}
	unix.Sync()
	// Without a BIOS to ask for less, starting anew is how a machine ends here.
	err := unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	fmt.Println("init: reboot:", err)
	select {}
}

func serve() error {
	if err := mount(); err != nil {
		return err
	}
	line, err := os.OpenFile("/dev/ttyS1", os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer line.Close()
	defer fmt.Fprintln(line, kernel.WordDone)
	trouble := func(err error) {
		if err != nil {
			fmt.Fprintf(line, "%s%v\n", kernel.WordTrouble, err)
		}
	}
	trouble(prepare())
	plan, err := read[[]kernel.Step](kernel.PlanFile)
	trouble(err)
	for _, s := range plan {
		fmt.Fprintf(line, "%s%s\n", kernel.WordBegin, s.Name)
		began := time.Now()
		status, err := run(line, s, &silence{limit: kernel.Silence, ask: askKernel})
		trouble(err)
		fmt.Fprintf(line, "\n%s%s %d %d\n", kernel.WordEnd, s.Name, status, time.Since(began).Milliseconds())
	}
	return nil
}

func mount() error {
	for _, m := range []struct{ kind, at, data string }{
		{"proc", "/proc", ""}, {"sysfs", "/sys", ""}, {"devtmpfs", "/dev", ""}, {"tmpfs", "/tmp", "mode=1777"}, {"tmpfs", "/run", "mode=755"},
		{"bpf", "/sys/fs/bpf", ""}, {"cgroup2", "/sys/fs/cgroup", ""}, {"tracefs", "/sys/kernel/tracing", ""},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.at, m.kind, 0, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	return nil
}

func prepare() error {
	return errors.Join(
		os.Setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), os.Setenv("HOME", "/root"), os.Setenv("TMPDIR", "/tmp"),
		os.MkdirAll("/root", 0o700),
		os.WriteFile("/proc/sys/kernel/modprobe", []byte("/init"), 0o644),
		unix.Sethostname([]byte("machine")),
		load("nf_conntrack"), // its functions are what the packet programs link to
		load("tun"),          // elsewhere its device is there for whoever opens it, without the module
		exec.Command("ip", "link", "set", "lo", "up").Run(),
	)
}

// run runs a step with the line as its output.
func run(line io.Writer, s kernel.Step, quiet *silence) (int, error) {
	cmd := exec.Command(s.Path, s.Args...)
	cmd.Dir, cmd.Env = s.Dir, append(os.Environ(), s.Env...)
	r, w, err := os.Pipe()
	if err != nil {
		return -1, err
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		return -1, err
	}
	w.Close()
	quiet.watch(cmd.Process)
	said := make(chan struct{})
	go func() {
		defer close(said)
		for lines := bufio.NewReader(r); ; {
			text, err := lines.ReadString('\n')
			io.WriteString(line, text)
			quiet.heard()
			if err != nil {
				return
			}
		}
	}()
	err = cmd.Wait()
	// A process that a test left behind may hold the pipe.
	select {
	case <-said:
	case <-time.After(2 * time.Second):
	}
	r.Close()
	hung := quiet.end()
	if hung != nil {
		hung = fmt.Errorf("%s: %w", s.Name, hung)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), hung
	}
	return 0, errors.Join(err, hung)
}

func read[T any](path string) (v T, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return v, err
	}
	return v, json.Unmarshal(b, &v)
}

// load loads what the kernel asks for. What is unknown is none of ours.
func load(name string) error {
	index, err := read[kernel.Modules](kernel.ModulesFile)
	if err != nil {
		return err
	}
	files := index[name]
	if len(files) == 0 {
		files = index[strings.ReplaceAll(name, "-", "_")]
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("load %s: %w", file, err)
		}
	}
	return nil
}
