package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// endGrace is how long what runs in a lab gets to end by itself.
const endGrace = 3 * time.Second

// Down removes a lab and ends what runs in it. A lab that does not exist is no
// error: afterwards there is none.
func Down(ctx context.Context, name string) error {
	l, err := Named(name)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("a lab needs root (run with sudo)")
	}
	unlock, err := lockAll()
	if err != nil {
		return err
	}
	defer unlock()
	if err := l.clear(ctx); err != nil {
		return fmt.Errorf("remove lab %s: %w", name, err)
	}
	return nil
}

// Sweep removes the labs that fit and whose owner has ended.
func Sweep(ctx context.Context, fits func(name string) bool) error {
	labs, err := List()
	if err != nil {
		return err
	}
	var failed error
	for _, s := range labs {
		if s.Owner != nil && !s.Owner.Alive() && fits(s.Name) {
			failed = errors.Join(failed, Down(ctx, s.Name))
		}
	}
	return failed
}

// clear removes whatever there is, from any state, and goes on after a failure
// to remove as much as it can. The caller holds the lock.
func (l *Lab) clear(ctx context.Context) error {
	failed := End(ctx, l.processes(), endGrace)
	for _, host := range Hosts {
		name := l.Namespace(host)
		if isNamespace(name) {
			failed = errors.Join(failed, inNamespace(name, removeLinks))
		}
		failed = errors.Join(failed, removeNamespace(name))
	}
	for {
		err := unix.Unmount(l.BPFDir(), unix.MNT_DETACH)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			break
		}
		if err != nil {
			return errors.Join(failed, fmt.Errorf("unmount %s: %w", l.BPFDir(), err))
		}
	}
	return errors.Join(failed, os.RemoveAll(l.Dir()))
}

// isNamespace is false for the plain file that an interrupted creation leaves.
func isNamespace(name string) bool {
	var fs unix.Statfs_t
	err := unix.Statfs(filepath.Join(netnsDir, name), &fs)
	return err == nil && fs.Type == unix.NSFS_MAGIC
}

// processes lists what runs in the lab's namespaces.
func (l *Lab) processes() []Process {
	inodes := map[string]bool{}
	for _, host := range Hosts {
		var st unix.Stat_t
		if name := l.Namespace(host); isNamespace(name) && unix.Stat(filepath.Join(netnsDir, name), &st) == nil {
			inodes[fmt.Sprintf("net:[%d]", st.Ino)] = true
		}
	}
	if len(inodes) == 0 {
		return nil
	}
	return Processes(func(pid int) bool {
		ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
		return err == nil && inodes[ns]
	})
}
