package kernel

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Config of a machine.
type Config struct {
	Megabytes  int
	Processors int
}

// DefaultConfig is enough for any test here.
func DefaultConfig() Config { return Config{Megabytes: 2048, Processors: 2} }

// emulator is QEMU's for this architecture.
const emulator = "qemu-system-x86_64"

// Emulator answers why no machine can be made here, or nil.
func Emulator() error {
	if _, err := exec.LookPath(emulator); err != nil {
		return fmt.Errorf("%s is missing (Debian: qemu-system-x86): make deps installs it", emulator)
	}
	return nil
}

// hurry leaves out what an emulated kernel pays most for: guards against processors that
// it does not run on, and waiting for processors that are slow to be quiet.
const hurry = "mitigations=off rcupdate.rcu_expedited=1 nowatchdog"

// Run boots the kernel, has it run the bundle's plan and answers what became of
// each step that began. Where the machine ends before its time, also by ctx, the
// error holds the end of its console. Progress, if it is not nil, is told each
// line that a step says.
func Run(ctx context.Context, cfg Config, r Release, b Bundle, progress func(line string)) ([]Result, error) {
	dir, err := os.MkdirTemp("", "kernel-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	initrd := filepath.Join(dir, "initrd")
	f, err := os.Create(initrd)
	if err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	if err := errors.Join(b.write(ctx, w, r), w.Flush(), f.Close()); err != nil {
		return nil, fmt.Errorf("make the machine's file system: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	console := &tail{room: 32 << 10}
	cmd := exec.CommandContext(ctx, emulator,
		// Hardware's help hangs where machines are virtual already.
		"-accel", "tcg,thread=multi", "-cpu", "max", "-m", strconv.Itoa(cfg.Megabytes), "-smp", strconv.Itoa(cfg.Processors),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-chardev", "stdio,id=said,signal=off", "-chardev", "pipe,id=console,path="+filepath.Join(dir, "console"),
		"-serial", "chardev:console", "-serial", "chardev:said",
		"-kernel", r.image(), "-initrd", initrd,
		"-append", "console=ttyS0 panic=-1 oops=panic quiet rdinit=/init random.trust_cpu=on "+hurry,
	)
	wait, err := follow(filepath.Join(dir, "console"), console)
	if err != nil {
		return nil, err
	}
	defer wait()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	// It does not outlive this process; the signal is of the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the machine: %w", err)
	}
	// What hangs within is for init to end; here it is the machine as a whole.
	quiet := time.AfterFunc(Silence+time.Minute, cancel)
	defer quiet.Stop()
	results, done, err := read(out, func(line string) {
		quiet.Reset(Silence + time.Minute)
		if progress != nil {
			progress(line)
		}
	})
	if done {
		if err != nil {
			err = fmt.Errorf("%w\nthe console: %s", err, console)
		}
		// It ends by itself; what keeps it is no business of the results.
		timer := time.AfterFunc(20*time.Second, cancel)
		defer timer.Stop()
		cmd.Wait()
		return results, err
	}
	cancel()
	return results, errors.Join(err, fmt.Errorf("the machine ended too early (%v): %s\n%s", cmd.Wait(), &complaint, console))
}

// read takes results from what init says, and whether it came to its end.
func read(r io.Reader, progress func(string)) (results []Result, done bool, err error) {
	var troubles []error
	lines := bufio.NewReader(r)
	for {
		line, failed := lines.ReadString('\n')
		text := strings.TrimRight(line, "\r\n")
		switch last := len(results) - 1; {
		case strings.HasPrefix(text, WordDone):
			return results, true, errors.Join(troubles...)
		case strings.HasPrefix(text, WordTrouble):
			troubles = append(troubles, errors.New("init: "+text[len(WordTrouble):]))
		case strings.HasPrefix(text, WordBegin):
			results = append(results, Result{Step: text[len(WordBegin):], Status: -1})
		case strings.HasPrefix(text, WordEnd) && last >= 0:
			var name string
			var status int
			var took int64
			if _, err := fmt.Sscanf(text[len(WordEnd):], "%s %d %d", &name, &status, &took); err != nil || name != results[last].Step {
				troubles = append(troubles, fmt.Errorf("init said %q at the end of %s", text, results[last].Step))
				break
			}
			results[last].Status, results[last].Took = status, time.Duration(took)*time.Millisecond
		case last >= 0 && line != "":
			results[last].Output += text + "\n"
			if progress != nil {
				progress(text)
			}
		}
		if failed != nil {
			return results, false, errors.Join(troubles...)
		}
	}
}

// follow makes the pipes that QEMU opens and reads what it writes into t, until
// the function that it answers is called.
func follow(path string, t *tail) (func(), error) {
	for _, side := range []string{".in", ".out"} {
		if err := unix.Mkfifo(path+side, 0o600); err != nil {
			return nil, fmt.Errorf("make the console's pipe: %w", err)
		}
	}
	// Both ways, so that opening waits for nobody.
	f, err := os.OpenFile(path+".out", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	var ended sync.WaitGroup
	ended.Go(func() { io.Copy(t, f) })
	return func() { f.Close(); ended.Wait() }, nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
	room int
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if over := len(t.text) - t.room; over > 0 {
		t.text = t.text[over:]
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ReplaceAll(string(t.text), "\r", "")
}
