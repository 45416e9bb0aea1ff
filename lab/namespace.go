package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// netnsDir is where named namespaces live; iproute2 uses the same place, so
// `ip netns list` shows a lab.
const netnsDir = "/run/netns"

// makeNamespace creates a named namespace and runs setup inside it.
func makeNamespace(name string, setup func() error) error {
	if err := shareNames(); err != nil {
		return err
	}
	// NewNamed leaves the file of an attempt that failed half-way, and its
	// parent may come into being at the same time in another process.
	return onThread(func() error {
		ns, err := netns.NewNamed(name)
		if err != nil {
			return fmt.Errorf("make namespace %s: %w", name, err)
		}
		defer ns.Close()
		return setup()
	})
}

// shareNames makes netnsDir a shared mount of its own, under the lock that iproute2
// takes for the same: if its first `ip netns add` did that later, names that are there
// would be mounted a second time, and the first mounts, out of sight, could not be
// removed until the next boot.
func shareNames() error {
	if err := os.MkdirAll(netnsDir, 0o755); err != nil {
		return err
	}
	dir, err := os.Open(netnsDir)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", netnsDir, err)
	}
	share := func() error { return unix.Mount("", netnsDir, "none", unix.MS_SHARED|unix.MS_REC, "") }
	err = share()
	if errors.Is(err, unix.EINVAL) { // it is no mount
		err = errors.Join(unix.Mount(netnsDir, netnsDir, "none", unix.MS_BIND|unix.MS_REC, ""), share())
	}
	if err != nil {
		return fmt.Errorf("share %s: %w", netnsDir, err)
	}
	return nil
}

// removeNamespace drops a namespace's name; the namespace itself ends with its
// last process and socket. A file without a mount is what is left when a
// creation was interrupted.
func removeNamespace(name string) error {
	path := filepath.Join(netnsDir, name)
	for {
		err := unix.Unmount(path, unix.MNT_DETACH)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			break
		}
		if err != nil {
			return fmt.Errorf("unmount %s: %w", path, err)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// inNamespace runs f on the calling goroutine with its thread in the named
// namespace. Goroutines that f starts are not in it.
func inNamespace(name string, f func() error) error {
	return onThread(func() error {
		if err := enter(name); err != nil {
			return err
		}
		return f()
	})
}

func enter(name string) error {
	ns, err := netns.GetFromName(name)
	if err != nil {
		return fmt.Errorf("open namespace %s: %w", name, err)
	}
	defer ns.Close()
	if err := netns.Set(ns); err != nil {
		return fmt.Errorf("enter namespace %s: %w", name, err)
	}
	return nil
}

// onThread locks the goroutine to its thread while f may change the thread's
// network namespace, and puts the old one back.
func onThread(f func() error) error {
	runtime.LockOSThread()
	before, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open own namespace: %w", err)
	}
	defer before.Close()
	defer func() {
		if err := netns.Set(before); err != nil {
			// A thread in the wrong namespace must never serve another goroutine.
			panic(fmt.Sprintf("leave namespace: %v", err))
		}
		runtime.UnlockOSThread()
	}()
	return f()
}

// Exec replaces the calling process by argv inside the host's namespace. It
// returns only on failure. Mounts stay as they are, unlike `ip netns exec`,
// which hides what is mounted below /sys.
func (l *Lab) Exec(host string, argv []string) error {
	name, err := l.namespaceOf(host)
	if err != nil {
		return err
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	runtime.LockOSThread() // execve keeps the calling thread's namespace
	if err := enter(name); err != nil {
		return err
	}
	return fmt.Errorf("run %s: %w", path, syscall.Exec(path, argv, os.Environ()))
}

// In runs f inside the host's namespace, on the calling goroutine. Sockets that
// f opens stay there; goroutines that it starts do not.
func (l *Lab) In(host string, f func() error) error {
	name, err := l.namespaceOf(host)
	if err != nil {
		return err
	}
	return inNamespace(name, f)
}

// Start starts cmd inside the host's namespace; the returned function waits
// for its end. See StartChild.
func (l *Lab) Start(host string, cmd *exec.Cmd) (wait func() error, err error) {
	return start(cmd, func(begin func() error) error { return l.In(host, begin) })
}

// StartChild starts cmd in the caller's own namespace, so that it does not
// outlive the caller: it gets Pdeathsig, SIGKILL unless cmd says otherwise.
func StartChild(cmd *exec.Cmd) (wait func() error, err error) {
	return start(cmd, func(begin func() error) error { return begin() })
}

func start(cmd *exec.Cmd, where func(begin func() error) error) (wait func() error, err error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	if cmd.SysProcAttr.Pdeathsig == 0 {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	started, done := make(chan error, 1), make(chan error, 1)
	go func() {
		// Pdeathsig is sent when the parent's thread ends: this goroutine keeps
		// it for as long as the process lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := where(cmd.Start)
		started <- err
		if err == nil {
			done <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return func() error { return <-done }, nil
}

// Run is Start and the wait for the end.
func (l *Lab) Run(host string, cmd *exec.Cmd) error {
	wait, err := l.Start(host, cmd)
	if err != nil {
		return err
	}
	return wait()
}

// InNamespace runs f, on the calling goroutine, in the network namespace that an
// open file stands for.
func InNamespace(ns *os.File, f func() error) error {
	return onThread(func() error {
		if err := netns.Set(netns.NsHandle(ns.Fd())); err != nil {
			return fmt.Errorf("enter namespace %s: %w", ns.Name(), err)
		}
		return f()
	})
}

// Detach starts cmd inside the host's namespace in a session of its own: it
// lives on until the lab is removed.
func (l *Lab) Detach(host string, cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := l.In(host, cmd.Start); err != nil {
		return err
	}
	return cmd.Process.Release()
}
